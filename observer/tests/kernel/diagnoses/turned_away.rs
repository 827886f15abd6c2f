//! What a program throws away: connections that it closes unread, a queue that it closes, a backlog that it shortens, and
//! accept(2) that fails.

use std::{fs::File, sync::mpsc, thread, time::Duration};

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::Value;

use super::{found, lines_of, pass_time, wait_for, wait_for_end};
use crate::{
    namespace::{SILENT, THE_SAME, isolated, natively},
    observed::Observer,
    processes::Acceptor,
    traffic::{Server, V4, attempt, connect, receive_end, send},
    waiting::{tid, until},
};

#[test]
fn connections_that_are_closed_unread_are_counted() {
    natively(THE_SAME, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 64);
        let process = Acceptor::fork(&server.socket);
        for _ in 0..23 {
            receive_end(&connect(server.address));
        }
        let line = wait_for(&mut observer, "closed-unread");
        assert_eq!(line["evidence"]["closed_unread"], line["evidence"]["ended"], "{line}");
        assert!(
            line["evidence"]["acceptor"]
                .as_str()
                .unwrap_or_default()
                .ends_with(&format!("/{}", process.pid()))
        );
        observer.wait_for("all 23", |lines| lines.listener_fields(server.cookie)["closed_unread"] == 23);
        let ended = &observer.listener_fields(server.cookie)["ended_by"];
        assert_eq!(ended["fin_own"], 23, "{ended}");
        assert_eq!(observer.listener_fields(server.cookie)["closed_unread_at_exit"], 0);
    });
}

#[test]
fn what_a_killed_process_leaves_behind_is_no_refusal() {
    isolated(|| {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 64);
        let process = Acceptor::fork_keeping(&server.socket);
        let clients: Vec<_> = (0..11).map(|_| connect(server.address)).collect();
        // Half of them have sent something: those are reset, and the others closed in order.
        clients.iter().step_by(2).for_each(|client| send(client, b"unread"));
        observer.wait_for("all are accepted", |lines| {
            let fields = lines.listener_fields(server.cookie);
            (&fields["accepted"], &fields["unread"]) == (&11.into(), &6.into())
        });
        drop(process);
        let line = wait_for(&mut observer, "closed-unread");
        assert_eq!(
            (&line["cause"], &line["evidence"]["ended"]),
            (&"process_ended".into(), &11.into()),
            "{line}"
        );
        drop(clients);
        observer.wait_for_connections(11);
        let fields = observer.listener_fields(server.cookie);
        assert_eq!((&fields["closed_unread"], &fields["closed_unread_at_exit"]), (&11.into(), &11.into()));
        assert!(observer.finish().connections().iter().all(|one| one.at_exit));
    });
}

#[test]
fn clients_that_leave_first_and_banners_are_no_refusals() {
    natively(SILENT, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 64);
        for _ in 0..13 {
            // It leaves, and then its server closes.
            let (client, accepted) = server.pair();
            drop(client);
            receive_end(&accepted);
            // Its server speaks first and leaves.
            let (client, accepted) = server.pair();
            send(&accepted, b"now");
            drop(accepted);
            drop(client);
        }
        observer.wait_for_connections(26);
        pass_time(&mut observer);
        assert_eq!(observer.listener_fields(server.cookie)["closed_unread"], 0);
        assert_eq!(found(&observer.finish()), [""; 0]);
    });
}

#[test]
fn a_queue_that_is_closed_is_told_with_its_length() {
    natively(THE_SAME, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 64);
        let cookie = server.cookie;
        let clients = server.queue(17);
        observer.wait_for_next_lines();
        drop(server);
        let line = wait_for(&mut observer, "queue-discarded");
        assert_eq!(
            (&line["evidence"]["dropped_queued"], &line["listeners"][0]),
            (&17.into(), &cookie.into())
        );
        drop(clients);
    });
}

#[test]
fn a_backlog_that_was_lowered_is_told_with_both_values() {
    natively(THE_SAME, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 1000);
        let queued = server.queue(3);
        observer.wait_for_next_lines();
        server.socket.listen(0).expect("listen");
        let refused: Vec<_> = (0..7).map(|_| attempt(server.address)).collect();
        let line = wait_for(&mut observer, "backlog-lowered");
        let evidence = &line["evidence"];
        assert_eq!(
            (&evidence["backlog_limit"], &evidence["backlog_before"]),
            (&0.into(), &1000.into()),
            "{line}"
        );
        let fields = observer.listener_fields(server.cookie);
        assert_eq!(fields["backlog_before"], 1000, "{fields}");
        assert!(fields["backlog_changed_ns"].as_u64() > Some(0), "{fields}");
        drop((queued, refused));
    });
}

