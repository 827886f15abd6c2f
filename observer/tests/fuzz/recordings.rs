//! Recordings whose checksums are right: events are changed before they are compressed, and frames before they are
//! written, so that only what checks their meaning stands between them and the model, the lines, the page, the screen.

use std::{
    fs::File,
    io::{Seek as _, Write as _},
    path::PathBuf,
    sync::Arc,
};

use miniz_oxide::{deflate::compress_to_vec, inflate::decompress_to_vec};
use observer::{
    backend::Said,
    engine::{Engine, Player},
    model::{
        bounds::Bounds,
        connection,
        event::{ClosedWindows, Event, HostCounters},
        listening::{Listening, Unwatched},
        mark::{Mark, What},
        offered::Offered,
        snapshot::{Meta, ProbeCost, Snapshot},
    },
    outputs::{Output as _, report::Report, stream::Stream},
    recording::{
        codec::Encoder,
        file::Recording,
        format::{FRAME_HEADER, Frame, Kind, PREAMBLE},
        recorder::{Recorder, Target},
    },
    source::{Due, Source as _, playback::Playback, recorded::Recorded},
    view::{App, Options},
};
use observer_ebpf::{
    Plain,
    plain::decode,
    record::{Connection, ListenerCounters, ListenerEntry, Sample, ThreadEntry, ThreadKey},
};
use ratatui::{Terminal, backend::TestBackend};

use crate::{Take, chance::Chance};

/// Few, so that they are reached.
const BOUNDS: Bounds = Bounds { listeners: 3, connections: 3, threads: 2 };

