//! Every row of the table passes the same checks.

use std::collections::BTreeSet;

use crate::support::{self, TestServer, ask, connect, field, load, wait_until};
use demo_server::load::Overrides;
use demo_server::pattern::Pattern;
use demo_server::settings::Settings;

/// A prime number, so that no factor of the pattern hides a miscount.
const CONNECTIONS: u64 = 23;
const REQUESTS: u32 = 7;
const WORKERS: u32 = 3;

fn each_pattern(check: impl Fn(&'static Pattern)) {
    for pattern in support::sound() {
        println!("pattern {}", pattern.id);
        check(pattern);
    }
}

#[test]
fn counts_are_what_the_client_counted_and_threads_do_their_duties() {
    each_pattern(|pattern| {
        let test = TestServer::start(pattern, Settings { workers: WORKERS, ..Settings::default() });
        let state = test.state();
        let overrides = Overrides {
            connections: Some(8),
            requests_per_connection: Some(REQUESTS),
            total_connections: Some(CONNECTIONS),
            duration: Some("30s".to_owned()),
            ..Overrides::default()
        };
        let report = load(test.address(), "keepalive", &overrides);
        assert!(report.errors.is_empty(), "{report}");
        assert_eq!(report.connections_established, CONNECTIONS);
        assert_eq!(report.responses, CONNECTIONS * u64::from(REQUESTS));

        let counters = test.wait_for("all closed", |state| state.counters.closed == CONNECTIONS).counters;
        assert_eq!(counters.accepted, CONNECTIONS);
        assert_eq!(counters.open, 0);
        assert_eq!(counters.requests, report.responses);
        assert_eq!(counters.bytes_read, report.bytes_sent);
        assert_eq!(counters.bytes_written, report.bytes_received);

        let journal = test.journal();
        assert_eq!(journal.len() as u64, CONNECTIONS);
        assert_eq!(journal.iter().map(|entry| entry.bytes_read).sum::<u64>(), report.bytes_sent);
        assert_eq!(journal.iter().map(|entry| entry.bytes_written).sum::<u64>(), report.bytes_received);
        let with = |duty: &str| -> BTreeSet<i32> {
            let able = state.threads.iter().filter(|thread| thread.duties.iter().any(|own| own == duty));
            able.map(|thread| thread.tid).collect()
        };
        let (acceptors, readers, writers) = (with("accept"), with("read"), with("write"));
        // What comes and goes with its connection is not in the state any more.
        let passing = |tid: &i32| pattern.id.ends_with("-per-connection") && !acceptors.contains(tid);
        for entry in &journal {
            assert_eq!(entry.requests, u64::from(REQUESTS));
            assert_eq!(entry.local, test.address());
            assert!(acceptors.contains(&entry.acceptor_tid), "{entry:?}");
            assert!(!entry.reader_tids.is_empty() && !entry.writer_tids.is_empty(), "{entry:?}");
            assert!(entry.reader_tids.iter().all(|tid| readers.contains(tid) || passing(tid)), "{entry:?}");
            assert!(entry.writer_tids.iter().all(|tid| writers.contains(tid) || passing(tid)), "{entry:?}");
            let listener = state.listeners.iter().find(|listener| listener.shard == entry.shard).unwrap();
            assert_eq!(entry.listener_cookie, listener.cookie);
        }
        test.server.end().unwrap();
    });
}

#[test]
fn the_kernel_knows_the_threads_by_the_names_that_are_reported() {
    each_pattern(|pattern| {
        let test = TestServer::start(pattern, Settings { workers: WORKERS, ..Settings::default() });
        let state = test.state();
        let expected = match pattern.id {
            "single-thread" | "uring-accept" | "thread-per-connection" | "process-per-connection" => 1,
            "acceptor-readers" | "acceptor-workers" => 1 + WORKERS,
            _ => WORKERS,
        };
        assert_eq!(state.threads.len(), expected as usize);
        for thread in &state.threads {
            let comm = std::fs::read_to_string(format!("/proc/{}/comm", thread.tid)).unwrap();
            assert_eq!(comm.trim_end(), thread.name);
        }
        let mut stream = connect(test.address());
        let response = ask(&mut stream).unwrap();
        assert_eq!(field(&response, "x-pattern"), Some(pattern.id));
        let (name, tid) = field(&response, "x-thread").unwrap().split_once('/').unwrap();
        let state = test.state();
        let thread = state.threads.iter().find(|thread| thread.name == name).unwrap();
        assert_eq!(thread.tid.to_string(), tid);
        assert!(thread.duties.iter().any(|duty| duty == "work"), "{thread:?}");
        test.server.end().unwrap();
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    use std::io::Write as _;
    each_pattern(|pattern| {
        let test = TestServer::start(pattern, Settings { workers: WORKERS, ..Settings::default() });
        let mut stream = connect(test.address());
        let requests = b"GET /1 HTTP/1.1\r\nhost: t\r\n\r\nHEAD /2 HTTP/1.1\r\nhost: t\r\n\r\n\
            POST /3 HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\n\r\nhelloGET /4 HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";
        stream.write_all(requests).unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
        let answers: Vec<_> = text.matches("HTTP/1.1 200 OK\r\n").collect();
        assert_eq!(answers.len(), 4, "{text}");
        // HEAD has the length and no body: its head is followed by the next answer at once.
        assert!(text.contains("connection: keep-alive\r\n\r\nHTTP/1.1 200"), "{text}");
        assert_eq!(text.matches("connection: close").count(), 1, "{text}");
        test.server.end().unwrap();
    });
}

#[test]
fn a_slow_reader_gets_every_byte() {
    use std::io::{Read as _, Write as _};
    each_pattern(|pattern| {
        // More than any send buffer takes at once: the rest is written when the client has read.
        let settings = Settings { workers: WORKERS, response_bytes: 1_048_576, ..Settings::default() };
        let test = TestServer::start(pattern, settings);
        let mut stream = connect(test.address());
        let count = 20;
        for _ in 0..count {
            stream.write_all(support::GET).unwrap();
        }
        wait_until("the server to be blocked by the client", || {
            let before = test.state().counters.bytes_written;
            std::thread::sleep(std::time::Duration::from_millis(20));
            before > 0 && test.state().counters.bytes_written == before
        });
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        let counters = test.wait_for("the connection to end", |state| state.counters.closed == 1).counters;
        assert_eq!(text.len() as u64, counters.bytes_written);
        assert!(text.len() > count * 1_048_576);
        assert_eq!(counters.requests, count as u64);
        test.server.end().unwrap();
    });
}

#[test]
fn ending_finishes_what_was_asked_and_closes_what_was_not() {
    use std::io::Write as _;
    each_pattern(|pattern| {
        let test = TestServer::start(
            pattern,
            Settings { workers: WORKERS, sleep_us: 100_000, ..Settings::default() },
        );
        let mut idle = connect(test.address());
        assert!(ask(&mut idle).is_some());
        if pattern.id.starts_with("shared-accept") {
            assert!(test.state().threads.len() > 1, "the idle client holds one thread");
        }
        let mut asking = connect(test.address());
        asking.write_all(support::GET).unwrap();
        test.wait_for("the request to be read", |state| {
            state.counters.bytes_read >= 2 * support::GET.len() as u64
        });
        let address = test.address();
        test.server.end().unwrap();
        let change = demo_server::settings::Change { workers: Some(1), ..Default::default() };
        assert!(test.server.set(&change).unwrap_err().contains("ending"), "nothing starts again");
        assert!(support::read_response(&mut asking).is_some(), "a request in hand is answered");
        assert_eq!(
            std::io::Read::read(&mut idle, &mut [0]).unwrap(),
            0,
            "an idle connection is closed with FIN"
        );
        assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens");
        wait_until("the journal to be complete", || test.journal().len() == 2);
    });
}
