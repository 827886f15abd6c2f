//! Very many connections that are closed at one time: each has its line, and none is left in the records.

use demo_server::descriptors;

use crate::{
    lines::{Ledger, Lines},
    namespace::{ALIKE, natively},
    observed::Observer,
    traffic::{Server, V4, connect},
};

const CONNECTIONS: usize = 9_000;

/// The last of the checks of this name.
fn last(lines: &Lines, check: &str) -> Option<Ledger> {
    lines.of::<Ledger>("ledger").into_iter().rfind(|line| line.check == check)
}

#[test]
fn none_stays_behind() {
    natively(ALIKE, || {
        descriptors::require(2 * CONNECTIONS as u64 + 500, "both ends").expect("a limit");
        let mut observer = Observer::start_with(&["--interval", "200ms", "--netns", "/proc/self/ns/net"]);
        let server = Server::listen(V4, 128);
        observer.wait_until_it_knows(&server);
        let pairs: Vec<_> = (0..CONNECTIONS).map(|_| (connect(server.address), server.accept())).collect();
        observer
            .wait_for("all are open", |lines| lines.listener(server.cookie).accepted == CONNECTIONS as u64);
        drop(pairs);
        observer.wait_for_connections(CONNECTIONS);
        // The count of after the last line.
        observer.wait_for("they are counted", |lines| {
            last(lines, "connections").is_some_and(|check| check.kernel == CONNECTIONS as i64)
        });
        let lines = observer.finish();
        let check = last(&lines, "connections").expect("the check");
        assert_eq!((check.ours, check.kernel), (CONNECTIONS as i64, CONNECTIONS as i64));
        let listener = lines.listener(server.cookie);
        assert_eq!(listener.ended + listener.end_unseen, CONNECTIONS as u64);
        let connections = lines.connections();
        let unseen = connections.iter().filter(|line| line.end == "unseen").count() as u64;
        assert!(unseen <= listener.end_unseen, "{unseen} of {}", listener.end_unseen);
        eprintln!("GHOSTS: {} of {CONNECTIONS}", listener.end_unseen);
    });
}
