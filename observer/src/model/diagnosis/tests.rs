//! Snapshots for the tests of the rules, and what all rules have in common.

use std::sync::Arc;

use super::*;
use crate::model::mark::{Mark, What};
use crate::model::snapshot::{Acceptor, Connection, End, Host, Listener, Thread, ThreadRates, Via};

pub(super) const SECOND: u64 = 1_000_000_000;
const START: u64 = 100 * SECOND;
const NETNS: u32 = 1;

/// When the later of two snapshots is taken.
pub(super) const NOW: u64 = START + 2 * SECOND;

/// A listener of process 1.
pub(in crate::model) fn listener(cookie: u64, limit: u32, accept_queue: u32) -> Listener {
    Listener {
        cookie,
        addr: "127.0.0.1:80".to_owned(),
        netns: NETNS,
        pid: 1,
        backlog_limit: limit,
        accept_queue,
        ..Listener::default()
    }
}

/// A thread of process 1 that has accepted, and does so much per second.
pub(super) fn thread(tid: u32, accepts: f64, reads: f64, wakeups: f64) -> Thread {
    let rates =
        ThreadRates { accepts, reads, writes: reads, wakeups: Some(wakeups), ..ThreadRates::default() };
    let (comm, role) = (format!("t{tid}"), "acceptor+reader+writer".to_owned());
    Thread { pid: 1, tid, comm, role, accepts: 1, rates, ..Thread::default() }
}

/// A connection that ended just now, served by this thread in this time.
pub(super) fn served(listener: u64, tid: u32, service_ns: u64) -> Arc<Connection> {
    let address = "127.0.0.1:1".parse().unwrap();
    let now = NOW;
    Arc::new(Connection {
        local: address,
        remote: address,
        listener: Some(listener),
        migrated: false,
        syn_ns: None,
        enqueued_ns: None,
        established_ns: None,
        accepted_ns: None,
        first_data_ns: None,
        first_read_ns: Some(now - service_ns),
        first_write_ns: Some(now),
        closed_ns: Some(now),
        unseen: Vec::new(),
        queue_at_arrival: None,
        synack_retransmits: 0,
        via: Via::Handshake,
        acceptor: Some(Acceptor { pid: 1, tid, comm: format!("t{tid}") }),
        holder: None,
        readers: vec![tid],
        writers: vec![tid],
        more_threads: false,
        reads: 1,
        writes: 1,
        held_writes: 0,
        bytes_read: 1,
        bytes_written: 1,
        longest_read_wait_ns: 0,
        end: End::Fin,
        closed_first: None,
        at_exit: false,
    })
}

pub(super) fn host(syn_queue_full_drops: u64, cookies_sent: u64, cookies_received: u64) -> Host {
    Host { netns: NETNS, syn_queue_full_drops, cookies_sent, cookies_received, ..Host::default() }
}

/// Everything is available.
fn meta() -> Arc<Meta> {
    let needs = RULES.iter().flat_map(|rule| rule.needs);
    let signals = needs.filter_map(|need| match need {
        Need::Signal(name) => Some(((*name).to_owned(), Some("a hook, io_uring_complete".to_owned()))),
        _ => None,
    });
    Arc::new(Meta { signals: signals.collect(), ..Meta::default() })
}

/// What a rule says of a state that has become another within two seconds.
pub(super) fn found(rule: &Rule, before: Snapshot, now: Snapshot) -> Vec<String> {
    judged(rule, before, now).into_iter().map(|found| found.sentence).collect()
}

/// The same, whole.
pub(super) fn judged(rule: &Rule, before: Snapshot, now: Snapshot) -> Vec<Finding> {
    let mut past = Past::default();
    past.keep(&Snapshot { time_ns: START, ..before });
    let now = Snapshot { time_ns: NOW, meta: meta(), ..now };
    assert_eq!(rule.cannot_tell(&now.meta), None);
    (rule.judge)(&past.facts(&now))
}

/// Listeners and threads alone.
pub(super) fn of(listeners: Vec<Listener>, threads: Vec<Thread>) -> Snapshot {
    Snapshot { listeners, threads, ..Snapshot::default() }
}

