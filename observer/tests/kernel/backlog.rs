//! The accept queue is full at backlog + 1, and what comes after is refused: depth, limit, peak and refusals against
//! sock_diag and the kernel's counters.

use std::net::{IpAddr, TcpStream};

use crate::{
    counters::Counters,
    lines::Ledger,
    namespace::{ALIKE, inode, isolated, natively, proves},
    observed::Observer,
    sock_diag::{SYN_SENT, sockets},
    traffic::{Server, V4, V6, attempt},
    waiting::{until, until_equal},
};

/// Clients that find the queue full.
const REFUSED: u32 = 7;

/// Nobody accepts, and more clients come than the queue holds.
#[track_caller]
fn check(ip: IpAddr, backlog: u32) {
    let before = Counters::read();
    let since = || Counters::read() - &before;
    // It has no filter: only then does the observer compare its sums with the counters of the namespace.
    let mut observer = Observer::shared();
    let server = Server::listen(ip, backlog);
    observer.wait_until_it_knows(&server);
    let _queued: Vec<TcpStream> = server.queue(backlog + 1);
    let refused: Vec<_> = (0..REFUSED).map(|_| attempt(server.address)).collect();
    until("all SYNs beyond the queue are refused", || since().of("ListenOverflows") >= i64::from(REFUSED));
    // Each would send its SYN again and be refused again; figures can be equal only when nobody tries any more.
    drop(refused);
    until_equal("clients that still try", || sockets(&[SYN_SENT]).len(), 0);

    let kernel = server.truth();
    let counted = since();
    let lines = observer.finish();
    let ours = lines.listener(server.cookie);

    // The kernel is as docs say; else the test would compare two zeroes.
    assert_eq!(kernel.cookie, server.cookie);
    assert_eq!(kernel.receive_queue, backlog + 1, "sock_diag: depth");
    assert_eq!(kernel.send_queue, backlog, "sock_diag: limit");
    let refusals = i64::from(REFUSED) + counted.of("TCPSynRetrans");
    assert_eq!(counted.of("ListenOverflows"), refusals, "ListenOverflows: {counted:?}");
    assert_eq!(counted.of("ListenDrops"), refusals, "ListenDrops: {counted:?}");

    assert_eq!(server.tcp_info(), (backlog + 1, backlog), "TCP_INFO: unacked and sacked of a listener");

    // And the observer says the same.
    assert_eq!(ours.addr, server.address);
    assert_eq!(ours.netns, inode());
    assert_eq!(ours.pid, std::process::id());
    assert_eq!(ours.closed_ns, None);
    assert_eq!(ours.accept_queue, kernel.receive_queue);
    assert_eq!(ours.backlog_limit, kernel.send_queue);
    assert_eq!(ours.enqueued as i64, counted.of("PassiveOpens"));
    assert_eq!(ours.sk_drops, u64::from(kernel.drops));
    assert_eq!(ours.listen_drops as i64, counted.of("ListenDrops"));
    assert_eq!(ours.overflows.map(|count| count as i64), Some(counted.of("ListenOverflows")));
    assert_eq!((ours.accepted, ours.dropped_queued, ours.syn_queue), (0, 0, 0));
    let peak = lines.listener_over_time(server.cookie).iter().map(|line| line.accept_queue_peak).max();
    assert_eq!(peak, Some(backlog + 1), "peak");

    let books = lines.books_of(server.cookie);
    assert_eq!((books.ours, books.kernel), (i64::from(backlog) + 1, i64::from(backlog) + 1), "{books:?}");
    for check in ["listen_drops", "passive_opens"] {
        let all = lines.of("ledger");
        let here = |line: &&Ledger| line.scope == "host" && line.netns == inode() && line.check == check;
        let last: &Ledger = all.iter().rfind(here).unwrap_or_else(|| panic!("no ledger line {check}"));
        assert_eq!(last.difference, 0, "{last:?}");
    }
}

#[test]
fn backlog_0_ipv4() {
    isolated(|| check(V4, 0));
}

#[test]
fn backlog_1_ipv4() {
    isolated(|| check(V4, 1));
}

#[test]
fn backlog_4_ipv4() {
    proves(&["drop", "enqueue", "queue_depth"], || check(V4, 4));
}

#[test]
fn backlog_128_ipv4() {
    natively(ALIKE, || check(V4, 128));
}

#[test]
fn backlog_0_ipv6() {
    proves(&["drop", "enqueue", "queue_depth"], || check(V6, 0));
}

#[test]
fn backlog_1_ipv6() {
    isolated(|| check(V6, 1));
}

#[test]
fn backlog_4_ipv6() {
    isolated(|| check(V6, 4));
}

#[test]
fn backlog_128_ipv6() {
    natively(ALIKE, || check(V6, 128));
}

#[test]
fn a_second_listen_changes_the_limit() {
    isolated(|| {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 5);
        observer.wait_for("the first limit", |lines| {
            lines.of("listener").iter().any(|line: &crate::lines::Listener| line.backlog_limit == 5)
        });
        server.socket.listen(17).expect("listen");
        observer.wait_for_next_lines();
        let lines = observer.finish();
        assert_eq!(server.truth().send_queue, 17, "sock_diag: limit");
        assert_eq!(lines.listener(server.cookie).backlog_limit, 17);
    });
}

#[test]
fn the_limit_is_clamped_by_somaxconn() {
    isolated(|| {
        crate::namespace::sysctl("core.somaxconn", "11");
        let observer = Observer::shared();
        let server = Server::listen(V4, 4096);
        let lines = observer.finish();
        assert_eq!(server.truth().send_queue, 11, "sock_diag: limit");
        assert_eq!(lines.listener(server.cookie).backlog_limit, 11);
    });
}
