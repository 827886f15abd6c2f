//! One listener in the model.

mod course;
mod early;
mod rates;
mod recent;
mod state;
mod whereabouts;

use std::{collections::VecDeque, sync::Arc};

use observer_ebpf::record::{Endings, ListenerEntry, ListenerIdentity, Sample, stage};

use course::Course;
use early::Early;
use rates::{Totals, rates};
use recent::Recent;

use super::{
    bounds,
    drops::{Certain, Refused, Telling},
    event::ClosedWindows,
    histogram::Histogram,
    host::Host,
    peaks::Peaks,
    snapshot::{Acceptors, EndedBy, Listener, Meta},
};

/// Rates are taken over this long.
const RATE_WINDOW_NS: u64 = 1_000_000_000;
/// `TCP_LISTEN`.
const LISTENING: u16 = 10;

/// A watched listener.
#[derive(Debug)]
pub(super) struct Watched {
    identity: ListenerIdentity,
    /// The last sample; none until the first.
    sample: Option<Sample>,
    /// Deepest queue since the last snapshot, and before.
    peak: u32,
    peaks: Peaks,
    /// Bucket counts as last read, to add only differences: the kernel's 32 bits wrap.
    raw: Box<ListenerEntry>,
    stages: Arc<[Histogram; stage::STAGES]>,
    recent: Recent,
    /// Half of those that were accepted in the last window waited as long in the queue.
    recent_wait_ns: Option<u64>,
    /// Refused so far when the namespace's counters were first read; what came before has no known cause.
    refused_before_host: Option<u64>,
    certain: Certain,
    past: VecDeque<Totals>,
    course: Course,
    early: Early,
    windows: ClosedWindows,
    closed_ns: Option<u64>,
    /// When it was first seen not to listen any more, though its socket is there: after shutdown(2).
    shut_ns: Option<u64>,
    /// Its namespace is another by now.
    disowned: bool,
    /// Who holds it, as last looked up, if that is another or has another name by now.
    holder: Option<(u32, String)>,
    /// Number within its group, once it has been in one.
    shard: Option<u32>,
    /// The kernel's group, when it was last seen to listen.
    reuseport: Option<u64>,
}

impl Watched {
    pub(super) fn new(entry: &ListenerEntry, host_known: bool) -> Self {
        let mut fresh = *entry;
        fresh.histograms = [[0; observer_ebpf::histogram::BUCKETS]; stage::STAGES];
        let mut watched = Self {
            identity: entry.identity,
            sample: None,
            peak: 0,
            peaks: Peaks::default(),
            raw: Box::new(fresh),
            stages: Arc::default(),
            recent: Recent::default(),
            recent_wait_ns: None,
            refused_before_host: host_known.then_some(0),
            certain: Certain::default(),
            past: VecDeque::new(),
            course: Course::default(),
            early: Early::default(),
            windows: ClosedWindows::default(),
            closed_ns: None,
            shut_ns: None,
            disowned: false,
            holder: None,
            shard: None,
            reuseport: None,
        };
        if entry.identity.opened_ns != 0 {
            // It began with nothing, so its first rates are right too.
            let nothing = Totals { time_ns: entry.identity.opened_ns, ..Totals::default() };
            watched.past.push_back(nothing);
        }
        watched.histograms(entry);
        watched
    }

    pub(super) fn identity(&self) -> &ListenerIdentity {
        &self.identity
    }

    pub(super) fn sample(&self) -> Option<&Sample> {
        self.sample.as_ref()
    }

    /// Takes it out of its namespace's sums, if it is closed.
    pub(super) fn disown(&mut self) {
        self.disowned = self.is_closed();
    }

    pub(super) fn is_disowned(&self) -> bool {
        self.disowned
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed_ns.is_some()
    }

    /// Adds what was counted since the buckets were last read.
    pub(super) fn histograms(&mut self, entry: &ListenerEntry) {
        let stages = Arc::make_mut(&mut self.stages);
        for (index, stage) in stages.iter_mut().enumerate() {
            for bucket in 0..observer_ebpf::histogram::BUCKETS {
                let now = entry.histograms[index][bucket];
                let more = now.wrapping_sub(self.raw.histograms[index][bucket]);
                if more != 0 {
                    stage.add(bucket, more.into());
                }
            }
            stage.raise_longest(entry.longest[index]);
        }
        *self.raw = *entry;
    }

