//! Several listeners on one address: each connection is told from the others by the very socket that it came out of.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd as _,
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::{
    lines::Connection,
    namespace::isolated,
    observed::Observer,
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
    let mut observer = Observer::start();
    let shards = shards(ip);
    let clients: Vec<_> = (0..CLIENTS).map(|_| connect(shards[0].address)).collect();
    let queued =
        || crate::sock_diag::sockets(&[crate::sock_diag::LISTEN]).iter().map(|one| one.receive_queue).sum();
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
        assert_eq!(connection.listener, came_out_of[&connection.remote], "{connection:?}");
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

/// A process that accepts from one listener and closes at once, until it is killed or its parent ends.
struct Acceptor(Pid);

impl Acceptor {
    fn fork(listener: &Server) -> Self {
        let fd = listener.socket.as_raw_fd();
        // SAFETY: the child makes system calls and nothing else, so it matters not what locks other threads held.
        #[expect(unsafe_code, reason = "a process that shares its listener with its parent comes of fork(2)")]
        let pid = unsafe {
            let pid = libc::fork();
            if pid == 0 {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                // Sockets of other tests, which would stay open as long as this process lives.
                let only = fd.cast_unsigned();
                if only > 0 {
                    libc::close_range(0, only - 1, 0);
                }
                libc::close_range(only + 1, u32::MAX, 0);
                loop {
                    let accepted = libc::accept4(fd, std::ptr::null_mut(), std::ptr::null_mut(), 0);
                    if accepted < 0 {
                        libc::_exit(1);
                    }
                    libc::close(accepted);
                }
            }
            pid
        };
        Self(Pid::from_raw(pid).expect("cannot fork"))
    }

    fn pid(&self) -> u32 {
        self.0.as_raw_nonzero().get().cast_unsigned()
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = kill_process(self.0, Signal::KILL);
        let _ = waitpid(Some(self.0), WaitOptions::empty());
    }
}

#[test]
fn shards_of_processes() {
    isolated(|| {
        let mut observer = Observer::start();
        let shards = shards(V4);
        let acceptors: BTreeMap<u64, Acceptor> =
            shards.iter().map(|shard| (shard.cookie, Acceptor::fork(shard))).collect();
        let clients: Vec<_> = (0..CLIENTS).map(|_| connect(shards[0].address)).collect();
        let remotes: Vec<_> = clients.iter().map(own).collect();
        clients.iter().for_each(receive_end);
        drop(clients);
        observer.wait_for_connections(CLIENTS);
        let lines = observer.finish();
        for remote in remotes {
            let connection: Connection = lines.connection_from(remote);
            let pid = acceptors[&connection.listener].pid();
            let acceptor = connection.acceptor.as_ref().expect("its acceptor is not known");
            assert_eq!((acceptor.pid, acceptor.tid), (pid, pid), "{connection:?}");
            assert_eq!(
                (connection.end.as_str(), connection.closed_first),
                ("fin", Some(true)),
                "{connection:?}"
            );
        }
        for (cookie, acceptor) in &acceptors {
            let listener = lines.listener(*cookie);
            assert_eq!(listener.pid, std::process::id(), "the process that called listen(2)");
            if listener.accepted > 0 {
                assert_eq!(lines.thread(acceptor.pid()).accepts, listener.accepted);
            }
        }
    });
}

#[test]
fn one_listener_shared_by_processes() {
    isolated(|| {
        let mut observer = Observer::start();
        let server = Server::listen(V4, 64);
        let acceptors: Vec<_> = (0..SHARDS).map(|_| Acceptor::fork(&server)).collect();
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
