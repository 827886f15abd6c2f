//! Several listeners on one address: each connection is told from the others by the very socket that it came out of.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use crate::{
    lines::Connection,
    namespace::isolated,
    observed::Observer,
    processes::Acceptor,
    sock_diag::{LISTEN, sockets},
    traffic::{Server, V4, V6, connect, own, receive_end},
    waiting::until_equal,
};

const SHARDS: usize = 3;
const CLIENTS: usize = 23;

/// Listeners that share an address.
fn shards(ip: IpAddr) -> Vec<Server> {
    let first = Server::prepared(ip, 64, |socket| socket.set_reuse_port(true).expect("SO_REUSEPORT"));
    let rest: Vec<_> = (1..SHARDS).map(|_| Server::shard_of(&first, 64)).collect();
    std::iter::once(first).chain(rest).collect()
}

#[track_caller]
fn check(ip: IpAddr) {
    let mut observer = Observer::shared();
    let shards = shards(ip);
    let clients: Vec<_> = (0..CLIENTS).map(|_| connect(shards[0].address)).collect();
    let queued = || sockets(&[LISTEN]).iter().map(|listener| listener.receive_queue).sum::<u32>();
    until_equal("connections in the queues", queued, CLIENTS as u32);
    let mut came_out_of: BTreeMap<SocketAddr, u64> = BTreeMap::new();
    for shard in &shards {
        shard.socket.set_nonblocking(true).expect("O_NONBLOCK");
        while let Ok((_, remote)) = shard.socket.accept() {
            came_out_of.insert(remote.as_socket().expect("an internet address"), shard.cookie);
        }
    }
    assert_eq!(came_out_of.len(), CLIENTS);
    drop(clients);
    observer.wait_for_connections(CLIENTS);
    let lines = observer.finish();
    for connection in lines.connections() {
        assert_eq!(connection.listener, Some(came_out_of[&connection.remote]), "{connection:?}");
    }
    for shard in &shards {
        let ours = lines.listener(shard.cookie);
        let here = came_out_of.values().filter(|cookie| **cookie == shard.cookie).count();
        assert_eq!((ours.enqueued, ours.accepted), (here as u64, here as u64), "{ours:?}");
        assert_eq!(ours.group.as_deref(), Some(shard.address.to_string().as_str()));
    }
}

#[test]
fn three_shards_ipv4() {
    isolated(|| check(V4));
}

#[test]
fn three_shards_ipv6() {
    isolated(|| check(V6));
}

#[test]
fn shards_of_processes() {
    isolated(|| {
        let mut observer = Observer::shared();
        let shards = shards(V4);
        let acceptors: BTreeMap<u64, Acceptor> =
            shards.iter().map(|shard| (shard.cookie, Acceptor::fork(&shard.socket))).collect();
        let clients: Vec<_> = (0..CLIENTS).map(|_| connect(shards[0].address)).collect();
        let remotes: Vec<_> = clients.iter().map(own).collect();
        clients.iter().for_each(receive_end);
        drop(clients);
        observer.wait_for_connections(CLIENTS);
        observer.wait_for_next_lines();
        for (cookie, acceptor) in &acceptors {
            let accepted = observer.listener(*cookie).accepted;
            if accepted > 0 {
                observer.wait_for_accepts(acceptor.pid(), accepted);
            }
        }
        let lines = observer.finish();
        for remote in remotes {
            let connection: Connection = lines.connection_from(remote);
            let pid = acceptors[&connection.listener.expect("a listener")].pid();
            let acceptor = connection.acceptor.as_ref().expect("its acceptor is not known");
            assert_eq!((acceptor.pid, acceptor.tid), (pid, pid), "{connection:?}");
            assert_eq!(
                (connection.end.as_str(), connection.closed_first),
                ("fin", Some(true)),
                "{connection:?}"
            );
        }
        for cookie in acceptors.keys() {
            let listener = lines.listener(*cookie);
            assert_eq!(listener.pid, std::process::id(), "the process that called listen(2)");
        }
    });
}

#[test]
fn one_listener_shared_by_processes() {
    isolated(|| {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 64);
        let acceptors: Vec<_> = (0..SHARDS).map(|_| Acceptor::fork(&server.socket)).collect();
        let pids: Vec<u32> = acceptors.iter().map(Acceptor::pid).collect();
        let clients: Vec<_> = (0..CLIENTS).map(|_| connect(server.address)).collect();
        clients.iter().for_each(receive_end);
        drop(clients);
        observer.wait_for_connections(CLIENTS);
        let lines = observer.finish();
        for connection in lines.connections() {
            let acceptor = connection.acceptor.as_ref().expect("its acceptor is not known");
            assert!(pids.contains(&acceptor.pid), "{connection:?}, not one of {pids:?}");
        }
        let listener = lines.listener(server.cookie);
        assert_eq!((listener.group, listener.accepted), (None, CLIENTS as u64));
    });
}
