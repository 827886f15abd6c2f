//! Workers that are processes: they are what they are called, obey what the server says, die alone, and leave nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use demo_server::control::{Client, State};
use demo_server::pattern::{self, Pattern};
use demo_server::settings::{Change, Settings};
use rustix::process::{Pid, Signal, kill_process};

use crate::program::Served;
use crate::support::{self, Scratch, TestServer, ask, connect, field, wait_until};

const WORKERS: u32 = 3;

fn with_processes() -> Vec<&'static Pattern> {
    support::sound().into_iter().filter(|pattern| pattern.process.is_some()).collect()
}

fn start(pattern: &'static Pattern) -> TestServer {
    TestServer::start(pattern, Settings { workers: WORKERS, ..Settings::default() })
}

/// The process ids of the workers, by the server's account.
fn workers(state: &State) -> Vec<i32> {
    let works = |thread: &&demo_server::control::ThreadState| thread.duties.iter().any(|duty| duty == "work");
    state.threads.iter().filter(works).map(|thread| thread.tid).collect()
}

/// A line of `/proc/PID/status`, by the kernel's account; None when there is no such process, not even a zombie.
fn status(pid: i32, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn every_worker_is_a_process_and_a_child_and_holds_one_listener_at_most() {
    for pattern in with_processes() {
        let test = start(pattern);
        let mut client = connect(test.address());
        let response = ask(&mut client).unwrap();
        let served_by: i32 =
            field(&response, "x-thread").unwrap().split_once('/').unwrap().1.parse().unwrap();
        let pids = workers(&test.state());
        assert!(pids.contains(&served_by), "{}: {pids:?} {response}", pattern.id);
        for &pid in &pids {
            assert_eq!(status(pid, "Tgid"), Some(pid.to_string()), "{}", pattern.id);
            assert_eq!(status(pid, "PPid"), Some(std::process::id().to_string()), "{}", pattern.id);
            let sockets: BTreeSet<_> = fs::read_dir(format!("/proc/{pid}/fd"))
                .unwrap()
                .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
                .filter(|target| target.to_string_lossy().starts_with("socket:"))
                .collect();
            // Its link to the guard, its listener or its connection, and the client that it serves: nothing else of
            // this process, whose threads hold many sockets.
            let most = if pid == served_by { 3 } else { 2 };
            assert!(sockets.len() <= most, "{}: {sockets:?}", pattern.id);
        }
        test.server.end().unwrap();
        assert!(pids.iter().all(|&pid| status(pid, "State").is_none()), "{}: reaped", pattern.id);
    }
}

/// Whether another is started in place of one that dies: not of one that was there for one connection.
fn is_replaced(pattern: &Pattern) -> bool {
    pattern.id != "process-per-connection"
}

#[test]
fn a_killed_worker_dies_alone_is_replaced_and_the_books_still_balance() {
    for pattern in with_processes() {
        let test = start(pattern);
        // A client on every worker, so that whichever dies holds one; with shards the hash decides.
        let mut clients: Vec<_> = (0..WORKERS).map(|_| connect(test.address())).collect();
        let served: Vec<i32> = clients
            .iter_mut()
            .map(|client| {
                let response = ask(client).unwrap();
                field(&response, "x-thread").unwrap().split_once('/').unwrap().1.parse().unwrap()
            })
            .collect();
        let victim = served[0];
        let held = served.iter().filter(|&&pid| pid == victim).count() as u64;
        let before = test.state();
        assert_eq!(before.counters.open, u64::from(WORKERS), "{}", pattern.id);
        kill(victim);
        let after = test.wait_for("the worker to be missed", |state| {
            !workers(state).contains(&victim) && state.counters.closed == held
        });
        assert_eq!(after.counters.open, u64::from(WORKERS) - held, "{}", pattern.id);
        assert!(status(victim, "State").is_none(), "{}: reaped", pattern.id);
        assert!(matches!(clients[0].read(&mut [0]), Ok(0) | Err(_)), "{}: its client is told", pattern.id);
        for (client, pid) in clients.iter_mut().zip(&served) {
            assert_eq!(ask(client).is_some(), *pid != victim, "{}", pattern.id);
        }
        drop(clients);
        if is_replaced(pattern) {
            let state = test.wait_for("another in its place", |state| {
                let pids = workers(state);
                pids.len() == WORKERS as usize && !pids.contains(&0)
            });
            assert_eq!(state.counters.restarts, 1, "{}", pattern.id);
            assert!(!workers(&state).contains(&victim), "{}", pattern.id);
        }
        // With shards some of them meet the listener of the one that died.
        for _ in 0..24 {
            assert!(ask(&mut connect(test.address())).is_some(), "{}", pattern.id);
        }
        let change = Change { workers: Some(2), ..Change::default() };
        test.server.set(&change).unwrap();
        test.wait_for("all closed", |state| state.counters.open == 0);
        assert!(ask(&mut connect(test.address())).is_some(), "{}", pattern.id);
        let restarts = test.state().counters.restarts;
        assert_eq!(restarts, u64::from(is_replaced(pattern)), "{}: a switch is none", pattern.id);
        test.server.end().unwrap();
    }
}

/// What cannot be started is tried once a second, and meanwhile the others serve, obey and can be ended.
#[test]
fn a_worker_that_dies_at_once_is_tried_again_and_again_but_not_without_pause() {
    let scratch = Scratch::new();
    let program = scratch.path("worker");
    let become_program = |target: &str| {
        // In one step, so that it is always there.
        let new = scratch.path("new");
        symlink(target, &new).unwrap();
        fs::rename(&new, &program).unwrap();
    };
    become_program(env!("CARGO_BIN_EXE_demo-server"));
    let config = demo_server::server::Config {
        listen: ([127, 0, 0, 1], 0).into(),
        pattern: pattern::expect("shared-accept-processes").unwrap(),
        settings: Settings { workers: WORKERS, ..Settings::default() },
        program: program.clone(),
        ..Default::default()
    };
    let server = demo_server::server::Server::start(&config).unwrap();
    let victim = workers(&server.state())[0];
    become_program("/bin/false");
    let begun = Instant::now();
    kill(victim);
    wait_until("several attempts", || server.state().counters.restarts >= 3);
    let attempts = server.state().counters.restarts;
    assert!(begun.elapsed() >= Duration::from_secs(attempts - 2), "{attempts} attempts");
    assert!(ask(&mut connect(server.local())).is_some(), "the others serve");
    let change = Change { response_bytes: Some(7), ..Change::default() };
    server.set(&change).unwrap();
    let answer = ask(&mut connect(server.local())).unwrap();
    assert_eq!(field(&answer, "content-length"), Some("7"), "they obey");
    become_program(env!("CARGO_BIN_EXE_demo-server"));
    wait_until("one in its place", || {
        let pids = workers(&server.state());
        pids.len() == WORKERS as usize
            && pids.iter().all(|&pid| status(pid, "Name").is_some_and(|name| name.starts_with("srv-")))
    });
    server.end().unwrap();
}

/// A handler that crashes ends its process; the next takes its place.
#[test]
fn a_worker_that_panics_is_replaced() {
    for pattern in with_processes().into_iter().filter(|pattern| is_replaced(pattern)) {
        let test = start(pattern);
        let before = workers(&test.state());
        test.server.fault("worker-panic", true, Some(1), None).unwrap();
        // Clients ask until one of them meets the worker that dies.
        while test.state().counters.restarts == 0 {
            let _ = ask(&mut connect(test.address()));
        }
        let state = test.wait_for("another in its place", |state| {
            let pids = workers(state);
            pids.len() == WORKERS as usize && !pids.contains(&0)
        });
        let after = workers(&state);
        let stayed = after.iter().filter(|pid| before.contains(pid)).count();
        assert_eq!(stayed, WORKERS as usize - 1, "{}: {before:?} {after:?}", pattern.id);
        assert!(state.faults.is_empty());
        for _ in 0..24 {
            assert!(ask(&mut connect(test.address())).is_some(), "{}", pattern.id);
        }
        test.server.end().unwrap();
    }
}

#[test]
fn a_program_that_is_no_worker_is_refused_and_what_ran_goes_on() {
    let scratch = Scratch::new();
    let config = demo_server::server::Config {
        listen: ([127, 0, 0, 1], 0).into(),
        program: "/bin/false".into(),
        journal: Some(scratch.path("journal")),
        ..Default::default()
    };
    let server = demo_server::server::Server::start(&config).unwrap();
    let mut client = connect(server.local());
    assert!(ask(&mut client).is_some());
    for id in ["shared-accept-processes", "sharding-processes"] {
        let change = Change { pattern: Some(id.to_owned()), ..Change::default() };
        let error = server.set(&change).unwrap_err();
        assert!(error.contains("has ended before it served (exit status: 1)"), "{error}");
        assert_eq!(server.state().pattern, "single-thread");
    }
    assert!(ask(&mut client).is_some(), "the connection came back from the worker that never was");
    server.end().unwrap();
}

#[test]
fn workers_die_with_a_killed_server_and_end_with_one_that_ends() {
    for pattern in with_processes() {
        for signal in [Signal::KILL, Signal::TERM, Signal::INT] {
            let scratch = Scratch::new();
            let path = scratch.path("control");
            let served = Served::start(&["--control", path.to_str().unwrap(), "--pattern", pattern.id]);
            let mut client = connect(served.address);
            assert!(ask(&mut client).is_some());
            let pids = workers(&Client::connect(&path).unwrap().state().unwrap());
            assert!(!pids.is_empty());
            served.signal(signal);
            wait_until("every worker to be gone", || {
                pids.iter().all(|&pid| status(pid, "State").is_none_or(|state| state.starts_with('Z')))
            });
            assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)), "{}: closed", pattern.id);
        }
    }
}

#[test]
fn a_worker_started_by_hand_says_what_it_is_for() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_demo-server"))
        .args(["worker", "--die-with", &std::process::id().to_string()])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("standard input is no guard"), "{error}");
}