/// A file of this test alone, gone with it.
struct Scratch {
    path: PathBuf,
    file: File,
}

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("observer-fuzz-{}.rec", std::process::id()));
        let file = File::create(&path).expect("a temporary file");
        Self { path, file }
    }

    fn holds(&mut self, bytes: &[u8]) {
        self.file.set_len(0).expect("ftruncate");
        self.file.rewind().expect("lseek");
        self.file.write_all(bytes).expect("write");
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A record of the kernel of zeros, with some words by chance.
fn record<T: Plain>(chance: &mut Chance, words: usize) -> T {
    let mut bytes = vec![0; size_of::<T>()];
    for _ in 0..words {
        let at = chance.below(bytes.len().div_ceil(8)) * 8;
        let word = chance.edge().to_le_bytes();
        bytes.iter_mut().skip(at).zip(word).for_each(|(byte, with)| *byte = with);
    }
    decode(&bytes).expect("a record")
}

/// An event by chance, about few listeners and threads.
fn event(chance: &mut Chance) -> Event {
    let cookie = chance.below(6) as u64;
    let (pid, tid) = (chance.below(3) as u32, chance.below(4) as u32);
    let entry = |chance: &mut Chance| {
        let words = chance.below(9);
        let mut entry = record::<ListenerEntry>(chance, words);
        entry.identity.cookie = cookie;
        entry.identity.netns = chance.below(9) as u32;
        if chance.once_in(2) {
            let words = chance.below(9);
            entry.counters = record::<ListenerCounters>(chance, words);
        }
        Box::new(entry)
    };
    match chance.below(16) {
        0 => Event::Listener(entry(chance)),
        1 => Event::ListenerClosed(entry(chance)),
        2 => Event::Sample(Sample { cookie, ..record(chance, 9) }),
        3 => {
            Event::Thread(ThreadKey { pid, tid, started_ns: chance.edge() }, record::<ThreadEntry>(chance, 5))
        }
        4 => {
            let text =
                chance.one_of(&["", "a", "änd so on, and on, and on, and on, and on, and on, and on, and"]);
            let task = Some(((*text).to_owned(), Some(chance.edge()))).filter(|_| !chance.once_in(3));
            Event::Task { pid, tid, task }
        }
        5 => Event::Activity {
            pid,
            tid,
            run_ns: chance.edge(),
            ready_ns: chance.edge(),
            doing: Some("\u{1b}[2J".to_owned()),
        },
        6 => Event::ThreadsRead { time_ns: chance.edge() },
        7 => {
            let counters = HostCounters {
                listen_overflows: chance.edge(),
                listen_drops: chance.edge(),
                passive_opens: chance.edge(),
                cookies_failed: chance.edge(),
                migrations: chance.edge(),
                ..HostCounters::default()
            };
            Event::Host { netns: chance.below(9) as u32, counters }
        }
        8 if chance.once_in(2) => Event::Listening(vec![Listening {
            netns: chance.below(9) as u32,
            kernel: chance.edge(),
            watched: chance.edge(),
            unwatched: chance.edge(),
            listeners: vec![
                Unwatched {
                    cookie,
                    addr: "\u{1b}[2J and so on".to_owned(),
                    pid: Some(pid),
                    comm: Some("a\u{1b}".to_owned()),
                    listen_drops: chance.edge(),
                    listen_drops_last: chance.edge(),
                    ..Unwatched::default()
                };
                chance.below(400)
            ],
        }]),
        8 => Event::HostGone { netns: chance.below(9) as u32 },
        9 => Event::ClosedWindows(vec![ClosedWindows {
            listener: cookie,
            connections: chance.edge(),
            bytes: chance.edge(),
            since_ns: chance.edge(),
        }]),
        10 => Event::Unrecorded(chance.edge()),
        11 => {
            let mut counters = [0; _];
            counters.iter_mut().for_each(|counter| *counter = chance.edge());
            Event::Loss(counters)
        }
        12 => Event::Probes(vec![ProbeCost {
            program: "p".to_owned(),
            runs: Some(chance.edge()),
            run_time_ns: Some(chance.edge()),
            recursion_misses: chance.edge(),
        }]),
        13 => Event::Offered {
            backend: chance.edge() as u32,
            offered: Some(Box::new(Offered { rate: Some(chance.edge() as f64), ..Offered::default() })),
        },
        14 => Event::Backend(Box::new(Said { backend: chance.edge() as u32, ..Said::default() })),
        _ => Event::Mark(Box::new(Mark {
            time_ns: chance.edge(),
            what: What::Pattern,
            name: String::new(),
            from: Some("a".to_owned()),
            to: Some("b".to_owned()),
        })),
    }
}

fn connection(chance: &mut Chance) -> Connection {
    let words = chance.below(12);
    Connection { listener: chance.below(6) as u64, ..record(chance, words) }
}

/// A frame whose checksums are right.
fn frame(chance: &mut Chance, time_ns: &mut u64) -> Vec<u8> {
    let kind = *chance.one_of(&[Kind::Connections, Kind::State, Kind::State, Kind::State, Kind::Open]);
    let mut encoder = Encoder::default();
    let mut connections = 0;
    for _ in 0..chance.below(8) {
        if kind == Kind::State {
            encoder.event(&event(chance)).expect("JSON");
        } else {
            encoder.connection(&connection(chance));
            connections += 1;
        }
    }
    let mut contents = encoder.take();
    if chance.once_in(3) {
        chance.change(&mut contents, 3);
    }
    // Mostly forward, sometimes to the end of time.
    *time_ns = if chance.once_in(32) { chance.edge() } else { time_ns.saturating_add(chance.any() >> 34) };
    let time_ns = if kind == Kind::Connections { 0 } else { *time_ns };
    with_header(kind, &contents, connections, time_ns)
}

fn with_header(kind: Kind, contents: &[u8], connections: u32, time_ns: u64) -> Vec<u8> {
    let stored = compress_to_vec(contents, 1);
    let frame = Frame {
        kind,
        stored: stored.len() as u32,
        unpacked: contents.len() as u32,
        connections,
        checksum: crc32fast::hash(&stored),
        time_ns,
    };
    [&frame.to_bytes(), &*stored].concat()
}

/// The beginning of a recording, and the frames of a real one.
fn real() -> (Vec<u8>, Vec<(Frame, Vec<u8>)>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../xtask/recordings/five-patterns.rec");
    let whole = std::fs::read(path).expect("the bundled recording");
    let recording = Recording::open(path.as_ref()).expect("the bundled recording");
    let first = recording.frames().first().expect("frames").offset as usize;
    let short = recording.frames().iter().filter(|indexed| indexed.frame.unpacked < 4_000);
    let frames = short.take(16).map(|indexed| {
        let begin = indexed.offset as usize + FRAME_HEADER;
        let stored = &whole[begin..begin + indexed.frame.stored as usize];
        (indexed.frame, decompress_to_vec(stored).expect("its contents"))
    });
    (whole[..first].to_vec(), frames.collect())
}

/// The beginning of a recording with another description, whose checksum is right.
fn described(chance: &mut Chance, beginning: &[u8]) -> Vec<u8> {
    let mut text = beginning[PREAMBLE..].to_vec();
    chance.change_text(&mut text, &["{", "}", "\"", "null", "-1", "18446744073709551616", "[", "\u{1b}"], 2);
    let mut bytes = beginning[..12].to_vec();
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(crc32fast::hash(&text).to_le_bytes());
    [bytes, text].concat()
}

/// Draws a snapshot on a small screen.
fn draw(snapshot: &Arc<Snapshot>) {
    draw_with(snapshot, None);
}

/// The same with what a backend has said.
pub(crate) fn draw_with(snapshot: &Arc<Snapshot>, said: Option<Said>) {
    let mut app = App::new(Options::from_environment(None, |_| None));
    said.into_iter().for_each(|said| app.backend(said));
    app.update(Arc::clone(snapshot));
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a terminal");
    terminal.draw(|frame| app.draw(frame)).expect("a frame");
}

/// Plays a recording into everything that shows one.
fn play(scratch: &Scratch, draws: bool) {
    let Ok(mut player) = Player::open_within(&scratch.path, BOUNDS) else { return };
    let (mut stream, mut report) = (Stream::new(Vec::new()), Report::of_recording(Some(1), BOUNDS));
    let mut last = None;
    while let Ok(Some(snapshot)) = player.advance(&mut |connection| {
        stream.connection(connection).expect("a line");
        report.connection(connection).expect("a report");
    }) {
        assert!(snapshot.listeners.len() <= 2 * BOUNDS.most_listeners(), "listeners are bounded");
        assert!(snapshot.threads.len() <= BOUNDS.most_threads(), "threads are bounded");
        stream.snapshot(&snapshot, false).expect("lines");
        report.snapshot(&snapshot, false).expect("a report");
        last = Some(snapshot);
    }
    let _ = player
        .source_mut()
        .open(&mut |time_ns, connection| stream.open(time_ns, &connection::of(connection, true)));
    let _ = player.left_out();
    for line in stream.take().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(4) {
        serde_json::from_slice::<serde::de::IgnoredAny>(line).expect("a line of JSON");
    }
    if draws {
        sought(scratch);
        let page = report.draw(&[]);
        assert!(page.ends_with("</html>\n"));
        if let Some(snapshot) = last {
            draw(&snapshot);
        }
    }
}

/// Plays it from its end, and then from its beginning.
fn sought(scratch: &Scratch) {
    let Ok(recorded) = Recorded::open_within(&scratch.path, BOUNDS) else { return };
    let mut engine = Engine::new(Playback::new(recorded, 1, false));
    for time_ns in [u64::MAX, 0] {
        engine.source_mut().seek(time_ns);
        while engine.source().due() == Due::Now {
            let _ = engine.step(&mut |_| {}).expect("a step");
        }
    }
}

pub(crate) fn prepare() -> Take {
    let mut scratch = Scratch::new();
    // A description of this observer; the bundled recording may be of an older one.
    let target = Target::create(&scratch.path, true, true).expect("a file");
    let recorder = Recorder::begin(target, &Meta::default(), 1, None).expect("a recording");
    recorder.end().expect("its end");
    let own = std::fs::read(&scratch.path).expect("what was written");
    let (beginning, frames) = real();
    let own = own[..own.len() - FRAME_HEADER - 2].to_vec();
    Box::new(move |chance| {
        let beginning = if chance.once_in(2) { &own } else { &beginning };
        let mut bytes = if chance.once_in(16) { described(chance, beginning) } else { beginning.to_vec() };
        let mut time_ns = chance.any() >> 20;
        for _ in 0..1 + chance.below(3) {
            if !chance.once_in(8) {
                bytes.extend(frame(chance, &mut time_ns));
                continue;
            }
            let (frame, contents) = chance.one_of(&frames);
            let mut contents = contents.clone();
            chance.change(&mut contents, 3);
            bytes.extend(with_header(frame.kind, &contents, frame.connections, frame.time_ns));
        }
        if chance.once_in(16) {
            chance.change(&mut bytes, 1);
        }
        scratch.holds(&bytes);
        play(&scratch, chance.once_in(32));
    })
}
