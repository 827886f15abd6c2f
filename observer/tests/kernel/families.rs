//! What is counted and what is not: TCP listeners of both families, and no socket that only resembles one.

use std::{
    collections::BTreeSet,
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    os::unix::net::{UnixListener, UnixStream},
};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::{
    namespace::{isolated, natively},
    observed::Observer,
    traffic::{Server, V4, own, receive, send},
    waiting::{interval, tid, until},
};

#[test]
fn unix_and_udp_sockets_are_not_tcp() {
    isolated(|| {
        let mut observer = Observer::shared();
        let path = std::env::temp_dir().join(format!("observer-test-{}-{}.sock", std::process::id(), tid()));
        let unix = UnixListener::bind(&path).expect("bind");
        let unix_client = UnixStream::connect(&path).expect("connect");
        std::fs::remove_file(&path).expect("the socket's name can be removed");
        drop((unix.accept().expect("accept"), unix_client));
        let (one, other) = (UdpSocket::bind((V4, 0)).expect("bind"), UdpSocket::bind((V4, 0)).expect("bind"));
        one.send_to(b"datagram", other.local_addr().expect("getsockname")).expect("send");
        assert_eq!(other.recv(&mut [0; 16]).expect("recv"), 8);

        let server = Server::listen(V4, 4);
        let (client, accepted) = server.pair();
        send(&client, b"hello");
        receive(&accepted, 5);
        drop((client, accepted));
        observer.wait_for_connections(1);
        observer.wait_for_accepts(tid(), 1);
        let lines = observer.finish();
        assert_eq!(lines.cookies(), BTreeSet::from([server.cookie]));
        let (listener, thread) = (lines.listener(server.cookie), lines.thread(tid()));
        assert_eq!((listener.accepted, listener.ended), (1, 1));
        assert_eq!((thread.accepts, thread.reads, thread.writes), (1, 1, 0), "{thread:?}");
    });
}

#[test]
fn vsock_listeners_are_not_tcp() {
    const ANY_PORT: u32 = u32::MAX;
    const LOCAL: u32 = 1;
    natively("the emulated machines load no module for vsock", || {
        let name = "families::vsock_listeners_are_not_tcp";
        let listening = Socket::new(Domain::VSOCK, Type::STREAM, None).and_then(|socket| {
            socket.bind(&SockAddr::vsock(ANY_PORT, ANY_PORT))?;
            Ok(socket)
        });
        let socket = match listening {
            Ok(socket) => socket,
            Err(error) => return println!("SKIPPED: {name}: this kernel has no vsock: {error}"),
        };
        let observer = Observer::start_with(&["--interval", interval()]);
        socket.listen(4).expect("listen");
        let (_, port) =
            socket.local_addr().expect("getsockname").as_vsock_address().expect("a vsock address");
        let client = Socket::new(Domain::VSOCK, Type::STREAM, None).expect("socket");
        // Without the loopback transport nobody can connect; the listener is there all the same.
        if client.connect(&SockAddr::vsock(LOCAL, port)).is_ok() {
            drop(socket.accept_raw().expect("accept"));
        }
        let lines = observer.finish();
        let cookie = socket.cookie().expect("SO_COOKIE");
        assert!(!lines.cookies().contains(&cookie), "the vsock listener {cookie} is taken for one of TCP");
    });
}

#[test]
fn an_ipv4_client_of_an_ipv6_listener() {
    isolated(|| {
        let mut observer = Observer::shared();
        let server = Server::prepared(Ipv6Addr::UNSPECIFIED.into(), 4, |socket| {
            socket.set_only_v6(false).expect("V6ONLY")
        });
        let port = server.address.port();
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connect");
        let accepted = server.accept();
        send(&client, b"hello");
        receive(&accepted, 5);
        let mapped = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port));
        let remote = accepted.peer_addr().expect("getpeername");
        assert_eq!(remote, mapped(own(&client).port()), "what the program sees");
        drop((client, accepted));
        observer.wait_for_connections(1);
        let lines = observer.finish();
        let connection = lines.connection_from(remote);
        assert_eq!((connection.local, connection.listener), (mapped(port), Some(server.cookie)));
        assert_eq!((connection.via.as_str(), connection.bytes_read), ("handshake", 5));
        let listener = lines.listener(server.cookie);
        assert_eq!((listener.addr, listener.accepted), (server.address, 1));
    });
}

#[test]
fn a_link_local_address() {
    isolated(|| {
        const LOOPBACK: u32 = 1;
        let ip: Ipv6Addr = "fe80::7".parse().expect("an address");
        crate::netlink::add_address(ip, LOOPBACK);
        let scoped = |port| SocketAddr::V6(std::net::SocketAddrV6::new(ip, port, 0, LOOPBACK));
        // Its route comes later, from a work queue of the kernel (addrconf_dad_work).
        until("the address can be reached", || {
            TcpStream::connect(scoped(1)).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        });
        let mut observer = Observer::shared();
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None).expect("socket");
        socket.bind(&scoped(0).into()).expect("bind");
        socket.listen(4).expect("listen");
        let address = socket.local_addr().expect("getsockname").as_socket().expect("an internet address");
        let cookie = socket.cookie().expect("SO_COOKIE");
        let client = TcpStream::connect(scoped(address.port())).expect("connect");
        let accepted = socket.accept().expect("accept").0;
        let remote = own(&client);
        drop((client, accepted));
        observer.wait_for_connections(1);
        let lines = observer.finish();
        assert_eq!(lines.listener(cookie).addr.ip(), ip);
        let connections = lines.connections();
        assert_eq!(connections.len(), 1);
        assert_eq!((connections[0].remote.ip(), connections[0].remote.port()), (ip.into(), remote.port()));
        assert_eq!((connections[0].local.ip(), connections[0].listener), (ip.into(), Some(cookie)));
    });
}
