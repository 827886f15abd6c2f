//! What is recorded while somebody watches is what they saw; and recordings that end badly.

use std::{
    fs,
    path::Path,
    process::{Child, Stdio},
    time::Instant,
};

use clap::Parser as _;
use observer::{
    cli::{Cli, Command as Asked},
    engine::{Engine, Player},
    recording::recorder::Target,
    selection,
    source::live::Live,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    directory::Directory,
    lines::Lines,
    namespace::{THE_SAME, natively},
    observed::{Observer, binary},
    traffic::{Server, V4, receive, receive_end, send},
    waiting::{patience, until},
};

const CONNECTIONS: usize = 37;
const HERE: [&str; 2] = ["--netns", "/proc/self/ns/net"];

/// Connections that are opened, used and closed, one after the other.
fn traffic(server: &Server, count: usize) {
    for _ in 0..count {
        let (client, accepted) = server.pair();
        send(&client, b"hello");
        receive(&accepted, 5);
        send(&accepted, b"goodbye");
        drop(accepted);
        receive(&client, 7);
        receive_end(&client);
    }
}

/// What `observer stream --replay` writes to stdout and to stderr.
#[track_caller]
pub(crate) fn replay(file: &str, options: &[&str]) -> (String, String) {
    let output = binary()
        .args(["stream", "--replay", file])
        .args(options)
        .output()
        .expect("cannot start the observer");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

pub(crate) fn lines(text: &str) -> Lines {
    Lines(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// `observer record`, which must be ended.
struct Recording(Child);

impl Recording {
    fn start(file: &str, interval: &str, options: &[&str]) -> Self {
        let mut command = binary();
        command.args(["record", file, "--interval", interval]).args(HERE).args(options);
        let child =
            command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("cannot start the observer");
        // Past the description and the first frames: the probes are attached.
        until("a recording begins", || fs::metadata(file).is_ok_and(|metadata| metadata.len() > 8_000));
        Self(child)
    }

    /// Waits for its end: exit code, and what it said.
    #[track_caller]
    fn ended(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + patience();
        while self.0.try_wait().expect("wait").is_none() {
            assert!(Instant::now() < deadline, "the recording does not end");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let mut words = String::new();
        std::io::Read::read_to_string(&mut self.0.stderr.take().expect("a pipe"), &mut words).expect("read");
        (self.0.wait().expect("wait").code(), words)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn replayed_lines_are_the_lines_of_the_stream() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        let file = directory.file("a");
        let record = ["--interval", "50ms", "--open", "--record", &file, HERE[0], HERE[1]];
        let mut observer = Observer::start_with(&record);
        let server = Server::listen(V4, 4);
        traffic(&server, CONNECTIONS);
        // A queue that overflows, a listener that closes, connections that stay open.
        let clients = server.queue(5);
        let refused: Vec<_> = (0..7).map(|_| crate::traffic::attempt(server.address)).collect();
        observer.wait_for_connections(CONNECTIONS);
        let other = Server::listen(V4, 64);
        let open = other.pair();
        traffic(&other, 3);
        observer.wait_for_next_lines();
        drop((clients, refused, server));
        observer.wait_for_next_lines();
        let seen = observer.finish();
        let (text, said) = replay(&file, &["--open"]);
        assert_eq!(said, "");
        let replayed = lines(&text);
        assert_eq!(replayed.0.len(), seen.0.len());
        for (number, (there, here)) in replayed.0.iter().zip(&seen.0).enumerate() {
            assert_eq!(there, here, "line {number}");
        }
        assert!(seen.connections().len() >= CONNECTIONS);
        assert!(seen.connections().iter().any(|connection| connection.end == "open"));
        let (text, _) = replay(&file, &["--only", "loss"]);
        assert!(lines(&text).0.iter().skip(1).all(|line| line["type"] == "loss"));
        drop(open);
    });
}

#[test]
fn an_interrupt_ends_it_with_the_last_frame() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        let file = directory.file("a");
        let recording = Recording::start(&file, "50ms", &[]);
        let server = Server::listen(V4, 64);
        traffic(&server, CONNECTIONS);
        kill_process(Pid::from_child(&recording.0), Signal::INT).expect("cannot send SIGINT");
        let (code, words) = recording.ended();
        assert_eq!(code, Some(0), "{words}");
        let (text, said) = replay(&file, &[]);
        assert_eq!(said, "");
        let replayed = lines(&text);
        let last = replayed.listener(server.cookie);
        assert_eq!(last.accepted, CONNECTIONS as u64);
        assert_eq!(replayed.connections().len() as u64, last.ended);
        assert_eq!(replayed.loss().produced, replayed.loss().delivered);
    });
}

