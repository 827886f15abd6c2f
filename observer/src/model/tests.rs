//! The model told of made-up events.

use observer_ebpf::{
    histogram::{BUCKETS, bucket},
    record::{
        COMM, Connection as Record, Endings, ListenerCounters, ListenerEntry, ListenerIdentity, Sample,
        Writes, flag, kind, stage,
    },
};

use super::{
    event::{ClosedWindows, HostCounters},
    snapshot::{End, State},
    *,
};

pub(super) const NETNS: u32 = 1;

pub(crate) fn counters(enqueued: u64, accepted: u64) -> ListenerCounters {
    ListenerCounters { enqueued, accepted, ..ListenerCounters::BLANK }
}

pub(crate) fn entry(cookie: u64) -> Box<ListenerEntry> {
    let mut address = [0; 16];
    address[..4].copy_from_slice(&[127, 0, 0, 1]);
    Box::new(ListenerEntry {
        identity: ListenerIdentity {
            cookie,
            sock: 0,
            opened_ns: 1,
            destroyed_ns: 0,
            netns: NETNS,
            pid: 10,
            tid: 10,
            family: 2,
            port: 80,
            address,
            comm: [0; COMM],
            device: 0,
            reserved: 0,
        },
        counters: counters(0, 0),
        longest: [0; stage::STAGES],
        histograms: [[0; BUCKETS]; stage::STAGES],
        endings: Endings::default(),
        writes: Writes::default(),
    })
}

pub(crate) fn sample(cookie: u64, time_ns: u64, depth: u32, counters: ListenerCounters) -> Event {
    Event::Sample(Sample {
        kind: kind::SAMPLE,
        state: 10,
        port: 80,
        cookie,
        time_ns,
        accept_queue: depth,
        limit: 4,
        syn_queue: 0,
        syn_queue_young: 0,
        drops: 0,
        peak: depth,
        somaxconn: 0,
        device: 0,
        reuseport: 0,
        deferring: 0,
        reserved: 0,
        counters,
    })
}

fn record(established_ns: u64, accepted_ns: u64) -> Event {
    Event::Connection(Box::new(Record {
        flags: flag::ACCEPTED | flag::FIN,
        listener: 1,
        enqueued_ns: established_ns,
        established_ns,
        accepted_ns,
        closed_ns: accepted_ns + 1,
        destroyed_ns: accepted_ns + 1,
        syn_wait_us: 5,
        queue_at_arrival: 1,
        acceptor_pid: 10,
        acceptor_tid: 11,
        local_port: 80,
        remote_port: 1,
        family: 2,
        ..Record::BLANK
    }))
}

pub(super) fn model() -> Model {
    Model::new(Arc::new(Meta::default()))
}

#[test]
fn nothing_told_nothing_known() {
    let snapshot = model().snapshot(5);
    assert!(snapshot.listeners.is_empty() && snapshot.ledger.is_empty() && snapshot.loss.total == 0);
    assert_eq!(snapshot.interval_ns, 0);
}

#[test]
fn sockets_on_one_address_are_a_group() {
    let mut model = model();
    for cookie in [7, 3, 5] {
        model.apply(Event::Listener(entry(cookie)));
    }
    let snapshot = model.snapshot(1);
    let shards: Vec<_> = snapshot.listeners.iter().map(|shard| (shard.cookie, shard.shard)).collect();
    assert_eq!(shards, [(3, Some(1)), (5, Some(2)), (7, Some(3))]);
    assert_eq!(snapshot.listeners[0].group.as_deref(), Some("127.0.0.1:80"));
    assert_eq!(model.snapshot(2).interval_ns, 1);
}

/// A sample that shows the kernel's group, and the interface.
fn grouped(cookie: u64, reuseport: u64, device: u32) -> Event {
    match sample(cookie, 1, 0, counters(0, 0)) {
        Event::Sample(sample) => Event::Sample(Sample { reuseport, device, ..sample }),
        other => other,
    }
}

