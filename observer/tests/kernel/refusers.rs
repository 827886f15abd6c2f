//! Refusals of listeners that are closed, shut down, or found late: none is told twice, and none is left out.

use std::{collections::BTreeSet, net::Shutdown};

use crate::{
    counters::Counters,
    lines::{Ledger, Lines, Listener},
    namespace::{THE_SAME, inode, isolated, natively, proves},
    observed::{Observer, outside},
    refusals::causes,
    traffic::{Server, V4, attempt},
    waiting::{interval, programs_are_preempted, until},
};

#[test]
fn a_listener_that_is_shut_tells_its_refusals_once() {
    isolated(|| {
        let before = Counters::read();
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 0);
        let queued = server.queue(1);
        let refused = attempt(server.address);
        until("a SYN is refused", || (Counters::read() - &before).of("ListenDrops") > 0);
        drop(refused);
        let drops = (Counters::read() - &before).of("ListenDrops") as u64;
        server.socket.shutdown(Shutdown::Read).expect("shutdown(2) of a listener");
        // Its socket is still there, so lines of it go on coming.
        observer.wait_for("three sets of lines of a closed listener", |lines| {
            let lines = lines.listener_over_time(server.cookie);
            lines.iter().filter(|line| line.closed_ns.is_some()).count() >= 3
        });
        let lines = observer.finish();
        assert_eq!(causes(&lines, server.cookie).iter().map(|(_, count)| count).sum::<u64>(), drops);
        assert_eq!(lines.listener(server.cookie).listen_drops, drops);
        drop(queued);
    });
}

/// A listener that has refused some.
struct Refuser {
    cookie: u64,
    /// `sk_drops`.
    refused: u64,
    /// None if it is closed.
    _server: Option<Server>,
}

/// Listeners with room for one connection, of which each refuses `refused` more, and is closed at once if `closed`. A slow
/// machine's clients try again meanwhile.
fn refusing(listeners: usize, refused: u32, closed: bool) -> Vec<Refuser> {
    let refusing = |_| {
        let server = Server::listen(V4, 0);
        let queued = server.queue(1);
        let attempts: Vec<_> = (0..refused).map(|_| attempt(server.address)).collect();
        until("each is refused", || server.truth().drops >= refused);
        drop((attempts, queued));
        let refused = server.truth().drops.into();
        Refuser { cookie: server.cookie, refused, _server: (!closed).then_some(server) }
    };
    (0..listeners).map(refusing).collect()
}

/// What each listener refused is what its own lines tell, and the lines of its refusals, and the kernel's counter of all.
#[track_caller]
fn all_is_told(lines: &Lines, listeners: &[Refuser], drops: i64) {
    for Refuser { cookie, refused, .. } in listeners {
        let told: u64 = causes(lines, *cookie).iter().map(|(_, count)| count).sum();
        assert_eq!((lines.listener(*cookie).listen_drops, told), (*refused, *refused), "listener {cookie}");
    }
    assert_eq!(listeners.iter().map(|listener| listener.refused as i64).sum::<i64>(), drops, "ListenDrops");
    let books = lines.of::<Ledger>("ledger");
    let ours: Vec<_> = books.iter().filter(|line| line.scope == "host" && line.netns == inode()).collect();
    assert!(!ours.is_empty());
    let last = ours.iter().rev().take_while(|line| line.check != "passive_opens");
    assert!(last.into_iter().all(|line| line.difference == 0), "{ours:?}");
}

#[test]
fn what_was_refused_right_before_the_close() {
    const LISTENERS: usize = 40;
    proves(&["drop"], || {
        let before = Counters::read();
        let mut observer = Observer::start();
        // All of their lives between two readings.
        let mut listeners = Vec::new();
        observer.stopped(|| listeners = refusing(LISTENERS, 3, true));
        observer.wait_for("the last line of every listener", |lines| {
            let closed = lines.of::<Listener>("listener").into_iter().filter(|line| line.closed_ns.is_some());
            closed.map(|line| line.cookie).collect::<BTreeSet<_>>().len() == LISTENERS
        });
        observer.wait_for_next_lines();
        let refused = (Counters::read() - &before).of("ListenDrops");
        let lines = observer.finish();
        all_is_told(&lines, &listeners, refused);
        let loss = lines.loss();
        assert!(loss.total == 0 || programs_are_preempted(), "{loss:?}");
    });
}

#[test]
fn refused_before_their_namespace_was_read() {
    natively(THE_SAME, || {
        let before = Counters::read();
        // The observer runs elsewhere, and does not know of this namespace.
        let mut observer = outside(&["--interval", interval()]);
        let mut listeners = Vec::new();
        observer.stopped(|| listeners = refusing(2, 5, false));
        observer.wait_for("lines of both", |lines| {
            listeners.iter().all(|listener| !lines.listener_over_time(listener.cookie).is_empty())
        });
        observer.wait_for_next_lines();
        let refused = (Counters::read() - &before).of("ListenDrops");
        all_is_told(&observer.finish(), &listeners, refused);
    });
}
