//! Addresses of sockets, and numbers of threads, that are given to others at once.

use std::{cell::OnceCell, collections::BTreeSet, fs, thread};

use crate::{
    namespace::{ALIKE, isolated, natively},
    observed::Observer,
    processes::Acceptor,
    traffic::{Server, V4, connect, own, receive, receive_end, send},
    waiting::{tid, until},
};

#[test]
fn sockets_at_a_high_rate() {
    const CONNECTIONS: usize = 3000;
    natively(ALIKE, || {
        let mut observer = Observer::start();
        let server = Server::listen(V4, 16);
        let mut remotes = BTreeSet::new();
        for number in 0..CONNECTIONS {
            let (client, accepted) = server.pair();
            // Each has its own number of bytes, so that one taken for another would show.
            send(&client, &vec![1; number % 7 + 1]);
            receive(&accepted, number % 7 + 1);
            remotes.insert((own(&client), number % 7 + 1));
            drop((accepted, client));
        }
        observer.wait_for_next_lines();
        observer.wait_for("a line for each connection", |lines| lines.loss().delivered >= CONNECTIONS as u64);
        let lines = observer.finish();
        let seen: BTreeSet<_> =
            lines.connections().iter().map(|one| (one.remote, one.bytes_read as usize)).collect();
        assert_eq!(lines.connections().len(), CONNECTIONS);
        assert_eq!(seen, remotes);
        let listener = lines.listener(server.cookie);
        assert_eq!((listener.enqueued, listener.accepted), (CONNECTIONS as u64, CONNECTIONS as u64));
        assert_eq!((listener.ended, listener.unread), (CONNECTIONS as u64, 0));
        let loss = lines.loss();
        assert_eq!((loss.produced, loss.delivered, loss.total), (CONNECTIONS as u64, CONNECTIONS as u64, 0));
    });
}

#[test]
fn a_connection_that_becomes_a_listener() {
    isolated(|| {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 16);
        let (client, accepted) = server.pair();
        let remote = own(&client);
        rustix::net::connect_unspec(&accepted).expect("disconnected");
        let second = Server::again(accepted.into(), 4);
        observer.wait_for_connections(1);
        let (other, taken) = second.pair();
        observer.wait_for_next_lines();
        assert_eq!(observer.listener(second.cookie).accepted, 1);
        let cookie = second.cookie;
        drop((other, taken, second));
        observer.wait_for("the listener's last line", |lines| {
            lines.listener_over_time(cookie).iter().any(|line| line.closed_ns.is_some())
        });
        observer.wait_for_connections(2);
        let lines = observer.finish();
        assert_eq!(lines.connection_from(remote).end, "rst_out", "a disconnected socket resets its peer");
    });
}

/// Runs it on a new thread that the kernel gives this number; `false` if another thread took it in between.
fn with_number(number: u32, accept: impl FnOnce() + Send) -> bool {
    fs::write("/proc/sys/kernel/ns_last_pid", (number - 1).to_string()).expect("ns_last_pid can be set");
    thread::scope(|scope| {
        let run = || {
            let ours = tid() == number;
            if ours {
                accept();
            }
            ours
        };
        scope.spawn(run).join().expect("a thread")
    })
}

#[test]
fn a_thread_with_the_number_of_one_that_exited() {
    isolated(|| {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 16);
        let first = thread::scope(|scope| scope.spawn(|| (server.pair(), tid()).1).join().expect("a thread"));
        // Other tests start threads too, so the number may be taken when it is asked for.
        let again = (0..1000).any(|_| with_number(first, || drop(server.pair())));
        assert!(again, "no thread got the number {first} again");
        observer.wait_for_connections(2);
        let lines = observer.finish();
        for connection in lines.connections() {
            assert_eq!(connection.acceptor.as_ref().map(|acceptor| acceptor.tid), Some(first));
        }
        // Each did one; the second is not credited with what the first did.
        let last: Vec<_> = lines.of::<crate::lines::Thread>("thread");
        assert!(
            last.iter().filter(|thread| thread.tid == first).all(|thread| thread.accepts <= 2),
            "{last:?}"
        );
        assert_eq!(lines.listener(server.cookie).accepted, 2);
    });
}

#[test]
fn a_process_with_the_number_of_one_that_exited() {
    isolated(|| {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 16);
        let served = || receive_end(&connect(server.address));
        let first = Acceptor::fork(&server.socket);
        let pid = first.pid();
        served();
        drop(first);
        let again = OnceCell::new();
        until("a process with the number again", || {
            Acceptor::fork_as(&server.socket, pid).is_some_and(|acceptor| again.set(acceptor).is_ok())
        });
        served();
        observer.wait_for_connections(2);
        drop(again);
        let lines = observer.finish();
        for connection in lines.connections() {
            assert_eq!(connection.acceptor.as_ref().map(|acceptor| acceptor.pid), Some(pid));
        }
        let listener = lines.listener(server.cookie);
        assert_eq!((listener.accepted, listener.accepted_unseen), (2, 0));
    });
}
