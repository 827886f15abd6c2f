//! MPTCP: the program holds another socket than the one that came out of the listener.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    namespace::isolated,
    observed::Observer,
    sock_diag,
    traffic::{V4, connect, own, receive, send},
    waiting::tid,
};

fn socket() -> Result<Socket, std::io::Error> {
    Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP))
}

#[test]
fn the_record_is_that_of_the_first_subflow() {
    isolated(|| check("mptcp::the_record_is_that_of_the_first_subflow", false));
}

#[test]
fn a_listener_from_before_the_start_shows_at_its_first_connection() {
    isolated(|| check("mptcp::a_listener_from_before_the_start_shows_at_its_first_connection", true));
}

#[track_caller]
fn check(name: &str, listens_before: bool) {
    let listening = match socket() {
        Ok(socket) => socket,
        Err(error) => {
            return println!("SKIPPED: {name}: this kernel has no MPTCP: {error}");
        }
    };
    let listen = || {
        listening.bind(&SocketAddr::new(V4, 0).into()).expect("bind");
        listening.listen(8).expect("listen");
    };
    if listens_before {
        listen();
    }
    let mut observer = if listens_before { Observer::late() } else { Observer::shared() };
    let sees = |signal: &str, hook: &str| observer.meta()["signals"][signal] == hook;
    if !sees("enqueue", "tp_btf/sk_data_ready") || !sees("read", "tp_btf/sock_recv_length") {
        return println!(
            "SKIPPED: {name}: the hooks fentry/sock_def_readable and fexit/tcp_recvmsg cannot see MPTCP"
        );
    }
    if !listens_before {
        listen();
    }
    let address = listening.local_addr().expect("getsockname").as_socket().expect("an internet address");
    // sock_diag for TCP shows the subflow that listens, with the cookie of that socket.
    let cookie = sock_diag::listener(address.port()).cookie;
    let client = socket().expect("socket");
    client.connect(&address.into()).expect("connect");
    let mut client: TcpStream = client.into();
    let mut accepted: TcpStream = listening.accept().expect("accept").0.into();
    client.write_all(b"request").expect("write");
    let mut request = [0; 7];
    accepted.read_exact(&mut request).expect("read");
    accepted.write_all(b"answer").expect("write");
    receive(&client, 6);
    // A client that knows only TCP gets a plain socket from the same listener.
    let plain = connect(address);
    let served: TcpStream = listening.accept().expect("accept").0.into();
    send(&plain, b"hi");
    receive(&served, 2);
    let (first, second) = (own(&client), own(&plain));
    drop((client, accepted));
    drop((plain, served));
    observer.wait_for_connections(2);
    let lines = observer.finish();
    let connection = lines.connection_from(first);
    assert_eq!(connection.listener, Some(cookie));
    assert_eq!(connection.acceptor.as_ref().map(|acceptor| acceptor.tid), Some(tid()), "{connection:?}");
    assert_eq!((connection.bytes_read, connection.bytes_written), (7, 6), "{connection:?}");
    let connection = lines.connection_from(second);
    assert_eq!((connection.listener, connection.bytes_read), (Some(cookie), 2), "{connection:?}");
    let listener = lines.listener(cookie);
    assert_eq!((listener.enqueued, listener.accepted, listener.queued_at_start), (2, 2, 0));
    assert_eq!(listener.pid, std::process::id());
    assert_eq!(lines.books_of(cookie).difference, 0);
}