#[test]
fn a_group_is_the_kernels_and_not_the_address() {
    let mut model = model();
    for (cookie, group, device) in [(1, 0xa0, 0), (2, 0xa0, 0), (3, 0xb0, 7), (4, 0, 8), (5, 0, 8)] {
        model.apply(Event::Listener(entry(cookie)));
        model.apply(grouped(cookie, group, device));
    }
    model.apply(Event::Device { netns: NETNS, index: 7, name: "eth0".to_owned() });
    let listeners = model.snapshot(1).listeners;
    let shown: Vec<_> = listeners
        .iter()
        .map(|one| (one.cookie, one.addr.as_str(), one.device.as_deref(), one.group.as_deref(), one.shard))
        .collect();
    let any = "127.0.0.1:80";
    assert_eq!(
        shown,
        [
            (3, "127.0.0.1%eth0:80", Some("eth0"), None, None),
            (4, "127.0.0.1%if8:80", Some("if8"), None, None),
            (5, "127.0.0.1%if8:80", Some("if8"), None, None),
            (1, any, None, Some(any), Some(1)),
            (2, any, None, Some(any), Some(2)),
        ]
    );
}

#[test]
fn a_group_that_the_kernel_moves_keeps_its_numbers() {
    let mut model = model();
    for cookie in [1, 2] {
        model.apply(Event::Listener(entry(cookie)));
        model.apply(grouped(cookie, 0xa0, 0));
    }
    model.snapshot(1);
    // Between two samples, as `reuseport_grow` has moved one and not the other.
    model.apply(Event::Listener(entry(3)));
    model.apply(grouped(2, 0xb0, 0));
    model.apply(grouped(3, 0xb0, 0));
    let shards: Vec<_> =
        model.snapshot(2).listeners.iter().map(|shard| (shard.cookie, shard.shard)).collect();
    assert_eq!(shards, [(1, Some(1)), (2, Some(2)), (3, Some(3))]);
}

#[test]
fn a_name_follows_its_process() {
    let mut model = model();
    model.apply(Event::Listener(entry(1)));
    let owner = |pid, comm: &str| Event::Owner { listener: 1, pid, comm: comm.to_owned() };
    model.apply(owner(10, "tail"));
    model.apply(owner(11, "another"));
    let holder = |pid| look::Holding { pid, comm: "process".to_owned() };
    model.apply(Event::Holders { listener: 1, holders: vec![holder(9), holder(10)] });
    let listener = model.snapshot(1).listeners.remove(0);
    assert_eq!((listener.pid, listener.comm.as_str()), (10, "tail"));
    model.apply(Event::Holders { listener: 1, holders: vec![holder(9)] });
    let listener = model.snapshot(2).listeners.remove(0);
    assert_eq!((listener.pid, listener.comm.as_str()), (9, "process"));
}

#[test]
fn a_shard_keeps_its_number_when_others_close_and_open() {
    let mut model = model();
    for cookie in [1, 2, 3] {
        model.apply(Event::Listener(entry(cookie)));
    }
    model.snapshot(1);
    model.apply(Event::ListenerClosed(entry(2)));
    model.snapshot(2);
    let mut late = entry(0);
    late.identity.opened_ns = 99;
    model.apply(Event::Listener(late));
    let shards: Vec<_> =
        model.snapshot(3).listeners.iter().map(|shard| (shard.cookie, shard.shard)).collect();
    assert_eq!(shards, [(1, Some(1)), (3, Some(3)), (0, Some(4))]);
}

#[test]
fn a_peak_is_of_the_snapshot_that_came_after_it() {
    let mut model = model();
    model.apply(Event::Listener(entry(1)));
    model.apply(sample(1, 1, 3, counters(3, 0)));
    model.apply(sample(1, 2, 0, counters(3, 3)));
    let mut since = |now: u64, then| model.snapshot(now).listeners[0].peaks.since(then);
    assert_eq!([since(3, 0), since(4, 2), since(4, 3)], [Some(3), Some(3), Some(0)]);
}

#[test]
fn closed_windows_are_those_that_were_told_last() {
    let signals = [("closed_window".to_owned(), Some("a hook".to_owned()))].into();
    let mut model = Model::new(Arc::new(Meta { signals, ..Meta::default() }));
    let none = (Some(0), Some(0), None);
    model.apply(Event::Listener(entry(1)));
    model.apply(Event::Listener(entry(2)));
    let closed = |listener| ClosedWindows { listener, connections: 3, bytes: 70, since_ns: 4 };
    let mut told = |closed: &[ClosedWindows]| {
        model.apply(Event::ClosedWindows(closed.to_vec()));
        let shards = model.snapshot(9).listeners;
        let figures =
            |one: &Listener| (one.closed_windows, one.closed_window_bytes, one.closed_window_since_ns);
        shards.iter().map(figures).collect::<Vec<_>>()
    };
    assert_eq!(told(&[closed(2)]), [none, (Some(3), Some(70), Some(4))]);
    assert_eq!(told(&[]), [none, none]);
}

