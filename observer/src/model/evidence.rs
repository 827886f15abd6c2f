//! What the rules judge by: a snapshot, and what was counted in the seconds before it.

mod counts;
mod course;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
};

use super::snapshot::{AcceptedBy, Host, Listener, Snapshot, Thread};
use counts::Counts;
use course::{Course, Instant, is_long};

/// Counts are taken over this long, or since the start if that is shorter.
const WINDOW_NS: u64 = 2_000_000_000;
/// A snapshot that is so much too young is not passed over for the one before: the window would be another each time.
const EARLY_NS: u64 = 50_000_000;
/// A stall of this length has been told of: a window, and the second that a finding has to last.
const STRANDED_NS: u64 = WINDOW_NS + 1_000_000_000;
/// Instants are kept for so long, so that a stall that has just ended is remembered.
const KEPT_NS: u64 = WINDOW_NS + 3_000_000_000;
/// Two kept instants are at least this far apart, so that their number is bounded however often snapshots are made.
const APART_NS: u64 = 200_000_000;

/// What had been counted at one instant.
#[derive(Debug, Default)]
struct Totals {
    time_ns: u64,
    listeners: HashMap<u64, (Counts, u32)>,
    /// Calls of accept(2) that had failed, by listener and thread.
    failures: HashMap<(u64, u32, u32), u64>,
    hosts: HashMap<u32, Host>,
}

/// What had been counted at the instants of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Past(VecDeque<Totals>);

impl Past {
    /// Keeps the totals of a snapshot.
    pub(super) fn keep(&mut self, snapshot: &Snapshot) {
        let since = |past: &Totals| snapshot.time_ns.saturating_sub(past.time_ns);
        if self.0.back().is_some_and(|last| since(last) < APART_NS) {
            return;
        }
        self.0.push_back(Totals {
            time_ns: snapshot.time_ns,
            listeners: snapshot
                .listeners
                .iter()
                .map(|listener| (listener.cookie, (Counts::of(listener), listener.accept_queue)))
                .collect(),
            failures: snapshot
                .listeners
                .iter()
                .flat_map(|listener| listener.acceptors.alive.iter().map(|one| (listener.cookie, one)))
                .filter(|(_, one)| one.failures > 0)
                .map(|(listener, one)| ((listener, one.pid, one.tid), one.failures))
                .collect(),
            hosts: snapshot.hosts.iter().map(|host| (host.netns, *host)).collect(),
        });
    }

    /// A snapshot, and what was counted before it.
    pub(super) fn facts<'a>(&mut self, snapshot: &'a Snapshot) -> Facts<'a> {
        let age = |past: &Totals| snapshot.time_ns.saturating_sub(past.time_ns);
        while self.0.get(1).is_some_and(|past| age(past) >= KEPT_NS) {
            self.0.pop_front();
        }
        let then = self.0.iter().rfind(|past| age(past) >= WINDOW_NS - EARLY_NS).or(self.0.front());
        let mut places: BTreeMap<(u32, &str, Option<u64>), Place<'a>> = BTreeMap::new();
        for listener in snapshot.listeners.iter().filter(|listener| listener.closed_ns.is_none()) {
            let begun = then.is_some_and(|then| listener.opened_ns.is_some_and(|ns| ns >= then.time_ns));
            let before = then.and_then(|then| then.listeners.get(&listener.cookie).copied());
            // What was counted of one that nobody had looked at before cannot be put into these seconds.
            let Some((before, depth_before)) = before.or(begun.then(Default::default)) else { continue };
            // One that is in no group shares nothing, whatever listens on its address.
            let alone = listener.shard.is_none().then_some(listener.cookie);
            places
                .entry((listener.netns, listener.addr.as_str(), alone))
                .or_insert_with(|| Place { name: &listener.addr, netns: listener.netns, members: Vec::new() })
                .members
                .push(self.member(
                    snapshot.time_ns,
                    listener,
                    then.map_or(0, |then| then.time_ns),
                    before,
                    depth_before,
                ));
        }
        let hosts = snapshot
            .hosts
            .iter()
            .filter_map(|host| Some((*host, *then?.hosts.get(&host.netns)?)))
            .map(|(now, before)| (now.netns, since(now, before)))
            .collect();
        Facts {
            snapshot,
            window_ns: then.map_or(0, |then| snapshot.time_ns.saturating_sub(then.time_ns)),
            places: places.into_values().collect(),
            hosts,
            failures: then.map(|then| then.failures.clone()).unwrap_or_default(),
            closed: snapshot
                .listeners
                .iter()
                .filter(|listener| listener.closed_ns.is_some())
                .map(|listener| {
                    let before = then.and_then(|then| then.listeners.get(&listener.cookie).copied());
                    let (before, depth_before) = before.unwrap_or_default();
                    let counted = Counts::of(listener).with(before, u64::saturating_sub);
                    Member { listener, counted, depth_before, course: Course::default() }
                })
                .collect(),
        }
    }
}

