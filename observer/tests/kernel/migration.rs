//! A shard closes while connections wait in its queue: they are reset, or moved to another shard.

use std::{
    collections::HashMap,
    net::{Shutdown, TcpStream},
};

use crate::{
    counters::Counters,
    namespace::{proves, sysctl},
    observed::Observer,
    traffic::{Server, V4, connect, own},
    waiting::until,
};

/// More than two shards need to have some each.
const CONNECTIONS: u32 = 24;

/// Two shards with connections in their queues: that many in all, or until the first one's queue is full.
#[track_caller]
fn two_shards(backlog: u32) -> (Server, Server, Vec<TcpStream>) {
    let first = Server::prepared(V4, backlog, |socket| socket.set_reuse_port(true).expect("SO_REUSEPORT"));
    let second = Server::shard_of(&first, 4096);
    let mut clients = Vec::new();
    while clients.len() < CONNECTIONS as usize && first.tcp_info().0 <= backlog {
        clients.push(connect(first.address));
        until("it is in a queue", || {
            let queued = first.tcp_info().0 + second.tcp_info().0;
            queued as usize == clients.len()
        });
    }
    (first, second, clients)
}

#[test]
fn moved_to_the_other_shard() {
    moved(64);
}

#[test]
fn a_full_queue_is_moved() {
    moved(2);
}

#[track_caller]
fn moved(backlog: u32) {
    proves(&["migration"], || {
        sysctl("ipv4.tcp_migrate_req", "1");
        let before = Counters::read();
        let mut observer = Observer::shared();
        let (first, second, clients) = two_shards(backlog);
        let connections = clients.len();
        let is_full = first.tcp_info().0 == backlog + 1;
        assert_eq!(is_full, backlog < CONNECTIONS, "the first shard's queue is full");
        observer.wait_for_next_lines();
        let queued = [&first, &second].map(|shard| observer.listener(shard.cookie).accept_queue as usize);
        assert_eq!(queued.iter().sum::<usize>(), connections);
        let closed = first.cookie;
        drop(first);
        let moved = (Counters::read() - &before).of("TCPMigrateReqSuccess");
        assert_eq!(moved, queued[0] as i64, "TCPMigrateReqSuccess");
        observer.wait_for("the closed shard's last line", |lines| {
            lines.listener_over_time(closed).iter().any(|line| line.closed_ns.is_some())
        });
        let accepted: Vec<_> = clients.iter().map(|_| second.accept()).collect();
        observer.wait_for_next_lines();
        let remotes: Vec<_> = clients.iter().map(own).collect();
        drop((clients, accepted));
        observer.wait_for_connections(connections);
        let lines = observer.finish();
        let migrated: HashMap<_, _> =
            lines.connections().iter().map(|connection| (connection.remote, connection.migrated)).collect();
        assert_eq!(migrated.values().filter(|migrated| **migrated).count(), queued[0]);
        for remote in remotes {
            let connection = lines.connection_from(remote);
            assert_eq!(connection.listener, Some(second.cookie), "the shard that it was accepted from");
            assert!(connection.acceptor.is_some() && connection.accepted_ns.is_some(), "{connection:?}");
        }
        let listener = lines.listener(second.cookie);
        assert_eq!((listener.enqueued, listener.migrated), (connections as u64, queued[0] as u64));
        assert_eq!(listener.accepted, connections as u64);
        assert_eq!(lines.books_of(second.cookie).difference, 0);
        let last = lines.listener(closed);
        assert_eq!((last.enqueued, last.accepted, last.dropped_queued), (queued[0] as u64, 0, 0));
        assert_eq!(last.migrated_away, queued[0] as u64);
        let host = lines.of::<crate::lines::Host>("host");
        assert_eq!(host.last().map(|host| host.migrations), Some(queued[0] as u64));
    });
}

#[test]
fn moved_from_a_shard_that_is_shut() {
    proves(&["migration"], || {
        sysctl("ipv4.tcp_migrate_req", "1");
        let before = Counters::read();
        let mut observer = Observer::shared();
        let (first, second, clients) = two_shards(64);
        let queued = first.tcp_info().0;
        first.socket.shutdown(Shutdown::Read).expect("shutdown(2) of a listener");
        assert_eq!((Counters::read() - &before).of("TCPMigrateReqSuccess"), i64::from(queued));
        observer.wait_for("three sets of lines of a closed listener", |lines| {
            let lines = lines.listener_over_time(first.cookie);
            lines.iter().filter(|line| line.closed_ns.is_some()).count() >= 3
        });
        let lines = observer.finish();
        let [shut, other] = [&first, &second].map(|shard| lines.listener(shard.cookie));
        assert_eq!((shut.migrated_away, other.migrated), (u64::from(queued), u64::from(queued)));
        assert_eq!((shut.accept_queue, other.accept_queue as usize), (0, clients.len()));
        assert_eq!([&first, &second].map(|shard| lines.books_of(shard.cookie).difference), [0, 0]);
    });
}

#[test]
fn reset_when_moving_is_off() {
    reset(64);
}

#[test]
fn a_full_queue_is_reset() {
    reset(2);
}

#[track_caller]
fn reset(backlog: u32) {
    proves(&["migration"], || {
        sysctl("ipv4.tcp_migrate_req", "0");
        let before = Counters::read();
        let mut observer = Observer::shared();
        let (first, second, clients) = two_shards(backlog);
        let connections = clients.len();
        let is_full = first.tcp_info().0 == backlog + 1;
        assert_eq!(is_full, backlog < CONNECTIONS, "the first shard's queue is full");
        observer.wait_for_next_lines();
        let queued = [&first, &second].map(|shard| observer.listener(shard.cookie).accept_queue as usize);
        let closed = first.cookie;
        drop(first);
        until("the queued connections are reset", || {
            (Counters::read() - &before).of("OutRsts") >= queued[0] as i64
        });
        observer.wait_for_connections(queued[0]);
        let accepted: Vec<_> = (0..queued[1]).map(|_| second.accept()).collect();
        drop((clients, accepted));
        observer.wait_for_connections(connections);
        let lines = observer.finish();
        let last = lines.listener(closed);
        assert_eq!((last.enqueued, last.accepted), (queued[0] as u64, 0));
        assert_eq!(last.dropped_queued, queued[0] as u64);
        let reset = lines.connections().iter().filter(|one| one.end == "queued_reset").count();
        assert_eq!(reset, queued[0]);
        assert_eq!(lines.listener(second.cookie).migrated, 0);
        assert_eq!(lines.books_of(second.cookie).difference, 0);
    });
}
