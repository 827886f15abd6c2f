//! Accepts through io_uring: no system call returns the descriptor.

use std::{fs::File, os::fd::AsRawFd as _};

use io_uring::{IoUring, cqueue, opcode, squeue, types};

use crate::{
    lines::Lines,
    namespace::{isolated, proves},
    observed::Observer,
    traffic::{Server, V4, connect, own, receive_end},
    waiting::tid,
};

const CONNECTIONS: usize = 7;

/// How the ring is set up, and how it accepts.
#[derive(Clone, Copy)]
struct Way {
    multishot: bool,
    defer_taskrun: bool,
}

fn ring(way: Way) -> Result<IoUring, std::io::Error> {
    let mut builder = IoUring::builder();
    if way.defer_taskrun {
        builder.setup_single_issuer().setup_defer_taskrun();
    }
    builder.build(16)
}

/// Puts an entry into a ring's submission queue.
pub(crate) fn push(ring: &mut IoUring, entry: &squeue::Entry) {
    #[expect(unsafe_code, reason = "the ring wants to be told that what the entry points to outlives it")]
    // SAFETY: the entry holds no pointer but null.
    unsafe { ring.submission().push(entry) }.expect("the submission queue has room");
}

/// Accepts so many connections through a ring, and closes them.
#[track_caller]
fn accept(ring: &mut IoUring, server: &Server, way: Way) {
    let listener = types::Fd(server.socket.as_raw_fd());
    let single = opcode::Accept::new(listener, std::ptr::null_mut(), std::ptr::null_mut()).build();
    let multi = opcode::AcceptMulti::new(listener).build();
    if way.multishot {
        push(ring, &multi);
    }
    let mut accepted = 0;
    while accepted < CONNECTIONS {
        if !way.multishot {
            push(ring, &single);
        }
        ring.submit_and_wait(1).expect("io_uring_enter");
        let completed: Vec<_> = ring.completion().collect();
        for entry in completed {
            assert!(entry.result() >= 0, "accept: {}", std::io::Error::from_raw_os_error(-entry.result()));
            assert!(!way.multishot || cqueue::more(entry.flags()), "the multishot request ended");
            #[expect(unsafe_code, reason = "a number from the kernel becomes a descriptor")]
            // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
            drop(unsafe { <std::net::TcpStream as std::os::fd::FromRawFd>::from_raw_fd(entry.result()) });
            accepted += 1;
        }
    }
}

/// Whether the kernel knows the request. If it does, it says that the descriptor is no socket; if not, that the request is
/// wrong.
fn knows_multishot(ring: &mut IoUring) -> bool {
    let nothing = File::open("/dev/null").expect("/dev/null");
    push(ring, &opcode::AcceptMulti::new(types::Fd(nothing.as_raw_fd())).build());
    ring.submit_and_wait(1).expect("io_uring_enter");
    ring.completion().next().expect("a completion").result() != -libc::EINVAL
}

/// Whether the hook in use sees accepts that no system call returns.
fn sees_rings(lines: &Lines) -> bool {
    lines.meta()["signals"]["accept"] != "tracepoint/sys_exit_accept"
}

#[track_caller]
fn check(way: Way) {
    let mut ring = match ring(way) {
        Ok(ring) => ring,
        Err(error) => {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            return println!("SKIPPED: {name}: this kernel has no such io_uring: {error}");
        }
    };
    if way.multishot && !knows_multishot(&mut ring) {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        return println!("SKIPPED: {name}: this kernel's io_uring has no multishot accept");
    }
    let mut observer = Observer::shared();
    if !sees_rings(&observer) {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        return println!(
            "SKIPPED: {name}: the hook tracepoint/sys_exit_accept cannot see accepts through io_uring"
        );
    }
    let server = Server::listen(V4, 16);
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| connect(server.address)).collect();
    accept(&mut ring, &server, way);
    clients.iter().for_each(receive_end);
    let remotes: Vec<_> = clients.iter().map(own).collect();
    drop(clients);
    observer.wait_for_connections(CONNECTIONS);
    // With DEFER_TASKRUN completions run in the thread that waits; without, they may run in any thread of the ring.
    if way.defer_taskrun {
        observer.wait_for_accepts(tid(), CONNECTIONS as u64);
    }
    let lines = observer.finish();
    for remote in remotes {
        let connection = lines.connection_from(remote);
        let acceptor = connection.acceptor.as_ref().unwrap_or_else(|| panic!("no acceptor: {connection:?}"));
        assert_eq!(acceptor.pid, std::process::id(), "{connection:?}");
        assert!(connection.accepted_ns >= connection.enqueued_ns, "{connection:?}");
        assert!(connection.unseen.is_empty(), "{connection:?}");
    }
    let listener = lines.listener(server.cookie);
    assert_eq!((listener.accepted, listener.accepted_unseen), (CONNECTIONS as u64, 0));
    assert_eq!(lines.books_of(server.cookie).difference, 0);
}

#[test]
fn single() {
    isolated(|| check(Way { multishot: false, defer_taskrun: false }));
}

#[test]
fn single_with_deferred_work() {
    proves(&["accept"], || check(Way { multishot: false, defer_taskrun: true }));
}

#[test]
fn multishot() {
    proves(&["accept"], || check(Way { multishot: true, defer_taskrun: false }));
}

#[test]
fn multishot_with_deferred_work() {
    isolated(|| check(Way { multishot: true, defer_taskrun: true }));
}
