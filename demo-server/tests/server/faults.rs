//! What is broken on purpose is broken as promised, and whole again afterwards.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use demo_server::pattern::Pattern;
use demo_server::settings::Settings;
use socket2::{Domain, Socket, Type};

use crate::support::{self, TestServer, accept_queue, ask, connect, wait_until};

fn each_pattern(settings: Settings, check: impl Fn(&'static Pattern, &TestServer)) {
    for pattern in support::sound() {
        println!("pattern {}", pattern.id);
        let test = TestServer::start(pattern, settings);
        check(pattern, &test);
        test.server.end().unwrap();
    }
}

fn small() -> Settings {
    Settings { workers: 2, ..Settings::default() }
}

#[test]
fn paused_accept_fills_the_queue_to_its_limit_and_one_more() {
    // io_uring may have taken one more before its request is cancelled.
    let exact = |pattern: &&Pattern| !pattern.shards && pattern.id != "uring-accept";
    for pattern in support::sound().into_iter().filter(exact) {
        println!("pattern {}", pattern.id);
        let backlog = 4;
        let test = TestServer::start(pattern, Settings { backlog, ..small() });
        let port = test.address().port();
        test.server.fault("pause-accept", true, None, None).unwrap();
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap();
                let _ = socket.connect(&test.address().into());
                socket
            })
            .collect();
        // The kernel's own count: a queue of limit n takes n + 1 (sk_acceptq_is_full).
        wait_until("the accept queue to be full", || accept_queue(port) == Some(backlog + 1));
        assert_eq!(test.state().counters.accepted, 0);
        // listen(2) again: the clients whose SYN was dropped get in with their next one.
        let change = demo_server::settings::Change { backlog: Some(16), ..Default::default() };
        test.server.set(&change).unwrap();
        wait_until("the others to get in", || accept_queue(port) == Some(8));
        test.server.fault("pause-accept", false, None, None).unwrap();
        wait_until("the queue to be emptied as far as threads are free", || {
            let held = if pattern.id.starts_with("shared-accept") { 2 } else { 8 };
            test.state().counters.accepted == held
        });
        drop(clients);
        test.wait_for("all to be accepted and closed", |state| state.counters.closed == 8);
        test.server.end().unwrap();
    }
}

#[test]
fn connections_that_nobody_reads_are_accepted_and_wait() {
    each_pattern(small(), |_, test| {
        // One that was open before, one that comes during the fault.
        let mut before = connect(test.address());
        assert!(ask(&mut before).is_some());
        let read = test.state().counters.bytes_read;
        test.server.fault("no-read", true, None, None).unwrap();
        before.write_all(support::GET).unwrap();
        let mut during = connect(test.address());
        during.write_all(support::GET).unwrap();
        test.wait_for("the second to be accepted", |state| state.counters.accepted == 2);
        assert_eq!(test.state().counters.bytes_read, read, "and nothing is read");
        // The fault outlives a switch.
        test.switch("acceptor-readers");
        assert_eq!(test.state().counters.bytes_read, read);
        test.server.fault("no-read", false, None, None).unwrap();
        assert!(support::read_response(&mut before).is_some());
        assert!(support::read_response(&mut during).is_some());
    });
}

#[test]
fn closing_with_unread_data_resets_the_client() {
    each_pattern(small(), |_, test| {
        test.server.fault("close-unread", true, None, None).unwrap();
        let mut stream = connect(test.address());
        stream.write_all(support::GET).unwrap();
        let error = stream.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(test.state().counters.bytes_read, 0);
        test.server.fault("close-unread", false, None, None).unwrap();
        assert!(ask(&mut connect(test.address())).is_some());
    });
}

#[test]
fn a_stuck_thread_holds_its_share_and_lets_go() {
    // Every connection that the stuck thread has got waits; the others are served.
    for id in ["acceptor-readers", "sharding"] {
        let test = TestServer::start(support::pattern(id), small());
        test.server.fault("stuck-shard", true, Some(1), None).unwrap();
        let mut streams: Vec<TcpStream> = (0..40).map(|_| connect(test.address())).collect();
        for stream in &mut streams {
            stream.write_all(support::GET).unwrap();
        }
        let alive = if id == "sharding" { "shard-0" } else { "rd-0" };
        test.wait_for("some to be served", |state| state.counters.requests > 0);
        test.server.fault("stuck-shard", false, None, None).unwrap();
        let answers: Vec<_> =
            streams.iter_mut().map(|stream| support::read_response(stream).unwrap()).collect();
        let by = |name: &str| {
            answers.iter().filter(|answer| answer.contains(&format!("x-thread: {name}/"))).count()
        };
        assert!(by(alive) > 0 && by(alive) < 40, "{id}: {}", by(alive));
        test.server.end().unwrap();
    }
}

#[test]
fn a_stuck_thread_does_not_hold_up_a_switch_or_the_end() {
    each_pattern(small(), |pattern, test| {
        // Only a thread that is there can be stuck.
        let alone = matches!(pattern.id, "single-thread" | "uring-accept");
        for index in 0..if alone { 1 } else { 2 } {
            test.server.fault("stuck-shard", true, Some(index), None).unwrap();
            test.server.fault("stall", true, None, Some(60_000)).unwrap();
            test.switch(if pattern.id == "single-thread" { "2" } else { "1" });
            test.switch(pattern.id);
        }
    });
}

#[test]
fn a_stall_passes_by_itself() {
    each_pattern(small(), |_, test| {
        test.server.fault("stall", true, None, Some(60_000)).unwrap();
        assert_eq!(test.state().faults.len(), 1);
        // A shorter one takes its place.
        test.server.fault("stall", true, None, Some(50)).unwrap();
        assert!(ask(&mut connect(test.address())).is_some());
        test.wait_for("the stall to be over", |state| state.faults.is_empty());
        // Or it is switched off.
        test.server.fault("stall", true, None, Some(60_000)).unwrap();
        test.server.fault("stall", false, None, None).unwrap();
        assert!(ask(&mut connect(test.address())).is_some());
    });
}

#[test]
fn a_slow_worker_is_slower_than_its_neighbour() {
    // One connection to each of two readers, the same number of requests on each: the slow one ends last.
    let test = TestServer::start(support::pattern("acceptor-readers"), small());
    test.server.fault("slow-worker", true, Some(1), Some(20)).unwrap();
    let mut streams = [connect(test.address()), connect(test.address())];
    test.wait_for("both to be accepted", |state| state.counters.accepted == 2);
    let slow =
        streams.iter_mut().position(|stream| ask(stream).unwrap().contains("x-thread: rd-1/")).unwrap();
    for stream in &mut streams {
        for _ in 0..20 {
            stream.write_all(support::GET).unwrap();
        }
    }
    for _ in 0..20 {
        assert!(support::read_response(&mut streams[1 - slow]).is_some());
    }
    streams[slow].set_nonblocking(true).unwrap();
    let mut text = vec![0; 64 * 1024];
    let mut answered = 0;
    while let Ok(count) = streams[slow].read(&mut text) {
        answered += String::from_utf8_lossy(&text[..count]).matches("HTTP/1.1 200").count();
    }
    assert!(answered < 20, "the slow one had answered {answered} of 20 when the other was done");
    test.server.end().unwrap();
}
