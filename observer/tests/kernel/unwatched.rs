//! Everything that listens is in the list, watched or not: the kernel's own list (sock_diag) is the truth.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    os::fd::AsRawFd as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use io_uring::IoUring;
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    lines::{Ledger, Lines, Listener},
    namespace::{ALIKE, AT_ONCE, THE_SAME, natively},
    observed::Observer,
    sock_diag::{self, LISTEN},
    traffic::{Server, V4, attempt, connect},
    waiting::until_equal,
};

/// Cookies of all listeners of this namespace, by sock_diag.
fn truth() -> BTreeSet<u64> {
    sock_diag::sockets(&[LISTEN]).iter().map(|listener| listener.cookie).collect()
}

/// The last line of a listener that is not watched.
fn unwatched(lines: &Lines, cookie: u64) -> Option<&Value> {
    lines.0.iter().rfind(|line| line["type"] == "unwatched" && line["cookie"] == cookie)
}

/// Diagnoses of listeners that are not watched.
fn refusals(lines: &Lines) -> Vec<&Value> {
    lines.0.iter().filter(|line| line["rule"] == "unwatched-refuses").collect()
}

/// The last check of how many listen.
fn check(lines: &Lines) -> Option<Ledger> {
    lines.of("ledger").into_iter().rfind(|line: &Ledger| line.check == "listeners")
}

/// Cookies of the listeners that are open in the last set of lines.
fn open(lines: &Lines) -> BTreeSet<u64> {
    let listeners: Vec<Listener> = lines.of("listener");
    let closed = |cookie: u64| listeners.iter().any(|line| line.cookie == cookie && line.closed_ns.is_some());
    lines.cookies().into_iter().filter(|cookie| !closed(*cookie)).collect()
}

#[test]
fn a_full_mptcp_listener_from_before_the_start_is_watched() {
    const REFUSED: u32 = 7;
    natively(ALIKE, || {
        let name = "unwatched::a_full_mptcp_listener_from_before_the_start_is_watched";
        let listening = match Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP)) {
            Ok(socket) => socket,
            Err(error) => return println!("SKIPPED: {name}: this kernel has no MPTCP: {error}"),
        };
        listening.bind(&std::net::SocketAddr::new(V4, 0).into()).expect("bind");
        listening.listen(2).expect("listen");
        let address = listening.local_addr().expect("getsockname").as_socket().expect("an internet address");
        let clients: Vec<_> = (1..=3)
            .map(|nth| {
                let client = connect(address);
                until_equal("depth", || sock_diag::listener(address.port()).receive_queue, nth);
                client
            })
            .collect();
        let mut observer = Observer::start();
        let before = sock_diag::listener(address.port());
        observer.wait_for("the listener", |lines| lines.cookies().contains(&before.cookie));
        let more: Vec<_> = (0..REFUSED).map(|_| attempt(address)).collect();
        let drops = || sock_diag::listener(address.port()).drops - before.drops;
        crate::waiting::until("each is refused", || drops() >= REFUSED);
        drop((more, clients));
        observer.wait_for("the refusals", |lines| {
            lines.listener(before.cookie).sk_drops >= u64::from(before.drops + REFUSED)
        });
        let line = observer.listener(before.cookie);
        assert_eq!((line.accept_queue, line.backlog_limit, line.queued_at_start), (3, 2, 3), "{line:?}");
        assert!(line.listen_drops >= u64::from(REFUSED), "{line:?}");
        assert_eq!(line.pid, std::process::id());
        observer.wait_for("the count of listeners", |lines| check(lines).is_some());
        let count = check(&observer).expect("waited for");
        assert_eq!((count.ours, count.kernel), (1, truth().len() as i64));
        assert!(unwatched(&observer, before.cookie).is_none());
    });
}

