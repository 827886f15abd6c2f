//! The observer starts in the middle: what was there before is shown, and said not to have been seen.

use crate::{
    lines::Connection,
    namespace::{ALIKE, inode, isolated, natively, proves},
    observed::Observer,
    traffic::{Server, V4, V6, own, receive, send},
};

const BEFORE: u32 = 3;
const AFTER: u32 = 2;

#[track_caller]
fn check(ip: std::net::IpAddr) {
    let server = Server::listen(ip, 8);
    let early = server.queue(BEFORE);
    send(&early[0], b"early");

    let mut observer = Observer::late();
    observer.wait_for_next_lines();
    let first = observer.listener(server.cookie);
    assert_eq!((first.addr, first.netns), (server.address, inode()));
    assert_eq!(first.pid, std::process::id(), "its owner");
    let comm = std::fs::read_to_string("/proc/self/comm").expect("comm");
    assert_eq!(first.comm, comm.trim(), "its owner's name");
    assert_eq!((first.queued_at_start, first.enqueued, first.accepted), (BEFORE, 0, 0));
    assert_eq!(first.accept_queue, server.truth().receive_queue);
    assert_eq!(first.backlog_limit, server.truth().send_queue);
    assert_eq!(observer.books_of(server.cookie).difference, 0);

    let late = server.queue(AFTER);
    let accepted: Vec<_> = (0..BEFORE + AFTER).map(|_| server.accept()).collect();
    receive(&accepted[0], 5);
    send(&accepted[0], b"answer");
    observer.wait_for_next_lines();
    let books = observer.books_of(server.cookie);
    assert_eq!((books.ours, books.kernel), (0, 0), "{books:?}");
    let remotes: Vec<_> = early.iter().map(own).collect();
    let later: Vec<_> = late.iter().map(own).collect();
    drop((early, late));
    drop(accepted);
    observer.wait_for_connections((BEFORE + AFTER) as usize);
    let lines = observer.finish();

    for remote in &remotes {
        let connection = lines.connection_from(*remote);
        assert_eq!(connection.via, "unseen");
        assert_eq!(connection.listener, Some(server.cookie));
        assert_eq!(connection.local.port(), server.address.port());
        assert_eq!((connection.syn_ns, connection.established_ns), (None, None));
        assert_eq!(connection.queue_at_arrival, None);
        for stage in ["syn_ns", "established_ns", "first_data_ns"] {
            assert!(connection.unseen.iter().any(|unseen| unseen == stage), "{stage}: {connection:?}");
        }
        assert!(connection.accepted_ns.is_some() && connection.acceptor.is_some(), "{connection:?}");
    }
    let with_data: Connection = lines.connection_from(remotes[0]);
    assert_eq!((with_data.bytes_read, with_data.bytes_written), (5, 6));
    for remote in later {
        let connection = lines.connection_from(remote);
        assert_eq!(connection.via, "handshake");
        assert!(connection.unseen.is_empty(), "{connection:?}");
    }
    let last = lines.listener(server.cookie);
    assert_eq!((last.enqueued, last.accepted), (u64::from(AFTER), u64::from(BEFORE + AFTER)));
    assert_eq!(lines.books_of(server.cookie).difference, 0);
}

#[test]
fn queued_before_the_start_and_accepted_after_ipv4() {
    proves(&["existing_listeners"], || check(V4));
}

#[test]
fn queued_before_the_start_and_accepted_after_ipv6() {
    natively(ALIKE, || check(V6));
}

