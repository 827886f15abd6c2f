//! What is known: plain data and pure functions, no I/O, no clock, no aya. [`Model::apply`] takes what happened,
//! [`Model::snapshot`] gives what is known; neither can fail.
//!
//! # Layout
//! - [`event`]: what the model is told; [`bounds`]: how much of a recording is held; [`plausible`]: figures that can be
//! - [`snapshot`]: the value that every output renders; [`interval`], [`peaks`]: what happened between two
//! - [`name`]: how names of threads and processes are spelled
//! - [`connection`]: from the kernel's record to the one that outputs show
//! - [`histogram`]: durations and their quantiles
//! - [`drops`]: what a listener refused, and why
//! - [`chance`]: how far chance takes shares
//! - [`diagnosis`]: what is wrong, by rules; `evidence`: what the rules judge by
//! - [`listening`]: the listeners that the kernel lists, and which of them are not watched
//! - `backends`: what they told: [`mark`], what they changed; [`offered`], their load
//! - `acceptors`: who accepts from each listener; [`look`]: what those threads do
//! - `listener`, `thread`, `host`, `ledger`: one subject each; `register`: listeners come and go; `shards`: their groups

mod acceptors;
mod backends;
pub mod bounds;
pub mod chance;
pub mod connection;
pub mod diagnosis;
pub mod drops;
pub mod event;
mod evidence;
pub mod histogram;
mod host;
pub mod interval;
mod ledger;
mod listener;
pub mod listening;
pub mod look;
pub mod mark;
pub mod name;
pub mod offered;
pub mod peaks;
pub mod plausible;
mod register;
mod shards;
pub mod snapshot;
mod thread;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use acceptors::Acceptances;
use backends::Backends;
use bounds::{Bounds, LeftOut};
use diagnosis::Diagnoses;
use event::{Event, Followed};
use host::Host;
use ledger::{Gone, Standing};
use listener::Watched;
use listening::Listening;
use mark::Mark;
use observer_ebpf::loss;
use shards::Shards;
use snapshot::{Connection, Listener, Loss, Meta, OLDEST, ProbeCost, RECENT, SLOWEST, Snapshot};
use thread::{Spent, Threads};

/// How long a connection can be among the slowest.
pub const SLOWEST_FOR_NS: u64 = 120_000_000_000;

/// Everything that is known.
#[derive(Debug, Default)]
pub struct Model {
    meta: Arc<Meta>,
    listeners: BTreeMap<u64, Watched>,
    threads: Threads,
    acceptances: Acceptances,
    hosts: BTreeMap<u32, Host>,
    /// Those of them that nobody reads any more; they are in one more snapshot.
    hosts_gone: HashSet<u32>,
    gone: HashMap<u32, Gone>,
    /// What the listeners of each namespace had counted when its counters were first read.
    before: HashMap<u32, Gone>,
    /// What the kernel lists, as it was last asked.
    listening: Vec<Listening>,
    standing: Standing,
    recent: VecDeque<Arc<Connection>>,
    slowest: Vec<Arc<Connection>>,
    open: Vec<Arc<Connection>>,
    /// Those that were told since the last pass over all of them was complete.
    next_open: Vec<Arc<Connection>>,
    /// None until they were read for the first time.
    counters: Option<[u64; loss::COUNTERS as usize]>,
    followed: Option<Followed>,
    delivered: u64,
    probes: Vec<ProbeCost>,
    backends: Backends,
    diagnoses: Diagnoses,
    last_ns: Option<u64>,
    shards: Shards,
    /// Names of interfaces that listeners are bound to, by network namespace and index.
    devices: HashMap<(u32, u32), String>,
    /// None live, where the kernel half is bounded.
    bounds: Option<Bounds>,
    left_out: LeftOut,
    /// Closed listeners that are in no snapshot yet.
    closed: usize,
}

impl Model {
    /// A model that knows nothing yet.
    pub fn new(meta: Arc<Meta>) -> Self {
        Self { meta, ..Self::default() }
    }

    /// The same for events that nobody vouches for: what exceeds the bounds is left out and counted.
    pub fn bounded(meta: Arc<Meta>, bounds: Bounds) -> Self {
        let threads = Threads::bounded(bounds.most_threads());
        Self { meta, threads, bounds: Some(bounds), ..Self::default() }
    }

    /// What was left out so far.
    pub fn left_out(&self) -> LeftOut {
        let mut left_out = self.left_out.clone();
        left_out.threads = self.threads.left_out();
        left_out
    }

