//! How a connection ends, and by whom, against what the two ends did.

use std::{
    net::{Shutdown, TcpStream},
    os::fd::AsRawFd as _,
};

use crate::{
    counters::Counters,
    lines::{Connection, Lines, Listener},
    namespace::{isolated, proves},
    observed::Observer,
    sock_diag::sockets,
    traffic::{Server, V4, own, receive, receive_end, reset, send},
    waiting::until_equal,
};

/// `TCP_ESTABLISHED`, `TCP_CLOSE_WAIT`.
const OPEN: [u8; 2] = [1, 8];

/// The line of one connection that was accepted, and ended as `end` makes it end.
#[track_caller]
fn ended(end: impl FnOnce(TcpStream, TcpStream)) -> Connection {
    let mut observer = Observer::shared();
    let server = Server::listen(V4, 4);
    let (client, accepted) = server.pair();
    let remote = own(&client);
    end(client, accepted);
    observer.wait_for_connections(1);
    let lines = observer.finish();
    balanced(&lines, &server, 1, 0);
    lines.connection_from(remote)
}

/// The listener's books: so many accepted, so many dropped, nothing left.
#[track_caller]
fn balanced(lines: &Lines, server: &Server, accepted: u64, dropped: u64) {
    let listener = lines.listener(server.cookie);
    assert_eq!((listener.accepted, listener.dropped_queued), (accepted, dropped));
    assert_eq!((listener.enqueued, listener.ended), (accepted + dropped, accepted + dropped));
    assert_eq!(listener.unread, 0);
}

#[test]
fn fin_by_the_client() {
    proves(&["close"], || {
        let connection = ended(|client, accepted| {
            drop(client);
            receive_end(&accepted);
            drop(accepted);
        });
        assert_eq!((connection.end.as_str(), connection.closed_first), ("fin", Some(false)));
    });
}

#[test]
fn fin_by_the_server() {
    proves(&["close"], || {
        let connection = ended(|client, accepted| {
            drop(accepted);
            receive_end(&client);
            drop(client);
        });
        assert_eq!((connection.end.as_str(), connection.closed_first), ("fin", Some(true)));
    });
}

#[test]
fn fin_by_the_server_half_closed_first() {
    isolated(|| {
        let connection = ended(|client, accepted| {
            accepted.shutdown(Shutdown::Write).expect("shutdown");
            receive_end(&client);
            drop(client);
            receive_end(&accepted);
            drop(accepted);
        });
        assert_eq!((connection.end.as_str(), connection.closed_first), ("fin", Some(true)));
    });
}

#[test]
fn reset_by_the_client() {
    proves(&["reset"], || {
        let before = Counters::read();
        let connection = ended(|client, accepted| {
            reset(client);
            until_equal("connections", || sockets(&OPEN).len(), 0);
            drop(accepted);
        });
        assert_eq!((Counters::read() - &before).of("OutRsts"), 1, "OutRsts");
        assert_eq!((connection.end.as_str(), connection.closed_first), ("rst_in", None));
    });
}

#[test]
fn reset_by_the_client_with_data_unread() {
    isolated(|| {
        let connection = ended(|client, accepted| {
            send(&client, b"never read");
            receive(&accepted, 5);
            reset(client);
            until_equal("connections", || sockets(&OPEN).len(), 0);
            drop(accepted);
        });
        assert_eq!(connection.end, "rst_in");
        assert_eq!(connection.bytes_read, 5);
    });
}

#[test]
fn reset_by_the_server_that_closes_with_data_unread() {
    isolated(|| {
        let before = Counters::read();
        let connection = ended(|client, accepted| {
            send(&client, b"never read");
            until_equal(
                "bytes not read",
                || sockets(&OPEN).iter().map(|socket| socket.receive_queue).max(),
                Some(10),
            );
            drop(accepted);
            drop(client);
        });
        assert_eq!((Counters::read() - &before).of("TCPAbortOnClose"), 1, "TCPAbortOnClose");
        assert_eq!((connection.end.as_str(), connection.closed_first), ("rst_out", None));
        assert!(connection.first_data_ns.is_some() && connection.first_read_ns.is_none(), "{connection:?}");
        assert!(connection.unseen.is_empty(), "nothing was missed: {connection:?}");
    });
}

#[test]
fn reset_by_the_server_with_linger_0() {
    proves(&["reset"], || {
        let connection = ended(|client, accepted| {
            reset(accepted);
            drop(client);
        });
        assert_eq!((connection.end.as_str(), connection.closed_first), ("rst_out", None));
    });
}

#[test]
fn listener_closed_with_connections_queued() {
    listener_closed_with_queued(5, 16);
}

#[test]
fn listener_closed_with_a_full_queue() {
    listener_closed_with_queued(17, 16);
}

