//! The bundled backend under each of the five patterns: what the kernel saw against what the server's own journal and
//! the clients say.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader, Read as _},
    net::SocketAddr,
    path::PathBuf,
    thread,
};

use demo_server::{
    journal::Entry,
    pattern,
    server::{Config, Server},
    settings::Settings,
};

use crate::{
    lines::{Connection, Lines, Listener, Thread},
    namespace::{ALIKE, natively, proves},
    observed::Observer,
    traffic::{connect, own, send},
    under_load::is_marked,
    waiting::{programs_are_preempted, tid},
};

/// Prime, so that no round number of anything equals it by chance.
const CONNECTIONS: usize = 23;
const WORKERS: u32 = 3;

/// What one client did.
struct Client {
    tid: u32,
    address: SocketAddr,
    sent: u64,
    received: u64,
}

/// What all of them said about the same connections.
struct Accounts {
    lines: Lines,
    journal: BTreeMap<SocketAddr, Entry>,
    clients: Vec<Client>,
}

/// Runs the server under a pattern, and clients against it.
#[track_caller]
fn run(name: &str) -> Accounts {
    let journal = journal_path(name);
    let mut observer = Observer::start();
    let server = Server::start(&Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        pattern: pattern::expect(name).expect("a pattern of the course"),
        settings: Settings { workers: WORKERS, ..Settings::default() },
        journal: Some(journal.clone()),
        ..Config::default()
    })
    .expect("the server does not start");
    let address = server.local();
    let clients = thread::scope(|scope| {
        let all: Vec<_> =
            (0..CONNECTIONS).map(|nth| scope.spawn(move || client(address, 1 + nth % 3))).collect();
        all.into_iter().map(|client| client.join().expect("a client failed")).collect()
    });
    observer.wait_for_connections(CONNECTIONS);
    server.end().expect("the server does not end");
    let lines = observer.finish();
    let text = fs::read_to_string(&journal).expect("the journal is readable");
    fs::remove_file(&journal).expect("the journal can be removed");
    let entries =
        text.lines().map(|line| serde_json::from_str::<Entry>(line).expect("a line of the journal"));
    Accounts { lines, journal: entries.map(|entry| (entry.remote, entry)).collect(), clients }
}

pub(crate) fn journal_path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("observer-test-{}-{name}-{}.journal", std::process::id(), tid()))
}

/// Asks so many times on one connection, and closes it.
fn client(address: SocketAddr, requests: usize) -> Client {
    let stream = connect(address);
    let mut answers = BufReader::new(&stream);
    let (mut sent, mut received) = (0, 0);
    for nth in 0..requests {
        let body = "x".repeat(nth * 100);
        let request =
            format!("POST /{nth} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        send(&stream, request.as_bytes());
        sent += request.len() as u64;
        received += answer(&mut answers).len() as u64;
    }
    Client { tid: tid(), address: own(&stream), sent, received }
}

/// Reads one answer, head and body.
pub(crate) fn answer(stream: &mut impl BufRead) -> String {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        let read = stream.read_line(&mut text).expect("read");
        assert_ne!(read, 0, "the server closed within an answer: {text}");
    }
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    let length =
        text.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let length = length.unwrap_or_else(|| panic!("no length: {text}"));
    stream.take(length).read_to_string(&mut text).expect("read");
    text
}

