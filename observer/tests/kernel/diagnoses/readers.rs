//! Peers that do not read.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
};

use serde_json::Value;
use socket2::{Domain, SockRef, Socket, Type};

use super::{found, lines_of, pass_time, wait_for, wait_for_end};
use crate::{
    counters::Counters,
    lines::Lines,
    namespace::{SILENT, natively, proves},
    observed::Observer,
    sock_diag,
    traffic::{Server, V4},
    waiting::until,
};

/// `TCP_ESTABLISHED`.
const ESTABLISHED: u8 = 1;
/// Connections whose client does not read.
const UNREAD: usize = 3;

/// A client and what the server accepted of it, with small buffers: what fills them is soon read.
fn pair(server: &Server) -> (TcpStream, TcpStream) {
    let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    client.set_recv_buffer_size(4096).expect("SO_RCVBUF");
    client.connect(&server.address.into()).expect("connect");
    let accepted = server.accept();
    accepted.set_nonblocking(true).expect("O_NONBLOCK");
    SockRef::from(&accepted).set_send_buffer_size(1 << 16).expect("SO_SNDBUF");
    (client.into(), accepted)
}

/// Writes until the kernel takes no more, and returns how much it took.
fn fill(mut stream: &TcpStream) -> u64 {
    let mut taken = 0;
    loop {
        match stream.write(&[0; 1 << 16]) {
            Ok(length) => taken += length as u64,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                return taken;
            }
        }
    }
}

/// Reads so much, and nothing else.
fn read(stream: &TcpStream, count: u64) {
    let taken = std::io::copy(&mut stream.take(count), &mut std::io::sink()).expect("read");
    assert_eq!(taken, count);
}

/// Bytes that the server's kernel holds for its clients.
fn send_queues(server: &Server) -> u64 {
    let sockets = sock_diag::sockets(&[ESTABLISHED]);
    let here = sockets.iter().filter(|socket| socket.local.port() == server.address.port());
    here.map(|socket| u64::from(socket.send_queue)).sum()
}

/// The last line of the only listener.
fn listener(lines: &Lines) -> &Value {
    lines.0.iter().rfind(|line| line["type"] == "listener").expect("a listener line")
}

#[test]
fn peers_do_not_read() {
    proves(&["closed_window"], || {
        let before = Counters::read();
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 8);
        let pairs: Vec<_> = (0..UNREAD).map(|_| pair(&server)).collect();
        let (reader, accepted) = pair(&server);
        let taken: Vec<u64> = pairs.iter().map(|(_, accepted)| fill(accepted)).collect();
        pass(&accepted, &reader);
        let line = wait_for(&mut observer, "slow-reader");
        assert_eq!(line["listeners"], serde_json::json!([server.cookie]), "{line}");
        assert!(line["evidence"]["longest_closed_ns"].as_u64() >= Some(1_000_000_000), "{line}");
        assert!((Counters::read() - &before).of("TCPWinProbe") > 0, "what a closed window means");
        // The windows may move until the clients' buffers are quite full.
        observer.wait_for("all of them, with what waits for them", |lines| {
            let line = listener(lines);
            line["closed_windows"] == UNREAD && line["closed_window_bytes"] == send_queues(&server)
        });
        assert!(send_queues(&server) > 0, "something waits");
        for ((client, _), taken) in pairs.iter().zip(&taken) {
            read(client, *taken);
        }
        until("all is acknowledged", || send_queues(&server) == 0);
        wait_for_end(&mut observer, "slow-reader");
        let line = listener(&observer);
        assert_eq!((&line["closed_windows"], &line["closed_window_bytes"]), (&0.into(), &0.into()), "{line}");
        assert!(line["closed_window_since_ns"].is_null(), "{line}");
        assert_eq!(
            lines_of(&observer, "slow-reader").iter().filter(|one| one["event"] == "begins").count(),
            1
        );
        drop((reader, accepted));
    });
}

/// Sends as much as a client that does not read makes the kernel hold, to one that reads.
fn pass(accepted: &TcpStream, client: &TcpStream) {
    for _ in 0..4 {
        let taken = fill(accepted);
        read(client, taken);
    }
}

#[test]
fn who_reads_is_no_slow_reader() {
    natively(SILENT, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 8);
        let pairs: Vec<_> = (0..UNREAD).map(|_| pair(&server)).collect();
        pairs.iter().for_each(|(client, accepted)| pass(accepted, client));
        pass_time(&mut observer);
        assert_eq!(listener(&observer)["closed_windows"], 0);
        drop(pairs);
        assert_eq!(found(&observer.finish()), [""; 0]);
    });
}
