//! Threads that were blocked in accept(2) before the probes were attached: their accepts count like any other.

use std::{net::SocketAddr, sync::mpsc::channel, thread};

use crate::{
    namespace::proves,
    observed::Observer,
    traffic::{Server, V4, connect},
    waiting::{now_ns, tid, until_blocked},
};

const THREADS: usize = 3;

/// What an accepting thread knows of its accept.
struct Accepted {
    tid: u32,
    remote: SocketAddr,
    returned_ns: u64,
}

#[track_caller]
fn check(call: libc::c_long, accept: fn(&Server) -> SocketAddr) {
    let server = Server::listen(V4, 16);
    let (tids, started) = channel();
    let (reports, accepted) = channel();
    thread::scope(|scope| {
        for nth in 0..THREADS {
            let (server, tids, reports) = (&server, tids.clone(), reports.clone());
            let body = move || {
                tids.send(tid()).unwrap();
                let remote = accept(server);
                reports.send(Accepted { tid: tid(), remote, returned_ns: now_ns() }).unwrap();
            };
            thread::Builder::new().name(format!("accept-{nth}")).spawn_scoped(scope, body).unwrap();
        }
        started.iter().take(THREADS).for_each(|tid| until_blocked(tid, call));

        let mut observer = Observer::late();
        let began_ns = now_ns();
        // One after the other: where programs are preempted, threads that return at once keep each other's from running.
        let one = |_| {
            let client = connect(server.address);
            (client, accepted.recv().expect("it was accepted"))
        };
        let (clients, accepted): (Vec<_>, Vec<Accepted>) = (0..THREADS).map(one).unzip();
        drop(clients);
        observer.wait_for_connections(THREADS);
        let lines = observer.finish();
        if lines.meta()["signals"]["accept"] == "fexit/inet_accept" {
            let name = thread::current().name().unwrap_or_default().to_owned();
            return println!(
                "SKIPPED: {name}: the hook fexit/inet_accept cannot see accepts that had begun before the start"
            );
        }

        for one in &accepted {
            let connection = lines.connection_from(one.remote);
            let acceptor = connection.acceptor.as_ref().expect("its acceptor is not known");
            assert_eq!((acceptor.pid, acceptor.tid), (std::process::id(), one.tid), "{connection:?}");
            assert!(acceptor.comm.starts_with("accept-"), "{connection:?}");
            let accepted_ns = connection.accepted_ns.expect("its accept was not seen");
            let window = began_ns..=one.returned_ns;
            assert!(window.contains(&accepted_ns), "accepted at {accepted_ns}, not within {window:?}");
            let thread = lines.thread(one.tid);
            assert_eq!((thread.accepts, thread.role.as_str()), (1, "acceptor"), "{thread:?}");
        }
        let listener = lines.listener(server.cookie);
        assert_eq!((listener.enqueued, listener.accepted), (THREADS as u64, THREADS as u64));
        assert_eq!(lines.books_of(server.cookie).difference, 0);
    });
}

#[test]
fn blocked_in_accept4() {
    proves(&["accept"], || {
        check(libc::SYS_accept4, |server| server.accept().peer_addr().expect("getpeername"))
    });
}

#[test]
fn blocked_in_accept() {
    proves(&["accept"], || {
        check(libc::SYS_accept, |server| {
            let (_socket, remote) = server.socket.accept_raw().expect("accept");
            remote.as_socket().expect("an internet address")
        });
    });
}
