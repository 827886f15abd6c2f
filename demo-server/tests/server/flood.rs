//! Handshakes that are never completed, against the kernel's own counters, in a namespace of their own.

use std::fs;
use std::os::fd::AsFd as _;
use std::thread;

use demo_server::load::{self, Overrides, Plan, Report};
use demo_server::namespace;
use demo_server::settings::Settings;
use demo_server::wake::Wake;

use crate::program::{Served, run};
use crate::support::{TestServer, ask, connect, isolated, pattern, wait_until};

/// Prime, and more than any queue here takes.
const SYNS: u64 = 499;
const BACKLOG: u64 = 61;

/// A counter of `/proc/net/netstat` in the calling thread's namespace.
fn counter(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/thread-self/net/netstat").unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let mut pairs = names.split(' ').zip(values.split(' '));
    pairs.find(|(key, _)| *key == name).unwrap().1.parse().unwrap()
}

/// Sockets in a state, by its number in `/proc/net/tcp`.
fn in_state(state: &str) -> u64 {
    let text = fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
    text.lines().skip(1).filter(|line| line.split_whitespace().nth(3) == Some(state)).count() as u64
}

fn syn_received() -> u64 {
    in_state("03")
}

/// Floods a server whose queues take so many while `check` looks.
fn flood(cookies: &str, check: impl FnOnce(&TestServer)) -> Report {
    fs::write("/proc/sys/net/ipv4/tcp_syncookies", cookies).unwrap();
    let backlog = u32::try_from(BACKLOG).unwrap();
    let test = TestServer::start(pattern("single-thread"), Settings { backlog, ..Settings::default() });
    let overrides = Overrides {
        rate: Some(50_000.0),
        total_connections: Some(SYNS),
        duration: Some("10m".to_owned()),
        ..Overrides::default()
    };
    let plan = Plan::new(test.address(), "flood", &overrides).unwrap();
    let stop = Wake::new().unwrap();
    let report = thread::scope(|scope| {
        let running = scope.spawn(|| load::run(&plan, Some(stop.as_fd())).unwrap());
        check(&test);
        stop.ring();
        running.join().unwrap()
    });
    test.server.end().unwrap();
    report
}

#[test]
fn without_cookies_the_queue_fills_and_the_rest_is_dropped() {
    isolated("flood::without_cookies_the_queue_fills_and_the_rest_is_dropped", || {
        let report = flood("0", |_| {
            // The bound is the backlog, or one more since Linux 6.14 (inet_csk_reqsk_queue_is_full) and where that
            // was taken over.
            wait_until("every SYN to be queued or dropped", || {
                syn_received() >= BACKLOG && syn_received() + counter("TCPReqQFullDrop") >= SYNS
            });
            assert!([BACKLOG, BACKLOG + 1].contains(&syn_received()), "{}", syn_received());
            assert_eq!(counter("SyncookiesSent"), 0);
        });
        assert_eq!((report.connections_opened, report.connections_established), (SYNS, 0));
    });
}

#[test]
fn with_cookies_the_rest_is_answered_without_a_place() {
    isolated("flood::with_cookies_the_rest_is_answered_without_a_place", || {
        flood("1", |test| {
            wait_until("every SYN to be queued or answered with a cookie", || {
                syn_received() >= BACKLOG && syn_received() + counter("SyncookiesSent") == SYNS
            });
            assert!([BACKLOG, BACKLOG + 1].contains(&syn_received()), "{}", syn_received());
            assert_eq!(counter("TCPReqQFullDrop"), 0);
            let before = counter("SyncookiesRecv");
            assert!(ask(&mut connect(test.address())).is_some(), "a real client gets in by a cookie");
            assert_eq!(counter("SyncookiesRecv"), before + 1);
        });
    });
}

#[test]
fn with_cookies_always_nothing_is_queued_at_all() {
    isolated("flood::with_cookies_always_nothing_is_queued_at_all", || {
        flood("2", |test| {
            wait_until("a cookie for every SYN", || counter("SyncookiesSent") == SYNS);
            assert_eq!(syn_received(), 0);
            assert!(ask(&mut connect(test.address())).is_some());
        });
        // The routes are as they were: the upper half of 127.0.0.0/8 is this machine again.
        assert!(std::net::TcpListener::bind("127.200.0.1:0").is_ok());
        let routes = fs::read_to_string("/proc/thread-self/net/fib_trie").unwrap();
        assert!(routes.contains("127.0.0.0/8") && !routes.contains("127.128.0.0/9"), "{routes}");
    });
}

#[test]
fn floods_run_nowhere_else() {
    // This process is where every interface of the machine is, if it has any.
    let others = namespace::other_interfaces().unwrap();
    let target = "127.0.0.1:9".parse().unwrap();
    let refused = Plan::new(target, "flood", &Overrides::default());
    match others.first() {
        Some(first) => {
            let error = refused.unwrap_err();
            assert!(error.contains(first) && error.contains("serve --isolated --load flood"), "{error}");
            let output = run(&["load", "--profile", "half-open", "--duration", "1s"]);
            assert_eq!(output.status.code(), Some(2));
        }
        None => println!("SKIPPED: flood::floods_run_nowhere_else: this machine has loopback only"),
    }
    isolated("flood::floods_run_nowhere_else", || {
        for target in ["[::1]:9", "127.128.0.1:9", "192.0.2.1:9"] {
            Plan::new(target.parse().unwrap(), "flood", &Overrides::default()).unwrap_err();
        }
        let most = Overrides { total_connections: Some(1_000_001), ..Overrides::default() };
        let error = Plan::new(target, "flood", &most).unwrap_err();
        assert!(error.contains("1000000 connections at most"), "{error}");
    });
}

#[test]
fn one_command_serves_and_floods_in_a_namespace_made_for_it() {
    let served =
        Served::try_start(&["--isolated", "--backlog", "61", "--load", "flood,duration=10m,rate=2000"]);
    let Some(served) = served else {
        println!(
            "SKIPPED: flood::one_command_serves_and_floods_in_a_namespace_made_for_it: no namespace can be made"
        );
        return;
    };
    let tables = format!("/proc/{}/net", served.pid());
    let interfaces = fs::read_to_string(format!("{tables}/dev")).unwrap();
    assert_eq!(interfaces.lines().skip(2).count(), 1, "{interfaces}");
    wait_until("half-open connections", || {
        let text = fs::read_to_string(format!("{tables}/tcp")).unwrap();
        text.lines().filter(|line| line.split_whitespace().nth(3) == Some("03")).count() >= 61
    });
}
