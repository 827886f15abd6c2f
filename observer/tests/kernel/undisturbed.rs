//! Watching changes nothing: server and client get the same, and the kernel counts the same, with the observer and
//! without.

use std::io::{ErrorKind, Read as _};

use crate::{
    counters::Counters,
    namespace::isolated,
    observed::Observer,
    sock_diag::{SYN_SENT, sockets},
    traffic::{Server, V4, attempt, receive, reset, send},
    waiting::{until, until_equal},
};

/// Counters that do not depend on how fast anything goes.
const STEADY: [&str; 8] = [
    "ActiveOpens",
    "PassiveOpens",
    "AttemptFails",
    "EstabResets",
    "OutRsts",
    "TCPAbortOnData",
    "TCPAbortOnClose",
    "SyncookiesSent",
];

/// What both sides and the kernel got.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// Bytes that each read returned, or how it failed.
    reads: Vec<Result<Vec<u8>, ErrorKind>>,
    /// Queue, limit and refusals of the listener at its fullest.
    listener: (u32, u32, bool),
    counters: Vec<i64>,
}

/// Requests and answers, a full queue, a reset from each side, an end in order.
#[track_caller]
fn scene() -> Outcome {
    let before = Counters::read();
    let server = Server::listen(V4, 3);
    let clients = server.queue(4);
    let refused = attempt(server.address);
    until("the refusal", || (Counters::read() - &before).of("ListenOverflows") >= 1);
    drop(refused);
    until_equal("clients that still try", || sockets(&[SYN_SENT]).len(), 0);
    let truth = server.truth();
    let accepted: Vec<_> = clients.iter().map(|_| server.accept()).collect();
    let mut reads = Vec::new();
    for (number, (client, accepted)) in clients.iter().zip(&accepted).enumerate() {
        let text = format!("request {number}");
        send(client, text.as_bytes());
        reads.push(Ok(receive(accepted, text.len())));
        send(accepted, b"answer");
        reads.push(Ok(receive(client, 6)));
    }
    let mut pairs = clients.into_iter().zip(accepted);
    let mut next = || pairs.next().expect("a connection");
    let (client, mut accepted) = next();
    reset(client);
    reads.push(accepted.read(&mut [0; 8]).map(|length| vec![0; length]).map_err(|error| error.kind()));
    let (mut client, accepted) = next();
    reset(accepted);
    reads.push(client.read(&mut [0; 8]).map(|length| vec![0; length]).map_err(|error| error.kind()));
    let (client, mut accepted) = next();
    drop(client);
    reads.push(accepted.read(&mut [0; 8]).map(|length| vec![0; length]).map_err(|error| error.kind()));
    drop((accepted, next()));
    let counted = Counters::read() - &before;
    Outcome {
        reads,
        listener: (truth.receive_queue, truth.send_queue, truth.drops > 0),
        counters: STEADY.iter().map(|name| counted.of(name)).collect(),
    }
}

#[test]
fn the_same_with_and_without() {
    isolated(|| {
        let without = scene();
        let observer = Observer::start();
        let with = scene();
        let lines = observer.finish();
        assert_eq!(with, without);
        assert_eq!(lines.connections().len(), 4, "it did watch");
    });
}
