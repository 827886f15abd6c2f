//! Scenes for the screen: a small simulation of listeners and threads that yields consistent snapshots.
//!
//! Everything follows from the rates that a scene sets, and from nothing else: no clock, no chance.

use std::{collections::BTreeMap, sync::Arc};

use demo_server::control::{ActiveLoad, Counters, ListenerState, Settings, State as DemoState};
use demo_server::load::Mode;
use observer::backend::Said;
use observer::model::diagnosis::Diagnoses;
use observer::model::drops::Drop;
use observer::model::histogram::Histogram;
use observer::model::listening::Listening;
use observer::model::mark::{Mark, What};
use observer::model::snapshot::{
    Acceptor, Connection, End, LedgerCheck, Listener, Loss, Meta, ProbeCost, RECENT, Rates, SLOWEST,
    Snapshot, State, Thread, ThreadRates, stage,
};
use observer::view::{App, Options};

use crate::connections::{connection, count};
use crate::machine;

/// Snapshots come four times a second.
const TICK_NS: u64 = 250_000_000;
/// A monotonic time to begin with: the machine has been up for a while.
const START_NS: u64 = 5_000_000_000_000;

/// What happens at one listener.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) listener: Listener,
    /// Connections that want in, per second.
    pub(crate) arrivals: u32,
    /// Connections that its acceptors can take, per second.
    pub(crate) capacity: u32,
    /// Who accepts, reads and writes, as positions in the scene's threads, in turn.
    pub(crate) acceptors: Vec<usize>,
    pub(crate) readers: Vec<usize>,
    pub(crate) writers: Vec<usize>,
}

/// A scene: the listeners, the threads, the backend, and the screen that watches them.
pub(crate) struct Scene {
    pub(crate) sources: Vec<Source>,
    pub(crate) threads: Vec<Thread>,
    said: Option<DemoState>,
    marks: Vec<Mark>,
    pub(crate) meta: Meta,
    pub(crate) ledger: Vec<LedgerCheck>,
    pub(crate) loss: Loss,
    pub(crate) probes: Vec<ProbeCost>,
    pub(crate) app: App,
    pub(crate) listening: Vec<Listening>,
    time_ns: u64,
    diagnoses: Diagnoses,
    recent: Vec<Arc<Connection>>,
    slowest: Vec<Arc<Connection>>,
    open: Vec<Arc<Connection>>,
    turn: usize,
}

