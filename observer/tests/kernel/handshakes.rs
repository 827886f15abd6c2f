//! Odd ways into the accept queue: SYN cookies, SYN-ACKs sent again, handshakes that wait for data.

use std::net::IpAddr;

use crate::{
    counters::Counters,
    namespace::{isolated, proves, sysctl},
    observed::Observer,
    traffic::{Server, V4, V6, connect, own, send, set_tcp},
    waiting::{now_ns, until_equal},
};

const CONNECTIONS: u32 = 23;

/// Every connection comes by a cookie, or with `cookies` 1 none does.
#[track_caller]
fn cookies(ip: IpAddr, timestamps: &str, forced: bool) {
    sysctl("ipv4.tcp_syncookies", if forced { "2" } else { "1" });
    sysctl("ipv4.tcp_timestamps", timestamps);
    let before = Counters::read();
    let mut observer = Observer::shared();
    let server = Server::listen(ip, 64);
    let clients = server.queue(CONNECTIONS);
    let accepted: Vec<_> = clients.iter().map(|_| server.accept()).collect();
    let received = (Counters::read() - &before).of("SyncookiesRecv");
    assert_eq!(received, if forced { i64::from(CONNECTIONS) } else { 0 }, "SyncookiesRecv");
    drop((clients, accepted));
    observer.wait_for_connections(CONNECTIONS as usize);
    let lines = observer.finish();
    let listener = lines.listener(server.cookie);
    assert_eq!(listener.cookies as i64, received);
    assert_eq!((listener.enqueued, listener.accepted), (CONNECTIONS.into(), CONNECTIONS.into()));
    assert_eq!(lines.books_of(server.cookie).difference, 0);
    for connection in lines.connections() {
        let syn_unseen = connection.unseen.iter().any(|unseen| unseen == "syn_ns");
        assert_eq!(connection.via, if forced { "cookie" } else { "handshake" }, "{connection:?}");
        assert_eq!((connection.syn_ns.is_none(), syn_unseen), (forced, forced), "{connection:?}");
        assert!(connection.established_ns.is_some(), "{connection:?}");
    }
}

#[test]
fn cookies_ipv4() {
    proves(&["cookie", "syn_wait"], || cookies(V4, "1", true));
}

#[test]
fn cookies_ipv6() {
    proves(&["cookie", "syn_wait"], || cookies(V6, "1", true));
}

#[test]
fn cookies_without_timestamps() {
    isolated(|| cookies(V4, "0", true));
}

#[test]
fn no_cookies_without_timestamps() {
    proves(&["cookie", "syn_wait"], || cookies(V4, "0", false));
}

/// With TCP_DEFER_ACCEPT the kernel ignores an ACK without data, and sends its SYN-ACK once more before it gives in.
#[track_caller]
fn sent_again(ip: IpAddr, timestamps: &str) {
    sysctl("ipv4.tcp_timestamps", timestamps);
    let before = Counters::read();
    let mut observer = Observer::shared();
    let server = Server::prepared(ip, 4, |socket| set_tcp(socket, libc::TCP_DEFER_ACCEPT, 1));
    let began_ns = now_ns();
    let client = connect(server.address);
    let connected_ns = now_ns();
    let accepted = server.accept();
    let counted = Counters::read() - &before;
    assert_eq!(counted.of("TCPDeferAcceptDrop"), 1, "TCPDeferAcceptDrop");
    let again = counted.of("RetransSegs");
    assert!(again >= 1, "RetransSegs: {again}");
    let remote = own(&client);
    drop((client, accepted));
    observer.wait_for_connections(1);
    let lines = observer.finish();
    let connection = lines.connection_from(remote);
    assert_eq!(i64::from(connection.synack_retransmits), again, "{connection:?}");
    assert_eq!(lines.listener(server.cookie).synack_retransmits as i64, again);
    assert_eq!(connection.via, "handshake");
    // connect(2) returned at the first SYN-ACK, so the SYN came before that. To say that it is not known is honest too.
    if let Some(syn) = connection.syn_ns {
        let window = began_ns..=connected_ns;
        assert!(window.contains(&syn), "the SYN came at {syn}, not within {window:?}: {connection:?}");
    } else {
        assert!(connection.unseen.iter().any(|unseen| unseen == "syn_ns"), "{connection:?}");
    }
}

#[test]
fn synack_sent_again_ipv4() {
    proves(&["synack_retransmit", "syn_wait"], || sent_again(V4, "1"));
}

#[test]
fn synack_sent_again_ipv6() {
    proves(&["synack_retransmit", "syn_wait"], || sent_again(V6, "1"));
}

#[test]
fn synack_sent_again_without_timestamps() {
    isolated(|| sent_again(V4, "0"));
}

#[test]
fn deferred_until_data_comes() {
    isolated(|| {
        let mut observer = Observer::shared();
        let server = Server::prepared(V4, 4, |socket| set_tcp(socket, libc::TCP_DEFER_ACCEPT, 30));
        let client = connect(server.address);
        assert_eq!(server.truth().receive_queue, 0, "sock_diag: deferred, so not in the accept queue");
        send(&client, b"data");
        until_equal("depth of the accept queue", || server.truth().receive_queue, 1);
        let accepted = server.accept();
        let remote = own(&client);
        drop(client);
        crate::traffic::receive(&accepted, 4);
        drop(accepted);
        observer.wait_for_connections(1);
        let lines = observer.finish();
        let connection = lines.connection_from(remote);
        assert_eq!((connection.via.as_str(), connection.bytes_read), ("handshake", 4));
        assert_eq!(connection.first_data_ns, connection.established_ns, "the data came with the last ACK");
        assert!(connection.first_data_ns <= connection.accepted_ns, "{connection:?}");
        assert_eq!(lines.listener(server.cookie).unread, 0);
    });
}