fn listener_closed_with_queued(queued: u32, backlog: u32) {
    isolated(|| {
        let before = Counters::read();
        let mut observer = Observer::shared();
        let server = Server::listen(V4, backlog);
        let clients = server.queue(queued);
        let cookie = server.cookie;
        drop(server);
        observer.wait_for_connections(queued as usize);
        // A slow machine shows it in its closing, too, while its queue is being emptied.
        observer.wait_for("the listener's last line", |lines| {
            let emptied = |line: &Listener| line.dropped_queued == u64::from(queued);
            lines.listener_over_time(cookie).iter().any(|line| line.closed_ns.is_some() && emptied(line))
        });
        let lines = observer.finish();
        assert_eq!((Counters::read() - &before).of("OutRsts"), i64::from(queued), "OutRsts");
        for (nth, client) in clients.iter().enumerate() {
            let connection = lines.connection_from(own(client));
            assert_eq!(connection.end, "queued_reset");
            assert_eq!(connection.listener, Some(cookie));
            assert_eq!(connection.queue_at_arrival, Some(nth as u32 + 1));
            assert!(connection.acceptor.is_none() && connection.accepted_ns.is_none(), "{connection:?}");
        }
        let last = lines.listener(cookie);
        assert_eq!((last.dropped_queued, last.accepted), (u64::from(queued), 0));
        assert_eq!((last.enqueued, last.accept_queue), (u64::from(queued), 0));
        let ends =
            lines.listener_over_time(cookie).iter().filter(|line| line.closed_ns == last.closed_ns).count();
        assert_eq!(ends, 1, "its last line comes once");
    });
}

#[test]
fn reset_while_queued_and_then_accepted() {
    isolated(|| {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 4);
        let client = server.queue(1).remove(0);
        let remote = own(&client);
        reset(client);
        until_equal("connections", || sockets(&OPEN).len(), 0);
        assert_eq!(server.truth().receive_queue, 1, "sock_diag: it keeps its place in the queue");
        observer.wait_for_next_lines();
        assert_eq!(observer.listener(server.cookie).accept_queue, 1);
        assert_eq!(observer.listener(server.cookie).aborted_queued, 1);
        assert!(observer.connections().is_empty(), "it has not ended before it was accepted");

        drop(server.socket.accept().expect("accept returns it all the same"));
        observer.wait_for_connections(1);
        let lines = observer.finish();
        balanced(&lines, &server, 1, 0);
        let connection = lines.connection_from(remote);
        assert_eq!(connection.end, "rst_in");
        assert!(connection.closed_ns < connection.accepted_ns, "the reset came first: {connection:?}");
    });
}

#[test]
fn fin_while_queued_and_then_accepted() {
    isolated(|| {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 4);
        let mut clients = server.queue(2);
        // One says something and leaves, one leaves without a word.
        send(&clients[0], b"bye");
        let remotes = [own(&clients[0]), own(&clients[1])];
        clients.clear();
        // CLOSE_WAIT is 8.
        until_equal("connections that their client has closed", || sockets(&[8]).len(), 2);
        observer.wait_for_next_lines();
        let queued = observer.listener(server.cookie);
        assert_eq!((queued.accept_queue, queued.aborted_queued), (2, 0), "a FIN is no reset");
        let accepted = [server.accept(), server.accept()];
        receive(&accepted[0], 3);
        accepted.iter().for_each(receive_end);
        drop(accepted);
        observer.wait_for_connections(2);
        let lines = observer.finish();
        for (remote, bytes) in remotes.into_iter().zip([3, 0]) {
            let connection = lines.connection_from(remote);
            assert_eq!(
                (connection.end.as_str(), connection.closed_first),
                ("fin", Some(false)),
                "{connection:?}"
            );
            assert_eq!((connection.bytes_read, connection.first_data_ns.is_some()), (bytes, bytes > 0));
        }
        assert_eq!(lines.books_of(server.cookie).difference, 0);
    });
}

#[test]
fn reading_shut_down_by_the_server() {
    isolated(|| {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 4);
        let (client, accepted) = server.pair();
        send(&client, b"first");
        receive(&accepted, 5);
        accepted.shutdown(Shutdown::Read).expect("shutdown");
        // The kernel takes it all the same; the program cannot be told from one that does not want to read.
        send(&accepted, b"answer");
        receive(&client, 6);
        let remote = own(&client);
        drop(client);
        receive_end(&accepted);
        drop(accepted);
        observer.wait_for_connections(1);
        let lines = observer.finish();
        let connection = lines.connection_from(remote);
        assert_eq!((connection.reads, connection.bytes_read), (1, 5), "{connection:?}");
        assert_eq!((connection.writes, connection.bytes_written), (1, 6), "{connection:?}");
        assert_eq!(connection.end, "fin", "{connection:?}");
        assert_eq!(lines.listener(server.cookie).unread, 0);
    });
}

#[test]
fn accepted_in_vain() {
    isolated(|| {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 4);
        let client = server.queue(1).remove(0);
        let nowhere = std::ptr::without_provenance_mut(1);
        let mut length: libc::socklen_t = 16;
        #[expect(unsafe_code, reason = "no library passes an address that is none")]
        // SAFETY: the kernel checks the address, and that is what this is about.
        let result = unsafe { libc::accept4(server.socket.as_raw_fd(), nowhere, &mut length, 0) };
        let error = std::io::Error::last_os_error();
        assert_eq!((result, error.raw_os_error()), (-1, Some(libc::EFAULT)));
        receive_end(&client);
        let remote = own(&client);
        drop(client);
        observer.wait_for_connections(1);
        let lines = observer.finish();
        let connection = lines.connection_from(remote);
        assert_eq!((connection.end.as_str(), connection.closed_first), ("fin", Some(true)), "{connection:?}");
        balanced(&lines, &server, 1, 0);
    });
}
