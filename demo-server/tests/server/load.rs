//! The load generator against the server and against servers that misbehave.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::thread;

use demo_server::control::State;
use demo_server::load::{self, Manner, Overrides, PROFILES, Plan, Report};
use demo_server::settings::Settings;
use demo_server::wake::Wake;

use crate::support::{TestServer, isolated, load, pattern};

#[test]
fn every_profile_runs_and_counts_what_the_server_counts() {
    for profile in PROFILES.iter().filter(|profile| profile.manner == Manner::Ask) {
        println!("profile {}", profile.name);
        let test =
            TestServer::start(pattern("single-thread"), Settings { backlog: 4096, ..Settings::default() });
        let overrides = Overrides { total_connections: Some(207), ..Overrides::default() };
        let overrides = match profile.name {
            "burst" => Overrides { rate: Some(50.0), connections: Some(23), ..overrides },
            "steady" => Overrides { rate: Some(2_000.0), requests_per_connection: Some(3), ..overrides },
            _ => overrides,
        };
        let report = load(test.address(), profile.name, &overrides);
        let per_connection = overrides.requests_per_connection.unwrap_or(profile.requests_per_connection);
        assert!(report.errors.is_empty(), "{report}");
        assert_eq!(report.connections_opened, 207);
        assert_eq!(report.responses, 207 * u64::from(per_connection));
        assert_eq!(report.requests_sent, report.responses);
        assert_eq!(report.dropped, 0);
        let state = test.wait_for("all closed", |state| state.counters.closed == 207);
        assert_eq!(state.counters.requests, report.responses);
        assert_eq!(state.counters.bytes_read, report.bytes_sent);
        assert_eq!(state.counters.bytes_written, report.bytes_received);
        for times in [report.connect_ns, report.service_ns, report.response_ns] {
            assert!(0 < times.p50 && times.p50 <= times.p90 && times.p90 <= times.p99, "{times:?}");
            assert!(
                times.p99 <= times.p999 && times.p999 <= times.p9999 && times.p9999 <= times.max,
                "{times:?}"
            );
        }
        assert_eq!((report.connect_ns.count, report.response_ns.count), (207, report.responses));
        assert!(report.response_ns.max >= report.service_ns.max, "due before sent");
        let json = serde_json::to_string(&report).unwrap();
        let again: Report = serde_json::from_str(&json).unwrap();
        assert_eq!(again.responses, report.responses);
        test.server.end().unwrap();
    }
}

#[test]
fn what_is_due_while_too_much_is_in_flight_is_counted_as_dropped() {
    let test = TestServer::start(pattern("single-thread"), Settings::default());
    test.server.fault("no-read", true, None, None).unwrap();
    let overrides = Overrides {
        rate: Some(1_000.0),
        connections: Some(5),
        duration: Some("200ms".to_owned()),
        ..Overrides::default()
    };
    let report = load(test.address(), "steady", &overrides);
    // 200 ms at 1,000 a second: due at 0, 1, ... 199 ms; five are sent and never answered.
    assert_eq!((report.connections_opened, report.responses), (5, 0));
    assert_eq!(report.dropped, 195);
    assert_eq!(report.errors.get("unfinished"), Some(&5));
    assert!(report.warnings.iter().any(|warning| warning.starts_with("195 requests")), "{report}");
    test.server.end().unwrap();
}

#[test]
fn a_stall_shows_in_the_response_time_and_hardly_in_the_service_time() {
    // One connection at a time, so that what is due during a stall is sent after it.
    let test = TestServer::start(pattern("single-thread"), Settings::default());
    let overrides = Overrides {
        rate: Some(500.0),
        connections: Some(1_000),
        requests_per_connection: Some(1_000_000),
        duration: Some("600ms".to_owned()),
        ..Overrides::default()
    };
    let stall = thread::scope(|scope| {
        let running = scope.spawn(|| load(test.address(), "steady", &overrides));
        test.wait_for("load", |state| state.counters.requests > 20);
        test.server.fault("stall", true, None, Some(200)).unwrap();
        running.join().unwrap()
    });
    assert!(stall.errors.is_empty(), "{stall}");
    // Open loop: the schedule went on, every due request was sent on time and waited.
    assert!(stall.response_ns.max >= 150_000_000, "{stall}");
    assert_eq!(stall.dropped, 0);
    assert_eq!(stall.responses, 300);
    test.server.end().unwrap();
}

