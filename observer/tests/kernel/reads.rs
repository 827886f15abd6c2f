//! What counts as a read, a write and data, against what the test's own server did.

use std::{
    io::{IoSlice, IoSliceMut, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    os::fd::AsRawFd as _,
};

use crate::{
    lines::Connection,
    namespace::{isolated, proves},
    observed::Observer,
    sock_diag::sockets,
    traffic::{Server, V4, own, receive, receive_end, send},
    waiting::{tid, until_equal},
};

/// The line of one connection with which the server did what `serve` does; `serve` ends it.
#[track_caller]
fn served(serve: impl FnOnce(TcpStream, TcpStream)) -> Connection {
    let mut observer = Observer::shared();
    let server = Server::listen(V4, 4);
    let (client, accepted) = server.pair();
    let remote = own(&client);
    serve(client, accepted);
    observer.wait_for_connections(1);
    let lines = observer.finish();
    assert_eq!(lines.listener(server.cookie).unread, 0);
    lines.connection_from(remote)
}

/// Waits until the server's side has so many bytes that nobody has read.
#[track_caller]
fn until_queued(accepted: &TcpStream, bytes: u32) {
    let local = own(accepted);
    let remote = accepted.peer_addr().expect("getpeername");
    until_equal(
        "bytes in the receive queue",
        || {
            let all = sockets(&[1, 8]);
            all.iter()
                .find(|socket| socket.local == local && socket.remote == remote)
                .map(|one| one.receive_queue)
        },
        Some(bytes),
    );
}

/// Reads, writes, and their bytes.
fn counts(connection: &Connection) -> ((u32, u64), (u32, u64)) {
    ((connection.reads, connection.bytes_read), (connection.writes, connection.bytes_written))
}

#[test]
fn a_peek_is_no_read() {
    proves(&["read", "write"], || {
        let connection = served(|client, accepted| {
            send(&client, b"peeked");
            until_queued(&accepted, 6);
            assert_eq!(accepted.peek(&mut [0; 16]).expect("peek"), 6);
            assert_eq!(accepted.peek(&mut [0; 2]).expect("peek"), 2);
            receive(&accepted, 6);
            drop(client);
            receive_end(&accepted);
        });
        assert_eq!(counts(&connection), ((1, 6), (0, 0)));
        assert_eq!((connection.readers.as_slice(), connection.writers.len()), ([tid()].as_slice(), 0));
    });
}

#[test]
fn only_a_peek() {
    isolated(|| {
        let connection = served(|client, accepted| {
            send(&client, b"peeked");
            until_queued(&accepted, 6);
            assert_eq!(accepted.peek(&mut [0; 16]).expect("peek"), 6);
            drop(accepted);
        });
        assert_eq!(counts(&connection), ((0, 0), (0, 0)));
        assert!(connection.first_data_ns.is_some() && connection.first_read_ns.is_none(), "{connection:?}");
        assert!(connection.readers.is_empty(), "{connection:?}");
    });
}

#[test]
fn reads_of_nothing_are_none() {
    proves(&["read", "write"], || {
        let connection = served(|client, mut accepted| {
            accepted.set_nonblocking(true).expect("O_NONBLOCK");
            let again = accepted.read(&mut [0; 8]).expect_err("there is nothing to read");
            assert_eq!(again.kind(), std::io::ErrorKind::WouldBlock);
            send(&client, b"x");
            until_queued(&accepted, 1);
            assert_eq!(accepted.read(&mut []).expect("read"), 0);
            receive(&accepted, 1);
            drop(client);
            accepted.set_nonblocking(false).expect("O_NONBLOCK");
            receive_end(&accepted);
            receive_end(&accepted);
        });
        assert_eq!(counts(&connection), ((1, 1), (0, 0)));
    });
}

#[test]
fn a_fin_is_no_data() {
    isolated(|| {
        let connection = served(|client, accepted| {
            drop(client);
            receive_end(&accepted);
        });
        assert_eq!(counts(&connection), ((0, 0), (0, 0)));
        assert_eq!(
            (connection.first_data_ns, connection.first_read_ns, connection.first_write_ns),
            (None, None, None)
        );
        assert!(connection.unseen.is_empty(), "{connection:?}");
        assert!(connection.readers.is_empty() && connection.writers.is_empty(), "{connection:?}");
    });
}

#[test]
fn data_with_the_fin_is_data() {
    isolated(|| {
        let connection = served(|client, accepted| {
            send(&client, b"last words");
            drop(client);
            receive(&accepted, 10);
            receive_end(&accepted);
        });
        assert_eq!(counts(&connection), ((1, 10), (0, 0)));
        assert!(connection.first_data_ns.is_some(), "{connection:?}");
        assert!(connection.first_data_ns <= connection.first_read_ns, "{connection:?}");
    });
}

#[test]
fn a_half_closed_connection_goes_on() {
    isolated(|| {
        let connection = served(|client, accepted| {
            send(&client, b"question");
            client.shutdown(Shutdown::Write).expect("shutdown");
            receive(&accepted, 8);
            receive_end(&accepted);
            send(&accepted, b"a long answer");
            receive(&client, 13);
            drop(accepted);
            receive_end(&client);
        });
        assert_eq!(counts(&connection), ((1, 8), (1, 13)));
        assert_eq!((connection.end.as_str(), connection.closed_first), ("fin", Some(false)));
    });
}

#[test]
fn vectors_count_as_one_call_each() {
    proves(&["read", "write"], || {
        let connection = served(|client, mut accepted| {
            send(&client, b"one and two");
            until_queued(&accepted, 11);
            let (mut one, mut two) = ([0; 4], [0; 7]);
            let mut parts = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
            assert_eq!(accepted.read_vectored(&mut parts).expect("readv"), 11);
            let parts = [IoSlice::new(b"three"), IoSlice::new(b"four")];
            assert_eq!(accepted.write_vectored(&parts).expect("writev"), 9);
            receive(&client, 9);
            drop(client);
            receive_end(&accepted);
        });
        assert_eq!(counts(&connection), ((1, 11), (1, 9)));
    });
}

#[test]
fn messages_of_recvmmsg_and_sendmmsg_count() {
    proves(&["read", "write"], || {
        let connection = served(|client, accepted| {
            send(&client, b"one and two");
            until_queued(&accepted, 11);
            assert_eq!(several(&accepted, Way::In, [4, 7]), [4, 7]);
            assert_eq!(several(&accepted, Way::Out, [5, 8]), [5, 8]);
            receive(&client, 13);
            drop(client);
            receive_end(&accepted);
        });
        assert_eq!(counts(&connection), ((2, 11), (2, 13)));
    });
}

/// Which of the two calls.
enum Way {
    In,
    Out,
}

/// Two messages of these lengths with one recvmmsg(2) or sendmmsg(2); returns the lengths that the kernel made of them.
#[track_caller]
fn several(stream: &TcpStream, way: Way, lengths: [usize; 2]) -> [usize; 2] {
    let mut buffers = lengths.map(|length| vec![b'x'; length]);
    let mut vectors: Vec<libc::iovec> = buffers
        .iter_mut()
        .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() })
        .collect();
    #[expect(unsafe_code, reason = "no library here offers the calls for several messages")]
    // SAFETY: a zeroed header is a valid one; each is then given one vector, and vectors and buffers outlive the call.
    let (messages, count) = unsafe {
        let mut messages: [libc::mmsghdr; 2] = std::mem::zeroed();
        for (message, vector) in messages.iter_mut().zip(&mut vectors) {
            message.msg_hdr.msg_iov = vector;
            message.msg_hdr.msg_iovlen = 1;
        }
        let fd = stream.as_raw_fd();
        let count = match way {
            Way::In => libc::recvmmsg(fd, messages.as_mut_ptr(), 2, 0, std::ptr::null_mut()),
            Way::Out => libc::sendmmsg(fd, messages.as_mut_ptr(), 2, 0),
        };
        (messages, count)
    };
    assert_eq!(count, 2, "{}", std::io::Error::last_os_error());
    messages.map(|message| message.msg_len as usize)
}
