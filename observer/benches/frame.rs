//! How long a frame takes where much happens: 1,000 listeners, 5,000 connections a second, 100,000 of them before the
//! first frame counts. From the events of a refresh to the bytes for the terminal, in the parts that a refresh has.
//!
//! `cargo bench -p observer --bench frame` prints a JSON object a line for each screen, with the milliseconds of each
//! frame; `cargo xtask bench tui` puts them into docs/performance-screen.md.

use std::{io, net::Ipv4Addr, sync::Arc};

use observer::{
    kernel::plan::SIGNALS,
    model::{Model, event::Event, snapshot::Meta},
    view::{App, Depth, Options, Theme},
};
use observer_ebpf::{
    histogram::{BUCKETS, bucket},
    record::{
        Connection, Endings, ListenerCounters, ListenerEntry, ListenerIdentity, Sample, ThreadEntry,
        ThreadKey, Writes, flag, kind, stage,
    },
};
use ratatui::{
    Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, crossterm::event::KeyCode, layout::Rect,
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

const LISTENERS: u64 = 1_000;
const THREADS: u32 = 64;
/// Connections that have ended before the first frame counts.
const BEFORE: u64 = 100_000;
/// The default of `--refresh`, and what ends in that time at 5,000 a second.
const REFRESH_NS: u64 = 250_000_000;
const EACH: u64 = 1_250;
const SIZE: (u16, u16) = (200, 60);
/// Frames of each screen that count, and those before, when what the screen remembers has not grown yet.
const FRAMES: u32 = 60;
const SCREENS: [(char, &str); 6] = [
    ('1', "Queues"),
    ('2', "Journey"),
    ('3', "Workers"),
    ('4', "Connections"),
    ('5', "Pattern"),
    ('6', "Probes"),
];

fn main() -> io::Result<()> {
    let mut host = Host::new();
    let mut app = App::new(Options { theme: Theme::DEFAULT, depth: Depth::Full, ascii: false });
    let viewport = Viewport::Fixed(Rect::new(0, 0, SIZE.0, SIZE.1));
    let mut terminal =
        Terminal::with_options(CrosstermBackend::new(io::sink()), TerminalOptions { viewport })?;
    while host.ended < BEFORE {
        host.refresh();
        app.update(Arc::new(host.model.snapshot(host.time_ns)));
        terminal.draw(|frame| app.draw(frame))?;
    }
    for (key, screen) in SCREENS {
        app.key(KeyCode::Char(key).into());
        let mut parts: [Vec<f64>; 4] = Default::default();
        for _ in 0..FRAMES {
            let begun = milliseconds();
            host.refresh();
            let told = milliseconds();
            let snapshot = Arc::new(host.model.snapshot(host.time_ns));
            let known = milliseconds();
            app.update(snapshot);
            let updated = milliseconds();
            terminal.draw(|frame| app.draw(frame))?;
            let drawn = milliseconds();
            let instants = [begun, told, known, updated, drawn];
            for (part, pair) in parts.iter_mut().zip(instants.windows(2)) {
                part.push(pair[1] - pair[0]);
            }
        }
        let [events, snapshot, update, draw] = parts;
        println!(
            "{}",
            json!({
                "screen": screen, "events_ms": events, "snapshot_ms": snapshot, "update_ms": update, "draw_ms": draw,
            })
        );
    }
    Ok(())
}

/// Processor time of this thread: what else the machine does is not in it.
fn milliseconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// What the kernel would tell of.
struct Host {
    model: Model,
    listeners: Vec<ListenerEntry>,
    threads: Vec<ThreadEntry>,
    ended: u64,
    time_ns: u64,
}

impl Host {
    fn new() -> Self {
        let hooks = SIGNALS
            .iter()
            .map(|signal| (signal.name.to_owned(), signal.hooks.first().map(|hook| hook.name.to_owned())));
        let meta = Meta { signals: hooks.collect(), ..Meta::default() };
        let mut model = Model::new(Arc::new(meta));
        let listeners: Vec<ListenerEntry> = (1..=LISTENERS).map(listener).collect();
        for entry in &listeners {
            model.apply(Event::Listener(Box::new(*entry)));
        }
        let thread = ThreadEntry {
            accepts: 0,
            reads: 0,
            writes: 0,
            unasked: 0,
            bytes_read: 0,
            bytes_written: 0,
            last_ns: 0,
            sleeps: 0,
            comm: *b"worker\0\0\0\0\0\0\0\0\0\0",
        };
        let threads = vec![thread; THREADS as usize];
        Self { model, listeners, threads, ended: 0, time_ns: 5_000_000_000_000 }
    }

    /// The time of a refresh passes, and the model is told what happened.
    fn refresh(&mut self) {
        self.time_ns += REFRESH_NS;
        let mut active = vec![false; self.listeners.len()];
        for _ in 0..EACH {
            self.ended += 1;
            // A listener in five has most of the load; the step is prime, so that they take turns.
            let index =
                (self.ended * 7_919 % if self.ended.is_multiple_of(5) { LISTENERS } else { 200 }) as usize;
            let wait_ns = 20_000 + self.ended * 104_729 % 3_000_000;
            active[index] = true;
            let entry = &mut self.listeners[index];
            entry.counters.enqueued += 1;
            entry.counters.accepted += 1;
            entry.counters.ended += 1;
            for histogram in &mut entry.histograms {
                histogram[bucket(wait_ns)] += 1;
            }
            entry.longest = entry.longest.map(|longest| longest.max(wait_ns));
            let tid = (self.ended % u64::from(THREADS)) as usize;
            let thread = &mut self.threads[tid];
            thread.accepts += 1;
            thread.reads += 1;
            thread.writes += 1;
            thread.bytes_read += 61;
            thread.bytes_written += 204;
            let record = connection(entry, self.ended, tid as u32 + 1, self.time_ns, wait_ns);
            self.model.apply(Event::Connection(Box::new(record)));
        }
        for (entry, active) in self.listeners.iter().zip(active) {
            let depth = if active { entry.counters.accepted % 7 } else { 0 };
            let mut sample = sample(entry, self.time_ns, depth as u32);
            // The books balance.
            sample.counters.enqueued += depth;
            self.model.apply(Event::Sample(sample));
            if active {
                self.model.apply(Event::Listener(Box::new(*entry)));
            }
        }
        for (tid, thread) in (1..).zip(&self.threads) {
            self.model.apply(Event::Thread(ThreadKey { pid: 1, tid, started_ns: 5 }, *thread));
        }
        self.model.apply(Event::ThreadsRead { time_ns: self.time_ns });
    }
}

fn listener(cookie: u64) -> ListenerEntry {
    let mut address = [0; 16];
    address[..4].copy_from_slice(&Ipv4Addr::new(10, 0, (cookie / 250) as u8, (cookie % 250) as u8).octets());
    ListenerEntry {
        identity: ListenerIdentity {
            cookie,
            sock: 0,
            opened_ns: cookie,
            destroyed_ns: 0,
            netns: 4_026_531_840,
            pid: 1,
            tid: 1,
            family: 2,
            port: 8_000 + (cookie % 50) as u16,
            address,
            comm: *b"backend\0\0\0\0\0\0\0\0\0",
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

fn connection(entry: &ListenerEntry, number: u64, tid: u32, time_ns: u64, wait_ns: u64) -> Connection {
    let closed_ns = time_ns - number * 31 % REFRESH_NS;
    let enqueued_ns = closed_ns - wait_ns - 3_000_000;
    let accepted_ns = enqueued_ns + wait_ns;
    let threads = [tid, 0, 0, 0];
    Connection {
        flags: flag::ACCEPTED | flag::FIN,
        listener: entry.identity.cookie,
        enqueued_ns,
        established_ns: enqueued_ns,
        accepted_ns,
        first_data_ns: enqueued_ns + 10_000,
        first_read_ns: accepted_ns + 20_000,
        first_write_ns: accepted_ns + 2_000_000,
        closed_ns,
        longest_read_wait_ns: wait_ns,
        bytes_read: 61,
        bytes_written: 204,
        reads: 1,
        writes: 1,
        syn_wait_us: 40,
        queue_at_arrival: 1,
        acceptor_pid: 1,
        acceptor_tid: tid,
        acceptor_comm: *b"worker\0\0\0\0\0\0\0\0\0\0",
        readers: threads,
        writers: threads,
        local_address: entry.identity.address,
        remote_address: entry.identity.address,
        local_port: entry.identity.port,
        remote_port: 32_768 + (number % 28_000) as u16,
        family: 2,
        ..Connection::BLANK
    }
}

fn sample(entry: &ListenerEntry, time_ns: u64, depth: u32) -> Sample {
    Sample {
        kind: kind::SAMPLE,
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