#[test]
fn servers_that_misbehave_are_errors_by_kind() {
    for (answer, kind) in [
        (&b""[..], "closed before the response"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort", "closed before the response"),
        (b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", "status other than 200"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "bad response"),
        (b"220 mail.example ESMTP\r\n\r\n", "bad response"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            for _ in 0..3 {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                let count = stream.read(&mut request).unwrap();
                assert!(count > 0);
                stream.write_all(answer).unwrap();
            }
        });
        let overrides =
            Overrides { connections: Some(1), total_connections: Some(3), ..Overrides::default() };
        let report = load(target, "churn", &overrides);
        assert_eq!(report.errors.get(kind), Some(&3), "{answer:?}: {report}");
        assert_eq!(report.responses, 0);
        server.join().unwrap();
    }
}

#[test]
fn nobody_listening_is_an_error_and_not_a_storm() {
    let target = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let overrides =
        Overrides { connections: Some(1), duration: Some("300ms".to_owned()), ..Overrides::default() };
    let report = load(target, "churn", &overrides);
    let refused = report.errors["connection refused"];
    // One client that waits 10 ms after each refusal.
    assert!((1..=31).contains(&refused), "{report}");
    assert_eq!(report.connections_established, 0);
}

#[test]
fn a_run_ends_when_told_to_and_keeps_what_it_has() {
    let test = TestServer::start(pattern("single-thread"), Settings::default());
    let overrides = Overrides { duration: Some("10m".to_owned()), ..Overrides::default() };
    let plan = Plan::new(test.address(), "keepalive", &overrides).unwrap();
    let stop = Wake::new().unwrap();
    let report = thread::scope(|scope| {
        let running = scope.spawn(|| load::run(&plan, Some(stop.as_fd())).unwrap());
        test.wait_for("load", |state| state.counters.requests > 100);
        stop.ring();
        running.join().unwrap()
    });
    assert!(report.errors.is_empty(), "{report}");
    assert_eq!(report.responses, report.requests_sent);
    let state = test.wait_for("all closed", |state| state.counters.open == 0);
    assert_eq!(state.counters.requests, report.responses);
    test.server.end().unwrap();
}

#[test]
fn only_this_machine_is_a_target() {
    for (target, local) in [
        ("127.0.0.1:80", true),
        ("127.200.3.4:80", true),
        ("[::1]:80", true),
        ("192.0.2.1:80", false),
        ("8.8.8.8:80", false),
        ("0.0.0.0:80", false),
        ("224.0.0.1:80", false),
        ("[2001:db8::1]:80", false),
        ("127.0.0.1:0", false),
    ] {
        let target: SocketAddr = target.parse().unwrap();
        let plan = Plan::new(target, "steady", &Overrides::default());
        assert_eq!(plan.is_ok(), local, "{target}: {plan:?}");
    }
}

#[test]
fn ipv6_works_too() {
    use demo_server::server::{Config, Server};
    let Ok(server) = Server::start(&Config { listen: "[::1]:0".parse().unwrap(), ..Config::default() })
    else {
        panic!("this test needs IPv6 on the loopback interface");
    };
    let overrides = Overrides { total_connections: Some(23), ..Overrides::default() };
    let report = load(server.local(), "churn", &overrides);
    assert_eq!((report.responses, report.errors.len()), (23, 0), "{report}");
    server.end().unwrap();
}

#[test]
fn clients_that_abort_are_counted_and_no_error() {
    let test = TestServer::start(pattern("single-thread"), Settings { backlog: 4096, ..Settings::default() });
    let overrides = Overrides { total_connections: Some(101), rate: Some(2_000.0), ..Overrides::default() };
    let report = load(test.address(), "aborts", &overrides);
    assert!(report.errors.is_empty() && report.warnings.is_empty(), "{report}");
    assert_eq!((report.connections_established, report.requests_sent, report.aborted), (101, 101, 101));
    assert_eq!(report.responses, 0);
    // A connection that is reset while it is queued is accepted all the same.
    let state = test.wait_for("all to be closed", |state| state.counters.closed == 101);
    assert_eq!(state.counters.accepted, 101);
    test.server.end().unwrap();
}

struct RungAtTheEnd<'a>(&'a Wake);

impl Drop for RungAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.ring();
    }
}