#[test]
fn the_ledger_balances_or_says_by_how_much_not() {
    let mut model = model();
    model.apply(Event::Listener(entry(1)));
    model.apply(sample(1, 1, 2, counters(5, 3)));
    let check = &model.snapshot(2).ledger[0];
    assert_eq!((check.ours, check.kernel, check.difference), (2, 2, 0));
    assert_eq!(check.reason, None);
    model.apply(sample(1, 3, 1, counters(5, 3)));
    let check = &model.snapshot(4).ledger[0];
    assert_eq!(check.difference, 1);
    assert!(check.reason.is_some());
}

#[test]
fn the_ledger_says_since_when_it_differs() {
    let mut model = model();
    model.apply(Event::Listener(entry(1)));
    let mut since = |time_ns: u64, depth: u32| {
        model.apply(sample(1, time_ns, depth, counters(5, 3)));
        model.snapshot(time_ns).ledger[0].since_ns
    };
    assert_eq!([since(2, 2), since(3, 1), since(4, 0), since(5, 3)], [None, Some(3), Some(3), Some(5)]);
    assert_eq!([since(6, 2), since(7, 3)], [None, Some(7)], "it balanced in between");
}

#[test]
fn a_full_queue_is_saturated_one_that_refuses_overflows() {
    let mut model = model();
    model.apply(Event::Listener(entry(1)));
    model.apply(sample(1, 1, 5, counters(5, 0)));
    assert_eq!(model.snapshot(2).listeners[0].state, State::Saturated);
    let mut refusing = counters(5, 0);
    refusing.drops_at_start = 0;
    let Event::Sample(mut next) = sample(1, 1_000_000_001, 5, refusing) else { unreachable!() };
    next.drops = 9;
    model.apply(Event::Sample(next));
    let listener = &model.snapshot(1_000_000_002).listeners[0];
    assert_eq!(listener.state, State::Overflowing);
    assert_eq!((listener.listen_drops, listener.overflows, listener.overflows_between), (9, None, (0, 9)));
}

#[test]
fn refusals_are_overflows_when_the_namespace_knows_no_others() {
    let mut model = model();
    let host = |overflows, drops| Event::Host {
        netns: NETNS,
        counters: HostCounters {
            listen_overflows: overflows,
            listen_drops: drops,
            ..HostCounters::default()
        },
    };
    model.apply(host(100, 200));
    model.apply(Event::Listener(entry(1)));
    let Event::Sample(mut next) = sample(1, 1, 5, counters(5, 0)) else { unreachable!() };
    next.drops = 9;
    model.apply(Event::Sample(next));
    model.apply(host(109, 209));
    assert_eq!(model.snapshot(2).listeners[0].overflows, Some(9));
    model.apply(host(111, 214));
    assert_eq!(model.snapshot(3).listeners[0].overflows, Some(9), "others' do not make them doubtful");
    next.drops = 12;
    model.apply(Event::Sample(next));
    let listener = &model.snapshot(4).listeners[0];
    assert_eq!((listener.overflows, listener.overflows_between), (None, (9, 11)));
}

#[test]
fn histograms_survive_the_wrap_of_the_kernels_counters() {
    let mut model = model();
    let mut first = entry(1);
    let place = bucket(1_000_000);
    first.histograms[stage::ACCEPT_WAIT][place] = u32::MAX;
    model.apply(Event::Listener(first.clone()));
    let mut second = first;
    second.histograms[stage::ACCEPT_WAIT][place] = 1;
    second.longest[stage::ACCEPT_WAIT] = 1_000_001;
    model.apply(Event::Listener(second));
    let listener = &model.snapshot(1).listeners[0];
    assert_eq!(listener.accept_wait_ns.count, u64::from(u32::MAX) + 2);
    assert_eq!(listener.accept_wait_ns.max, Some(1_000_001));
}

