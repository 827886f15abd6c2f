//! Workers that are processes: they are what they are called, obey what the server says, die alone, and leave nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;

use demo_server::control::{Client, State};
use demo_server::pattern::Pattern;
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

#[test]
fn a_killed_worker_dies_alone_and_the_books_still_balance() {
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
        let change = Change { workers: Some(2), ..Change::default() };
        test.server.set(&change).unwrap();
        let state = test.state();
        assert!(!workers(&state).contains(&victim));
        drop(clients);
        test.wait_for("all closed", |state| state.counters.closed == u64::from(WORKERS));
        assert!(ask(&mut connect(test.address())).is_some(), "{}: served by those started anew", pattern.id);
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