#[test]
fn holders_stay_and_hold_the_threads_of_a_blocking_server() {
    let test = TestServer::start(pattern("thread-per-connection"), Settings::default());
    let plan = Overrides { connections: Some(23), duration: Some("1h".to_owned()), ..Overrides::default() };
    let plan = Plan::new(test.address(), "holders", &plan).unwrap();
    let stop = Wake::new().unwrap();
    let report = thread::scope(|scope| {
        let running = scope.spawn(|| load::run(&plan, Some(stop.as_fd())).unwrap());
        // However the test ends, the load must, or the scope would wait for it.
        let stop = RungAtTheEnd(&stop);
        // A connection is open a moment before it has its thread.
        let all = |state: &State| state.counters.open == 23 && state.threads.len() == 24;
        let state = test.wait_for("all to be accepted, each by a thread of its own", all);
        assert_eq!(state.counters.bytes_read, 0);
        drop(stop);
        running.join().unwrap()
    });
    assert!(report.errors.is_empty() && report.warnings.is_empty(), "{report}");
    assert_eq!((report.connections_established, report.requests_sent), (23, 0));
    test.server.end().unwrap();
}

#[test]
fn slow_clients_are_served_to_their_last_byte() {
    for (profile, response_bytes) in [("slow-senders", 64), ("slow-readers", 5_000)] {
        let settings = Settings { response_bytes, ..Settings::default() };
        let test = TestServer::start(pattern("acceptor-readers"), settings);
        let overrides = Overrides { total_connections: Some(31), rate: Some(500.0), ..Overrides::default() };
        let report = load(test.address(), profile, &overrides);
        assert!(report.errors.is_empty(), "{report}");
        assert_eq!((report.connections_established, report.responses), (31, 31), "{profile}");
        let counters = test.wait_for("all to be closed", |state| state.counters.closed == 31).counters;
        assert_eq!(counters.bytes_read, report.bytes_sent);
        assert_eq!(counters.bytes_written, report.bytes_received);
        // So many pieces with a pause between each two take at least so long.
        let pieces = if profile == "slow-senders" { report.bytes_sent / 31 } else { 5_000 / 512 };
        assert!(report.response_ns.p50 >= (pieces - 2) * 10_000_000, "{report}");
        test.server.end().unwrap();
    }
}

/// 23 clients that hold their connections, where each address has eight ports; in a namespace of its own, so that no
/// port is in TIME-WAIT from before. Of an odd number the kernel may never try one: it leaves one out of each search,
/// and begins the next where the last began unless that found a port (__inet_hash_connect).
fn eight_ports(sources: Option<u32>, check: impl FnOnce(Report) + Send) {
    isolated("load::ports_that_run_out_are_named_with_the_remedy_and_more_addresses_have_more", || {
        let test = TestServer::start(pattern("single-thread"), Settings::default());
        // Not the server's.
        let first = if test.address().port() < 40_000 { 50_000 } else { 30_000 };
        std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", format!("{first} {}", first + 7)).unwrap();
        let overrides = Overrides {
            connections: Some(23),
            total_connections: Some(23),
            duration: Some("200ms".to_owned()),
            sources,
            ..Overrides::default()
        };
        check(load(test.address(), "holders", &overrides));
        test.server.end().unwrap();
    });
}

#[test]
fn ports_that_run_out_are_named_with_the_remedy_and_more_addresses_have_more() {
    eight_ports(None, |report| {
        assert_eq!(report.connections_established, 8, "{report}");
        assert!(report.errors["no free port"] >= 15, "{report}");
        let warning = report.warnings.iter().find(|warning| warning.contains("found no free port")).unwrap();
        assert!(warning.contains("an address has 8") && warning.contains("--sources"), "{warning}");
    });
    eight_ports(Some(4), |report| {
        assert!(report.errors.is_empty(), "{report}");
        assert_eq!(report.connections_established, 23);
    });
}

#[test]
fn sources_are_addresses_of_loopback() {
    let of = |target: &str, sources| {
        let overrides = Overrides { sources: Some(sources), ..Overrides::default() };
        Plan::new(target.parse().unwrap(), "steady", &overrides)
    };
    let addresses = of("127.0.0.1:80", 300).unwrap().source_addresses();
    assert_eq!((addresses[0].to_string().as_str(), addresses.len()), ("127.0.0.1", 300));
    assert_eq!(addresses[299].to_string(), "127.0.1.44");
    assert!(of("127.0.0.1:80", 0).unwrap_err().contains("sources 0 is out of range: 1 to 65534"));
    assert!(of("127.0.0.1:80", 65_535).unwrap_err().contains("out of range"));
    assert!(of("[::1]:80", 2).unwrap_err().contains("addresses of 127.0.0.0/8"));
}