/// Every line of a connection against the other two accounts of it.
#[track_caller]
fn check(name: &str, roles: &[&str]) {
    let accounts = run(name);
    let lines = &accounts.lines;
    let connections = lines.connections();
    assert_eq!(connections.len(), CONNECTIONS, "connection lines");
    assert_eq!(accounts.journal.len(), CONNECTIONS, "lines of the journal");
    let preempted = programs_are_preempted();
    let mut marked = 0;
    let client_tids: BTreeSet<u32> = accounts.clients.iter().map(|client| client.tid).collect();
    for client in &accounts.clients {
        let connection = lines.connection_from(client.address);
        let entry = &accounts.journal[&client.address];
        if preempted && is_marked(&connection) {
            at_most(&connection, entry);
            marked += 1;
            continue;
        }
        stages_in_order(&connection);
        assert_eq!((connection.bytes_read, connection.bytes_written), (client.sent, client.received));
        assert_eq!((entry.bytes_read, entry.bytes_written), (client.sent, client.received));
        assert_eq!(connection.local, entry.local);
        assert_eq!(connection.listener, Some(entry.listener_cookie));
        assert_eq!((connection.end.as_str(), connection.closed_first), ("fin", Some(false)));
        let acceptor = connection.acceptor.as_ref().unwrap_or_else(|| panic!("no acceptor: {connection:?}"));
        assert_eq!((acceptor.pid, acceptor.tid), (std::process::id(), entry.acceptor_tid.cast_unsigned()));
        let tids = |list: &[i32]| -> Vec<u32> { list.iter().map(|tid| tid.cast_unsigned()).collect() };
        assert_eq!(connection.readers, tids(&entry.reader_tids), "readers: {connection:?} {entry:?}");
        assert_eq!(connection.writers, tids(&entry.writer_tids), "writers: {connection:?} {entry:?}");
        let all = [&[acceptor.tid], connection.readers.as_slice(), connection.writers.as_slice()].concat();
        assert!(all.iter().all(|tid| !client_tids.contains(tid)), "a client's thread: {connection:?}");
    }
    if marked > 0 {
        return;
    }
    sums(lines, &connections, preempted);
    // Threads that were only woken have lines too.
    let seen = last_of_each_thread(lines).into_values().map(|thread| thread.role);
    let seen: BTreeSet<String> = seen.filter(|role| role != "idle").collect();
    assert_eq!(seen, roles.iter().map(|role| (*role).to_owned()).collect(), "roles");
}

/// A line that says that it lacks something has no more than the server did.
#[track_caller]
fn at_most(connection: &Connection, entry: &Entry) {
    assert_eq!((connection.local, connection.listener), (entry.local, Some(entry.listener_cookie)));
    assert_eq!((connection.bytes_read, connection.bytes_written), (entry.bytes_read, entry.bytes_written));
    let seen = (u64::from(connection.reads), u64::from(connection.writes));
    assert!(seen.0 <= entry.reads && seen.1 <= entry.writes, "{connection:?} {entry:?}");
    let is_in = |seen: &[u32], all: &[i32]| seen.iter().all(|tid| all.contains(&tid.cast_signed()));
    assert!(is_in(&connection.readers, &entry.reader_tids), "{connection:?} {entry:?}");
    assert!(is_in(&connection.writers, &entry.writer_tids), "{connection:?} {entry:?}");
    let acceptor = connection.acceptor.as_ref().map_or(entry.acceptor_tid.cast_unsigned(), |one| one.tid);
    assert!(is_in(&[acceptor], &[&entry.reader_tids[..], &[entry.acceptor_tid]].concat()), "{connection:?}");
}

#[track_caller]
fn stages_in_order(connection: &Connection) {
    let stages = |names: [(&str, Option<u64>); 4]| {
        for pair in names.windows(2) {
            let ((first, earlier), (second, later)) = (pair[0], pair[1]);
            assert!(earlier.is_some() && later.is_some(), "{first} or {second} is missing: {connection:?}");
            assert!(earlier <= later, "{first} after {second}: {connection:?}");
        }
    };
    let (syn, established) = (("syn", connection.syn_ns), ("established", connection.established_ns));
    let (accepted, read) = (("accepted", connection.accepted_ns), ("first read", connection.first_read_ns));
    let (data, written) =
        (("first data", connection.first_data_ns), ("first write", connection.first_write_ns));
    stages([syn, established, accepted, read]);
    stages([established, data, read, written]);
    stages([syn, read, written, ("closed", connection.closed_ns)]);
    assert!(connection.unseen.is_empty(), "{connection:?}");
    assert_eq!((connection.via.as_str(), connection.synack_retransmits), ("handshake", 0));
    assert!(connection.queue_at_arrival >= Some(1), "{connection:?}");
}