impl Past {
    /// A listener with what was counted of it. How its queue was is asked only of one from which somebody was accepted.
    fn member<'a>(
        &self,
        now_ns: u64,
        listener: &'a Listener,
        begin_ns: u64,
        before: Counts,
        depth_before: u32,
    ) -> Member<'a> {
        let counted = Counts::of(listener).with(before, u64::saturating_sub);
        let kept = self.0.iter().filter_map(|past| {
            let (counts, depth) = past.listeners.get(&listener.cookie)?;
            let (accepted, refused) = (counts.accepted, counts.overflows);
            Some(Instant { time_ns: past.time_ns, depth: *depth, accepted, refused })
        });
        let now = Instant {
            time_ns: now_ns,
            depth: listener.accept_queue,
            accepted: listener.accepted,
            refused: Counts::of(listener).overflows,
        };
        let course = match counted.accepted {
            0 => Course::default(),
            _ => Course::of(kept.chain([now]), listener, begin_ns),
        };
        Member { listener, counted, depth_before, course }
    }
}

/// Those counters of a namespace that rules ask for.
fn since(now: Host, before: Host) -> Host {
    Host {
        netns: now.netns,
        listen_overflows: now.listen_overflows.saturating_sub(before.listen_overflows),
        syn_queue_full_drops: now.syn_queue_full_drops.saturating_sub(before.syn_queue_full_drops),
        cookies_sent: now.cookies_sent.saturating_sub(before.cookies_sent),
        cookies_received: now.cookies_received.saturating_sub(before.cookies_received),
        delayed_acks: now.delayed_acks.saturating_sub(before.delayed_acks),
        ..Host::default()
    }
}

/// A listener, and what was counted of it.
#[derive(Debug, Clone)]
pub(super) struct Member<'a> {
    pub(super) listener: &'a Listener,
    pub(super) counted: Counts,
    /// Depth of its accept queue when counting began.
    pub(super) depth_before: u32,
    pub(super) course: Course,
}

impl Member<'_> {
    /// It was over a quarter full at every instant since counting began.
    pub(super) fn was_never_short(&self) -> bool {
        is_long(self.course.lowest, self.listener)
    }

    /// Nobody accepted for so long that stranded-queue has told of it, and now it is emptied.
    pub(super) fn was_stranded(&self) -> bool {
        self.course.unserved_ns >= STRANDED_NS && !is_long(self.listener.accept_queue, self.listener)
    }

    /// Its accept queue is full, or was when somebody was refused.
    pub(super) fn is_saturated(&self) -> bool {
        self.counted.overflows > 0 || self.listener.accept_queue > self.listener.backlog_limit
    }
}

/// An address on which one or several listeners listen.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) netns: u32,
    pub(super) members: Vec<Member<'a>>,
}

impl Place<'_> {
    /// What was counted at all of its listeners.
    pub(super) fn counted(&self) -> Counts {
        let all = self.members.iter().map(|member| member.counted);
        all.fold(Counts::default(), |sum, counts| sum.with(counts, u64::saturating_add))
    }

    /// One of its accept queues is full, or was when somebody was refused.
    pub(super) fn is_saturated(&self) -> bool {
        self.members.iter().any(Member::is_saturated)
    }

    /// The same place with some of its members alone.
    pub(super) fn with<'b>(&'b self, members: &[&Member<'b>]) -> Place<'b> {
        let members = members.iter().map(|member| (*member).clone()).collect();
        Place { name: self.name, netns: self.netns, members }
    }

    fn has(&self, cookie: u64) -> bool {
        self.members.iter().any(|member| member.listener.cookie == cookie)
    }
}

