//! A made-up run with every kind of event, from a seed.

use observer_ebpf::{
    histogram::BUCKETS,
    record::{
        Connection, Endings, ListenerCounters, ListenerEntry, ListenerIdentity, Sample, ThreadEntry,
        ThreadKey, Writes, flag, stage,
    },
};

use crate::model::{
    event::{ClosedWindows, Event, HostCounters},
    mark::{Mark, What},
    snapshot::ProbeCost,
};

/// One step of it.
#[expect(clippy::large_enum_variant, reason = "most steps are events")]
pub(super) enum Step {
    /// The model is told something.
    Event(Event),
    /// A snapshot is made.
    Snapshot(u64),
}

impl Step {
    pub(super) fn event(self) -> Option<Event> {
        match self {
            Self::Event(event) => Some(event),
            Self::Snapshot(_) => None,
        }
    }
}

/// Numbers that look like chance: xorshift64*.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % bound
    }
}

const SECOND: u64 = 1_000_000_000;

/// A connection from this port, accepted after `wait` microseconds.
pub(super) fn connection(port: u16, wait: u64) -> Connection {
    let enqueued_ns = 100 * SECOND + u64::from(port) * 1_000;
    Connection {
        flags: flag::ACCEPTED | flag::FIN,
        listener: 1 + u64::from(port) % 2,
        enqueued_ns,
        established_ns: enqueued_ns,
        accepted_ns: enqueued_ns + wait * 1_000,
        first_read_ns: if port.is_multiple_of(3) { 0 } else { enqueued_ns + 2 * wait * 1_000 },
        closed_ns: enqueued_ns + 10 * wait * 1_000,
        remote_port: port,
        family: 2,
        acceptor_tid: 7,
        ..Connection::BLANK
    }
}

/// `seconds` snapshots with what happens between them.
pub(super) fn story(seed: u64, seconds: u64) -> Vec<Step> {
    let mut chance = Chance::new(seed);
    let mut steps = Vec::new();
    let mut entries = [entry(1, 80), entry(2, 80)];
    let mut thread = ThreadEntry {
        accepts: 0,
        reads: 0,
        writes: 0,
        unasked: 0,
        bytes_read: 0,
        bytes_written: 0,
        last_ns: 0,
        sleeps: 3,
        comm: *b"acceptor\0\0\0\0\0\0\0\0",
    };
    let mut produced = 0;
    for second in 0..seconds {
        let time_ns = 100 * SECOND + second * SECOND;
        let mut tell = |event| steps.push(Step::Event(event));
        for _ in 0..chance.below(9) {
            let mut record = connection(1024 + chance.below(60_000) as u16, 1 + chance.below(9_999));
            record.closed_ns = time_ns - chance.below(SECOND);
            let counters = &mut entries[(record.listener - 1) as usize].counters;
            counters.enqueued += 1;
            counters.accepted += 1;
            counters.ended += 1;
            produced += 1;
            thread.accepts += 1;
            let bucket = chance.below(BUCKETS as u64) as usize;
            entries[(record.listener - 1) as usize].histograms[stage::ACCEPT_WAIT][bucket] += 1;
            tell(Event::Connection(Box::new(record)));
        }
        if second % 17 == 16 {
            tell(Event::ListenerClosed(Box::new(entries[1])));
            entries[1] = entry(3 + second, 80);
        }
        for entry in &entries {
            tell(Event::Listener(Box::new(*entry)));
            tell(Event::Sample(sample(entry, time_ns, chance.below(9) as u32)));
        }
        tell(Event::Thread(ThreadKey { pid: 6, tid: 7, started_ns: 5 }, thread));
        tell(Event::Task { pid: 6, tid: 7, task: Some(("änd so on".into(), Some(3 * second))) });
        tell(Event::Task { pid: 6, tid: 8, task: None });
        tell(Event::ThreadsRead { time_ns });
        let counters = HostCounters { passive_opens: produced, ..HostCounters::default() };
        tell(Event::Host { netns: 4_026_531_840, counters });
        if second % 13 == 12 {
            tell(Event::Host { netns: 3, counters });
            tell(Event::HostGone { netns: 3 });
        }
        let windows =
            ClosedWindows { listener: 1, connections: second, bytes: second << 20, since_ns: time_ns };
        tell(Event::ClosedWindows(if second % 5 == 3 { vec![windows] } else { Vec::new() }));
        let mut losses = [0; _];
        losses[0] = produced;
        tell(Event::Loss(losses));
        tell(Event::Probes(vec![ProbeCost {
            program: "accept".into(),
            runs: Some(produced),
            ..ProbeCost::default()
        }]));
        if second % 10 == 1 {
            let [from, to] = ["a", "b"].map(|pattern| Some(pattern.to_owned()));
            let name = String::new();
            tell(Event::Mark(Box::new(Mark { time_ns, what: What::Pattern, name, from, to })));
            tell(Event::Offered { backend: 0, offered: Some(Box::default()) });
            tell(Event::Backend(Box::default()));
            tell(Event::Unrecorded(2));
        }
        steps.push(Step::Snapshot(time_ns));
    }
    steps
}

fn entry(cookie: u64, port: u16) -> ListenerEntry {
    ListenerEntry {
        identity: ListenerIdentity {
            cookie,
            sock: 0xffff_8880_0000_0000 + cookie,
            opened_ns: 0,
            destroyed_ns: 0,
            netns: 4_026_531_840,
            pid: 6,
            tid: 7,
            family: 2,
            port,
            address: [0; 16],
            comm: *b"demo-server\0\0\0\0\0",
            device: 0,
            reserved: 0,
        },
        counters: ListenerCounters::BLANK,
        longest: [0; stage::STAGES],
        histograms: [[0; BUCKETS]; stage::STAGES],
        endings: Endings::default(),
        writes: Writes::default(),
    }
}

fn sample(entry: &ListenerEntry, time_ns: u64, depth: u32) -> Sample {
    Sample {
        kind: observer_ebpf::record::kind::SAMPLE,
        state: 10,
        port: entry.identity.port,
        cookie: entry.identity.cookie,
        time_ns,
        accept_queue: depth,
        limit: 128,
        syn_queue: 0,
        syn_queue_young: 0,
        drops: 0,
        peak: depth,
        somaxconn: 4096,
        device: 0,
        reuseport: 0,
        deferring: 0,
        reserved: 0,
        counters: entry.counters,
    }
}