impl Scene {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            sources: Vec::new(),
            threads: Vec::new(),
            said: None,
            marks: Vec::new(),
            meta: machine::meta(),
            ledger: Vec::new(),
            loss: machine::loss(),
            probes: machine::probes(),
            app: App::new(options),
            time_ns: START_NS,
            diagnoses: Diagnoses::default(),
            recent: Vec::new(),
            slowest: Vec::new(),
            open: Vec::new(),
            listening: Vec::new(),
            turn: 0,
        }
    }

    /// Adds a thread and returns its position.
    pub(crate) fn thread(&mut self, pid: u32, tid: u32, comm: &str, role: &str) -> usize {
        let (comm, role) = (comm.to_owned(), role.to_owned());
        self.threads.push(Thread {
            pid,
            tid,
            comm,
            role,
            wakeups: Some(0),
            doing: Some("epoll_wait".into()),
            ..Thread::default()
        });
        self.threads.len() - 1
    }

    /// Adds a listener where so many arrive and so many can be taken, per second.
    pub(crate) fn listener(
        &mut self,
        cookie: u64,
        addr: &str,
        limit: u32,
        arrivals: u32,
        capacity: u32,
    ) -> &mut Source {
        let listener = Listener {
            cookie,
            addr: addr.to_owned(),
            port: addr.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0),
            netns: 4_026_531_840,
            pid: 4_127,
            comm: "demo-server".to_owned(),
            opened_ns: Some(START_NS),
            backlog_limit: limit,
            ..Listener::default()
        };
        self.sources.push(Source {
            listener,
            arrivals,
            capacity,
            acceptors: Vec::new(),
            readers: Vec::new(),
            writers: Vec::new(),
        });
        self.sources.last_mut().expect("just added")
    }

    /// The backend, running this pattern under this load.
    pub(crate) fn backend(&mut self, pattern: &str, rate: Option<f64>) {
        let load = rate.map(|rate| ActiveLoad {
            profile: "steady".to_owned(),
            mode: Mode::Open,
            pid: 4_200,
            rate: Some(rate),
            connections: 512,
            requests_per_connection: 1,
            duration: "1h".to_owned(),
            total_connections: None,
            poisson: false,
            seed: 1,
        });
        let listeners = self.sources.iter().enumerate().map(|(shard, source)| ListenerState {
            shard: shard as u32,
            cookie: source.listener.cookie,
            local: "127.0.0.1:8080".parse().expect("an address"),
        });
        let state = DemoState {
            version: "0.1.0".to_owned(),
            pid: 4_127,
            listen: "127.0.0.1:8080".parse().expect("an address"),
            pattern: pattern.to_owned(),
            settings: Settings { workers: 4, backlog: 64, work_us: 2_000, ..Settings::default() },
            backlog_effective: 64,
            faults: Vec::new(),
            load,
            last_load: None,
            threads: Vec::new(),
            listeners: listeners.collect(),
            counters: Counters::default(),
            changes: 3,
        };
        self.said = Some(state);
        self.tell();
    }

    /// The screen hears what the backend said last.
    fn tell(&mut self) {
        let state = self.said.clone().map(Box::new);
        self.app.backend(Said { backend: 0, state, error: None });
    }

    /// The backend does not answer any more.
    pub(crate) fn lose_the_backend(&mut self) {
        self.said = None;
        self.tell();
    }

    /// A change of the backend, now.
    pub(crate) fn change(&mut self, what: What, from: &str, to: &str) {
        let (name, [from, to]) = (String::new(), [from, to].map(|value| Some(value.to_owned())));
        self.marks.push(Mark { time_ns: self.time_ns + 1, what, name, from, to });
    }

    /// Closes a listener: it has one line more.
    pub(crate) fn close(&mut self, cookie: u64) {
        for source in self.sources.iter_mut().filter(|source| source.listener.cookie == cookie) {
            let listener = &mut source.listener;
            listener.closed_ns = Some(self.time_ns + 1);
            listener.dropped_queued += u64::from(std::mem::take(&mut listener.accept_queue));
            (source.arrivals, source.capacity) = (0, 0);
        }
    }

    /// Lets time pass, and shows it to the screen.
    pub(crate) fn run(&mut self, seconds: u64) -> &mut Self {
        if self.time_ns == START_NS {
            let snapshot = self.seen();
            self.app.update(Arc::new(snapshot));
        }
        for _ in 0..seconds * 1_000_000_000 / TICK_NS {
            let snapshot = self.tick();
            self.app.update(Arc::new(snapshot));
        }
        self
    }

    /// One snapshot further.
    pub(crate) fn tick(&mut self) -> Snapshot {
        self.time_ns += TICK_NS;
        for thread in &mut self.threads {
            thread.rates = ThreadRates { wakeups: Some(0.0), running: Some(0.25), ..ThreadRates::default() };
        }
        for index in 0..self.sources.len() {
            self.advance(index);
        }
        self.shares();
        self.seen()
    }

    /// What is known now.
    fn seen(&mut self) -> Snapshot {
        let excess = self.recent.len().saturating_sub(RECENT);
        self.recent.drain(..excess);
        self.slowest.sort_by_key(|connection| std::cmp::Reverse(connection.accept_wait_ns()));
        self.slowest.truncate(SLOWEST);
        let mut ledger = self.ledger.clone();
        for source in &self.sources {
            let listener = &source.listener;
            let came = listener.enqueued + u64::from(listener.queued_at_start);
            let ours = came - listener.accepted - listener.dropped_queued;
            ledger.push(LedgerCheck {
                scope: "listener",
                listener: Some(listener.cookie),
                netns: listener.netns,
                check: "accept_queue",
                ours: ours as i64,
                kernel: i64::from(listener.accept_queue),
                difference: ours as i64 - i64::from(listener.accept_queue),
                reason: None,
                since_ns: None,
            });
        }
        let mut snapshot = Snapshot {
            time_ns: self.time_ns,
            interval_ns: TICK_NS,
            meta: Arc::new(self.meta.clone()),
            hosts: Vec::new(),
            listening: self.listening.clone(),
            listeners: self.sources.iter().map(|source| source.listener.clone()).collect(),
            threads: self.threads.clone(),
            recent: self.recent.clone(),
            open: self.open.clone(),
            slowest: self.slowest.clone(),
            ledger,
            loss: self.loss.clone(),
            diagnoses: Vec::new(),
            probes: self.probes.clone(),
            marks: Arc::new(self.marks.clone()),
            offered: Vec::new(),
        };
        snapshot.diagnoses = self.diagnoses.judge(&snapshot);
        self.sources.retain(|source| source.listener.closed_ns.is_none());
        snapshot
    }

    fn advance(&mut self, index: usize) {
        let source = &mut self.sources[index];
        let listener = &mut source.listener;
        let (arrivals, capacity) = (source.arrivals / 4, source.capacity / 4);
        let full = listener.backlog_limit + 1;
        let accepted = capacity.min(arrivals + listener.accept_queue);
        let room = full + accepted - listener.accept_queue;
        let enqueued = arrivals.min(room);
        let dropped = arrivals - enqueued;
        let peak = (listener.accept_queue + enqueued.min(8)).min(full);
        listener.accept_queue = listener.accept_queue + enqueued - accepted;
        listener.peaks.note(self.time_ns, peak.max(listener.accept_queue));
        listener.enqueued += u64::from(enqueued);
        listener.accepted += u64::from(accepted);
        listener.ended += u64::from(accepted);
        listener.listen_drops += u64::from(dropped);
        listener.overflows_between = (listener.listen_drops, listener.listen_drops);
        if listener.listen_drops > 0 {
            listener.drops = vec![Drop { cause: "accept_queue_full_syn", count: listener.listen_drops }];
        }
        let rates = (f64::from(enqueued) * 4.0, f64::from(accepted) * 4.0, f64::from(dropped) * 4.0);
        listener.rates = Rates { enqueued: rates.0, accepted: rates.1, dropped: rates.2, ..Rates::default() };
        listener.state = match () {
            () if dropped > 0 => State::Overflowing,
            () if listener.accept_queue > 0 && accepted == 0 => State::Stranded,
            () if listener.accept_queue == full => State::Saturated,
            () if listener.accept_queue * 2 > full => State::Filling,
            () if arrivals > 0 => State::Healthy,
            () => State::Idle,
        };
        let wait_ns =
            180_000 + u64::from(listener.accept_queue) * 1_000_000_000 / u64::from(source.capacity.max(1));
        let mut interval: [Histogram; stage::STAGES] = Default::default();
        let connections: Vec<Connection> = (0..u64::from(accepted))
            .map(|number| {
                let spread = number * wait_ns / 40 % wait_ns;
                connection(
                    listener,
                    self.time_ns,
                    number + listener.accepted * 7,
                    wait_ns - wait_ns / 4 + spread / 3,
                )
            })
            .collect();
        for connection in &connections {
            count(&mut interval, connection);
        }
        let mut total = (*listener.stages).clone();
        total.iter_mut().zip(&interval).for_each(|(total, interval)| total.merge(interval));
        listener.accept_wait_ns = total[stage::ACCEPT_WAIT].quantiles();
        listener.recent_wait_ns = interval[stage::ACCEPT_WAIT].quantile(0.5);
        listener.stages = Arc::new(total);
        let source = source.clone();
        for connection in connections {
            let connection = Arc::new(self.serve(&source, connection));
            self.recent.push(Arc::clone(&connection));
            self.slowest.push(connection);
        }
    }

    /// A connection of the first listener that was accepted so many seconds ago and is open; its client has sent nothing,
    /// or makes requests.
    pub(crate) fn hold(&mut self, seconds: u64, is_silent: bool) {
        let source = self.sources[0].clone();
        let accepted = self.time_ns.saturating_sub(seconds * 1_000_000_000);
        let held = connection(&source.listener, accepted, seconds, 130_000);
        let mut held =
            self.serve(&source, Connection { end: End::Open, closed_ns: None, closed_first: None, ..held });
        if is_silent {
            held = Connection {
                first_data_ns: None,
                first_read_ns: None,
                first_write_ns: None,
                readers: Vec::new(),
                writers: Vec::new(),
                reads: 0,
                writes: 0,
                bytes_read: 0,
                bytes_written: 0,
                ..held
            };
        }
        self.open.push(Arc::new(held));
    }

    fn serve(&mut self, source: &Source, mut connection: Connection) -> Connection {
        self.turn += 1;
        let pick = |from: &[usize], turn: usize| (!from.is_empty()).then(|| from[turn % from.len()]);
        let [acceptor, reader, writer] =
            [&source.acceptors, &source.readers, &source.writers].map(|from| pick(from, self.turn));
        if let Some(thread) = acceptor.and_then(|index| self.threads.get_mut(index)) {
            thread.accepts += 1;
            thread.rates.accepts += 4.0;
            *thread.wakeups.get_or_insert(0) += 1;
            connection.acceptor =
                Some(Acceptor { pid: thread.pid, tid: thread.tid, comm: thread.comm.clone() });
        }
        if let Some(thread) = reader.and_then(|index| self.threads.get_mut(index)) {
            thread.reads += 1;
            thread.rates.reads += 4.0;
            thread.bytes_read += connection.bytes_read;
            connection.readers = vec![thread.tid];
        }
        if let Some(thread) = writer.and_then(|index| self.threads.get_mut(index)) {
            thread.writes += 1;
            thread.rates.writes += 4.0;
            thread.bytes_written += connection.bytes_written;
            connection.writers = vec![thread.tid];
        }
        connection
    }

    fn shares(&mut self) {
        let mut totals: BTreeMap<u32, u64> = BTreeMap::new();
        for thread in &self.threads {
            *totals.entry(thread.pid).or_default() += thread.accepts;
        }
        for thread in &mut self.threads {
            let total = totals.get(&thread.pid).copied().unwrap_or(0);
            thread.accept_share = (total > 0).then(|| thread.accepts as f64 / total as f64);
        }
    }
}
