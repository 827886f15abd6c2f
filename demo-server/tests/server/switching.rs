//! Switching live, under load, from every pattern to every pattern.

use std::os::fd::AsFd as _;
use std::thread;

use crate::support::{self, TestServer, ask, connect, field, sound};
use demo_server::load::{self, Overrides, Plan, Report};
use demo_server::pattern::Pattern;
use demo_server::settings::{Change, Settings};
use demo_server::wake::Wake;

/// A walk over the complete graph of the patterns, loops included, that takes every edge once (Hierholzer).
fn every_pair() -> Vec<usize> {
    let count = sound().len();
    let mut left: Vec<Vec<usize>> = (0..count).map(|_| (0..count).collect()).collect();
    let (mut path, mut walk) = (vec![0], Vec::new());
    while let Some(&here) = path.last() {
        match left[here].pop() {
            Some(next) => path.push(next),
            None => walk.extend(path.pop()),
        }
    }
    walk.reverse();
    walk
}

#[test]
fn the_walk_takes_every_pair_once() {
    let walk = every_pair();
    let mut pairs: Vec<_> = walk.windows(2).map(|pair| (pair[0], pair[1])).collect();
    pairs.sort_unstable();
    pairs.dedup();
    assert_eq!(pairs.len(), sound().len() * sound().len());
}

/// Makes changes while `profile` runs; after each some requests must be answered.
fn change_under(
    profile: &str,
    overrides: &Overrides,
    pattern: &'static Pattern,
    changes: impl IntoIterator<Item = Change>,
) -> (TestServer, Report) {
    let settings = Settings { workers: 3, backlog: 1024, ..Settings::default() };
    let test = TestServer::start(pattern, settings);
    let plan = Plan::new(test.address(), profile, overrides).unwrap();
    let stop = Wake::new().unwrap();
    let report = thread::scope(|scope| {
        let running = scope.spawn(|| load::run(&plan, Some(stop.as_fd())).unwrap());
        for change in changes {
            test.server.set(&change).unwrap();
            let served = test.state().counters.requests;
            test.wait_for("requests after a switch", |state| state.counters.requests >= served + 50);
        }
        stop.ring();
        running.join().unwrap()
    });
    (test, report)
}

/// Switches through all pairs while `profile` runs.
fn switch_under(profile: &str, overrides: &Overrides) -> (TestServer, Report) {
    let walk = every_pair();
    let switches: Vec<_> = walk
        .windows(2)
        .enumerate()
        .map(|(step, pair)| {
            let (from, to) = (sound()[pair[0]], sound()[pair[1]]);
            // A loop changes the number of workers instead, which is a switch too.
            let workers = (from.id == to.id).then_some(2 + u32::try_from(step % 3).unwrap());
            Change { pattern: Some(to.id.to_owned()), workers, ..Change::default() }
        })
        .collect();
    change_under(profile, overrides, sound()[walk[0]], switches)
}

#[track_caller]
fn check_nothing_lost(test: &TestServer, report: &Report) {
    assert!(report.errors.is_empty(), "{report}");
    assert_eq!(report.responses, report.requests_sent);
    let counters =
        test.wait_for("all closed", |state| state.counters.closed == report.connections_established).counters;
    assert_eq!(counters.accepted, report.connections_established);
    assert_eq!(counters.requests, report.responses);
    assert_eq!(counters.bytes_read, report.bytes_sent);
    assert_eq!(counters.bytes_written, report.bytes_received);
}

#[test]
fn no_connection_is_lost_with_keep_alive() {
    let overrides = Overrides {
        connections: Some(11),
        requests_per_connection: Some(20),
        duration: Some("10m".to_owned()),
        ..Overrides::default()
    };
    let (test, report) = switch_under("keepalive", &overrides);
    check_nothing_lost(&test, &report);
    test.server.end().unwrap();
}

#[test]
fn no_connection_is_lost_with_churn() {
    let overrides =
        Overrides { connections: Some(11), duration: Some("10m".to_owned()), ..Overrides::default() };
    let (test, report) = switch_under("churn", &overrides);
    check_nothing_lost(&test, &report);
    test.server.end().unwrap();
}