    /// Takes over a sample.
    pub(super) fn sampled(&mut self, sample: &Sample, telling: Telling) {
        self.peak = self.peak.max(sample.peak);
        // Known only after listen(2) without bind(2), and another after shutdown(2) and a second listen(2).
        if sample.port != 0 {
            self.identity.port = sample.port;
        }
        let totals = Totals {
            time_ns: sample.time_ns,
            enqueued: sample.counters.enqueued,
            accepted: sample.counters.accepted,
            refused: Refused::new(dropped(sample), &sample.counters).counted(telling),
            depth: sample.accept_queue,
            reads: self.stages[stage::DATA_TO_READ].total(),
            writes: self.raw.writes.spells,
            unread: sample.counters.unread.max(0).cast_unsigned(),
            first_reads: self.stages[stage::ACCEPT_TO_READ].total(),
            ended: ended_by(&self.raw.endings).accepted(),
            closed_unread: self.raw.endings.turned_away(),
        };
        if sample.state == LISTENING {
            self.shut_ns = None;
            self.reuseport = Some(sample.reuseport);
            self.identity.device = sample.device;
        } else {
            self.shut_ns.get_or_insert(sample.time_ns);
        }
        bounds::keep(&mut self.past, totals);
        // Keeps one that is a whole window old, if there is one.
        while self
            .past
            .get(1)
            .is_some_and(|next| totals.time_ns.saturating_sub(next.time_ns) >= RATE_WINDOW_NS)
        {
            self.past.pop_front();
        }
        self.course.sampled(sample);
        self.sample = Some(*sample);
    }

    /// Takes over its closed windows.
    pub(super) fn windows(&mut self, closed: ClosedWindows) {
        self.windows = closed;
    }

    /// Notes that the namespace's counters are known from now on.
    pub(super) fn host_known(&mut self) {
        if self.refused_before_host.is_none() && self.sample.is_some() {
            self.refused_before_host = Some(self.refused().most());
        }
    }

    /// The last figures, from an entry whose socket is gone.
    pub(super) fn closed(&mut self, entry: &ListenerEntry, time_ns: u64, migrations: bool) {
        let mut entry = *entry;
        let counters = &mut entry.counters;
        // What had no record, as it was queued before the start, was reset with the rest. Where connections are moved
        // between shards it may have been moved.
        if !migrations {
            let went = counters.accepted + counters.dropped_queued + counters.moved_away;
            let came = u64::from(counters.queued_at_start) + counters.enqueued;
            counters.dropped_queued += came.saturating_sub(went);
        }
        let entry = &entry;
        self.histograms(entry);
        self.peak = self.peak.max(entry.counters.peak);
        if let Some(sample) = &mut self.sample {
            sample.counters = entry.counters;
            sample.accept_queue = 0;
            sample.syn_queue = 0;
        } else {
            self.sample = Some(last_sample(entry, time_ns));
        }
        self.closed_ns =
            Some(if entry.identity.destroyed_ns != 0 { entry.identity.destroyed_ns } else { time_ns });
    }

    /// Everything refused since watching began.
    pub(super) fn refused(&self) -> Refused {
        self.sample
            .as_ref()
            .map_or_else(Refused::default, |sample| Refused::new(dropped(sample), &sample.counters))
    }

