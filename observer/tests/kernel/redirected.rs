//! Connections whose local port is not that of their listener: what links the two is the kernel's pointer, not the port.

use std::net::{IpAddr, SocketAddr};

use crate::{
    namespace::{ALIKE, isolated, natively},
    observed::Observer,
    sk_lookup::Redirect,
    traffic::{Server, V4, V6, connect, own, receive, send},
};

/// A port on which nobody listens.
const PORT: u16 = 443;
const ACCEPTED: usize = 11;
const QUEUED: usize = 3;

/// A listener, and its address as clients know it.
fn redirected(ip: IpAddr) -> Option<(Server, Redirect, SocketAddr)> {
    let server = Server::listen(ip, 64);
    match Redirect::to(&server.socket, PORT) {
        Ok(redirect) => Some((server, redirect, SocketAddr::new(ip, PORT))),
        Err(error) => {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            println!("SKIPPED: {name}: this kernel takes no sk_lookup program: {error}");
            None
        }
    }
}

#[track_caller]
fn check(ip: IpAddr) {
    let mut observer = Observer::shared();
    let Some((server, _redirect, address)) = redirected(ip) else { return };
    observer.wait_until_it_knows(&server);
    let mut remotes = Vec::new();
    for _ in 0..ACCEPTED {
        let client = connect(address);
        let accepted = server.accept();
        assert_eq!(
            accepted.local_addr().expect("getsockname"),
            address,
            "the kernel gives it its client's port"
        );
        send(&client, b"x");
        receive(&accepted, 1);
        remotes.push(own(&client));
    }
    let waiting: Vec<_> = (0..QUEUED).map(|_| connect(address)).collect();
    crate::waiting::until_equal("the queue", || server.truth().receive_queue, QUEUED as u32);
    observer.wait_for_connections(ACCEPTED);
    let cookie = server.cookie;
    drop(server);
    observer.wait_for_connections(ACCEPTED + QUEUED);
    let lines = observer.finish();
    for remote in &remotes {
        let connection = lines.connection_from(*remote);
        assert_eq!((connection.listener, connection.local), (Some(cookie), address), "{connection:?}");
        assert_eq!((connection.via.as_str(), connection.queue_at_arrival), ("handshake", Some(1)));
        assert!(connection.unseen.is_empty(), "{connection:?}");
        assert_eq!((connection.reads, connection.bytes_read), (1, 1), "{connection:?}");
    }
    for (client, depth) in waiting.iter().zip(1..) {
        let connection = lines.connection_from(own(client));
        assert_eq!((connection.listener, connection.end.as_str()), (Some(cookie), "queued_reset"));
        assert_eq!(connection.queue_at_arrival, Some(depth), "{connection:?}");
    }
    let listener = lines.listener(cookie);
    assert_eq!((listener.enqueued, listener.accepted), ((ACCEPTED + QUEUED) as u64, ACCEPTED as u64));
    assert_eq!(listener.dropped_queued, QUEUED as u64);
}

#[test]
fn another_port_ipv4() {
    isolated(|| check(V4));
}

#[test]
fn another_port_ipv6() {
    natively(ALIKE, || check(V6));
}

#[track_caller]
fn check_before(ip: IpAddr) {
    let Some((server, _redirect, address)) = redirected(ip) else { return };
    // Not watched, and of the same process: what came out of it is none of the watched one's.
    let other = Server::listen(ip, 4);
    let held: Vec<_> = (0..2).map(|_| (connect(address), server.accept())).collect();
    let elsewhere = other.pair();
    let port = server.address.port().to_string();
    let mut observer = Observer::start_with(&[
        "--interval",
        crate::waiting::interval(),
        "--netns",
        "/proc/self/ns/net",
        "--port",
        &port,
    ]);
    let remotes: Vec<_> = held.iter().map(|(client, _)| own(client)).collect();
    for (client, accepted) in &held {
        send(client, b"xy");
        receive(accepted, 2);
    }
    drop((elsewhere, held));
    observer.wait_for_connections(remotes.len());
    observer.wait_for_next_lines();
    let lines = observer.finish();
    assert_eq!(
        lines.connections().len(),
        remotes.len(),
        "the clients' own sockets are none: {:?}",
        lines.connections()
    );
    for remote in remotes {
        let connection = lines.connection_from(remote);
        assert_eq!((connection.via.as_str(), connection.local), ("unseen", address), "{connection:?}");
        assert_eq!(connection.holder.as_ref().map(|holder| holder.pid), Some(std::process::id()));
        assert_eq!((connection.reads, connection.bytes_read), (1, 2), "{connection:?}");
    }
    let loss = lines.0.iter().rev().find(|line| line["type"] == "loss").expect("a `loss` line");
    assert_eq!(loss["counters"]["existing_untold"], 0);
}

#[test]
fn another_port_before_the_start_ipv4() {
    natively(ALIKE, || check_before(V4));
}

#[test]
fn another_port_before_the_start_ipv6() {
    natively(ALIKE, || check_before(V6));
}