/// Every setting to another value and back.
fn every_setting() -> Vec<Change> {
    let none = Change::default;
    vec![
        Change { workers: Some(5), ..none() },
        Change { workers: Some(2), ..none() },
        Change { backlog: Some(512), ..none() },
        Change { backlog: Some(4096), ..none() },
        Change { work_us: Some(200), ..none() },
        Change { work_us: Some(0), ..none() },
        Change { sleep_us: Some(500), ..none() },
        Change { sleep_us: Some(0), ..none() },
        Change { response_bytes: Some(70_000), ..none() },
        Change { response_bytes: Some(0), ..none() },
        Change { nodelay: Some(false), ..none() },
        Change { nodelay: Some(true), ..none() },
        Change { keep_alive: Some(false), ..none() },
        Change { keep_alive: Some(true), ..none() },
        Change { defer_accept_s: Some(5), ..none() },
        Change { defer_accept_s: Some(0), ..none() },
        Change { fast_open: Some(16), ..none() },
        Change { fast_open: Some(0), ..none() },
    ]
}

#[test]
fn no_connection_is_lost_whichever_setting_changes() {
    let overrides =
        Overrides { connections: Some(11), duration: Some("10m".to_owned()), ..Overrides::default() };
    for pattern in sound() {
        for profile in ["keepalive", "churn"] {
            println!("pattern {}, {profile}", pattern.id);
            let (test, report) = change_under(profile, &overrides, pattern, every_setting());
            check_nothing_lost(&test, &report);
            assert_eq!(test.state().settings.workers, 2);
            test.server.end().unwrap();
        }
    }
}

#[test]
fn an_idle_connection_is_handed_on_and_still_served() {
    let walk = every_pair();
    let test = TestServer::start(sound()[walk[0]], Settings { workers: 2, ..Settings::default() });
    let mut stream = connect(test.address());
    let cookie = test.state().listeners[0].cookie;
    for &to in &walk[1..] {
        let state = test.switch(sound()[to].id);
        let response = ask(&mut stream).unwrap();
        assert_eq!(field(&response, "x-pattern"), Some(sound()[to].id));
        assert_eq!(state.listeners[0].cookie, cookie, "the listener is still the same socket");
        let expected = if sound()[to].shards { 2 } else { 1 };
        assert_eq!(state.listeners.len(), expected);
    }
    assert_eq!(test.state().counters.accepted, 1);
    test.server.end().unwrap();
}

#[test]
fn a_request_in_hand_is_answered_across_a_switch() {
    use std::io::Write as _;
    for from in sound() {
        let test = TestServer::start(from, Settings { workers: 2, sleep_us: 50_000, ..Settings::default() });
        let mut streams: Vec<_> = (0..5).map(|_| connect(test.address())).collect();
        for stream in &mut streams {
            // Half a request now, the other half after the switch; and one that is complete.
            stream.write_all(support::GET).unwrap();
            stream.write_all(&support::GET[..10]).unwrap();
        }
        test.wait_for("the first to be read", |state| state.counters.bytes_read > 0);
        test.switch(if from.id == "sharding" { "single-thread" } else { "sharding" });
        for stream in &mut streams {
            stream.write_all(&support::GET[10..]).unwrap();
            assert!(support::read_response(stream).is_some(), "{}: the one in hand", from.id);
            assert!(support::read_response(stream).is_some(), "{}: the one cut in two", from.id);
        }
        test.server.end().unwrap();
    }
}

#[test]
fn a_failing_switch_changes_nothing() {
    let test = TestServer::start(support::pattern("single-thread"), Settings::default());
    let before = test.state();
    for change in [
        Change { pattern: Some("nonsense".to_owned()), workers: Some(9), ..Change::default() },
        Change { workers: Some(0), ..Change::default() },
        Change { workers: Some(1025), ..Change::default() },
        Change { pattern: Some("2".to_owned()), backlog: Some(65_536), ..Change::default() },
        Change { work_us: Some(10_000_001), nodelay: Some(false), ..Change::default() },
        Change { sleep_us: Some(10_000_001), ..Change::default() },
        Change { response_bytes: Some(1_048_577), ..Change::default() },
    ] {
        test.server.set(&change).unwrap_err();
        assert_eq!(test.state(), before, "after {change:?}");
    }
    test.server.end().unwrap();
}
