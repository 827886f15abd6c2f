//! Attached probes, read as events for the model.

mod listed;
mod tell;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use observer_ebpf::loss;
use observer_ebpf::plain::decode;
use observer_ebpf::record::{Connection, ListenerEvent, Sample, UNCOUNTED, kind};

use super::{
    acceptors::{Acceptors, Gone},
    choice::Outcome,
    clock,
    devices::Devices,
    ends::Ends,
    listening::Listening,
    log::ProbeLog,
    maps::{self, Maps},
    namespaces::{self, Namespaces, Selected},
    plan::PROGRAMS,
    probes::{Options, Probes},
    sampled::Sampled,
    tasks,
    windows::Windows,
};
use crate::model::{event::Event, snapshot::ProbeCost};

pub use super::clock::now_ns;

/// What one run on demand takes: a raw tracepoint has at most twelve arguments.
pub(super) const PER_RUN: usize = 12;
/// Most threads that are looked up in /proc at one time.
const MOST_TASKS: usize = 2048;

/// Attached probes, read as events.
pub struct Probed {
    probes: Probes,
    maps: Maps,
    /// Listeners that are sampled, by cookie.
    listeners: BTreeMap<u64, Sampled>,
    /// Last samples of listeners of which nothing is known yet.
    early: BTreeMap<u64, Sample>,
    namespaces: Namespaces,
    listening: Listening,
    windows: Windows,
    acceptors: Acceptors,
    devices: Devices,
    ends: Ends,
    /// Processes that hold listeners.
    holders: BTreeSet<u32>,
    /// Threads that were alive at the last look, by process and thread id.
    alive: BTreeSet<(u32, u32)>,
    /// Threads that began later than this, in nanoseconds of the host's CLOCK_BOOTTIME, have done all that they did since the start.
    began_ns: u64,
    ports: Vec<u16>,
    log: Option<ProbeLog>,
    /// Notices of listeners that were lost when this was last looked at.
    lost_notices: u64,
    /// Otherwise /proc says nothing about the threads in the records.
    ids_are_the_hosts: bool,
    /// A program counts how often threads sleep; otherwise /proc is read for it.
    counts_sleeps: bool,
}

impl Probed {
    /// Attaches the probes and finds what is there. The kernel's own counters are read right after the listeners'.
    ///
    /// # Errors
    /// As [`Probes::attach`].
    pub fn start(options: &Options, sink: &mut impl FnMut(Event)) -> Result<Self> {
        let began_ns = clock::boot_ns()?;
        let mut probes = Probes::attach(options)?;
        // Before the maps are taken: aya-log takes its own out of the same object.
        let log = options.log.then(|| ProbeLog::open(&mut probes.ebpf)).transpose()?;
        let maps = Maps::take(&mut probes.ebpf, options.max_connections)?;
        let listening = Listening::new(&options.filters, options.entrance.clone(), options.max_listeners);
        // Every listener has a cookie once it was listed.
        let lists = listening.list();
        probes.find_existing(listening.is_too_much(&lists))?;
        let counts_sleeps = probes.has_programs("wakeups");
        let selected = options.filters.netns.zip(options.entrance.clone());
        let selected = selected.map(|(netns, path)| Selected { netns, path, cookie: options.netns_cookie });
        let mut source = Self {
            probes,
            maps,
            listeners: BTreeMap::new(),
            early: BTreeMap::new(),
            namespaces: Namespaces::new(selected),
            listening,
            windows: Windows::default(),
            acceptors: Acceptors::default(),
            devices: Devices::default(),
            ends: Ends::default(),
            holders: BTreeSet::new(),
            alive: BTreeSet::new(),
            began_ns,
            ports: options.filters.ports.clone(),
            log,
            lost_notices: 0,
            ids_are_the_hosts: tasks::ids_are_the_hosts(),
            counts_sleeps,
        };
        source.rescan(sink);
        source.compare(&lists, &BTreeSet::new(), sink);
        // The selected namespace is read in any case, without selection the observer's own.
        let own = std::process::id();
        if let Some(netns) = options.filters.netns.or_else(|| namespaces::of(own)) {
            source.namespaces.watch(netns, &[own], sink);
        }
        Ok(source)
    }

