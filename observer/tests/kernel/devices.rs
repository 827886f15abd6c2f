//! Listeners of one address on several interfaces: a group is what the kernel deals connections out to, and no more.

use std::net::IpAddr;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::{
    namespace::{ALIKE, isolated, natively},
    observed::Observer,
    sock_diag::{self, LISTEN},
    traffic::{Server, V4, V6, connect},
    waiting::until_equal,
};

const CLIENTS: u32 = 7;

/// One more listener on the address of the first, bound to loopback.
fn on_loopback(first: &Server) -> Server {
    let socket = Socket::new(Domain::for_address(first.address), Type::STREAM, None).expect("socket");
    socket.set_reuse_port(true).expect("SO_REUSEPORT");
    socket.bind_device(Some(b"lo")).expect("SO_BINDTODEVICE");
    socket.bind(&first.address.into()).expect("bind");
    socket.listen(64).expect("listen");
    let cookie = socket.cookie().expect("SO_COOKIE");
    Server { socket, address: first.address, cookie }
}

/// Index of the interface that a listener is bound to, by sock_diag.
#[track_caller]
fn device(server: &Server) -> u32 {
    let all = sock_diag::sockets(&[LISTEN]);
    all.iter().find(|socket| socket.cookie == server.cookie).expect("sock_diag shows it").device
}

/// Two shards for any interface and one listener for loopback, which is in no group with them (`inet_reuseport_add_sock`). Which
/// of the two groups gets a connection depends on the order in which the kernel finds them.
#[track_caller]
fn check(ip: IpAddr, is_there_before: bool) {
    let watch = || (!is_there_before).then(Observer::shared);
    let mut observer = watch();
    let any = Server::prepared(ip, 64, |socket| socket.set_reuse_port(true).expect("SO_REUSEPORT"));
    let other = Server::shard_of(&any, 64);
    let bound = on_loopback(&any);
    let mut observer = observer.take().unwrap_or_else(Observer::start);
    assert_eq!((device(&any), device(&other), device(&bound)), (0, 0, 1), "loopback is the first interface");

    let clients: Vec<_> = (0..CLIENTS).map(|_| connect(any.address)).collect();
    let queued = || sock_diag::sockets(&[LISTEN]).iter().map(|listener| listener.receive_queue).sum::<u32>();
    until_equal("connections in the queues", queued, CLIENTS);
    let accept_all = |server: &Server| {
        server.socket.set_nonblocking(true).expect("O_NONBLOCK");
        std::iter::from_fn(|| server.socket.accept().ok()).count()
    };
    let accepted = [&any, &other, &bound].map(accept_all);
    drop(clients);
    observer.wait_for_connections(CLIENTS as usize);
    observer.wait_for_next_lines();
    let lines = observer.finish();
    let of = |server: &Server, fields: &[&str]| -> Vec<Value> {
        let line = lines.listener_fields(server.cookie);
        fields.iter().map(|field| line[*field].clone()).collect()
    };
    let (host, port) = match ip {
        IpAddr::V4(ip) => (ip.to_string(), any.address.port()),
        IpAddr::V6(ip) => (format!("[{ip}]"), any.address.port()),
    };
    let (everywhere, here) = (format!("{host}:{port}"), format!("{host}%lo:{port}"));
    let fields = ["addr", "device", "group", "shard"];
    assert_eq!(of(&any, &fields), [json!(everywhere), Value::Null, json!(everywhere), json!(1)]);
    assert_eq!(of(&other, &fields), [json!(everywhere), Value::Null, json!(everywhere), json!(2)]);
    assert_eq!(of(&bound, &fields), [json!(here), json!("lo"), Value::Null, Value::Null]);
    let counts = ["enqueued", "accepted"];
    for (server, count) in [&any, &other, &bound].into_iter().zip(accepted) {
        assert_eq!(of(server, &counts), [json!(count), json!(count)]);
    }
}

#[test]
fn a_listener_of_an_interface_is_no_shard_ipv4() {
    isolated(|| check(V4, false));
}

#[test]
fn a_listener_of_an_interface_is_no_shard_ipv6() {
    natively(ALIKE, || check(V6, false));
}

#[test]
fn a_listener_of_an_interface_from_before_the_start() {
    natively(ALIKE, || check(V4, true));
}

#[test]
fn a_stuck_listener_of_an_interface_is_no_stuck_shard() {
    natively(ALIKE, || {
        let mut observer = Observer::shared();
        let any = Server::prepared(V4, 4, |socket| socket.set_reuse_port(true).expect("SO_REUSEPORT"));
        let bound = on_loopback(&any);
        let clients = bound_queue(&bound, 2);
        observer.wait_for("a diagnosis of the listener that nobody accepts from", |lines| {
            lines.0.iter().any(|line| line["type"] == "diagnosis")
        });
        drop(clients);
        let lines = observer.finish();
        let place = format!("127.0.0.1%lo:{}", bound.address.port());
        for line in lines.0.iter().filter(|line| line["type"] == "diagnosis") {
            assert_eq!(
                (&line["place"], &line["listeners"]),
                (&json!(place), &json!([bound.cookie])),
                "{line}"
            );
            assert_ne!(line["rule"], "shard-stuck", "{line}");
        }
        drop(any);
    });
}

/// Connects so many clients, which wait in the queue.
fn bound_queue(bound: &Server, clients: u32) -> Vec<std::net::TcpStream> {
    let depth = || {
        let all = sock_diag::sockets(&[LISTEN]);
        all.iter().find(|socket| socket.cookie == bound.cookie).map(|socket| socket.receive_queue)
    };
    let clients: Vec<_> = (0..clients).map(|_| connect(bound.address)).collect();
    until_equal("depth of the accept queue", depth, Some(clients.len() as u32));
    clients
}