#[test]
fn a_backlog_that_was_lowered_and_a_close_harm_nobody_who_is_not_there() {
    natively(SILENT, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 1000);
        observer.wait_for_next_lines();
        server.socket.listen(5).expect("listen");
        server.queue(3).iter().for_each(|_| send(&server.accept(), b"served"));
        observer.wait_for("the new limit", |lines| {
            lines.listener_fields(server.cookie)["backlog_before"] == 1000
        });
        drop(server);
        pass_time(&mut observer);
        assert_eq!(found(&observer.finish()), [""; 0]);
    });
}

/// More than all other threads of the tests need.
const MOST: u64 = 4096;

/// The thread's own copy of the table of descriptors, in which none is free.
fn use_all() -> Vec<File> {
    // SAFETY: the thread goes on with a copy of the table, and no descriptor of the copy is handed to another thread.
    #[expect(unsafe_code, reason = "descriptors run out for this thread alone if its table is its own")]
    let left = unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::FILES) };
    left.expect("a table of descriptors of its own");
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.current.map(|current| current.min(MOST));
    setrlimit(Resource::Nofile, limit).expect("a lower limit");
    let null = File::open("/dev/null").expect("/dev/null");
    let mut used: Vec<File> = std::iter::from_fn(|| null.try_clone().ok()).collect();
    used.push(null);
    used
}

#[test]
fn descriptors_that_run_out_are_told_until_one_is_free() {
    natively(THE_SAME, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 64);
        let clients = server.queue(5);
        let (free, is_free) = mpsc::channel::<()>();
        let (to, from) = mpsc::channel();
        thread::scope(|scope| {
            let server = &server;
            scope.spawn(move || {
                let used = use_all();
                to.send(tid()).expect("the test waits for it");
                let mut failures = 0_u64;
                while is_free.try_recv() == Err(mpsc::TryRecvError::Empty) {
                    let error = server.socket.accept().expect_err("no descriptor is free");
                    assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                    failures += 1;
                    // How often it tries.
                    thread::sleep(Duration::from_millis(50));
                }
                drop(used);
                (0..5).for_each(|_| drop(server.accept()));
                to.send(failures.try_into().expect("a few")).expect("the test waits for it");
            });
            let acceptor = from.recv().expect("the acceptor's thread id");
            let line = wait_for(&mut observer, "accept-fails");
            let evidence = &line["evidence"];
            assert_eq!(
                (&line["cause"], &evidence["accept_errno"]),
                (&"emfile".into(), &"EMFILE".into()),
                "{line}"
            );
            assert_eq!(evidence["descriptors"], evidence["descriptors_limit"], "{line}");
            assert!(
                evidence["acceptor"].as_str().unwrap_or_default().ends_with(&format!("/{acceptor}")),
                "{line}"
            );
            free.send(()).expect("the acceptor listens");
            let failures = from.recv().expect("how often it failed");
            wait_for_end(&mut observer, "accept-fails");
            let is_it = |one: &Value| one["tid"] == acceptor && one["failures"] == failures;
            // It may have ended before the next reading.
            let alive = observer.0.iter().filter_map(|line| line["acceptors"].as_array()).flatten();
            let mut told = alive.chain(observer.0.iter().map(|line| &line["acceptor_gone"]));
            assert!(told.any(is_it), "{failures} failures of {acceptor}");
        });
        assert_eq!(lines_of(&observer, "stranded-queue").len(), 0, "one reason is enough");
        drop(clients);
    });
}

#[test]
fn an_accept_that_finds_nobody_has_not_failed() {
    natively(SILENT, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 64);
        server.socket.set_nonblocking(true).expect("O_NONBLOCK");
        drop(connect(server.address));
        until("it is accepted", || server.socket.accept().is_ok());
        for _ in 0..29 {
            let error = server.socket.accept().expect_err("nobody waits");
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        }
        pass_time(&mut observer);
        let acceptors = &observer.listener_fields(server.cookie)["acceptors"];
        assert_eq!(
            (&acceptors[0]["accepts"], &acceptors[0]["failures"]),
            (&1.into(), &0.into()),
            "{acceptors}"
        );
        assert_eq!(lines_of(&observer.finish(), "accept-fails").len(), 0);
    });
}