    /// What became of each signal.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.probes.outcomes
    }

    /// Looks for listeners in the map: at the start, and when the notice of one was lost.
    fn rescan(&mut self, sink: &mut impl FnMut(Event)) {
        let cookies: Vec<u64> = self.maps.listener_cookies().collect();
        self.opened(&cookies, sink);
    }

    /// Takes up those of some listeners that are not known yet, and takes a first sample of each: an instant to take
    /// rates from.
    fn opened(&mut self, cookies: &[u64], sink: &mut impl FnMut(Event)) {
        let new: Vec<(u64, u32, [u32; 2])> =
            cookies.iter().filter_map(|cookie| self.found(*cookie, sink)).collect();
        let mut sampled = BTreeSet::new();
        // All of a namespace's listeners right before its counters, so that what comes in between is little.
        for (_, netns, candidates) in &new {
            if sampled.insert(*netns) {
                let here: Vec<u64> = new.iter().filter(|one| one.1 == *netns).map(|one| one.0).collect();
                here.chunks(PER_RUN).for_each(|cookies| {
                    self.sample(cookies, sink);
                });
            }
            self.namespaces.watch(*netns, candidates, sink);
        }
        if !new.is_empty() {
            self.devices.look(&self.namespaces, sink);
        }
    }

    /// Takes everything out of the event ring.
    pub fn drain(&mut self, sink: &mut impl FnMut(Event)) {
        if let Some(log) = &mut self.log {
            log.flush();
        }
        let mut changes = Vec::new();
        while let Some(item) = self.maps.events.next() {
            match maps::kind(&item) {
                Some(kind::CONNECTION_ENDED) => {
                    if let Some(record) = decode::<Connection>(&item) {
                        sink(Event::Connection(Box::new(record)));
                    }
                }
                _ => changes.extend(decode::<ListenerEvent>(&item)),
            }
        }
        let of = |kind: u32| {
            let changes = changes.iter().filter(move |change| change.kind == kind);
            changes.map(|change| change.cookie).collect::<Vec<u64>>()
        };
        self.opened(&of(kind::LISTENER_OPENED), sink);
        let closed = of(kind::LISTENER_CLOSED);
        if !closed.is_empty() {
            // Their last ones.
            self.take_samples(sink);
        }
        closed.into_iter().for_each(|cookie| self.closed(cookie, sink));
    }

    /// Takes a listener up: its cookie, its namespace, and who may be in there. None if it is known already.
    fn found(&mut self, cookie: u64, sink: &mut impl FnMut(Event)) -> Option<(u64, u32, [u32; 2])> {
        if self.listeners.contains_key(&cookie) {
            return None;
        }
        let entry = self.maps.listener(cookie)?;
        let identity = &entry.identity;
        self.listeners.insert(cookie, Sampled::new(identity.netns));
        self.holders.insert(identity.pid);
        self.acceptors.opened(identity);
        self.devices.opened(cookie, identity.netns, identity.device);
        let found = (cookie, identity.netns, [identity.tid, identity.pid]);
        sink(Event::Listener(entry));
        if let Some(sample) = self.early.remove(&cookie) {
            sink(Event::Sample(sample));
        }
        Some(found)
    }

    fn closed(&mut self, cookie: u64, sink: &mut impl FnMut(Event)) {
        self.listeners.remove(&cookie);
        self.acceptors.closed(cookie, &mut self.maps);
        self.devices.closed(cookie);
        if let Some(entry) = self.maps.listener(cookie) {
            let netns = entry.identity.netns;
            sink(Event::ListenerClosed(entry));
            self.maps.forget_listener(cookie);
            self.namespaces.leave(netns, sink);
        }
    }

    /// Reads what is cheap and changes at every moment: queue depths, histograms of listeners at which something
    /// happens, closed windows, the kernel's own counters, losses.
    pub fn tick(&mut self, sink: &mut impl FnMut(Event)) -> Result<()> {
        let cookies: Vec<u64> = self.listeners.keys().copied().collect();
        let mut all = true;
        for cookies in cookies.chunks(PER_RUN) {
            all &= self.sample(cookies, sink);
        }
        if all {
            self.end_gone(sink);
        }
        let mut window_probes = 0;
        self.namespaces.read(&mut |event| {
            if let Event::Host { counters, .. } = &event {
                window_probes += counters.window_probes;
            }
            sink(event);
        });
        self.windows.look(window_probes, &mut self.probes, &mut self.maps, sink);
        let counters = self.maps.counters()?;
        if counters[loss::RING_LISTENER as usize] != self.lost_notices {
            self.lost_notices = counters[loss::RING_LISTENER as usize];
            self.recover(sink);
        }
        if counters[loss::OTHER_NAMESPACE as usize] > 0 {
            self.namespaces.found_other();
        }
        sink(Event::Loss(counters));
        Ok(())
    }

    /// Whether the selected network namespace is gone, and its number another one's.
    pub fn namespace_is_gone(&self) -> bool {
        self.namespaces.is_gone()
    }

    /// Looks at every listener in the map, because notices of some were lost.
    fn recover(&mut self, sink: &mut impl FnMut(Event)) {
        self.rescan(sink);
        self.take_samples(sink);
        let gone =
            |cookie: &u64| self.maps.listener(*cookie).is_none_or(|entry| entry.identity.destroyed_ns != 0);
        let gone: Vec<u64> = self.listeners.keys().copied().filter(gone).collect();
        for cookie in gone {
            self.closed(cookie, sink);
        }
    }

    /// Samples listeners; `false` for a run that fails and leaves no samples: the figures then carry the time of the
    /// last one.
    fn sample(&mut self, cookies: &[u64], sink: &mut impl FnMut(Event)) -> bool {
        let ran = self.probes.run("sample_queues", cookies);
        self.take_samples(sink);
        ran
    }

    /// Takes everything out of the ring of samples.
    fn take_samples(&mut self, sink: &mut impl FnMut(Event)) {
        let (mut active, mut unselected) = (Vec::new(), Vec::new());
        while let Some(item) = self.maps.samples.next() {
            if let Some(sample) = decode::<Sample>(&item) {
                if let Some(listener) = self.listeners.get_mut(&sample.cookie) {
                    if listener.read(&sample) {
                        active.push(sample.cookie);
                    }
                } else {
                    // It opened and closed since its notices were last taken.
                    self.early.insert(sample.cookie, sample);
                    continue;
                }
                // listen(2) without bind(2) has a port only now.
                if !self.ports.is_empty() && !self.ports.contains(&sample.port) && sample.port != 0 {
                    unselected.push(sample.cookie);
                }
                self.acceptors.sampled(&sample);
                self.devices.sampled(sample.cookie, sample.device);
                sink(Event::Sample(sample));
            }
        }
        for cookie in active {
            if let Some(entry) = self.maps.listener(cookie) {
                sink(Event::Listener(entry));
            }
        }
        for cookie in unselected {
            self.closed(cookie, sink);
        }
    }

    /// Reads what costs more: threads, and what the probes cost.
    pub fn detail(&mut self, time_ns: u64, sink: &mut impl FnMut(Event)) {
        self.namespaces.find(sink);
        if self.listening.is_due(time_ns) {
            self.list(sink);
        }
        self.devices.look(&self.namespaces, sink);
        let gone = self.threads(sink);
        let (maps, probes) = (&mut self.maps, &mut self.probes);
        let is_told = |listener| self.listeners.contains_key(&listener);
        self.acceptors.read(time_ns, &gone, is_told, maps, probes, sink);
        // Whoever holds it may be the one that should accept, and has done nothing that a program was shown.
        self.holders.extend(self.acceptors.keepers());
        self.ends.look(&mut self.probes, &self.maps, sink);
        sink(Event::ThreadsRead { time_ns });
        sink(Event::Probes(self.costs()));
    }

    /// Tells of every thread, and returns which have ended.
    fn threads(&mut self, sink: &mut impl FnMut(Event)) -> Gone {
        let mut gone = Gone::default();
        let mut counted: Vec<_> = self.maps.threads().collect();
        if !self.counts_sleeps {
            counted.iter_mut().for_each(|(_, entry)| entry.sleeps = UNCOUNTED);
        }
        if !self.ids_are_the_hosts {
            counted.into_iter().for_each(|(key, entry)| sink(Event::Thread(key, entry)));
            return gone;
        }
        let (mut looked_up, mut alive) = (BTreeSet::new(), BTreeSet::new());
        for (key, entry) in counted {
            sink(Event::Thread(key, entry));
            looked_up.insert((key.pid, key.tid));
            let Ok(task) = tasks::read(key.pid, key.tid) else {
                // It may be alive: nothing is told of it, and nothing forgotten.
                alive.extend(self.alive.get(&(key.pid, key.tid)));
                continue;
            };
            match &task {
                None => {
                    gone.threads.push(key);
                    self.maps.forget_thread(key);
                    if !tasks::exists(key.pid) {
                        self.maps.forget_server(key.pid);
                    }
                }
                Some(_) => {
                    alive.insert((key.pid, key.tid));
                }
            }
            let is_new = key.started_ns > self.began_ns && !self.alive.contains(&(key.pid, key.tid));
            self.tell((key.pid, key.tid), task, is_new, sink);
        }
        // Threads that were woken for nothing never show in the map: a herd's losers.
        for pid in self.holders.iter().copied().filter(|pid| !tasks::exists(*pid)).collect::<Vec<_>>() {
            gone.orphaned = true;
            self.holders.remove(&pid);
            self.maps.forget_server(pid);
        }
        let idle =
            self.holders.iter().flat_map(|pid| tasks::threads_of(*pid).into_iter().map(|tid| (*pid, tid)));
        for (pid, tid) in idle.filter(|ids| !looked_up.contains(ids)).take(MOST_TASKS) {
            let Ok(task) = tasks::read(pid, tid) else {
                alive.extend(self.alive.get(&(pid, tid)));
                continue;
            };
            if task.is_some() {
                alive.insert((pid, tid));
            }
            self.tell((pid, tid), task, false, sink);
        }
        for (pid, tid) in self.alive.difference(&alive).copied().filter(|ids| !looked_up.contains(ids)) {
            sink(Event::Task { pid, tid, task: None });
        }
        self.alive = alive;
        gone
    }

    /// Every watched listener once more, for somebody who begins to listen now.
    pub fn retell(&self, sink: &mut impl FnMut(Event)) {
        let entries = self.listeners.keys().filter_map(|cookie| self.maps.listener(*cookie));
        entries.for_each(|entry| sink(Event::Listener(entry)));
        self.listening.retell(sink);
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> impl Iterator<Item = Connection> {
        self.maps.connections()
    }

    /// What each program cost so far: the kernel shows it in the descriptor's fdinfo.
    fn costs(&self) -> Vec<ProbeCost> {
        PROGRAMS.iter().filter_map(|row| self.probes.cost(row)).collect()
    }
}