#[test]
fn accepted_before_the_start_is_there_with_its_holder() {
    proves(&["existing_connections"], || {
        let server = Server::listen(V4, 8);
        let (client, accepted) = server.pair();
        let silent = server.pair();
        // What the server itself connects to, and what is not TCP, came out of no listener.
        let elsewhere = std::os::unix::net::UnixStream::pair().expect("socketpair");
        let mut observer = Observer::start();
        send(&client, b"hello");
        receive(&accepted, 5);
        send(&accepted, b"answer");
        let (before, quiet) = (own(&client), own(&silent.0));
        drop((client, accepted));
        drop(silent);
        drop(elsewhere);
        let (client, accepted) = server.pair();
        let after = own(&client);
        drop((client, accepted));
        observer.wait_for_connections(3);
        let lines = observer.finish();
        assert_eq!(lines.connections().len(), 3);
        let comm = std::fs::read_to_string("/proc/self/comm").expect("comm");
        for remote in [before, quiet] {
            let connection = lines.connection_from(remote);
            assert_eq!(connection.local.port(), server.address.port());
            assert_eq!((connection.via.as_str(), connection.listener), ("unseen", None));
            let holder = connection.holder.as_ref().expect("a holder");
            assert_eq!((holder.pid, holder.comm.as_str()), (std::process::id(), comm.trim()));
            assert!(connection.acceptor.is_none() && connection.accepted_ns.is_none(), "{connection:?}");
            for stage in ["syn_ns", "enqueued_ns", "established_ns", "accepted_ns", "first_read_ns"] {
                assert!(connection.unseen.iter().any(|unseen| unseen == stage), "{stage}: {connection:?}");
            }
        }
        let used = lines.connection_from(before);
        assert_eq!((used.reads, used.bytes_read, used.writes, used.bytes_written), (1, 5, 1, 6));
        assert_eq!(used.readers, [crate::waiting::tid()]);
        let new = lines.connection_from(after);
        assert_eq!((new.via.as_str(), new.listener, new.holder), ("handshake", Some(server.cookie), None));
        let last = lines.listener(server.cookie);
        assert_eq!((last.queued_at_start, last.enqueued, last.accepted, last.unread), (0, 1, 1, 0));
        assert_eq!(lines.books_of(server.cookie).difference, 0);
    });
}

#[test]
fn a_full_queue_and_its_refusals_of_before() {
    natively(ALIKE, || {
        let server = Server::listen(V4, 1);
        let _queued = server.queue(2);
        let refused = crate::traffic::attempt(server.address);
        crate::waiting::until("the refusal", || server.truth().drops >= 1);
        drop(refused);
        let mut observer = Observer::start();
        observer.wait_for_next_lines();
        let lines = observer.finish();
        let last = lines.listener(server.cookie);
        assert_eq!((last.accept_queue, last.queued_at_start), (2, 2));
        assert_eq!(last.accept_queue_peak, 2);
        assert_eq!((last.listen_drops, last.overflows), (0, Some(0)), "counts begin at the start");
    });
}

#[test]
fn queued_before_and_reset_after() {
    isolated(|| {
        let server = Server::listen(V4, 8);
        let client = server.queue(1).remove(0);
        let mut observer = Observer::late();
        let remote = own(&client);
        crate::traffic::reset(client);
        crate::waiting::until_equal("connections", || crate::sock_diag::sockets(&[1]).len(), 0);
        drop(server.socket.accept().expect("accept returns it all the same"));
        observer.wait_for_connections(1);
        let lines = observer.finish();
        let connection = lines.connection_from(remote);
        assert_eq!((connection.local, connection.end.as_str()), (server.address, "rst_in"), "{connection:?}");
        assert_eq!(lines.books_of(server.cookie).difference, 0);
    });
}

#[test]
fn queued_before_and_dropped_after() {
    natively(ALIKE, || {
        let server = Server::listen(V4, 8);
        let clients = server.queue(BEFORE);
        let mut observer = Observer::start();
        let cookie = server.cookie;
        drop(server);
        observer.wait_for("the listener's last line", |lines| {
            lines.listener_over_time(cookie).iter().any(|line| line.closed_ns.is_some())
        });
        let lines = observer.finish();
        let last = lines.listener(cookie);
        assert_eq!((last.queued_at_start, last.accepted, last.accept_queue), (BEFORE, 0, 0));
        assert_eq!(last.dropped_queued, u64::from(BEFORE), "reset with their listener");
        drop(clients);
    });
}

#[test]
fn a_client_from_a_listeners_port_is_no_connection_of_it() {
    natively(ALIKE, || {
        let server = Server::listen(V4, 4);
        let other = Server::listen(V4, 4);
        // The same port, another address.
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("socket");
        let from = std::net::SocketAddr::from(([127, 0, 0, 2], server.address.port()));
        socket.bind(&from.into()).expect("bind");
        socket.connect(&other.address.into()).expect("connect");
        let accepted = other.accept();
        let mut observer = Observer::start();
        drop((socket, accepted));
        observer.wait_for_connections(1);
        let lines = observer.finish();
        let connections = lines.connections();
        assert_eq!(connections.len(), 1);
        assert_eq!((connections[0].local, connections[0].remote), (other.address, from));
    });
}