#[test]
fn a_closed_listener_is_shown_once_more_and_stays_in_the_books() {
    let mut model = model();
    let host = |opens| Event::Host {
        netns: NETNS,
        counters: HostCounters { passive_opens: opens, ..HostCounters::default() },
    };
    model.apply(host(0));
    model.apply(Event::Listener(entry(1)));
    let mut last = entry(1);
    last.counters = counters(4, 4);
    last.identity.destroyed_ns = 9;
    model.apply(Event::ListenerClosed(last));
    model.apply(host(4));
    let snapshot = model.snapshot(10);
    assert_eq!(snapshot.listeners[0].closed_ns, Some(9));
    let after = model.snapshot(11);
    assert!(after.listeners.is_empty());
    for check in after.ledger {
        assert_eq!(check.difference, 0, "{check:?}");
    }
}

#[test]
fn connections_that_no_queue_held_are_noted_and_what_else_is_missing_differs() {
    let books = |seen: u64, opens: [u64; 2]| {
        let mut model = model();
        let host = |netns, passive_opens| Event::Host {
            netns,
            counters: HostCounters { passive_opens, ..HostCounters::default() },
        };
        model.apply(host(NETNS, 0));
        model.apply(host(NETNS + 1, 0));
        model.apply(Event::Listener(entry(1)));
        model.apply(sample(1, 5, 0, counters(100, 100)));
        model.apply(host(NETNS, opens[0]));
        model.apply(host(NETNS + 1, opens[1]));
        let mut counted = [0; loss::COUNTERS as usize];
        counted[loss::NEVER_QUEUED as usize] = seen;
        model.apply(Event::Loss(counted));
        let snapshot = model.snapshot(10);
        assert_eq!(snapshot.loss.total, 0, "nothing is missing");
        let checks = snapshot.ledger.into_iter().filter(|check| check.check == "passive_opens");
        checks.map(|check| (check.ours, check.difference, check.reason)).collect::<Vec<_>>()
    };
    let [noted, none] = &books(35, [135, 0])[..] else { panic!("two namespaces") };
    assert_eq!((noted.0, noted.1, none), (135, 0, &(0, 0, None)));
    assert!(noted.2.as_ref().is_some_and(|note| note.starts_with("35 of them were made and given up")));
    // One more than were seen is an alarm, in whichever namespace it is; and so is one too many of ours.
    let of = |seen, opens| books(seen, opens).iter().map(|check| check.1).collect::<Vec<_>>();
    assert_eq!(of(35, [136, 0]), [-1, 0]);
    assert_eq!(of(35, [120, 16]), [0, -1]);
    assert_eq!(of(35, [120, 15]), [0, 0]);
    assert_eq!(of(35, [99, 0]), [1, 0]);
    assert_eq!(of(0, [101, 0]), [-1, 0]);
}

#[test]
fn the_slowest_are_in_order_and_bounded() {
    let mut model = model();
    for wait in 1..=(SLOWEST as u64 + 10) {
        let ended = model.apply(record(100, 100 + wait)).unwrap();
        assert_eq!(ended.end, End::Fin);
        assert_eq!(ended.accept_wait_ns(), Some(wait));
    }
    let snapshot = model.snapshot(1000);
    assert_eq!(snapshot.slowest.len(), SLOWEST);
    assert_eq!(snapshot.slowest[0].accept_wait_ns(), Some(SLOWEST as u64 + 10));
    assert!(snapshot.slowest.is_sorted_by(|left, right| left.accept_wait_ns() >= right.accept_wait_ns()));
    assert_eq!((snapshot.recent.len(), snapshot.loss.delivered), (SLOWEST + 10, SLOWEST as u64 + 10));
}

#[test]
fn what_stays_wrong_is_diagnosed_in_the_snapshot() {
    let signals = ["accept", "data_queued", "read"].map(|name| (name.to_owned(), Some("a hook".to_owned())));
    let mut model = Model::new(Arc::new(Meta { signals: signals.into(), ..Meta::default() }));
    model.apply(Event::Listener(entry(1)));
    let mut rules = |tenths: u64, unread: i64| -> Vec<&str> {
        let time_ns = tenths * 100_000_000;
        model.apply(sample(1, time_ns, 0, ListenerCounters { unread, ..counters(20, 20) }));
        model.snapshot(time_ns).diagnoses.iter().map(|diagnosis| diagnosis.rule).collect()
    };
    assert!((1..=10).all(|tenths| rules(tenths, 9).is_empty()));
    assert_eq!(rules(11, 9), ["accepted-never-read"]);
    assert_eq!(rules(40, 9), ["accepted-never-read"]);
    assert_eq!(rules(70, 0), [""; 0]);
}
