//! TCP Fast Open: a connection is queued, accepted and read before its handshake is complete.

use std::net::{IpAddr, TcpStream};

use socket2::{Domain, MsgHdr, Socket, Type};

use crate::{
    counters::Counters,
    namespace::{ALIKE, isolated, natively, sysctl},
    observed::Observer,
    traffic::{Server, V4, V6, connect, own, receive, send, set_tcp},
};

/// Server and client, neither of which wants a cookie.
const WITHOUT_COOKIE: &str = "1543";
/// `MSG_FASTOPEN`
const FAST_OPEN: i32 = 0x2000_0000;

/// Connects with data in the SYN.
#[track_caller]
fn open(server: &Server, data: &[u8]) -> TcpStream {
    let socket = Socket::new(Domain::for_address(server.address), Type::STREAM, None).expect("socket");
    let parts = [std::io::IoSlice::new(data)];
    let address = server.address.into();
    let message = MsgHdr::new().with_addr(&address).with_buffers(&parts);
    assert_eq!(socket.sendmsg(&message, FAST_OPEN).expect("sendmsg"), data.len());
    socket.into()
}

#[track_caller]
fn check(ip: IpAddr) {
    sysctl("ipv4.tcp_fastopen", WITHOUT_COOKIE);
    let before = Counters::read();
    let mut observer = Observer::shared();
    let server = Server::prepared(ip, 8, |socket| set_tcp(socket, libc::TCP_FASTOPEN, 16));
    // One that comes the ordinary way first, and one after: neither may be taken for the other kind.
    let first = connect(server.address);
    let fast: Vec<_> = (0..3).map(|_| open(&server, b"in the SYN")).collect();
    let last = connect(server.address);
    let accepted: Vec<_> = (0..5).map(|_| server.accept()).collect();
    for stream in &accepted[1..4] {
        receive(stream, 10);
        send(stream, b"answer");
    }
    let opened = (Counters::read() - &before).of("TCPFastOpenPassive");
    assert_eq!(opened, 3, "TCPFastOpenPassive");
    for stream in &fast {
        receive(stream, 6);
    }
    let remotes: Vec<_> = fast.iter().map(own).collect();
    let ordinary = [own(&first), own(&last)];
    drop((first, fast, last));
    drop(accepted);
    observer.wait_for_connections(5);
    let lines = observer.finish();
    for remote in remotes {
        let connection = lines.connection_from(remote);
        assert_eq!((connection.via.as_str(), connection.listener), ("tfo", Some(server.cookie)));
        assert_eq!((connection.bytes_read, connection.bytes_written), (10, 6), "{connection:?}");
        assert!(connection.enqueued_ns.is_some() && connection.acceptor.is_some(), "{connection:?}");
        assert!(connection.enqueued_ns < connection.established_ns, "{connection:?}");
        assert!(connection.enqueued_ns <= connection.accepted_ns, "{connection:?}");
        assert_eq!(connection.first_data_ns, connection.enqueued_ns, "the data came with the SYN");
    }
    for remote in ordinary {
        let connection = lines.connection_from(remote);
        assert_eq!((connection.via.as_str(), connection.bytes_read), ("handshake", 0), "{connection:?}");
        assert_eq!(connection.enqueued_ns, connection.established_ns);
    }
    let listener = lines.listener(server.cookie);
    assert_eq!((listener.enqueued, listener.accepted, listener.accepted_unseen), (5, 5, 0));
    assert_eq!((listener.unread, listener.ended), (0, 5));
    assert_eq!(lines.books_of(server.cookie).difference, 0);
}

#[test]
fn data_in_the_syn_ipv4() {
    isolated(|| check(V4));
}

#[test]
fn data_in_the_syn_ipv6() {
    isolated(|| check(V6));
}

#[test]
fn an_unwatched_handshake_is_not_taken_for_a_watched_one() {
    natively(ALIKE, || {
        sysctl("ipv4.tcp_fastopen", WITHOUT_COOKIE);
        // The same port on another address, and not watched: another process's.
        let watched = Server::prepared(V4, 8, |socket| set_tcp(socket, libc::TCP_FASTOPEN, 16));
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
        let elsewhere = std::net::SocketAddr::from(([127, 0, 0, 2], watched.address.port()));
        socket.bind(&elsewhere.into()).expect("bind");
        let _other = crate::processes::Acceptor::fork(&socket);
        let pid = std::process::id().to_string();
        let options =
            ["--interval", crate::waiting::interval(), "--netns", "/proc/self/ns/net", "--pid", &pid];
        crate::waiting::until("the other process listens", || {
            crate::sock_diag::sockets(&[crate::sock_diag::LISTEN]).len() == 2
        });
        // From here on it is that process's alone.
        drop(socket);
        let mut observer = Observer::start_with(&options);
        let mut remotes = Vec::new();
        for _ in 0..20 {
            crate::traffic::receive_end(&connect(elsewhere));
            let client = open(&watched, b"x");
            let accepted = watched.accept();
            receive(&accepted, 1);
            remotes.push(own(&client));
        }
        observer.wait_for_connections(remotes.len());
        let lines = observer.finish();
        assert_eq!(lines.connections().len(), remotes.len());
        for remote in remotes {
            let connection = lines.connection_from(remote);
            assert_eq!(
                (connection.via.as_str(), connection.local),
                ("tfo", watched.address),
                "{connection:?}"
            );
        }
    });
}