/// What a rule judges by.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// Counts were taken over this long.
    pub(super) window_ns: u64,
    pub(super) places: Vec<Place<'a>>,
    hosts: HashMap<u32, Host>,
    /// Listeners that have closed since the last snapshot.
    pub(super) closed: Vec<Member<'a>>,
    /// Calls of accept(2) that had failed when counting began.
    failures: HashMap<(u64, u32, u32), u64>,
}

impl<'a> Facts<'a> {
    /// Calls of accept(2) of a thread on a listener that failed in the window.
    pub(super) fn failures(&self, listener: u64, one: &AcceptedBy) -> u64 {
        let before = self.failures.get(&(listener, one.pid, one.tid)).copied().unwrap_or(0);
        one.failures.saturating_sub(before)
    }

    /// What a namespace counted; none when it is not known.
    pub(super) fn host(&self, netns: u32) -> Option<&Host> {
        self.hosts.get(&netns)
    }

    /// Counts per second.
    pub(super) fn rate(&self, count: u64) -> f64 {
        if self.window_ns == 0 { 0.0 } else { count as f64 * 1e9 / self.window_ns as f64 }
    }

    /// A thread that lives.
    pub(super) fn thread(&self, pid: u32, tid: u32) -> Option<&'a Thread> {
        let threads = &self.snapshot.threads;
        let found = threads.binary_search_by_key(&(pid, tid), |thread| (thread.pid, thread.tid)).ok()?;
        threads.get(found).filter(|thread| !thread.exited)
    }

    /// What was counted of an open listener.
    pub(super) fn counted(&self, cookie: u64) -> Option<Counts> {
        let mut members = self.places.iter().flat_map(|place| &place.members);
        members.find(|member| member.listener.cookie == cookie).map(|member| member.counted)
    }

    /// The watched listener to which connections to this address come.
    pub(super) fn listening_at(&self, netns: u32, address: SocketAddr) -> Option<&'a Listener> {
        let is_it = |listener: &&Listener| {
            let host = listener.addr.rsplit_once(':').map_or("", |(host, _)| host);
            let host = host.split('%').next().unwrap_or_default().trim_matches(['[', ']']);
            let host: Option<IpAddr> = host.parse().ok();
            let is_there = host.is_some_and(|host| {
                host.is_unspecified() || host.to_canonical() == address.ip().to_canonical()
            });
            listener.netns == netns && listener.port == address.port() && is_there
        };
        self.snapshot.listeners.iter().filter(|listener| listener.closed_ns.is_none()).find(is_it)
    }

    /// Whether accept(2) on a listener fails for lack of something.
    pub(super) fn fails(&self, listener: &Listener) -> bool {
        listener.acceptors.alive.iter().any(|one| self.has_failed(listener, one))
    }

    /// Whether a thread's last accept(2) on a listener failed: in the window, or before it and nobody has accepted since
    /// although somebody waits.
    pub(super) fn has_failed(&self, listener: &Listener, one: &AcceptedBy) -> bool {
        let since = self.snapshot.time_ns.saturating_sub(self.window_ns);
        let nobody_accepts = || {
            let counted = self.counted(listener.cookie);
            listener.accept_queue > 0 && counted.is_some_and(|counted| counted.accepted == 0)
        };
        one.failing_since_ns.is_some() && (one.failed_ns >= Some(since) || nobody_accepts())
    }

    /// Whether a process that listens here listens elsewhere too: then what its threads accept is not of this place alone.
    pub(super) fn listens_elsewhere(&self, place: &Place<'_>) -> bool {
        let others = self.snapshot.listeners.iter().filter(|other| !place.has(other.cookie));
        let mut others = others.filter(|other| other.closed_ns.is_none());
        others.any(|other| place.members.iter().any(|member| member.listener.pid == other.pid))
    }

    /// Threads that have accepted from a place, the busiest first. Where nothing tells which accepted from which listener, those
    /// of the process that listens, if it listens nowhere else.
    pub(super) fn acceptors(&self, place: &Place<'_>) -> Vec<&'a Thread> {
        let counted = || place.members.iter().flat_map(|member| member.listener.acceptors.alive.iter());
        let known: BTreeSet<(u32, u32)> =
            counted().filter(|one| one.accepts > 0).map(|one| (one.pid, one.tid)).collect();
        let holds = |pid: u32| place.members.iter().any(|member| member.listener.pid == pid);
        let guess = known.is_empty() && !self.listens_elsewhere(place);
        let mut found: Vec<&Thread> = self
            .snapshot
            .threads
            .iter()
            .filter(|thread| !thread.exited && thread.accepts > 0)
            .filter(|thread| known.contains(&(thread.pid, thread.tid)) || guess && holds(thread.pid))
            .collect();
        found.sort_by(|one, other| other.rates.accepts.total_cmp(&one.rates.accepts));
        found
    }
}

