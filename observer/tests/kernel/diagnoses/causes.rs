//! Queues that nobody empties: each cause is told from what the acceptor does, and named.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpStream,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    sync::{Mutex, atomic::AtomicU64, mpsc},
    thread,
};

use io_uring::{IoUring, opcode, squeue, types};
use rustix::{
    buffer::spare_capacity,
    event::{
        PollFd, PollFlags,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
        poll,
    },
    fs::{FlockOperation, flock},
    process::{Pid, Signal, kill_process},
};
use serde_json::Value;

use super::{found, lines_of, pass_time, wait_for, wait_for_end};
use crate::{
    io_uring::push,
    namespace::{SILENT, THE_SAME, natively},
    observed::Observer,
    processes::Acceptor,
    sock_diag::{LISTEN, sockets},
    traffic::{Server, V4, connect, own},
    waiting::{tid, until, until_blocked},
};

/// A queue of three whose only acceptor, a thread, has accepted one client and then does something; the diagnosis of it.
/// `release` ends that.
#[track_caller]
fn kept(
    call: libc::c_long,
    act: impl FnOnce(TcpStream, &Server) + Send,
    release: impl FnOnce(TcpStream),
) -> (Value, u32) {
    let mut observer = Observer::shared();
    let server = Server::listen(V4, 16);
    let first = connect(server.address);
    let mut result = None;
    thread::scope(|scope| {
        let (to, from) = mpsc::channel();
        let server = &server;
        scope.spawn(move || {
            to.send(tid()).expect("the test waits for it");
            act(server.accept(), server);
            (0..3).for_each(|_| drop(server.accept()));
        });
        let acceptor = from.recv().expect("the acceptor's thread id");
        until_blocked(acceptor, call);
        let waiting = server.queue(3);
        let line = wait_for(&mut observer, "stranded-queue");
        release(first);
        wait_for_end(&mut observer, "stranded-queue");
        drop(waiting);
        result = Some((line, acceptor));
    });
    result.expect("a diagnosis")
}

#[track_caller]
fn names(line: &Value, acceptor: u32) {
    let named = line["evidence"]["acceptor"].as_str().expect("an acceptor");
    assert!(named.ends_with(&format!("/{acceptor}")), "{line}");
    assert!(!line["remedy"].as_str().unwrap_or_default().contains("EAGAIN"), "{line}");
}

#[test]
fn a_client_that_sends_nothing_is_named() {
    natively(THE_SAME, || {
        let mut silent = None;
        let (line, acceptor) = kept(
            libc::SYS_recvfrom,
            |mut accepted, _server| {
                let _ = accepted.read(&mut [0; 8]);
            },
            |first| {
                silent = Some(own(&first).to_string());
                drop(first);
            },
        );
        names(&line, acceptor);
        assert_eq!(
            (&line["cause"], &line["evidence"]["doing"]),
            (&"silent_client".into(), &"recvfrom".into())
        );
        assert_eq!(line["evidence"]["waits_for"].as_str(), silent.as_deref(), "{line}");
        assert!(line["sentence"].as_str().unwrap_or_default().contains("has sent nothing"), "{line}");
    });
}

#[test]
fn a_server_that_does_not_answer_is_named() {
    natively(THE_SAME, || {
        let upstream = Server::listen(V4, 16);
        let asked = connect(upstream.address);
        let answers = upstream.accept();
        let address = upstream.address.to_string();
        drop(upstream);
        let (line, acceptor) = kept(
            libc::SYS_recvfrom,
            |_accepted, _server| {
                let _ = (&asked).read(&mut [0; 8]);
            },
            |_first| drop(answers),
        );
        names(&line, acceptor);
        assert_eq!((&line["cause"], &line["evidence"]["waits_for"]), (&"upstream".into(), &address.into()));
    });
}

#[test]
fn a_lock_is_told() {
    natively(THE_SAME, || {
        let lock = Mutex::new(());
        let held = lock.lock().expect("nobody has panicked with it");
        let (line, acceptor) =
            kept(libc::SYS_futex, |_accepted, _server| drop(lock.lock()), |_first| drop(held));
        names(&line, acceptor);
        assert_eq!((&line["cause"], &line["evidence"]["doing"]), (&"lock".into(), &"futex".into()));
    });
}

