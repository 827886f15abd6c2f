//! Shards that nobody serves, beside others that go on.

use std::sync::Arc;

use super::{
    super::super::{
        shard_stuck, stranded_queue,
        tests::{NOW, SECOND, found, listener, of, thread},
    },
    accepted_by, does,
};
use crate::model::{
    look::{Holding, Look},
    snapshot::{AcceptedBy, Listener, Snapshot, Thread},
};

/// Two shards, of which the first has accepted nobody and the other goes on.
fn shards(depths: [u32; 2], accepted: u64, opened_ns: Option<u64>) -> Snapshot {
    let shard = |cookie: u64, pid: u32, depth: u32, accepted: u64| Listener {
        shard: Some(cookie as u32),
        pid,
        comm: format!("p{pid}"),
        opened_ns,
        accepted,
        enqueued: accepted + u64::from(depth),
        ..listener(cookie, 4096, depth)
    };
    let mut stuck = shard(1, 1, depths[0], 0);
    stuck.acceptors.holders = Some(Arc::new([Holding { pid: 1, comm: "p1".to_owned() }]));
    let mut serves = shard(2, 2, depths[1], accepted);
    serves.acceptors.alive = Arc::new([AcceptedBy { pid: 2, ..accepted_by(9) }]);
    let served = Thread { pid: 2, ..thread(9, 5.0, 5.0, 0.0) };
    of(vec![stuck, serves], vec![does("clock_nanosleep", Look::default()), served])
}

#[test]
fn a_shard_that_nobody_serves_is_named_and_its_sibling_is_not_accused() {
    let opened = Some(NOW - 40 * SECOND);
    assert_eq!(
        found(&shard_stuck::RULE, shards([5, 0], 60, opened), shards([75, 0], 75, opened)),
        [
            "75 connections wait at shard 1 of p1/1, and none was accepted in the last 2.00 s: it has never accepted in the 40.0 s \
             since listen(2); t7/7 sleeps in clock_nanosleep(2) for 17.0 s or longer. It gets 82.4 % of the clients; shard 2 \
             accepts the rest."
        ]
    );
    let paused = found(&shard_stuck::RULE, shards([75, 0], 75, opened), shards([75, 0], 75, opened));
    assert_eq!(paused.len(), 1, "though no more come");
    assert_eq!(
        found(&stranded_queue::RULE, shards([5, 0], 60, opened), shards([75, 0], 75, opened)).len(),
        0
    );
    let unseen = found(&shard_stuck::RULE, shards([5, 0], 60, None), shards([75, 0], 75, None)).concat();
    assert!(unseen.contains("has not accepted since it has been watched"), "{unseen}");
}

#[test]
fn one_that_accepted_and_is_gone_is_said_to_be() {
    let mut now = shards([75, 0], 75, Some(1));
    now.listeners[0].acceptors.gone = Some(Arc::new(accepted_by(6)));
    let sentence = found(&shard_stuck::RULE, shards([5, 0], 60, Some(1)), now).concat();
    assert!(sentence.contains("t6/6, which accepted last 19.0 s ago, has ended"), "{sentence}");
}

#[test]
fn a_shard_that_has_never_accepted_is_so_though_nobody_comes_to_the_others_now() {
    let quiet = || shards([75, 0], 75, None);
    let sentence = found(&shard_stuck::RULE, quiet(), quiet()).concat();
    assert!(sentence.contains(": it has not accepted since it has been watched; t7/7 sleeps"), "{sentence}");
}

#[test]
fn of_a_shard_that_refuses_no_share_is_told() {
    let mut now = shards([75, 0], 75, Some(1));
    now.listeners[0].overflows_between = (16, 16);
    now.listeners[0].listen_drops = 16;
    let sentence = found(&shard_stuck::RULE, shards([5, 0], 60, Some(1)), now).concat();
    assert!(sentence.contains("(16 attempts were refused meanwhile)"), "{sentence}");
    assert!(
        !sentence.contains("of the clients") && sentence.ends_with("Of the others, shard 2 accepts."),
        "{sentence}"
    );
}
