//! Threads and listeners that are gone before anybody looks.

use std::{collections::BTreeSet, thread};

use crate::{
    namespace::{isolated, proves},
    observed::Observer,
    traffic::{Server, V4, connect, own, receive_end},
    waiting::{is_emulated, tid},
};

#[test]
fn accepted_by_threads_that_exit_at_once() {
    const CONNECTIONS: usize = 40;
    isolated(|| {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 64);
        let clients: Vec<_> = (0..CONNECTIONS).map(|_| connect(server.address)).collect();
        let acceptors: Vec<(std::net::SocketAddr, u32)> = (0..CONNECTIONS)
            .map(|_| {
                let accept = || (server.accept().peer_addr().expect("getpeername"), tid());
                thread::scope(|scope| scope.spawn(accept).join()).expect("a thread")
            })
            .collect();
        clients.iter().for_each(receive_end);
        drop(clients);
        observer.wait_for_connections(CONNECTIONS);
        let lines = observer.finish();
        for (remote, tid) in acceptors {
            let connection = lines.connection_from(remote);
            let acceptor = connection.acceptor.as_ref().expect("its acceptor is not known");
            assert_eq!((acceptor.pid, acceptor.tid), (std::process::id(), tid), "{connection:?}");
        }
        assert_eq!(lines.listener(server.cookie).accepted, CONNECTIONS as u64);
    });
}

#[test]
fn listeners_of_a_moment() {
    let listeners = if is_emulated() { 40 } else { 200 };
    proves(&["listener"], || {
        let mut observer = Observer::shared();
        let mut cookies = BTreeSet::new();
        let mut remotes = Vec::new();
        for number in 0..listeners {
            let server = Server::listen(V4, 4);
            cookies.insert(server.cookie);
            // Every second one has a connection in its life.
            if number % 2 == 0 {
                let (client, accepted) = server.pair();
                remotes.push((own(&client), server.cookie));
                drop(accepted);
                receive_end(&client);
            }
        }
        observer.wait_for("the last line of every listener", |lines| {
            let closed = lines.of::<crate::lines::Listener>("listener");
            let closed: BTreeSet<u64> =
                closed.iter().filter(|line| line.closed_ns.is_some()).map(|line| line.cookie).collect();
            cookies.is_subset(&closed)
        });
        observer.wait_for_connections(remotes.len());
        let lines = observer.finish();
        assert_eq!(lines.connections().len(), remotes.len());
        for (remote, cookie) in &remotes {
            // A client's port may come again, at another listener.
            let here =
                |one: &&crate::lines::Connection| one.remote == *remote && one.listener == Some(*cookie);
            assert_eq!(lines.connections().iter().filter(here).count(), 1, "{remote} at {cookie}");
        }
        let with: BTreeSet<u64> = remotes.iter().map(|(_, cookie)| *cookie).collect();
        for cookie in cookies {
            let listener = lines.listener(cookie);
            let expected = u64::from(with.contains(&cookie));
            assert_eq!((listener.enqueued, listener.accepted), (expected, expected), "{listener:?}");
        }
    });
}