#[test]
fn killed_it_leaves_what_can_be_replayed() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        let file = directory.file("a");
        let mut recording = Recording::start(&file, "50ms", &[]);
        let server = Server::listen(V4, 64);
        traffic(&server, CONNECTIONS);
        let told = || {
            let (text, _) = replay(&file, &["--only", "connection"]);
            lines(&text).connections().len() == CONNECTIONS
        };
        // It can be replayed while it is written, too.
        until("the connections are in the file", told);
        recording.0.kill().expect("cannot send SIGKILL");
        recording.0.wait().expect("wait");
        let (text, said) = replay(&file, &[]);
        assert!(said.contains("was not ended"), "{said}");
        assert_eq!(lines(&text).connections().len(), CONNECTIONS);
    });
}

#[test]
fn without_connections_the_books_balance_all_the_same() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        let file = directory.file("a");
        let recording = Recording::start(&file, "50ms", &["--no-connections"]);
        let server = Server::listen(V4, 64);
        traffic(&server, CONNECTIONS);
        kill_process(Pid::from_child(&recording.0), Signal::INT).expect("cannot send SIGINT");
        assert_eq!(recording.ended().0, Some(0));
        let (text, said) = replay(&file, &[]);
        assert!(said.contains("without connections"), "{said}");
        let replayed = lines(&text);
        assert_eq!(replayed.connections().len(), 0);
        let loss = replayed.loss();
        assert_eq!((loss.produced, loss.total), (loss.delivered, 0));
        assert_eq!(replayed.listener(server.cookie).accepted, CONNECTIONS as u64);
    });
}

#[test]
fn a_full_disk_ends_the_recording_and_nothing_else() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        let disk = directory.small_disk("64k");
        let file = disk.file("a");
        // Alone it has nothing else to do.
        let recording = Recording::start(&file, "10ms", &[]);
        let (code, words) = recording.ended();
        assert_eq!(code, Some(1), "{words}");
        assert!(words.contains("No space left") && words.contains(&file), "{words}");
        let (text, _) = replay(&file, &["--only", "loss"]);
        assert!(lines(&text).0.len() > 2);
        // The stream goes on.
        fs::remove_file(&file).expect("the recording is there");
        let mut observer = Observer::start_with(&["--interval", "10ms", "--record", &file, HERE[0], HERE[1]]);
        let size = || fs::metadata(&file).map_or(0, |metadata| metadata.len());
        observer.wait_for("the disk is full", |_| size() > 60_000);
        let server = Server::listen(V4, 64);
        traffic(&server, CONNECTIONS);
        observer.wait_for_connections(CONNECTIONS);
        drop(observer.finish());
        drop(disk);
    });
}

#[test]
fn begun_in_the_middle_it_has_all_that_was_there() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        let path = directory.file("a");
        let Some(Asked::Stream(options)) =
            Cli::parse_from(["observer", "stream", "--netns", "/proc/thread-self/ns/net"]).command
        else {
            panic!("that is a stream");
        };
        let options = selection::options(&options.selection, &options.tuning).expect("options");
        let mut engine = Engine::attach(&options).expect("an engine");
        let server = Server::listen(V4, 64);
        traffic(&server, CONNECTIONS);
        let mut ended = 0;
        let mut drain = |engine: &mut Engine<Live>, wanted: usize| {
            let deadline = Instant::now() + patience();
            while ended < wanted {
                assert!(Instant::now() < deadline, "{ended} of {wanted} ended");
                engine.drain(&mut |_| ended += 1).expect("drain");
            }
        };
        drain(&mut engine, CONNECTIONS);
        engine.look(&mut |_| {}).expect("a snapshot");

        engine
            .begin_recording(Target::create(Path::new(&path), true, false).expect("a file"))
            .expect("a recording");
        traffic(&server, 5);
        drain(&mut engine, CONNECTIONS + 5);
        let live = engine.look(&mut |_| {}).expect("a snapshot");
        // Not its end, which a replay does not need.
        drop(engine);

        let mut player = Player::open(Path::new(&path)).expect("a recording");
        let mut connections = 0;
        let there = player.advance(&mut |_| connections += 1).expect("a frame").expect("a snapshot");
        assert_eq!(connections, 5);
        assert_eq!(there.loss, live.loss);
        let (here, there_) = (&live.listeners[0], &there.listeners[0]);
        assert_eq!(
            (there_.accepted, there_.ended, there_.stages.as_ref()),
            (here.accepted, here.ended, here.stages.as_ref())
        );
        for check in &there.ledger {
            assert_eq!(check.difference, 0, "{check:?}");
        }
        let deeds = |snapshot: &observer::model::snapshot::Snapshot| -> Vec<(u32, u64, u64)> {
            snapshot.threads.iter().map(|thread| (thread.tid, thread.accepts, thread.reads)).collect()
        };
        assert_eq!(deeds(&there), deeds(&live));
    });
}
