//! More load than the program takes: who is to blame is named.

use std::{io::BufReader, time::Duration};

use demo_server::settings::Settings;

use super::{Clients, found, lines_of, pass_time, serve, wait_for, wait_for_end};
use crate::{
    counters::Counters,
    namespace::{LATE, SILENT, THE_SAME, natively},
    observed::Observer,
    patterns::answer,
    traffic::{connect, send},
    waiting::until,
};

/// One thread that takes 5 ms for each request, with a short queue.
fn slow() -> Settings {
    Settings { backlog: 8, sleep_us: 5_000, ..Settings::default() }
}

#[test]
fn the_only_acceptor_works_instead() {
    natively(THE_SAME, || {
        let before = Counters::read();
        let mut observer = Observer::shared();
        let server = serve("single-thread", slow());
        let mut clients = Clients::start(24, server.local(), Duration::ZERO);
        let line = wait_for(&mut observer, "acceptor-busy");
        let state = server.state();
        let evidence = &line["evidence"];
        let expected = format!("{}/{}", state.threads[0].name, state.threads[0].tid);
        assert_eq!(evidence["acceptor"], expected, "{line}");
        assert_eq!((&evidence["acceptors"], &evidence["backlog_limit"]), (&1.into(), &8.into()), "{line}");
        assert_eq!(line["listeners"][0], state.listeners[0].cookie, "{line}");
        assert!(evidence["read_to_write_ns"].as_u64() >= Some(5_000_000), "it sleeps that long: {line}");
        let overflows = (Counters::read() - &before).of("ListenOverflows");
        assert!(evidence["overflows"].as_i64() <= Some(overflows), "{overflows} in all: {line}");
        clients.stop();
        wait_for_end(&mut observer, "acceptor-busy");
        server.end().expect("the server does not end");
    });
}

#[test]
fn an_acceptor_that_works_and_keeps_up_is_not_blamed() {
    natively(SILENT, || {
        let mut observer = Observer::shared();
        let server = serve("single-thread", slow());
        let mut clients = Clients::start(4, server.local(), Duration::ZERO);
        until("the server answers", || clients.answered() > 50);
        pass_time(&mut observer);
        clients.stop();
        server.end().expect("the server does not end");
        assert_eq!(found(&observer.finish()), [""; 0]);
    });
}

#[test]
fn one_shard_is_stuck() {
    natively(THE_SAME, || {
        const STUCK: usize = 2;
        let mut observer = Observer::shared();
        let server = serve("sharding", Settings { backlog: 8, ..Settings::default() });
        server.fault("stuck-shard", true, Some(STUCK as u32), None).expect("the fault is there");
        // Seldom enough for an emulated machine when all shards answer again.
        let mut clients = Clients::start(24, server.local(), Duration::from_millis(200));
        let line = wait_for(&mut observer, "shard-stuck");
        let shards = server.state().listeners;
        assert_eq!(line["listeners"], serde_json::json!([shards[STUCK].cookie]), "{line} {shards:?}");
        assert_eq!(line["evidence"]["accepted"], 0, "{line}");
        server.fault("stuck-shard", false, None, None).expect("the fault is there");
        wait_for_end(&mut observer, "shard-stuck");
        clients.stop();
        server.end().expect("the server does not end");
        assert!(lines_of(&observer, "stranded-queue").is_empty(), "the others accept");
    });
}

/// Connections with a request each, which the server accepts and does not read.
const UNREAD: usize = 11;

#[test]
fn accepted_and_never_read() {
    natively(THE_SAME, || {
        let mut observer = Observer::shared();
        let server = serve("acceptor-readers", Settings::default());
        server.fault("no-read", true, None, None).expect("the fault is there");
        let clients: Vec<_> = (0..UNREAD).map(|_| connect(server.local())).collect();
        clients.iter().for_each(|client| send(client, super::REQUEST));
        let line = wait_for(&mut observer, "accepted-never-read");
        assert_eq!(line["evidence"]["unread"], UNREAD, "{line}");
        server.fault("no-read", false, None, None).expect("the fault is there");
        wait_for_end(&mut observer, "accepted-never-read");
        server.end().expect("the server does not end");
    });
}

#[test]
fn connections_that_say_nothing_are_not_unread() {
    natively(SILENT, || {
        let mut observer = Observer::shared();
        let server = serve("acceptor-readers", Settings::default());
        let clients: Vec<_> = (0..UNREAD).map(|_| connect(server.local())).collect();
        until("they are accepted", || server.state().counters.accepted == UNREAD as u64);
        pass_time(&mut observer);
        drop(clients);
        server.end().expect("the server does not end");
        assert_eq!(found(&observer.finish()), [""; 0]);
    });
}

#[test]
fn the_queue_is_in_a_completion_ring() {
    natively(LATE, || {
        let mut observer = Observer::shared();
        let told =
            observer.meta()["signals"]["accept"].as_str().is_some_and(|hook| hook.contains("io_uring"));
        let server = serve("uring-accept", Settings { sleep_us: 20_000, ..Settings::default() });
        let mut clients = Clients::start(24, server.local(), Duration::ZERO);
        // Where the hook does not show who accepted, it is an unread connection like any other.
        let rule = if told { "ring-hides-queue" } else { "accepted-never-read" };
        let line = wait_for(&mut observer, rule);
        assert!(line["evidence"]["unread"].as_u64() > Some(10), "{line}");
        assert!(line["evidence"]["accept_queue"].as_u64() < Some(4), "{line}");
        assert_eq!(line["listeners"][0], server.state().listeners[0].cookie, "{line}");
        clients.stop();
        wait_for_end(&mut observer, rule);
        server.end().expect("the server does not end");
    });
}

/// One client that asks again and again on one connection, each time in two parts, with Nagle or without.
#[track_caller]
fn in_two_parts(nodelay: bool) -> Observer {
    let observer = Observer::shared();
    let server = serve("single-thread", Settings::default());
    let client = connect(server.local());
    client.set_nodelay(nodelay).expect("TCP_NODELAY");
    let mut answers = BufReader::new(&client);
    // Quick ACKs at the beginning of a connection hide the stall (tcp_enter_quickack_mode).
    for _ in 0..100 {
        send(&client, b"GET / HTTP/1.1\r\n");
        send(&client, b"host: test\r\n\r\n");
        answer(&mut answers);
    }
    drop(client);
    server.end().expect("the server does not end");
    observer
}

#[test]
fn nagle_waits_for_a_delayed_ack() {
    natively(LATE, || {
        let mut observer = in_two_parts(false);
        let line = wait_for(&mut observer, "delayed-ack-stall");
        assert!(line["evidence"]["pauses_as_delayed_ack"].as_u64() >= Some(10), "{line}");
    });
}

#[test]
fn without_nagle_nobody_waits() {
    natively(SILENT, || {
        let mut observer = in_two_parts(true);
        pass_time(&mut observer);
        assert_eq!(found(&observer.finish()), [""; 0]);
    });
}
