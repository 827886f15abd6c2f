//! Answers in two parts, which Nagle holds back at the server.

use std::{
    net::TcpStream,
    os::{fd::AsRawFd as _, linux::net::TcpStreamExt as _},
};

use super::{found, lines_of, pass_time, wait_for};
use crate::{
    namespace::{LATE, SILENT, natively, proves},
    observed::Observer,
    traffic::{Server, V4, connect, own, receive, send},
};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
const BODY: &[u8] = b"hello";

/// Bytes that were written and not sent yet, as the kernel tells the program.
fn unsent(stream: &TcpStream) -> usize {
    let mut bytes: libc::c_int = 0;
    #[expect(unsafe_code, reason = "no library here offers SIOCOUTQNSD")]
    // SAFETY: the pointer is to an int, which is what this request fills.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::SIOCOUTQNSD, &raw mut bytes) };
    assert_eq!(result, 0, "SIOCOUTQNSD: {}", std::io::Error::last_os_error());
    bytes.try_into().expect("no less than nothing")
}

/// One request whose answer is written in these parts; how many of its bytes were not sent when the last write returned.
fn exchange(client: &TcpStream, accepted: &TcpStream, parts: &[&[u8]]) -> usize {
    // Otherwise a connection begins by acknowledging at once (tcp_enter_quickack_mode).
    client.set_quickack(false).expect("TCP_QUICKACK");
    send(client, b"GET / HTTP/1.1\r\n\r\n");
    receive(accepted, 18);
    parts.iter().for_each(|part| send(accepted, part));
    let unsent = unsent(accepted);
    receive(client, HEAD.len() + BODY.len());
    unsent
}

#[test]
fn writes_that_nagle_holds_are_counted() {
    proves(&["held_write", "write"], || {
        const ROUNDS: u64 = 12;
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 8);
        let (client, accepted) = server.pair();
        let rounds = (0..ROUNDS).map(|_| exchange(&client, &accepted, &[HEAD, BODY]));
        let held = rounds.filter(|unsent| *unsent == BODY.len()).count() as u64;
        assert!(held > ROUNDS / 2, "Nagle holds the body back: {held} of {ROUNDS}");
        let remote = own(&client);
        drop(client);
        crate::traffic::receive_end(&accepted);
        drop(accepted);
        // One write for both, one after the other with TCP_NODELAY, and a close(2) that sends the rest at once.
        let (whole, at_once, closed) = (server.pair(), server.pair(), server.pair());
        at_once.1.set_nodelay(true).expect("TCP_NODELAY");
        for _ in 0..ROUNDS {
            assert_eq!(exchange(&whole.0, &whole.1, &[&[HEAD, BODY].concat()]), 0);
            assert_eq!(exchange(&at_once.0, &at_once.1, &[HEAD, BODY]), 0);
        }
        closed.0.set_quickack(false).expect("TCP_QUICKACK");
        send(&closed.1, HEAD);
        send(&closed.1, BODY);
        drop(closed.1);
        receive(&closed.0, HEAD.len() + BODY.len());
        let others = [own(&whole.0), own(&at_once.0), own(&closed.0)];
        drop((whole, at_once, closed.0));
        observer.wait_for_connections(4);
        let lines = observer.finish();
        let of = |remote: std::net::SocketAddr| {
            let all = lines.0.iter().filter(|line| line["type"] == "connection");
            let mut own = all.filter(|line| line["remote"] == remote.to_string());
            own.next().and_then(|line| line["held_writes"].as_u64()).expect("its line")
        };
        // The ACK may come between the write and the question, on a slow machine.
        assert!(
            (held..=ROUNDS).contains(&of(remote)),
            "{held} were seen to be held, {} are told",
            of(remote)
        );
        assert_eq!(others.map(of), [0; 3], "one write, TCP_NODELAY, closed");
        let listener = lines.listener_fields(server.cookie);
        assert_eq!(listener["held_writes"].as_u64(), Some(of(remote)), "{listener}");
        let mean_ns = listener["held_writes_ns"].as_u64().expect("a sum") / of(remote);
        assert!(mean_ns >= 30_000_000, "as long as an ACK is delayed: {mean_ns} ns");
    });
}

#[test]
fn a_server_that_holds_its_own_answers_back_is_told() {
    natively(LATE, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 8);
        let (client, accepted) = server.pair();
        for _ in 0..100 {
            exchange(&client, &accepted, &[HEAD, BODY]);
        }
        let line = wait_for(&mut observer, "nagle-at-server");
        assert_eq!(line["listeners"][0], server.cookie, "{line}");
        assert!(line["evidence"]["held_writes"].as_u64() >= Some(10), "{line}");
        assert!(line["remedy"].as_str().is_some_and(|text| text.contains("TCP_NODELAY")), "{line}");
        assert_eq!(lines_of(&observer, "delayed-ack-stall").len(), 0, "the client writes once");
    });
}

#[test]
fn answers_that_go_at_once_are_not_told() {
    natively(SILENT, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 8);
        let (whole, at_once) = (server.pair(), server.pair());
        at_once.1.set_nodelay(true).expect("TCP_NODELAY");
        for _ in 0..100 {
            exchange(&whole.0, &whole.1, &[&[HEAD, BODY].concat()]);
            exchange(&at_once.0, &at_once.1, &[HEAD, BODY]);
        }
        // Head and body apart, and then the end: close(2) sends what is held.
        for _ in 0..100 {
            let client = connect(server.address);
            let accepted = server.accept();
            client.set_quickack(false).expect("TCP_QUICKACK");
            send(&client, b"GET / HTTP/1.1\r\n\r\n");
            receive(&accepted, 18);
            send(&accepted, HEAD);
            send(&accepted, BODY);
            drop(accepted);
            receive(&client, HEAD.len() + BODY.len());
        }
        pass_time(&mut observer);
        drop((whole, at_once));
        assert_eq!(found(&observer.finish()), [""; 0]);
    });
}
