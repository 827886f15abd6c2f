//! SYNs that nobody completes, and cookies.

use std::net::TcpStream;

use demo_server::namespace::Silence;

use super::{found, lines_of, pass_time, wait_for};
use crate::{
    counters::Counters,
    half_open,
    namespace::{LATE, SILENT, THE_SAME, inode, natively, sysctl},
    observed::Observer,
    traffic::{Server, V4, attempt, connect},
    waiting::until,
};

const SYNS: u16 = 300;

/// A flood of one listener, with cookies or without.
#[track_caller]
fn flood(cookies: &str) -> (Observer, Server, Counters, Silence) {
    let silence = half_open::silence();
    sysctl("ipv4.tcp_syncookies", cookies);
    let before = Counters::read();
    let mut observer = Observer::start_with(&["--interval", "100ms"]);
    let server = Server::listen(V4, 16);
    observer.wait_until_it_knows(&server);
    half_open::send(server.address.port(), SYNS);
    (observer, server, before, silence)
}

/// The first line of a rule about the calling thread's namespace.
#[track_caller]
fn wait_here(observer: &mut Observer, rule: &str) -> serde_json::Value {
    let line = wait_for(observer, rule);
    assert_eq!(line["netns"], inode(), "{line}");
    line
}

#[test]
fn cookies_hold_the_door_open() {
    natively(THE_SAME, || {
        let (mut observer, server, before, _silence) = flood("1");
        let line = wait_here(&mut observer, "syn-flood-cookies");
        let sent = (Counters::read() - &before).of("SyncookiesSent");
        assert_eq!(line["evidence"]["host.cookies_sent"], sent, "{line}");
        assert_eq!(line["listeners"], serde_json::json!([server.cookie]), "its SYN queue is full: {line}");
        let client = connect(server.address);
        drop((server.accept(), client));
        assert!(lines_of(&observer, "syn-flood-refused").is_empty());
    });
}

#[test]
fn without_cookies_clients_are_refused() {
    natively(THE_SAME, || {
        let (mut observer, server, before, _silence) = flood("0");
        let line = wait_here(&mut observer, "syn-flood-refused");
        let refused = (Counters::read() - &before).of("TCPReqQFullDrop");
        assert_eq!(line["evidence"]["host.syn_queue_full_drops"], refused, "{line}");
        assert_eq!(line["evidence"]["syn_queue"], server.syn_queue(), "{line}");
        assert!(lines_of(&observer, "syn-flood-cookies").is_empty());
    });
}

#[test]
fn clients_that_answer_their_cookies_are_no_flood() {
    natively(SILENT, || {
        sysctl("ipv4.tcp_syncookies", "2");
        let before = Counters::read();
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 64);
        for _ in 0..150 {
            drop((connect(server.address), server.accept()));
        }
        assert_eq!((Counters::read() - &before).of("SyncookiesRecv"), 150);
        pass_time(&mut observer);
        assert_eq!(found(&observer.finish()), [""; 0]);
    });
}

/// Clients whose SYNs come again all at once: those for which there is no room in the SYN queue get a cookie.
#[track_caller]
fn come_again_at_once(backlog: u32) -> (Observer, Server, Vec<socket2::Socket>, Vec<TcpStream>) {
    let before = Counters::read();
    let mut observer = Observer::shared();
    let server = Server::listen(V4, backlog);
    observer.wait_until_it_knows(&server);
    let clients: Vec<_> = (0..backlog + 22).map(|_| attempt(server.address)).collect();
    until("21 are refused", || (Counters::read() - &before).of("ListenOverflows") >= 21);
    let accepted = (0..=backlog).map(|_| server.accept()).collect();
    (observer, server, clients, accepted)
}

#[test]
fn cookies_that_meet_a_full_queue_leave_ghosts() {
    natively(LATE, || {
        let before = Counters::read();
        let (mut observer, _server, clients, _accepted) = come_again_at_once(8);
        let line = wait_for(&mut observer, "cookie-ghosts");
        let received = (Counters::read() - &before).of("SyncookiesRecv");
        let ghosts = line["evidence"]["refused_cookies"].as_i64();
        assert!(ghosts >= Some(5) && ghosts <= Some(received), "{received} came back: {line}");
        let believe = clients.iter().filter(|client| client.peer_addr().is_ok()).count();
        assert!(believe > 18, "clients that believe that they are connected, with 18 places: {believe}");
    });
}

#[test]
fn who_comes_again_to_a_queue_with_room_is_no_ghost() {
    natively(LATE, || {
        let (mut observer, server, clients, _accepted) = come_again_at_once(32);
        until("they get in", || server.truth().receive_queue == 21);
        pass_time(&mut observer);
        assert!(lines_of(&observer.finish(), "cookie-ghosts").is_empty());
        drop(clients);
    });
}