    /// Takes over what happened. For an ended connection, it is returned as outputs show it.
    pub fn apply(&mut self, mut event: Event) -> Option<Arc<Connection>> {
        if self.bounds.is_some() {
            bounds::cut(&mut event);
            plausible::limit(&mut event);
        }
        match event {
            Event::Listener(entry) => self.listener(&entry),
            Event::ListenerClosed(entry) => self.listener_closed(&entry),
            Event::Sample(sample) => {
                if let Some(watched) = self.listeners.get_mut(&sample.cookie) {
                    watched.sampled(&sample, self.meta.telling);
                }
            }
            Event::Connection(record) => return Some(self.ended(connection::of(&record, false))),
            Event::Thread(key, entry) => self.threads.counted(key, &entry),
            Event::Task { pid, tid, task } => self.threads.looked_up(pid, tid, task),
            Event::Activity { pid, tid, run_ns, ready_ns, doing } => {
                self.threads.spent((pid, tid), Spent { run_ns, ready_ns }, doing);
            }
            Event::Acceptance(one) => {
                if self.listeners.contains_key(&one.listener) {
                    self.acceptances.accepted(*one, self.bounds.map(Bounds::most_threads));
                }
            }
            Event::Look { pid, tid, look } => self.acceptances.looked((pid, tid), look.map(|look| *look)),
            Event::Holders { listener, holders } => {
                if let Some(watched) = self.listeners.get_mut(&listener) {
                    watched.held(&holders);
                    self.acceptances.held(listener, holders);
                }
            }
            Event::Owner { listener, pid, comm } => {
                if let Some(watched) = self.listeners.get_mut(&listener) {
                    watched.renamed(pid, &comm);
                    self.acceptances.renamed(listener, pid, &comm);
                }
            }
            Event::Descriptors { pid, descriptors } => self.acceptances.descriptors(pid, descriptors),
            Event::ThreadsRead { time_ns } => {
                self.threads.read(time_ns);
                self.acceptances.read(time_ns);
            }
            Event::Host { netns, counters } => {
                if self.hosts_gone.remove(&netns) {
                    self.begin_anew(netns);
                }
                if !self.hosts.contains_key(&netns) {
                    if !self.has_room_for_namespace(self.hosts.len()) {
                        return None;
                    }
                    // Of one with this number that was never read: its listeners came and went between two readings.
                    self.gone.remove(&netns);
                    self.before.insert(netns, Gone::of(self.of_namespace(netns)));
                }
                self.hosts.entry(netns).or_default().read(counters);
                for watched in self.listeners.values_mut() {
                    if watched.identity().netns == netns {
                        watched.host_known();
                    }
                }
            }
            Event::Device { netns, index, name } => self.device((netns, index), &name),
            Event::HostGone { netns } => {
                if self.hosts.contains_key(&netns) || self.gone.contains_key(&netns) {
                    self.hosts_gone.insert(netns);
                }
            }
            Event::ClosedWindows(closed) => {
                for (cookie, watched) in &mut self.listeners {
                    let here = closed.iter().find(|windows| windows.listener == *cookie);
                    watched.windows(here.copied().unwrap_or_default());
                }
            }
            Event::Unrecorded(count) => {
                self.delivered = self.delivered.saturating_add(count).min(plausible::LATEST_NS);
            }
            Event::Open(record) => {
                if self.next_open.len() < OLDEST {
                    self.next_open.push(Arc::new(connection::of(&record, true)));
                }
            }
            Event::Followed(followed) => {
                self.followed = Some(followed);
                self.open = std::mem::take(&mut self.next_open);
            }
            Event::Listening(listening) => self.listening = listening,
            Event::Loss(counters) => self.counters = Some(counters),
            Event::Probes(probes) => self.probes = probes,
            Event::Mark(mark) => self.backends.changed(*mark),
            Event::Offered { backend, offered } => self.backends.offers(backend, offered.map(|one| *one)),
            Event::Backend(_) => {}
        }
        None
    }

    /// Records of ended connections that arrived so far.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// What backends changed so far.
    pub fn marks(&self) -> &[Mark] {
        self.backends.marks()
    }

    fn of_namespace(&self, netns: u32) -> impl Iterator<Item = &Watched> {
        let here = move |watched: &&Watched| watched.identity().netns == netns && !watched.is_disowned();
        self.listeners.values().filter(here)
    }

    /// An inode number is given to the next namespace at once: what was counted under it is another's.
    fn begin_anew(&mut self, netns: u32) {
        self.hosts.remove(&netns);
        self.gone.remove(&netns);
        self.devices.retain(|device, _| device.0 != netns);
        for watched in self.listeners.values_mut().filter(|watched| watched.identity().netns == netns) {
            watched.disown();
        }
    }