/// A listener with so many unread connections, at a second after the start of the test.
fn unread(second_tenths: u64, unread: u64) -> Snapshot {
    let listeners = vec![Listener { unread, ..listener(1, 128, 0) }];
    let time_ns = START + second_tenths * SECOND / 10;
    Snapshot { time_ns, interval_ns: SECOND / 10, meta: meta(), listeners, ..Snapshot::default() }
}

#[test]
fn a_finding_is_shown_after_a_second_and_goes_after_three() {
    let mut diagnoses = Diagnoses::default();
    let mut shown = |tenths: u64, count: u64| diagnoses.judge(&unread(tenths, count)).len();
    assert_eq!(shown(0, 0), 0);
    assert!((1..10).all(|tenths| shown(tenths, 9) == 0), "it has not been so for a second");
    assert_eq!(shown(10, 9), 1);
    assert!((11..40).all(|tenths| shown(tenths, 0) == 1), "it was so within three seconds");
    assert_eq!(shown(40, 0), 0);
    assert_eq!(shown(41, 9), 0, "it begins anew");
}

#[test]
fn what_swings_is_not_shown() {
    let mut diagnoses = Diagnoses::default();
    let swings = |tenths: u64| if tenths % 10 == 9 { 0 } else { 9 };
    assert!((0..100).all(|tenths| diagnoses.judge(&unread(tenths, swings(tenths))).is_empty()));
}

#[test]
fn a_change_of_the_backend_begins_anew() {
    let mut diagnoses = Diagnoses::default();
    let mut shown = |tenths: u64, count: u64, changes: &[u64]| {
        let mark = |at: &u64| Mark {
            time_ns: START + at * SECOND / 10,
            what: What::Pattern,
            name: String::new(),
            from: None,
            to: None,
        };
        let marks = Arc::new(changes.iter().map(mark).collect());
        diagnoses.judge(&Snapshot { marks, ..unread(tenths, count) }).len()
    };
    assert!((0..=10).map(|tenths| shown(tenths, 9, &[])).any(|found| found == 1));
    assert_eq!(shown(11, 9, &[11]), 0, "that was before the change");
    assert!((12..20).all(|tenths| shown(tenths, 9, &[11]) == 0));
    assert_eq!((21..25).map(|tenths| shown(tenths, 9, &[11])).max(), Some(1), "it is so again");
}

#[test]
fn a_snapshot_of_seconds_is_enough() {
    let mut diagnoses = Diagnoses::default();
    diagnoses.judge(&unread(0, 9));
    let late = Snapshot { interval_ns: SECOND, ..unread(10, 9) };
    let shown = diagnoses.judge(&late);
    assert_eq!(shown.len(), 1);
    assert_eq!((shown[0].rule, shown[0].since_ns), ("accepted-never-read", START));
    assert_eq!(shown[0].listeners, [1]);
}

#[test]
fn without_its_signal_a_rule_says_nothing_and_says_why() {
    let mut diagnoses = Diagnoses::default();
    let mut meta = (*meta()).clone();
    meta.signals.insert("data_queued".to_owned(), None);
    let rule = RULES.iter().find(|rule| rule.name == "accepted-never-read").unwrap();
    assert_eq!(rule.cannot_tell(&meta).as_deref(), Some("signal data_queued unavailable"));
    let meta = Arc::new(meta);
    let blind = |tenths| Snapshot { meta: Arc::clone(&meta), ..unread(tenths, 9) };
    assert!((0..30).all(|tenths| diagnoses.judge(&blind(tenths)).is_empty()));
}

#[test]
fn a_filter_makes_some_rules_blind() {
    let mut meta = (*meta()).clone();
    meta.filters.ports = vec![80];
    let rule = RULES.iter().find(|rule| rule.name == "cookie-ghosts").unwrap();
    let expected = "not all listeners are watched (--port, --pid or --cgroup)";
    assert_eq!(rule.cannot_tell(&meta).as_deref(), Some(expected));
}

#[test]
fn rules_have_names_of_their_own_and_needs_that_the_plan_knows() {
    let names: std::collections::BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), RULES.len());
    for need in RULES.iter().flat_map(|rule| rule.needs) {
        if let Need::Signal(name) = need {
            assert!(crate::kernel::plan::signal(name).is_some(), "{name}");
        }
    }
}
