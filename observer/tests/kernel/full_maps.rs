//! Maps that are too small: what does not fit is counted as lost, and what is counted besides stays exact.

use crate::{
    lines::Lines,
    namespace::{THE_SAME, natively},
    observed::Observer,
    traffic::{Server, V4, own, receive, send},
};

fn start(options: &[&str]) -> Observer {
    let all: Vec<&str> = ["--interval", crate::waiting::interval(), "--netns", "/proc/self/ns/net"]
        .iter()
        .chain(options)
        .copied()
        .collect();
    Observer::start_with(&all)
}

fn lost(lines: &Lines, counter: &str) -> u64 {
    let last = lines.0.iter().rfind(|line| line["type"] == "loss").expect("a loss line");
    last["counters"][counter].as_u64().unwrap_or_else(|| panic!("no counter {counter}: {last}"))
}

#[test]
fn more_connections_than_fit() {
    natively(THE_SAME, || {
        let mut observer = start(&["--max-connections", "4"]);
        let server = Server::listen(V4, 64);
        let clients = server.queue(10);
        let accepted: Vec<_> = clients.iter().map(|_| server.accept()).collect();
        for (client, accepted) in clients.iter().zip(&accepted) {
            send(client, b"x");
            receive(accepted, 1);
        }
        observer.wait_for_next_lines();
        let listener = observer.listener(server.cookie);
        assert_eq!((listener.enqueued, listener.accepted, listener.accept_queue), (10, 10, 0));
        assert_eq!(observer.books_of(server.cookie).difference, 0);
        let remotes: Vec<_> = clients.iter().map(own).collect();
        drop((clients, accepted));
        observer.wait_for_connections(4);
        // Room again.
        let (client, accepted) = server.pair();
        let after = own(&client);
        drop((client, accepted));
        observer.wait_for_connections(5);
        let lines = observer.finish();
        assert_eq!(lost(&lines, "connections_full"), 6);
        let followed = lines.connections();
        assert_eq!(followed.len(), 5);
        assert!(followed.iter().all(|one| one.remote == after || remotes.contains(&one.remote)));
        let loss = lines.loss();
        assert_eq!((loss.produced, loss.delivered), (5, 5));
    });
}

#[test]
fn more_listeners_than_fit() {
    natively(THE_SAME, || {
        let mut observer = start(&["--max-listeners", "2"]);
        let servers: Vec<_> = (0..5).map(|_| Server::listen(V4, 4)).collect();
        for server in &servers {
            drop(server.pair());
        }
        observer.wait_for_connections(2);
        let lines = observer.finish();
        assert_eq!(lines.cookies().len(), 2);
        assert_eq!(lost(&lines, "listeners_full"), 3);
        assert_eq!(lines.connections().len(), 2);
    });
}

#[test]
fn more_threads_than_fit() {
    natively(THE_SAME, || {
        let mut observer = start(&["--max-threads", "1"]);
        let server = Server::listen(V4, 16);
        let pair = || drop(server.pair());
        pair();
        std::thread::scope(|scope| scope.spawn(pair).join()).expect("a thread");
        observer.wait_for_connections(2);
        let lines = observer.finish();
        assert_eq!(lines.listener(server.cookie).accepted, 2, "listeners do not depend on threads");
        assert!(lost(&lines, "threads_full") >= 1);
        assert!(lines.connections().iter().all(|one| one.acceptor.is_some()));
    });
}

#[test]
fn a_ring_that_nobody_empties_in_time() {
    // The smallest ring holds some sixteen records; far more end before the observer comes to take them.
    const CONNECTIONS: u64 = 400;
    natively(THE_SAME, || {
        let mut observer = start(&["--ring-kib", "4"]);
        let server = Server::listen(V4, 512);
        let clients = server.queue(CONNECTIONS as u32);
        let accepted: Vec<_> = clients.iter().map(|_| server.accept()).collect();
        observer.stopped(|| drop((clients, accepted)));
        observer.wait_for_next_lines();
        observer.wait_for("every record is delivered or counted as lost", |lines| {
            lines.loss().produced == CONNECTIONS
        });
        observer.wait_for_next_lines();
        let lines = observer.finish();
        let (loss, ring) = (lines.loss(), lost(&lines, "ring_connection"));
        assert_eq!(loss.delivered + ring, CONNECTIONS);
        assert!(ring > 0, "nothing was lost: {loss:?}");
        assert_eq!(lines.connections().len() as u64, loss.delivered);
        let listener = lines.listener(server.cookie);
        assert_eq!((listener.accepted, listener.ended), (CONNECTIONS, CONNECTIONS), "totals stay exact");
        let records = lines.of::<crate::lines::Ledger>("ledger");
        let records = records.iter().rfind(|line| line.check == "records").expect("the ring's check");
        assert_eq!(records.difference, 0, "{records:?}");
    });
}

#[test]
fn more_listeners_open_and_close_than_the_ring_holds_notices() {
    // The smallest ring holds some 128 notices. Few lines of each listener, because a slow machine keeps them all.
    const LISTENERS: usize = 200;
    natively(THE_SAME, || {
        let options = ["--interval", "1s", "--netns", "/proc/self/ns/net", "--ring-kib", "4"];
        let mut observer = Observer::start_with(&[&options[..], &["--only", "listener,loss"]].concat());
        let servers: Vec<_> = (0..LISTENERS).map(|_| Server::listen(V4, 4)).collect();
        let seen = |lines: &Lines, is_closed: bool| {
            let listeners = lines.0.iter().filter(|line| line["type"] == "listener");
            let such = listeners.filter(|line| line["closed_ns"].is_null() != is_closed);
            such.filter_map(|line| line["cookie"].as_u64()).collect::<std::collections::BTreeSet<_>>().len()
        };
        observer.wait_for("every listener", |lines| seen(lines, false) == LISTENERS);
        observer.stopped(|| drop(servers));
        observer.wait_for("the last line of every listener", |lines| seen(lines, true) == LISTENERS);
        let lines = observer.finish();
        assert!(lost(&lines, "ring_listener") > 0, "none was lost");
    });
}