    fn ended(&mut self, connection: Connection) -> Arc<Connection> {
        self.delivered += 1;
        let connection = Arc::new(connection);
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Arc::clone(&connection));
        // They are in the order of their accepts, so nearly every connection that ends is none of them at the first look.
        if self.open.last().is_some_and(|last| connection.accepted_ns <= last.accepted_ns) {
            let is_it = |open: &Arc<Connection>| {
                (open.remote, open.local, open.accepted_ns)
                    == (connection.remote, connection.local, connection.accepted_ns)
            };
            self.open.retain(|open| !is_it(open));
        }
        let wait = connection.accept_wait_ns();
        if wait.is_some()
            && (self.slowest.len() < SLOWEST
                || self.slowest.last().is_some_and(|last| last.accept_wait_ns() < wait))
        {
            let place = self.slowest.partition_point(|other| other.accept_wait_ns() >= wait);
            self.slowest.insert(place, Arc::clone(&connection));
            self.slowest.truncate(SLOWEST);
        }
        connection
    }

    /// What is known at `time_ns`.
    pub fn snapshot(&mut self, time_ns: u64) -> Snapshot {
        self.slowest.retain(|slow| {
            slow.closed_ns.is_some_and(|closed| time_ns.saturating_sub(closed) < SLOWEST_FOR_NS)
        });
        let mut ledger = self.ledger();
        self.standing.note(&mut ledger, time_ns);
        self.shards.number(self.listeners.values_mut());
        let refused = self.refused_by_namespace();
        let mut listeners: Vec<Listener> = self
            .listeners
            .values_mut()
            .map(|watched| {
                let host = self.hosts.get(&watched.identity().netns);
                let here = refused.get(&watched.identity().netns).copied().unwrap_or(0);
                let acceptors = self.acceptances.of(watched.identity().cookie);
                let device = watched.device_name(&self.devices);
                Listener { acceptors, ..watched.snapshot(time_ns, &self.meta, host, here, device) }
            })
            .collect();
        shards::sort(&mut listeners);
        let mut snapshot = Snapshot {
            time_ns,
            interval_ns: self.last_ns.map_or(0, |last| time_ns.saturating_sub(last)),
            meta: Arc::clone(&self.meta),
            listeners,
            listening: listening::without(&self.listening, |cookie| self.listeners.contains_key(&cookie)),
            hosts: self.hosts(),
            threads: self.threads(),
            recent: self.recent.iter().cloned().collect(),
            slowest: self.slowest.clone(),
            open: self.open.clone(),
            ledger,
            loss: self.loss(),
            diagnoses: Vec::new(),
            probes: self.probes.clone(),
            marks: Arc::clone(self.backends.marks()),
            offered: self.backends.offered(),
        };
        snapshot.diagnoses = self.diagnoses.judge(&snapshot);
        self.forget_closed();
        self.last_ns = Some(time_ns);
        snapshot
    }

    /// What all listeners of each network namespace refused, closed ones included.
    fn refused_by_namespace(&self) -> HashMap<u32, u64> {
        let mut sums: HashMap<u32, u64> =
            self.gone.iter().map(|(netns, gone)| (*netns, gone.refused)).collect();
        for watched in self.listeners.values() {
            let sum = sums.entry(watched.identity().netns).or_default();
            *sum = sum.saturating_add(watched.refused().most());
        }
        sums
    }

    fn threads(&mut self) -> Vec<snapshot::Thread> {
        let mut threads = self.threads.snapshot();
        for thread in &mut threads {
            let ids = (thread.pid, thread.tid);
            thread.looked = self.acceptances.look(ids);
            (thread.accept_failures, thread.accept_failed_ns, thread.accept_errno) =
                self.acceptances.failures(ids);
        }
        // A share of what is not known to be all is none.
        if self.threads.left_out() > 0
            || self.counters.is_some_and(|counters| counters[loss::THREADS_FULL as usize] > 0)
        {
            threads.iter_mut().for_each(|thread| thread.accept_share = None);
        }
        threads
    }

    fn hosts(&self) -> Vec<snapshot::Host> {
        let mut hosts: Vec<_> = self.hosts.iter().map(|(netns, host)| host.snapshot(*netns)).collect();
        hosts.sort_by_key(|host| host.netns);
        hosts
    }

    fn ledger(&self) -> Vec<snapshot::LedgerCheck> {
        let mut checks: Vec<_> = self.listeners.values().filter_map(ledger::listener).collect();
        let mut never_queued = self.counters.map_or(0, |counters| counters[loss::NEVER_QUEUED as usize]);
        checks.extend(self.counters.map(|counters| ledger::ring(counters, self.delivered)));
        checks.extend(self.followed.map(ledger::followed));
        checks.extend(self.listening.iter().map(listening::check));
        for (netns, host) in &self.hosts {
            let here = self.of_namespace(*netns);
            let gone = self.gone.get(netns).copied().unwrap_or_default();
            let before = self.before.get(netns).copied().unwrap_or_default();
            let sum = gone.with(here).since(before);
            checks.extend(ledger::host(*netns, host, sum, &self.meta, &mut never_queued));
        }
        checks
    }

    fn loss(&self) -> Loss {
        let mut read = self.counters.unwrap_or_default();
        // What a replay leaves out is lost as what found no place in the kernel's maps.
        for (counter, more) in
            [(loss::LISTENERS_FULL, self.left_out.listeners()), (loss::THREADS_FULL, self.threads.left_out())]
        {
            read[counter as usize] = read[counter as usize].saturating_add(more);
        }
        let counters: BTreeMap<String, u64> = loss::TABLE
            .iter()
            .zip(read)
            .zip(0..)
            .filter(|(_, index)| loss::is_loss(*index))
            .map(|((loss, count), _)| (loss.name.to_owned(), count))
            .chain([(
                "recursion_misses".to_owned(),
                self.probes.iter().map(|probe| probe.recursion_misses).sum(),
            )])
            .collect();
        Loss {
            produced: read[loss::PRODUCED as usize],
            delivered: self.delivered,
            taken_over: read[loss::TAKEN_OVER as usize],
            total: counters.values().sum(),
            counters,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
