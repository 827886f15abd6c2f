//! How the stream begins and ends.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    namespace::{THE_SAME, natively},
    observed::{Observer, binary},
    traffic::{Server, V4, connect, own, receive, receive_end, send},
    waiting::until,
};

const CONNECTIONS: usize = 23;

#[test]
fn the_last_lines_come_after_an_interrupt() {
    natively(THE_SAME, || {
        // No lines but the last: what ended before the signal must be in them.
        let observer = Observer::start_with(&["--interval", "1m", "--netns", "/proc/self/ns/net"]);
        let server = Server::listen(V4, 64);
        let mut remotes = Vec::new();
        for _ in 0..CONNECTIONS {
            let (client, accepted) = server.pair();
            send(&client, b"hello");
            receive(&accepted, 5);
            remotes.push(own(&client));
            drop(accepted);
            receive_end(&client);
        }
        let open = server.pair();
        let lines = observer.finish();
        let connections = lines.connections();
        let loss = lines.loss();
        assert_eq!(loss.total, 0, "{loss:?}");
        assert_eq!(
            (loss.produced, loss.delivered),
            (connections.len() as u64, connections.len() as u64),
            "{loss:?}"
        );
        assert!(connections.len() <= CONNECTIONS, "more connections than there were");
        let last = lines.listener(server.cookie);
        assert_eq!(last.accepted, CONNECTIONS as u64 + 1);
        assert_eq!(last.ended, connections.len() as u64);
        drop(open);
    });
}

#[test]
fn sigterm_ends_it_as_well() {
    natively(THE_SAME, || {
        let mut observer = Observer::start();
        kill_process(observer.pid(), Signal::TERM).expect("cannot send SIGTERM");
        observer.wait_for("the last lines", |lines| lines.0.iter().any(|line| line["type"] == "loss"));
        // Ends by itself; the signal that is sent now comes too late to matter.
        drop(observer.finish());
    });
}

#[test]
fn it_ends_when_nobody_reads_any_more() {
    natively(THE_SAME, || {
        let mut child = binary()
            .args(["stream", "--interval", "10ms", "--netns", "/proc/self/ns/net"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cannot start the observer");
        let mut first = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        stdout.read_line(&mut first).expect("read");
        assert!(first.contains(r#""type":"meta""#), "{first}");
        drop(stdout);
        let pid = Pid::from_child(&child);
        let mut stderr = child.stderr.take().expect("stderr is a pipe");
        let mut words = String::new();
        stderr.read_to_string(&mut words).expect("read");
        let status = child.wait().expect("wait");
        assert_eq!((status.code(), words.as_str()), (Some(0), ""), "{pid:?}");
    });
}

#[test]
fn with_a_duration_it_ends_by_itself() {
    natively(THE_SAME, || {
        let output = binary()
            .args(["stream", "--duration", "10ms", "--netns", "/proc/self/ns/net"])
            .output()
            .expect("cannot start the observer");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("the observer writes UTF-8");
        let kinds: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].clone())
            .collect();
        assert_eq!(
            (kinds[0].as_str(), kinds.iter().filter(|kind| *kind == "loss").count()),
            (Some("meta"), 1)
        );
    });
}

#[test]
fn the_first_line_means_that_the_probes_are_attached() {
    natively(THE_SAME, || {
        let server = Server::listen(V4, 64);
        for _ in 0..5 {
            let mut observer = Observer::start();
            assert!(observer.meta()["signals"]["accept"].is_string(), "{}", observer.meta());
            let client = connect(server.address);
            let remote = own(&client);
            drop((client, server.accept()));
            observer.wait_for_connections(1);
            let connection = observer.finish().connection_from(remote);
            assert!(connection.unseen.is_empty(), "{connection:?}");
        }
    });
}

#[test]
fn only_lines_of_the_types_asked_for() {
    natively(THE_SAME, || {
        let options = ["--interval", "10ms", "--netns", "/proc/self/ns/net", "--only", "listener,connection"];
        let mut observer = Observer::start_with(&options);
        let server = Server::listen(V4, 64);
        drop(server.pair());
        observer.wait_for_connections(1);
        observer.wait_for("a listener line", |lines| !lines.listener_over_time(server.cookie).is_empty());
        let lines = observer.finish();
        let others = |line: &&serde_json::Value| {
            !["meta", "listener", "connection"].iter().any(|kind| line["type"] == *kind)
        };
        assert_eq!(lines.0.iter().find(others), None);
    });
}

#[test]
fn a_signal_ends_it_though_nobody_reads() {
    natively(THE_SAME, || {
        let server = Server::listen(V4, 4);
        let child = binary()
            .args(["stream", "--interval", "10ms", "--netns", "/proc/self/ns/net"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("cannot start the observer");
        let pid = child.id();
        // The pipe holds so much, and nobody takes anything out of it.
        let blocked = || {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            tasks.into_iter().any(|task| {
                let call = fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
                call.starts_with(&format!("{} 0x1 ", libc::SYS_write))
            })
        };
        until("the observer waits in write(2)", blocked);
        kill_process(Pid::from_child(&child), Signal::TERM).expect("cannot send SIGTERM");
        let child = std::cell::RefCell::new(child);
        until("the observer ends", || child.borrow_mut().try_wait().expect("wait").is_some());
        drop(server);
    });
}