    /// The figures at `time_ns`. `refused_here` is what all listeners of its namespace refused.
    pub(super) fn snapshot(
        &mut self,
        time_ns: u64,
        meta: &Meta,
        host: Option<&Host>,
        refused_here: u64,
        device: Option<String>,
    ) -> Listener {
        let telling = meta.telling;
        let sample = self.sample.unwrap_or_else(|| last_sample(&self.raw, 0));
        let counters = sample.counters;
        self.peaks.note(time_ns, std::mem::take(&mut self.peak).max(sample.accept_queue));
        self.recent_wait_ns = self.recent.of(time_ns, &self.stages[stage::ACCEPT_WAIT]).quantile(0.5);
        let mut rates = rates(&self.past);
        let refused = Refused::new(dropped(&sample), &counters);
        let others = refused_here.saturating_sub(refused.most());
        let causes = refused.causes(telling, self.refused_before_host, others, host, &mut self.certain);
        let between = causes.overflows;
        let listen_drops: u64 = causes.drops.iter().map(|drop| drop.count).sum();
        // A bare ACK that TCP_DEFER_ACCEPT ignores raises `sk_drops` too.
        let ignored = host.map_or(0, Host::deferred_acks);
        let deferred = ignored.min(sample.syn_queue.into());
        let discarded = dropped(&sample).saturating_sub(listen_drops);
        let early = discarded.saturating_sub(if sample.deferring != 0 { ignored } else { 0 });
        rates.reset_early = self.early.rate(sample.time_ns, early, host.map_or(0, Host::embryonic_resets));
        let told = meta.has("closed_window");
        let held = meta.has("held_write");
        let identity = &self.identity;
        let addr = self.address(device.as_deref());
        let (pid, comm) = self.owner();
        Listener {
            cookie: identity.cookie,
            group: self.shard.map(|_| addr.clone()),
            addr,
            device,
            port: identity.port,
            netns: identity.netns,
            pid,
            comm,
            shard: self.shard,
            opened_ns: (identity.opened_ns != 0).then_some(identity.opened_ns),
            closed_ns: self.closed_ns.or(self.shut_since(&sample)),
            state: self.state(&sample, &rates, telling, between.1),
            backlog_limit: sample.limit,
            somaxconn: (sample.somaxconn != 0).then_some(sample.somaxconn),
            accept_queue: sample.accept_queue,
            peaks: self.peaks.clone(),
            syn_queue: sample.syn_queue,
            syn_queue_young: sample.syn_queue_young,
            deferred: (sample.deferring != 0).then_some(deferred as u32),
            enqueued: counters.enqueued,
            accepted: counters.accepted,
            accepted_unseen: counters.accepted_unseen,
            accepted_by_ring: counters.accepted_by_ring,
            dropped_queued: counters.dropped_queued,
            aborted_queued: counters.aborted_queued,
            migrated: counters.migrated,
            migrated_away: counters.moved_away,
            requests: counters.requests,
            queued_at_start: counters.queued_at_start,
            overflows: (between.0 == between.1).then_some(between.0),
            overflows_between: between,
            listen_drops,
            sk_drops: dropped(&sample),
            drops: causes.drops,
            cookies: counters.cookies,
            cookies_sent: meta.cookies.sent.then_some(counters.cookies_sent),
            cookies_failed: meta.cookies.failed.then_some(counters.cookies_failed),
            synack_retransmits: counters.synack_retransmits,
            unread: counters.unread.max(0) as u64,
            pauses: counters.pauses,
            pauses_as_delayed_ack: counters.pauses_as_delayed_ack,
            held_writes: held.then_some(self.raw.writes.held),
            held_writes_as_delayed_ack: held.then_some(self.raw.writes.held_as_delayed_ack),
            held_writes_ns: held.then_some(self.raw.writes.held_ns),
            closed_windows: told.then_some(self.windows.connections),
            closed_window_bytes: told.then_some(self.windows.bytes),
            closed_window_since_ns: (self.windows.connections > 0).then_some(self.windows.since_ns),
            ended: counters.ended,
            ended_by: ended_by(&self.raw.endings),
            closed_unread: self.raw.endings.closed_unread,
            closed_unread_at_exit: self.raw.endings.closed_unread_at_exit,
            closed_queued: self.raw.endings.closed_queued,
            gave_up: self.raw.endings.gave_up,
            oldest_waits_ns: self.course.oldest_waits_ns(sample.time_ns).filter(|_| !self.is_closed()),
            came_since_accept: self
                .course
                .came_since_accept(counters.enqueued.saturating_add(counters.queued_at_start.into())),
            pace: self.course.pace(),
            backlog_before: self.course.changed().map(|change| change.before),
            backlog_changed_ns: self.course.changed().map(|change| change.time_ns),
            acceptors: Acceptors::default(),
            end_unseen: counters.end_unseen,
            accept_wait_ns: self.stages[stage::ACCEPT_WAIT].quantiles(),
            recent_wait_ns: self.recent_wait_ns,
            accept_to_write_ns: self.stages[stage::ACCEPT_TO_WRITE].quantiles(),
            rates,
            written: self.is_written(),
            stages: Arc::clone(&self.stages),
        }
    }
}

fn last_sample(entry: &ListenerEntry, time_ns: u64) -> Sample {
    Sample {
        kind: observer_ebpf::record::kind::SAMPLE,
        state: LISTENING,
        port: entry.identity.port,
        cookie: entry.identity.cookie,
        time_ns,
        accept_queue: 0,
        limit: 0,
        syn_queue: 0,
        syn_queue_young: 0,
        drops: entry.counters.drops_at_start,
        peak: entry.counters.peak,
        somaxconn: 0,
        device: entry.identity.device,
        reuseport: 0,
        deferring: 0,
        reserved: 0,
        counters: entry.counters,
    }
}

fn ended_by(endings: &Endings) -> EndedBy {
    EndedBy {
        fin_peer: endings.fin_peer,
        fin_own: endings.fin_own,
        rst_in: endings.reset_peer,
        rst_out: endings.reset_own,
        timeout: endings.timeout,
        queued_reset: endings.queued_reset,
        unknown: endings.unknown,
    }
}

fn dropped(sample: &Sample) -> u64 {
    sample.drops.wrapping_sub(sample.counters.drops_at_start).into()
}
