//! Small recordings that claim much: a replay holds no more of them than live would, and says what it leaves out.

use std::path::PathBuf;

use observer::{
    model::{
        event::{Event, HostCounters},
        snapshot::Meta,
    },
    recording::recorder::{Recorder, Target},
};
use observer_ebpf::record::{
    Connection, ListenerCounters, ListenerEntry, ListenerIdentity, ThreadEntry, ThreadKey, UNCOUNTED, stage,
};

use crate::{Run, command};

/// Address space that a replay must do with which holds as much as it may, in KiB.
const ROOM_KIB: u32 = 256 << 10;
/// And one that holds next to nothing.
const LITTLE_KIB: u32 = 96 << 10;
/// None of these files is longer: what is in them is nearly the same again and again.
const SMALL: u64 = 160 << 10;

/// A recording of this test alone, gone with it.
struct Bomb(PathBuf);

impl Bomb {
    /// Events without any snapshot in between, and one snapshot at the end.
    fn of(name: &str, events: impl Iterator<Item = Event>) -> Self {
        Self::with_open(name, events, &[])
    }

    fn with_open(name: &str, events: impl Iterator<Item = Event>, open: &[Connection]) -> Self {
        let path = std::env::temp_dir().join(format!("observer-bomb-{}-{name}", std::process::id()));
        let bomb = Self(path);
        let target = Target::create(&bomb.0, true, true).unwrap();
        let mut recorder = Recorder::begin(target, &Meta::default(), 1, None).unwrap();
        for event in events {
            recorder.event(&event).unwrap();
        }
        recorder.snapshot(2_000_000_000).unwrap();
        open.iter().for_each(|one| recorder.open(3_000_000_000, one).unwrap());
        let bytes = recorder.end().unwrap();
        assert!(bytes < SMALL, "{name}: {bytes} bytes are no small file");
        bomb
    }

    /// Replays it in little memory, with these arguments more. It must end well.
    #[track_caller]
    fn replayed(&self, room_kib: u32, arguments: &[&str]) -> Run {
        let path = self.0.to_str().expect("a name in UTF-8");
        let observer = command(&[&["stream", "--replay", path], arguments].concat());
        let run = in_room(room_kib, &observer);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run
    }

    /// Makes a page of it in little memory.
    #[track_caller]
    fn reported(&self) -> Run {
        let run = in_room(ROOM_KIB, &command(&["report", self.0.to_str().expect("a name in UTF-8")]));
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run
    }
}

/// Runs a command with little address space.
fn in_room(room_kib: u32, command: &std::process::Command) -> Run {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &format!("ulimit -v {room_kib} && exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args());
    Run::of(shell.output().expect("cannot run the observer"))
}

impl Drop for Bomb {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn entry(cookie: u64, netns: u32) -> Box<ListenerEntry> {
    let identity = ListenerIdentity {
        cookie,
        sock: 0,
        opened_ns: 1,
        destroyed_ns: 0,
        netns,
        pid: 1,
        tid: 1,
        family: 2,
        port: 80,
        address: [0; 16],
        comm: [0; _],
        device: 0,
        reserved: 0,
    };
    let mut histograms = [[0; _]; stage::STAGES];
    histograms[0][0] = 1;
    Box::new(ListenerEntry {
        identity,
        counters: ListenerCounters::BLANK,
        longest: [0; stage::STAGES],
        histograms,
        endings: Default::default(),
        writes: Default::default(),
    })
}

fn says(run: &Run, what: &str) {
    assert!(run.stderr.contains(what), "stderr does not say `{what}`: {}", run.stderr);
}

#[test]
fn listeners() {
    let bomb = Bomb::of("listeners", (1..=7_001).map(|cookie| Event::Listener(entry(cookie, 1))));
    let run = bomb.replayed(ROOM_KIB, &[]);
    says(&run, "5977 listeners are left out: at most 1024 are held at a time; --max-listeners");
    let lines = |kind: &str| run.stdout.lines().filter(|line| line.contains(kind)).count();
    assert_eq!(lines(r#""type":"listener""#), 1024);
    says(&bomb.reported(), "5977 listeners are left out");
    assert!(run.stdout.contains(r#""listeners_full":5977"#), "it is a loss, under the name that it has live");
    let path = bomb.0.to_str().unwrap();
    let more = crate::run(&["stream", "--replay", path, "--max-listeners", "7001", "--only", "loss"]);
    assert_eq!((more.code, more.stderr.as_str()), (Some(0), ""), "whoever has room may see all");
}

#[test]
fn listeners_that_closed() {
    let events = (1..=7_001).map(|cookie| Event::ListenerClosed(entry(cookie, 1)));
    says(&Bomb::of("closed", events).replayed(ROOM_KIB, &[]), "5977 listeners closed between two snapshots");
}

#[test]
fn closed_listeners_of_other_namespaces() {
    let events = (1..=7_001).map(|cookie| Event::ListenerClosed(entry(cookie, cookie as u32)));
    says(
        &Bomb::of("namespaces", events).replayed(ROOM_KIB, &[]),
        "readings of network namespaces are left out",
    );
}

#[test]
fn threads() {
    let entry = ThreadEntry {
        accepts: 1,
        reads: 0,
        writes: 0,
        unasked: 0,
        bytes_read: 0,
        bytes_written: 0,
        sleeps: UNCOUNTED,
        last_ns: 0,
        comm: [b'x'; _],
    };
    // With many instants at which all of them were read.
    let events = (1..=20_000)
        .map(|tid| Event::Thread(ThreadKey { pid: 1, tid, started_ns: 1 }, entry))
        .chain((0..300).map(|_| Event::ThreadsRead { time_ns: 5 }));
    let run = Bomb::of("threads", events).replayed(ROOM_KIB, &[]);
    says(&run, "7712 readings of threads are left out: at most 8192");
    assert!(run.stdout.contains(r#""threads_full":7712"#));
}

#[test]
fn names_without_an_end() {
    let events = (1..=60).map(|tid| Event::Task { pid: 1, tid, task: Some(("x".repeat(1 << 20), None)) });
    Bomb::of("names", events).replayed(LITTLE_KIB, &[]);
}

#[test]
fn network_namespaces() {
    let events = (1..=20_000).map(|netns| Event::Host { netns, counters: HostCounters::default() });
    // Their counters are zero, so that the file is small all the same.
    let bomb = Bomb::of("hosts", events);
    says(&bomb.replayed(ROOM_KIB, &[]), "17950 readings of network namespaces are left out");
}

#[test]
fn connections_that_ended_at_one_time() {
    let record = Connection { enqueued_ns: 1, accepted_ns: 2, closed_ns: 3, family: 2, ..Connection::BLANK };
    let events = (0..150_000).map(|_| Event::Connection(Box::new(record)));
    let run = Bomb::of("connections", events).replayed(LITTLE_KIB, &["--only", "connection"]);
    assert_eq!(run.stdout.lines().count(), 150_001, "each has its line");
}

#[test]
fn connections_that_are_open() {
    let record = Connection { enqueued_ns: 1, family: 2, ..Connection::BLANK };
    let bomb = Bomb::with_open("open", std::iter::empty(), &vec![record; 70_001]);
    let run = bomb.replayed(LITTLE_KIB, &["--open", "--only", "connection"]);
    assert_eq!(run.stdout.lines().count(), 65_537, "no more than live follows");
    says(&run, "4465 open connections are left out");
}
