//! Queues that nobody empties, that are too short, or whose clients left.

use std::thread;

use super::{found, lines_of, lose_patience, pass_time, wait_for, wait_for_end};
use crate::{
    counters::Counters,
    namespace::{SILENT, THE_SAME, natively, sysctl},
    observed::Observer,
    traffic::{Server, V4, attempt, reset},
    waiting::{now_ns, tid, until},
};

#[test]
fn nobody_comes_for_those_who_wait() {
    natively(THE_SAME, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 16);
        drop(server.queue(1));
        drop(server.accept());
        observer.wait_for_connections(1);
        let clients = server.queue(3);
        let line = wait_for(&mut observer, "stranded-queue");
        assert_eq!(line["evidence"]["accept_queue"], server.truth().receive_queue, "{line}");
        let acceptor = line["evidence"]["acceptor"].as_str().expect("an acceptor");
        assert!(acceptor.ends_with(&format!("/{}", tid())), "{line}");
        clients.iter().for_each(|_| drop(server.accept()));
        wait_for_end(&mut observer, "stranded-queue");
    });
}

#[test]
fn a_queue_from_which_one_is_taken_now_and_then_is_not_stranded() {
    natively(SILENT, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 16);
        let clients = server.queue(12);
        thread::scope(|scope| {
            // One for each set of lines: slow, but somebody comes.
            let slow = scope.spawn(|| {
                for _ in 0..9 {
                    let left = server.truth().receive_queue;
                    drop(server.accept());
                    until("it is taken", || server.truth().receive_queue == left - 1);
                    thread::sleep(std::time::Duration::from_millis(500));
                }
            });
            pass_time(&mut observer);
            slow.join().expect("accept");
        });
        drop(clients);
        assert_eq!(lines_of(&observer.finish(), "stranded-queue"), [&serde_json::Value::Null; 0]);
    });
}

/// Fills a queue with this limit in bursts, has some more refused each time, and empties it: one that nobody empties is
/// another matter.
#[track_caller]
fn refused_at(limit: u32, backlog: u32) -> Observer {
    let mut observer = Observer::shared();
    let server = Server::listen(V4, backlog);
    // As long as a finding needs, and longer.
    let end = now_ns() + 4_000_000_000;
    while observer.listener_fields(server.cookie)["time_ns"].as_u64() < Some(end) {
        let before = Counters::read();
        let queued = server.queue(limit + 1);
        let refused: Vec<_> = (0..7).map(|_| attempt(server.address)).collect();
        until("they are refused", || (Counters::read() - &before).of("ListenOverflows") >= 7);
        // Who is gone does not come again.
        drop(refused);
        queued.iter().for_each(|_| drop(server.accept()));
        observer.wait_for_next_lines();
    }
    observer
}

#[test]
fn the_default_backlog_overflows() {
    natively(THE_SAME, || {
        let mut observer = refused_at(128, 128);
        if observer.meta()["signals"]["drop"] == "sample/sk_drops" {
            println!("here overflows are known by bounds only");
        }
        let line = wait_for(&mut observer, "backlog-default");
        assert!(line["evidence"]["overflows"].as_u64() >= Some(1), "{line}");
    });
}

#[test]
fn a_backlog_that_somebody_chose_is_no_default() {
    natively(SILENT, || assert_eq!(lines_of(&refused_at(127, 127), "backlog-default").len(), 0));
}

#[test]
fn a_backlog_that_is_cut_to_somaxconn_overflows() {
    natively(THE_SAME, || {
        sysctl("core.somaxconn", "64");
        let mut observer = refused_at(64, 1000);
        let line = wait_for(&mut observer, "backlog-clamped");
        assert_eq!(
            (&line["evidence"]["backlog_limit"], &line["evidence"]["somaxconn"]),
            (&64.into(), &64.into())
        );
    });
}

#[test]
fn a_backlog_that_is_not_cut_is_not_clamped() {
    natively(SILENT, || {
        sysctl("core.somaxconn", "64");
        assert_eq!(lines_of(&refused_at(63, 63), "backlog-clamped").len(), 0);
    });
}

#[test]
fn a_queue_of_a_limit_of_its_own_overflows_in_bursts() {
    natively(THE_SAME, || {
        let line = wait_for(&mut refused_at(10, 10), "queue-overflows");
        assert_eq!(
            (&line["cause"], &line["evidence"]["backlog_limit"]),
            (&"burst".into(), &10.into()),
            "{line}"
        );
    });
}

#[test]
fn a_queue_that_is_filled_and_emptied_refuses_nobody() {
    natively(SILENT, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 10);
        for _ in 0..7 {
            server.queue(11).iter().for_each(|_| drop(server.accept()));
            observer.wait_for_next_lines();
        }
        pass_time(&mut observer);
        let lines = observer.finish();
        // Each was closed unread.
        assert!(found(&lines).iter().all(|rule| *rule == "closed-unread"), "{:?}", found(&lines));
    });
}

/// So many of ten clients reset their connection while it is queued.
#[track_caller]
fn left(count: usize) -> (Observer, Server) {
    let mut observer = Observer::shared();
    let server = Server::listen(V4, 16);
    let mut clients = server.queue(10);
    lose_patience(&mut observer);
    clients.drain(..count).for_each(reset);
    observer.wait_for("the resets", |lines| {
        lines.listener_over_time(server.cookie).last().is_some_and(|line| line.aborted_queued == count as u64)
    });
    (0..10).for_each(|_| drop(server.accept()));
    (observer, server)
}

#[test]
fn clients_that_gave_up_are_counted() {
    natively(THE_SAME, || {
        let (mut observer, server) = left(7);
        let line = wait_for(&mut observer, "clients-gave-up");
        assert_eq!(line["evidence"]["aborted_queued"], 7, "{line}");
        assert_eq!(line["listeners"][0], server.cookie);
    });
}

#[test]
fn a_few_that_left_are_no_finding() {
    natively(SILENT, || {
        let (mut observer, _server) = left(4);
        pass_time(&mut observer);
        assert_eq!(lines_of(&observer.finish(), "clients-gave-up").len(), 0);
    });
}