/// A thread as sentences name it.
pub(super) fn name(thread: &Thread) -> String {
    format!("{}/{}", thread.comm, thread.tid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(seconds: u64, listener: Listener) -> Snapshot {
        let host = Host { cookies_sent: seconds * 10, ..Host::default() };
        let listeners = vec![Listener { addr: "a".to_owned(), ..listener }];
        Snapshot { time_ns: seconds * SECOND, listeners, hosts: vec![host], ..Snapshot::default() }
    }

    /// Accepted in the window at the last of these instants, and its length in seconds.
    fn counted(instants: &[Snapshot]) -> (Option<u64>, u64) {
        let mut past = Past::default();
        let (last, before) = instants.split_last().unwrap();
        before.iter().for_each(|snapshot| past.keep(snapshot));
        let facts = past.facts(last);
        (facts.places.first().map(|place| place.counted().accepted), facts.window_ns / SECOND)
    }

    fn accepted(accepted: u64) -> Listener {
        Listener { accepted, ..Listener::default() }
    }

    #[test]
    fn counts_are_of_the_last_seconds() {
        let instants: Vec<_> = (1..=6).map(|second| at(second, accepted(second * second))).collect();
        assert_eq!(counted(&instants[..1]), (None, 0), "nothing came before");
        assert_eq!(counted(&instants[..2]), (Some(4 - 1), 1));
        assert_eq!(counted(&instants), (Some(36 - 16), 2));
        assert_eq!(counted(&[at(1, accepted(1)), at(9, accepted(5))]), (Some(4), 8), "a slow reader");
    }

    #[test]
    fn what_was_counted_before_anybody_looked_is_not_of_these_seconds() {
        let empty = Snapshot { time_ns: SECOND, ..Snapshot::default() };
        assert_eq!(counted(&[empty.clone(), at(2, accepted(7))]), (None, 1));
        let opened = Listener { opened_ns: Some(SECOND + 1), ..accepted(7) };
        assert_eq!(counted(&[empty.clone(), at(2, opened)]), (Some(7), 1), "it began with nothing");
        let closed = Listener { opened_ns: Some(SECOND + 1), closed_ns: Some(SECOND + 2), ..accepted(7) };
        assert_eq!(counted(&[empty, at(2, closed)]), (None, 1));
    }

    #[test]
    fn threads_of_a_process_that_listens_elsewhere_are_not_taken_for_acceptors() {
        let listener =
            |cookie, addr: &str| Listener { cookie, addr: addr.to_owned(), pid: 7, ..Listener::default() };
        let threads = vec![Thread { pid: 7, tid: 8, accepts: 5, ..Thread::default() }];
        let of = |listeners: Vec<Listener>| Snapshot {
            time_ns: SECOND,
            listeners,
            threads: threads.clone(),
            ..Snapshot::default()
        };
        let acceptors = |snapshot: &Snapshot| {
            let mut past = Past::default();
            past.keep(snapshot);
            let facts = past.facts(snapshot);
            facts.places.iter().map(|place| facts.acceptors(place).len()).collect::<Vec<_>>()
        };
        assert_eq!(acceptors(&of(vec![listener(1, "a")])), [1]);
        assert_eq!(acceptors(&of(vec![listener(1, "a"), listener(2, "b")])), [0, 0], "of which is not known");
    }

    #[test]
    fn a_namespace_has_its_counts_too() {
        let mut past = Past::default();
        past.keep(&at(1, accepted(0)));
        let now = at(2, accepted(0));
        let facts = past.facts(&now);
        assert_eq!(facts.host(0).map(|host| host.cookies_sent), Some(10));
        assert!(facts.host(1).is_none());
    }
}