#[test]
fn who_holds_a_lock_on_a_file_is_named() {
    natively(THE_SAME, || {
        let path = std::env::temp_dir().join(format!("observer-lock-{}-{}", std::process::id(), tid()));
        let [held, wanted] = [(); 2]
            .map(|()| File::options().create(true).truncate(false).write(true).open(&path).expect("a file"));
        fs::remove_file(&path).expect("the file is ours");
        flock(&held, FlockOperation::LockExclusive).expect("flock");
        let wait =
            |_accepted, _server: &Server| flock(&wanted, FlockOperation::LockExclusive).expect("flock");
        let (line, acceptor) = kept(libc::SYS_flock, wait, |_first| drop(held));
        names(&line, acceptor);
        assert_eq!(line["cause"], "file_lock", "{line}");
        let holder = format!("/{} has", std::process::id());
        assert!(line["sentence"].as_str().unwrap_or_default().contains(&holder), "{line}");
    });
}

#[test]
fn a_listener_in_an_epoll_instance_within_another_is_found() {
    natively(THE_SAME, || {
        let (outer, inner) = (instance(), instance());
        let watch = |epoll: &OwnedFd, what: BorrowedFd<'_>, events| {
            epoll::add(epoll, what, EventData::new_u64(0), events).expect("epoll_ctl");
        };
        let (line, acceptor) = kept(
            libc::SYS_epoll_pwait2,
            |accepted, server| {
                watch(&inner, server.socket.as_fd(), EventFlags::IN);
                watch(&outer, inner.as_fd(), EventFlags::empty());
                watch(&outer, accepted.as_fd(), EventFlags::IN);
                let mut events: Vec<Event> = Vec::with_capacity(1);
                epoll::wait(&outer, spare_capacity(&mut events), None).expect("epoll_wait");
            },
            drop,
        );
        names(&line, acceptor);
        assert_eq!(line["cause"], "disarmed", "{line}");
    });
}

fn instance() -> OwnedFd {
    epoll::create(CreateFlags::CLOEXEC).expect("epoll_create")
}

/// What is told when the acceptor waits for this in a ring: the cause and the remedy. Whoever it accepted from ends that.
#[track_caller]
fn told_of_a_ring(entry: impl FnOnce(types::Fd) -> squeue::Entry + Send) -> [Value; 2] {
    let (mut line, acceptor) = kept(
        libc::SYS_io_uring_enter,
        |accepted, _server| {
            let mut ring = IoUring::new(4).expect("io_uring_setup");
            push(&mut ring, &entry(types::Fd(accepted.as_raw_fd())));
            ring.submit_and_wait(1).expect("io_uring_enter");
        },
        drop,
    );
    names(&line, acceptor);
    [line["cause"].take(), line["remedy"].take()]
}

#[test]
fn a_ring_that_accepts_nothing_is_told_from_one_of_which_that_is_not_known() {
    natively(THE_SAME, || {
        static PLACE: AtomicU64 = AtomicU64::new(0);
        let [cause, _] = told_of_a_ring(|client| opcode::Recv::new(client, PLACE.as_ptr().cast(), 8).build());
        assert_eq!(cause, "stopped_accepting");
        // It might be the listener that is polled.
        let [cause, remedy] = told_of_a_ring(|client| {
            opcode::PollAdd::new(client, libc::POLLIN.cast_unsigned().into()).build()
        });
        assert_eq!(cause, "not_woken");
        assert!(remedy.as_str().unwrap_or_default().contains("accept request"), "{remedy}");
    });
}

/// Stops a process, or lets it go on.
fn signal(process: &Acceptor, signal: Signal) {
    let pid = Pid::from_raw(process.pid().cast_signed()).expect("a process");
    kill_process(pid, signal).expect("a signal");
}

#[test]
fn a_process_that_is_stopped_is_said_to_be() {
    natively(THE_SAME, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 16);
        let process = Acceptor::fork(&server.socket);
        drop(connect(server.address));
        observer.wait_for_connections(1);
        signal(&process, Signal::STOP);
        let clients: Vec<_> = (0..3).map(|_| connect(server.address)).collect();
        let line = wait_for(&mut observer, "stranded-queue");
        names(&line, process.pid());
        assert_eq!((&line["cause"], &line["evidence"]["doing"]), (&"stopped".into(), &"stopped".into()));
        signal(&process, Signal::CONT);
        wait_for_end(&mut observer, "stranded-queue");
        drop(clients);
    });
}

