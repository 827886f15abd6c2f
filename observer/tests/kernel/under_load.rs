//! Under load, where programs are skipped: what the server did on each connection, by its own journal, is what its line says;
//! or the line says that it may be less.

use std::{collections::BTreeMap, fs, io::BufReader, net::SocketAddr, thread};

use demo_server::{
    journal::Entry,
    pattern,
    server::{Config, Server},
    settings::Settings,
};

use crate::{
    lines::{Connection, Ledger},
    namespace::{inode, isolated},
    observed::Observer,
    patterns::{answer, journal_path},
    traffic::{connect, send},
    waiting::{is_emulated, programs_are_preempted},
};

const CLIENTS: usize = 32;
const WORKERS: u32 = 16;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";

/// A part of the load: an emulated machine takes a minute and more for all of it, and where no program can be preempted
/// hardly any run is left out.
fn share() -> usize {
    match (is_emulated(), programs_are_preempted()) {
        (true, false) => 4,
        (true, true) => 2,
        (false, _) => 1,
    }
}

/// Each client makes so many connections, one after the other, with so many requests on each.
#[track_caller]
fn run(connections: usize, requests: usize) {
    let journal = journal_path("under-load");
    let mut observer = Observer::start_with(&["--interval", "200ms", "--netns", "/proc/self/ns/net"]);
    let server = Server::start(&Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        pattern: pattern::expect("shared-accept").expect("a pattern"),
        settings: Settings { workers: WORKERS, ..Settings::default() },
        journal: Some(journal.clone()),
        ..Config::default()
    })
    .expect("the server does not start");
    let address = server.local();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                for _ in 0..connections {
                    let stream = connect(address);
                    let mut answers = BufReader::new(&stream);
                    for _ in 0..requests {
                        send(&stream, REQUEST);
                        answer(&mut answers);
                    }
                }
            });
        }
    });
    server.end().expect("the server does not end");
    observer.wait_for_connections(CLIENTS * connections);
    observer.wait_for_next_lines();
    let lines = observer.finish();
    let text = fs::read_to_string(&journal).expect("the journal is readable");
    fs::remove_file(&journal).expect("the journal can be removed");
    let journal: Vec<Entry> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line of the journal")).collect();
    assert_eq!(journal.len(), CLIENTS * connections);
    // A client's port may be used again: then its lines are in the order of their ends, as the journal is.
    let mut by_peer: BTreeMap<SocketAddr, Vec<Connection>> = BTreeMap::new();
    for line in lines.connections() {
        by_peer.entry(line.remote).or_default().push(line);
    }
    let (mut marked, mut wrong) = (BTreeMap::<String, usize>::new(), Vec::new());
    for entry in &journal {
        let seen = by_peer.get_mut(&entry.remote).filter(|seen| !seen.is_empty()).map(|seen| seen.remove(0));
        let seen = seen.unwrap_or_else(|| panic!("no line of {}", entry.remote));
        match differs(&seen, entry) {
            None => {}
            Some(what) if is_marked(&seen) => *marked.entry(what.to_owned()).or_default() += 1,
            Some(what) => wrong.push(format!("{what}: {seen:?} {entry:?}")),
        }
    }
    let count = |name: &str| lines.of::<serde_json::Value>("loss").last().map(|loss| loss[name].clone());
    eprintln!(
        "UNDER LOAD: {} connections, {marked:?} marked, {} wrong; {:?}",
        journal.len(),
        wrong.len(),
        count("counters")
    );
    assert!(wrong.is_empty(), "{} of {} differ, and do not say so: {wrong:#?}", wrong.len(), journal.len());
    let mut checks: BTreeMap<(Option<u64>, String), Ledger> = BTreeMap::new();
    for check in lines.of::<Ledger>("ledger") {
        if check.scope == "ring" || check.netns == inode() {
            checks.insert((check.listener, check.check.clone()), check);
        }
    }
    let open: Vec<&Ledger> = checks.values().filter(|check| check.difference != 0).collect();
    assert!(open.is_empty(), "{open:?}");
    assert!(checks.contains_key(&(None, "connections".to_owned())), "{:?}", checks.keys());
}

/// What a line says beyond, or short of, what the server did.
fn differs(seen: &Connection, entry: &Entry) -> Option<&'static str> {
    let tids = |list: &[i32]| -> Vec<u32> { list.iter().map(|tid| tid.cast_unsigned()).collect() };
    let is_named = |named: &[u32], all: &[i32]| named == &tids(all)[..all.len().min(named.len().max(1))];
    if (seen.bytes_read, seen.bytes_written) != (entry.bytes_read, entry.bytes_written) {
        return Some("bytes");
    }
    if (u64::from(seen.reads), u64::from(seen.writes)) != (entry.reads, entry.writes) {
        return Some("reads or writes");
    }
    if !is_named(&seen.readers, &entry.reader_tids) || !is_named(&seen.writers, &entry.writer_tids) {
        return Some("threads");
    }
    match &seen.acceptor {
        Some(acceptor) if acceptor.tid == entry.acceptor_tid.cast_unsigned() => None,
        _ => Some("acceptor"),
    }
}

/// Whether the line says that something of it was not seen.
pub(crate) fn is_marked(seen: &Connection) -> bool {
    let may_lack = ["reads", "writes", "accepted_ns", "enqueued_ns", "closed_ns"];
    seen.unseen.iter().any(|what| may_lack.contains(&what.as_str()))
}

/// Connections in all that `OBSERVER_UNDER_LOAD=N` asks for, by client: more than a test of every day makes.
fn asked_for() -> Option<usize> {
    let all: usize = std::env::var("OBSERVER_UNDER_LOAD").ok()?.parse().expect("a number of connections");
    Some(all.div_ceil(CLIENTS))
}

#[test]
fn many_requests_on_each_connection() {
    isolated(|| match asked_for() {
        Some(connections) => run(connections, 10),
        None => run(2, 60 / share()),
    });
}

#[test]
fn many_connections_with_a_request_each() {
    isolated(|| run(asked_for().unwrap_or(20 / share()), 1));
}
