//! What is not selected is not there: ports, processes, network namespaces.

use std::collections::BTreeSet;

use socket2::{Domain, Socket, Type};

use crate::{
    namespace::isolated,
    observed::Observer,
    processes::Acceptor,
    sock_diag,
    traffic::{Server, V4, V6, connect, receive_end},
    waiting::{tid, until},
};

#[test]
fn only_the_selected_port() {
    isolated(|| {
        let (before, other) = (Server::listen(V4, 4), Server::listen(V6, 4));
        let port = before.address.port().to_string();
        let mut observer =
            Observer::start_with(&["--interval", "100ms", "--netns", "/proc/self/ns/net", "--port", &port]);
        drop(other.pair());
        drop(before.pair());
        let remote_ended = 1;
        observer.wait_for_connections(remote_ended);
        let lines = observer.finish();
        assert_eq!(lines.cookies(), BTreeSet::from([before.cookie]));
        assert_eq!(lines.connections().len(), remote_ended);
    });
}

#[test]
fn only_the_selected_namespace() {
    isolated(|| {
        let mut observer = Observer::start();
        let here = Server::listen(V4, 4);
        let elsewhere = std::thread::scope(|scope| {
            scope.spawn(|| isolated(|| drop(Server::listen(V4, 4).pair()))).join()
        });
        elsewhere.expect("a namespace beside this one");
        drop(here.pair());
        observer.wait_for_connections(1);
        let lines = observer.finish();
        assert_eq!(lines.cookies(), BTreeSet::from([here.cookie]));
        assert_eq!(lines.connections().len(), 1);
    });
}

#[test]
fn another_namespace_seen_from_outside() {
    isolated(|| {
        let path = format!("/proc/{}/task/{}/ns/net", std::process::id(), tid());
        let netns = crate::namespace::inode();
        // The observer runs in a namespace of its own, and looks into ours.
        let mut observer = std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let mut observer = None;
                isolated(|| {
                    observer = Some(Observer::start_with(&["--interval", "100ms", "--netns", &path]))
                });
                observer.expect("it runs where this runs")
            });
            other.join().expect("a namespace beside this one")
        });
        let server = Server::listen(V4, 2);
        let clients = server.queue(2);
        drop(clients.into_iter().map(|client| (client, server.accept())).collect::<Vec<_>>());
        observer.wait_for_connections(2);
        let lines = observer.finish();
        let listener = lines.listener(server.cookie);
        assert_eq!((listener.netns, listener.enqueued, listener.accepted), (netns, 2, 2));
        assert_eq!(lines.books_of(server.cookie).difference, 0);
    });
}

/// Listeners of this process and of another one, which exist before the observer starts, or are opened after.
#[track_caller]
fn only_the_selected_process(before: bool) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    socket.bind(&std::net::SocketAddr::from((V4, 0)).into()).expect("bind");
    let address = socket.local_addr().expect("getsockname").as_socket().expect("an internet address");
    let cookie = socket.cookie().expect("SO_COOKIE");
    let fork = || {
        let acceptor = Acceptor::fork(&socket);
        until("the other process listens", || {
            sock_diag::sockets(&[sock_diag::LISTEN]).iter().any(|listener| listener.cookie == cookie)
        });
        acceptor
    };
    let start = |pid: u32| {
        let pid = pid.to_string();
        Observer::start_with(&["--interval", "100ms", "--netns", "/proc/self/ns/net", "--pid", &pid])
    };
    let (mut observer, expected) = if before {
        let (acceptor, own) = (fork(), Server::listen(V4, 4));
        let observer = start(acceptor.pid());
        receive_end(&connect(address));
        drop(own.pair());
        (observer, (cookie, acceptor.pid()))
    } else {
        let observer = start(std::process::id());
        let (_acceptor, own) = (fork(), Server::listen(V4, 4));
        receive_end(&connect(address));
        drop(own.pair());
        (observer, (own.cookie, std::process::id()))
    };
    observer.wait_for_connections(1);
    let lines = observer.finish();
    assert_eq!(lines.cookies(), BTreeSet::from([expected.0]));
    assert_eq!(lines.listener(expected.0).pid, expected.1);
    let connections = lines.connections();
    assert_eq!(connections.len(), 1);
    assert_eq!(connections[0].listener, Some(expected.0));
}

#[test]
fn a_process_that_listens_already() {
    isolated(|| only_the_selected_process(true));
}

#[test]
fn a_process_that_listens_later() {
    isolated(|| only_the_selected_process(false));
}