#[test]
fn what_kept_it_before_the_start_is_told_and_nobody_is_to_be_ended() {
    natively(THE_SAME, || {
        let server = Server::listen(V4, 16);
        let process = Acceptor::fork(&server.socket);
        let first = connect(server.address);
        until("it accepts", || server.truth().receive_queue == 0);
        signal(&process, Signal::STOP);
        let clients: Vec<_> = (0..3).map(|_| connect(server.address)).collect();
        let mut observer = Observer::start();
        let line = wait_for(&mut observer, "stranded-queue");
        assert_eq!(
            (&line["cause"], &line["evidence"]["doing"]),
            (&"stopped".into(), &"stopped".into()),
            "{line}"
        );
        let sentence = line["sentence"].as_str().unwrap_or_default();
        assert!(sentence.contains(&format!("/{} is stopped", process.pid())), "{line}");
        assert!(sentence.contains("none of them has accepted since they have been watched"), "{line}");
        assert!(!line["remedy"].as_str().unwrap_or_default().contains("end it"), "{line}");
        signal(&process, Signal::CONT);
        wait_for_end(&mut observer, "stranded-queue");
        drop((first, clients));
        observer.finish();
    });
}

#[test]
fn a_wait_to_write_is_no_silent_client() {
    natively(THE_SAME, || {
        let (line, acceptor) = kept(
            libc::SYS_ppoll,
            |mut accepted, _server| {
                accepted.set_nonblocking(true).expect("O_NONBLOCK");
                while accepted.write(&[7; 65536]).is_ok() {}
                let mut polled = [PollFd::new(&accepted, PollFlags::OUT)];
                poll(&mut polled, None).expect("poll");
            },
            drop,
        );
        names(&line, acceptor);
        assert_eq!(line["cause"], "slow_reader", "{line}");
    });
}

/// What waits at one of several listeners of an address.
fn depth(server: &Server) -> u32 {
    let all = sockets(&[LISTEN]);
    all.iter().find(|socket| socket.cookie == server.cookie).expect("it listens").receive_queue
}

#[test]
fn a_shard_that_nobody_serves_is_named_whatever_its_limit() {
    natively(THE_SAME, || {
        let mut observer = Observer::shared();
        let idle = Server::prepared(V4, 4096, |socket| socket.set_reuse_port(true).expect("SO_REUSEPORT"));
        let serves = Server::shard_of(&idle, 4096);
        let process = Acceptor::fork(&serves.socket);
        // The kernel deals by hash, so some come to each.
        let clients: Vec<_> = (0..23).map(|_| connect(idle.address)).collect();
        let line = wait_for(&mut observer, "shard-stuck");
        assert_eq!(line["listeners"], serde_json::json!([idle.cookie]), "{line}");
        assert_eq!(line["cause"], "never_accepted", "{line}");
        let sentence = line["sentence"].as_str().unwrap_or_default();
        let test = std::process::id().to_string();
        assert!(sentence.contains(&format!("/{test}")), "it is held by this process: {line}");
        assert!(!sentence.contains(&process.pid().to_string()), "the other one serves: {line}");
        while depth(&idle) > 0 {
            drop(idle.accept());
        }
        wait_for_end(&mut observer, "shard-stuck");
        drop(clients);
        assert_eq!(lines_of(&observer, "stranded-queue").len(), 0, "the other shard is served");
    });
}

#[test]
fn shards_that_are_all_served_are_none() {
    natively(SILENT, || {
        let mut observer = Observer::shared();
        let first = Server::prepared(V4, 4096, |socket| socket.set_reuse_port(true).expect("SO_REUSEPORT"));
        let second = Server::shard_of(&first, 4096);
        let processes = [&first, &second].map(|shard| Acceptor::fork(&shard.socket));
        let clients: Vec<_> = (0..23).map(|_| connect(first.address)).collect();
        until("all are accepted", || depth(&first) + depth(&second) == 0);
        pass_time(&mut observer);
        drop((clients, processes));
        let rules = found(&observer.finish()).into_iter().filter(|rule| *rule != "closed-unread").count();
        assert_eq!(rules, 0);
    });
}
