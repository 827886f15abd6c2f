//! What clients feel: how long they wait, and that they leave.

use std::{sync::mpsc::RecvTimeoutError, thread, time::Duration};

use super::{found, lines_of, lose_patience, pass_time, wait_for};
use crate::{
    namespace::{SILENT, THE_SAME, natively},
    observed::Observer,
    traffic::{Server, V4, connect, reset, send},
};

/// One client is accepted now and then, of many that wait.
const PAUSE: Duration = Duration::from_millis(300);

#[test]
fn seconds_of_waiting_are_told_although_some_are_accepted_and_there_is_room() {
    natively(THE_SAME, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 4096);
        let clients = server.queue(60);
        thread::scope(|scope| {
            let (stop, is_over) = std::sync::mpsc::channel::<()>();
            let server = &server;
            scope.spawn(move || {
                // How slow it is.
                while is_over.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                    (0..6).for_each(|_| send(&server.accept(), b"served"));
                    (0..6).for_each(|_| drop(connect(server.address)));
                }
            });
            let line = wait_for(&mut observer, "slow-accept");
            assert!(line["evidence"]["oldest_waits_ns"].as_u64() >= Some(1_000_000_000), "{line}");
            assert!(!line["remedy"].as_str().unwrap_or_default().contains("longer"), "{line}");
            let listener = observer.listener_fields(server.cookie);
            assert_eq!(listener["state"], "waiting", "{listener}");
            stop.send(()).expect("it listens");
        });
        drop(clients);
    });
}

#[test]
fn a_burst_that_is_accepted_at_once_does_not_wait() {
    natively(SILENT, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 4096);
        for _ in 0..7 {
            server.queue(60).iter().for_each(|_| send(&server.accept(), b"served"));
            observer.wait_for_next_lines();
        }
        pass_time(&mut observer);
        assert_eq!(found(&observer.finish()), [""; 0]);
    });
}

#[test]
fn clients_that_close_in_the_queue_are_counted_beside_those_that_reset() {
    natively(THE_SAME, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 64);
        let mut clients = server.queue(13);
        lose_patience(&mut observer);
        clients.drain(..7).for_each(drop);
        clients.drain(..2).for_each(reset);
        observer.wait_for("those that left", |lines| {
            let fields = lines.listener_fields(server.cookie);
            (&fields["closed_queued"], &fields["aborted_queued"], &fields["gave_up"])
                == (&7.into(), &2.into(), &9.into())
        });
        (0..13).for_each(|_| drop(server.accept()));
        let line = wait_for(&mut observer, "clients-gave-up");
        assert_eq!(line["evidence"]["gave_up"], 9, "{line}");
        drop(clients);
    });
}

#[test]
fn clients_that_leave_at_once_did_not_leave_because_they_waited() {
    natively(SILENT, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 64);
        for _ in 0..23 {
            reset(connect(server.address));
            drop(server.accept());
        }
        pass_time(&mut observer);
        let lines = observer.finish();
        assert_eq!(lines.listener(server.cookie).aborted_queued, 23);
        assert_eq!(lines_of(&lines, "clients-gave-up").len(), 0, "{:?}", found(&lines));
    });
}