#[test]
fn a_listener_that_no_process_holds_is_listed() {
    natively(THE_SAME, || {
        let name = "unwatched::a_listener_that_no_process_holds_is_listed";
        let ring = match IoUring::new(4) {
            Ok(ring) => ring,
            Err(error) => return println!("SKIPPED: {name}: this kernel has no io_uring: {error}"),
        };
        let server = Server::listen(V4, 8);
        let held = Server::listen(V4, 8);
        ring.submitter().register_files(&[server.socket.as_raw_fd()]).expect("a fixed file");
        let (cookie, port) = (server.cookie, server.address.port());
        let _clients = server.queue(3);
        // The ring keeps the socket, and no descriptor leads to it any more.
        drop(server);
        assert_eq!(sock_diag::listener(port).cookie, cookie);
        let mut observer = Observer::start();
        observer.wait_for("its line", |lines| unwatched(lines, cookie).is_some());
        let line = unwatched(&observer, cookie).expect("waited for");
        assert_eq!((&line["cause"], &line["port"]), (&"no_holder".into(), &port.into()), "{line}");
        assert_eq!((&line["accept_queue"], &line["backlog_limit"]), (&3.into(), &8.into()), "{line}");
        assert_eq!((&line["pid"], &line["comm"]), (&Value::Null, &Value::Null), "{line}");
        let lines = observer.finish();
        assert_eq!(lines.cookies(), [held.cookie].into());
        let count = check(&lines).expect("a count of listeners");
        assert_eq!((count.ours, count.kernel, count.difference), (2, truth().len() as i64, 0));
    });
}

#[test]
fn those_beyond_the_most_are_listed_and_the_busy_ones_watched() {
    natively(THE_SAME, || {
        let servers: Vec<_> = (0..5).map(|_| Server::listen(V4, 2)).collect();
        let _clients = servers[4].queue(2);
        let mut observer = Observer::start_with(&[
            "--interval",
            "100ms",
            "--netns",
            "/proc/self/ns/net",
            "--max-listeners",
            "2",
        ]);
        let is_listed =
            |lines: &Lines| servers.iter().filter(|one| unwatched(lines, one.cookie).is_some()).count();
        observer.wait_for("three lines", |lines| is_listed(lines) == 3);
        // The checks of a set of lines come behind its listeners.
        observer.wait_for("the count of listeners", |lines| check(lines).is_some());
        assert!(observer.cookies().contains(&servers[4].cookie), "the one with a queue has a place");
        let count = check(&observer).expect("a count of listeners");
        assert_eq!((count.ours, count.kernel), (5, truth().len() as i64));
        let left_out = servers.iter().find(|one| unwatched(&observer, one.cookie).is_some()).expect("three");
        let line = unwatched(&observer, left_out.cookie).expect("its line");
        assert_eq!(
            (&line["cause"], &line["pid"]),
            (&"max_listeners".into(), &std::process::id().into()),
            "{line}"
        );
        assert!(refusals(&observer).is_empty(), "those that refuse nobody");
        // It is full, and nobody would know.
        let _more = left_out.queue(3);
        observer.wait_for("the diagnosis", |lines| {
            refusals(lines).iter().any(|line| line["listeners"][0] == left_out.cookie)
        });
        // A place becomes free.
        let watched = servers.iter().position(|one| observer.cookies().contains(&one.cookie)).expect("two");
        let mut servers = servers;
        let gone = servers.remove(watched);
        drop(gone);
        observer.wait_for("a third listener", |lines| lines.cookies().len() == 3);
        let lines = observer.finish();
        let loss = lines.0.iter().rfind(|line| line["type"] == "loss").expect("a loss line");
        assert_eq!(loss["counters"]["listeners_full"], 3, "each is counted once: {loss}");
    });
}

#[test]
fn listeners_that_close_while_the_probes_attach_do_not_stay() {
    natively(AT_ONCE, || {
        let stays = Server::listen(V4, 8);
        let ends = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !ends.load(Ordering::Relaxed) {
                    drop(TcpListener::bind((V4, 0)).expect("listen"));
                }
            });
            let observers: Vec<_> = (0..5).map(|_| Observer::start()).collect();
            ends.store(true, Ordering::Relaxed);
            for mut observer in observers {
                observer.wait_for("that only one is open", |lines| open(lines) == [stays.cookie].into());
                let lines = observer.finish();
                assert_eq!(open(&lines), truth());
            }
        });
    });
}