fn last_of_each_thread(lines: &Lines) -> BTreeMap<u32, Thread> {
    lines.of("thread").into_iter().map(|thread: Thread| (thread.tid, thread)).collect()
}

/// Threads, listeners and connections tell the same story three times.
#[track_caller]
fn sums(lines: &Lines, connections: &[Connection], preempted: bool) {
    let threads = last_of_each_thread(lines);
    let by_thread = |of: fn(&Thread) -> u64| threads.values().map(of).sum::<u64>();
    let by_connection = |of: fn(&Connection) -> u64| connections.iter().map(of).sum::<u64>();
    assert_eq!(by_thread(|thread| thread.accepts), CONNECTIONS as u64);
    assert_eq!(by_thread(|thread| thread.reads), by_connection(|one| one.reads.into()));
    assert_eq!(by_thread(|thread| thread.writes), by_connection(|one| one.writes.into()));
    assert_eq!(by_thread(|thread| thread.bytes_read), by_connection(|one| one.bytes_read));
    assert_eq!(by_thread(|thread| thread.bytes_written), by_connection(|one| one.bytes_written));
    assert!(threads.values().all(|thread| thread.pid == std::process::id()));
    let listeners: BTreeMap<u64, Listener> =
        lines.of("listener").into_iter().map(|line: Listener| (line.cookie, line)).collect();
    for listener in listeners.values() {
        let here = connections.iter().filter(|one| one.listener == Some(listener.cookie)).count() as u64;
        assert_eq!(
            (listener.enqueued, listener.accepted, listener.ended),
            (here, here, here),
            "{listener:?}"
        );
        assert_eq!((listener.accepted_unseen, listener.dropped_queued, listener.unread), (0, 0, 0));
    }
    let loss = lines.loss();
    assert_eq!((loss.produced, loss.delivered), (CONNECTIONS as u64, CONNECTIONS as u64));
    // A run that was left out may have been taken over by a copy.
    assert!(loss.total == 0 || preempted, "{loss:?}");
}

#[test]
fn single_thread() {
    natively(ALIKE, || check("single-thread", &["acceptor+reader+writer"]));
}

#[test]
fn acceptor_readers() {
    natively(ALIKE, || check("acceptor-readers", &["acceptor", "reader+writer"]));
}

#[test]
fn acceptor_workers() {
    proves(&["enqueue", "syn_wait", "accept", "data_queued", "read", "write"], || {
        check("acceptor-workers", &["acceptor+reader", "worker"])
    });
}

#[test]
fn shared_accept() {
    natively(ALIKE, || check("shared-accept", &["acceptor+reader+writer"]));
}

#[test]
fn sharding() {
    natively(ALIKE, || check("sharding", &["acceptor+reader+writer"]));
}

#[test]
fn every_connection_is_on_the_shard_that_accepted_it() {
    natively(ALIKE, || {
        let accounts = run("sharding");
        let lines = &accounts.lines;
        let shards: BTreeMap<u64, Listener> = lines
            .of("listener")
            .into_iter()
            .filter(|line: &Listener| line.group.is_some())
            .map(|line| (line.cookie, line))
            .collect();
        assert_eq!(shards.len(), WORKERS as usize, "shards");
        let numbers: BTreeSet<_> = shards.values().map(|shard| shard.shard).collect();
        assert_eq!(numbers, (1..=WORKERS).map(Some).collect());
        assert_eq!(shards.values().map(|shard| &shard.group).collect::<BTreeSet<_>>().len(), 1, "groups");
        for connection in lines.connections() {
            assert_eq!(connection.listener, Some(accounts.journal[&connection.remote].listener_cookie));
        }
        for (cookie, shard) in &shards {
            let accepted = accounts.journal.values().filter(|entry| entry.listener_cookie == *cookie).count();
            assert_eq!(shard.accepted, accepted as u64, "{shard:?}");
        }
    });
}
