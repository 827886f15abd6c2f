//! Listeners as the screen lists them: the shards of one address together, the worst first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::history::samples::Samples;
use crate::model::snapshot::{Listener, Snapshot, State};

/// A listener, or all the shards of one address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// One listener, by its cookie.
    Listener(u64),
    /// A group, by network namespace and name.
    Group(u32, String),
}

impl Target {
    /// Its listeners.
    pub(crate) fn listeners<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Listener> {
        snapshot.listeners.iter().filter(move |listener| match self {
            Self::Listener(cookie) => listener.cookie == *cookie,
            Self::Group(netns, name) => {
                listener.netns == *netns && listener.group.as_deref() == Some(name.as_str())
            }
        })
    }

    /// Their cookies.
    pub(crate) fn cookies(&self, snapshot: &Snapshot) -> Vec<u64> {
        self.listeners(snapshot).map(|listener| listener.cookie).collect()
    }

    /// The group of a listener, or itself.
    pub(crate) fn of(listener: &Listener) -> Self {
        match &listener.group {
            Some(name) => Self::Group(listener.netns, name.clone()),
            None => Self::Listener(listener.cookie),
        }
    }
}

/// The figures of one row: of a listener, or of a group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    /// Address, or shard.
    pub name: String,
    /// Listeners in it.
    pub shards: usize,
    /// The worst state among them.
    pub state: State,
    /// When the last of them closed; none while one listens.
    pub closed_ns: Option<u64>,
    /// SYN queue, of the shard whose accept queue is fullest.
    pub syn_queue: u32,
    /// Accept queue of the fullest shard.
    pub depth: u32,
    /// Its peak over the last second.
    pub peak: u32,
    /// Its limit.
    pub limit: u32,
    /// Connections that entered, per second, all shards.
    pub enqueued: f64,
    /// Accepted per second, all shards.
    pub accepted: f64,
    /// Refused per second, all shards.
    pub dropped: f64,
    /// Median wait in the accept queue, of the slowest shard.
    pub wait_p50_ns: Option<u64>,
    /// 99th percentile of it, of the slowest shard.
    pub wait_p99_ns: Option<u64>,
    /// Reads of data per second, all shards.
    pub reads: f64,
    /// A connection was written to in the last second.
    pub written: bool,
    /// Accepted connections that are open, all shards.
    pub open: u64,
    /// Handshakes that their client reset before they were complete, per second, all shards.
    pub reset_early: f64,
    /// Clients that connected and sent nothing yet (TCP_DEFER_ACCEPT), all shards.
    pub deferred: u32,
    /// The oldest that waits in an accept queue has for this long, at least.
    pub oldest_ns: Option<u64>,
    /// Accepted connections with data that nobody has read, all shards.
    pub unread: u64,
    /// Refused since the start, all shards.
    pub drops: u64,
    /// Connections that came through cookies, all shards.
    pub cookies: u64,
    /// SYN-ACKs sent again, all shards.
    pub retransmits: u64,
    /// Who has it; of several with a process each how many there are.
    pub process: String,
}

impl Figures {
    /// Sums up some listeners of one address.
    pub(crate) fn of<'a>(listeners: impl IntoIterator<Item = &'a Listener>, samples: &Samples) -> Self {
        let mut figures = Self::default();
        let mut fullness = -1.0;
        let mut pids = BTreeSet::new();
        for listener in listeners {
            if figures.shards == 0 {
                figures.name = match (&listener.group, listener.shard) {
                    (None, Some(shard)) => format!("{} shard {shard}", listener.addr),
                    _ => listener.addr.clone(),
                };
                figures.closed_ns = listener.closed_ns;
                figures.process = format!("{}/{}", listener.comm, listener.pid);
            }
            pids.insert(listener.pid);
            figures.shards += 1;
            figures.closed_ns = figures.closed_ns.max(listener.closed_ns).filter(|_| {
                // One that listens is enough.
                figures.closed_ns.is_some() && listener.closed_ns.is_some()
            });
            figures.state = figures.state.max(listener.state);
            if fill(listener) > fullness {
                fullness = fill(listener);
                figures.depth = listener.accept_queue;
                figures.limit = listener.backlog_limit;
                figures.syn_queue = listener.syn_queue;
            }
            figures.peak = figures.peak.max(samples.peak(listener.cookie)).max(figures.depth);
            figures.enqueued += listener.rates.enqueued;
            figures.accepted += listener.rates.accepted;
            figures.dropped += listener.rates.dropped;
            let (p50, p99) = samples.wait(listener.cookie);
            figures.wait_p50_ns = figures.wait_p50_ns.max(p50);
            figures.wait_p99_ns = figures.wait_p99_ns.max(p99);
            figures.reads += listener.rates.reads;
            figures.written |= listener.written;
            figures.open += listener.open();
            figures.reset_early += listener.rates.reset_early;
            figures.deferred += listener.deferred.unwrap_or(0);
            figures.oldest_ns = figures.oldest_ns.max(listener.oldest_waits_ns);
            figures.unread += listener.unread;
            figures.drops += listener.listen_drops;
            figures.cookies += listener.cookies;
            figures.retransmits += listener.synack_retransmits;
        }
        if pids.len() > 1 {
            figures.process = format!("{} processes", pids.len());
        }
        figures
    }
}

/// Connections in the accept queue as a part of what fills it. The queue is full at limit + 1, because
/// `sk_acceptq_is_full` asks whether `sk_ack_backlog > sk_max_ack_backlog`.
fn fill(listener: &Listener) -> f64 {
    f64::from(listener.accept_queue) / (f64::from(listener.backlog_limit) + 1.0)
}

/// One row of the list.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What it stands for.
    pub target: Target,
    /// Positions of its listeners in the snapshot.
    pub members: Vec<usize>,
    /// A group whose shards follow, `Some(true)`, or are folded away, `Some(false)`.
    pub unfolded: Option<bool>,
    /// It is one of the shards below their group.
    pub shard: bool,
}

/// Rows of the list, the worst first; `unfolded` names the groups whose shards are listed too.
pub(crate) fn rows(snapshot: &Snapshot, unfolded: &BTreeSet<Target>) -> Vec<Row> {
    let mut groups: BTreeMap<(u32, &str), Vec<usize>> = BTreeMap::new();
    for (index, listener) in snapshot.listeners.iter().enumerate() {
        if let Some(name) = &listener.group {
            groups.entry((listener.netns, name)).or_default().push(index);
        }
    }
    let mut heads: Vec<(Rank, Row)> = Vec::new();
    for (index, listener) in snapshot.listeners.iter().enumerate() {
        let target = Target::of(listener);
        let members = match &listener.group {
            // A group stands where its first shard stood.
            Some(name) => match groups.remove(&(listener.netns, name.as_str())) {
                Some(members) => members,
                None => continue,
            },
            None => vec![index],
        };
        let open = listener.group.is_some().then(|| unfolded.contains(&target));
        heads.push((rank(snapshot, &members), Row { target, members, unfolded: open, shard: false }));
    }
    heads.sort_by_key(|(rank, _)| Reverse(*rank));
    let mut rows = Vec::with_capacity(heads.len());
    for (_, row) in heads {
        let members = if row.unfolded == Some(true) { row.members.clone() } else { Vec::new() };
        rows.push(row);
        rows.extend(members.into_iter().filter_map(|index| {
            let target = Target::Listener(snapshot.listeners.get(index)?.cookie);
            Some(Row { target, members: vec![index], unfolded: None, shard: true })
        }));
    }
    rows
}

/// How bad a row is: what has closed is over; state, then drops, then fill.
type Rank = (bool, State, u32, u32);

/// Drops count by their order of magnitude and fill by quarters, so that rows change places when something happened
/// and not with every flicker of a figure.
fn rank(snapshot: &Snapshot, members: &[usize]) -> Rank {
    members.iter().filter_map(|index| snapshot.listeners.get(*index)).fold(
        (false, State::Idle, 0, 0),
        |worst, listener| {
            let drops = (listener.rates.dropped.max(0.0) as u64 + 1).ilog2();
            worst.max((listener.closed_ns.is_none(), listener.state, drops, (fill(listener) * 4.0) as u32))
        },
    )
}

/// The target to show.
///
/// `chosen` is what somebody chose: it stays while it is there, and then what has become of it. Otherwise it is the
/// worst, but not another one as long as `shown` is as bad.
pub(crate) fn resolve(
    snapshot: &Snapshot,
    rows: &[Row],
    chosen: Option<&Target>,
    shown: Option<&Target>,
) -> Option<Target> {
    // The first of the worst: the rows may be in another order.
    let worst = rows.iter().rev().max_by_key(|row| rank(snapshot, &row.members))?;
    let state = |snapshot: &Snapshot, row: &Row| {
        let (open, state, ..) = rank(snapshot, &row.members);
        (open, state)
    };
    let listed = |target: &Target| rows.iter().find(|row| row.target == *target);
    if let Some(row) = chosen.and_then(|chosen| successor(snapshot, chosen)).as_ref().and_then(listed) {
        return Some(row.target.clone());
    }
    let kept = shown.and_then(|shown| successor(snapshot, shown));
    let kept = kept.as_ref().and_then(listed);
    let as_bad = kept.filter(|row| state(snapshot, row) >= state(snapshot, worst));
    Some(as_bad.unwrap_or(worst).target.clone())
}

/// What has become of a target: a listener may have got siblings, a group may have lost all but one.
fn successor(snapshot: &Snapshot, target: &Target) -> Option<Target> {
    if let Some(listener) = target.listeners(snapshot).next() {
        let lone = matches!(target, Target::Listener(_)) && listener.group.is_none();
        let group = matches!(target, Target::Group(..));
        return Some(if lone || group { target.clone() } else { Target::of(listener) });
    }
    let Target::Group(netns, name) = target else { return None };
    let place = |listener: &&Listener| listener.netns == *netns && listener.addr == *name;
    let heir = snapshot.listeners.iter().filter(place).find(|listener| listener.closed_ns.is_none());
    heir.or_else(|| snapshot.listeners.iter().find(place)).map(Target::of)
}

/// Who took the place of a listener that has just closed, as when a backend changes from one socket to shards.
pub(crate) fn heir(snapshot: &Snapshot, target: &Target) -> Option<Target> {
    let Target::Listener(cookie) = target else { return None };
    let closed = snapshot.listeners.iter().find(|listener| listener.cookie == *cookie)?;
    // What closed earlier was chosen in order to be looked at.
    let just_now = snapshot.time_ns.saturating_sub(snapshot.interval_ns.saturating_mul(2));
    closed.closed_ns.filter(|closed_ns| *closed_ns >= just_now)?;
    let takes_over = |listener: &&Listener| {
        listener.closed_ns.is_none() && (listener.netns, &listener.addr) == (closed.netns, &closed.addr)
    };
    snapshot.listeners.iter().find(takes_over).map(Target::of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(cookie: u64, group: Option<&str>, state: State) -> Listener {
        Listener {
            cookie,
            addr: "10.0.0.1:80".to_owned(),
            group: group.map(str::to_owned),
            state,
            ..Listener::default()
        }
    }

    fn of(listeners: Vec<Listener>) -> Snapshot {
        Snapshot { listeners, ..Snapshot::default() }
    }

    fn order(rows: &[Row]) -> Vec<Target> {
        rows.iter().map(|row| row.target.clone()).collect()
    }

    #[test]
    fn the_worst_is_first_and_equals_keep_their_order() {
        let snapshot = of(vec![
            listener(1, None, State::Healthy),
            listener(2, Some("g"), State::Idle),
            listener(3, Some("g"), State::Overflowing),
            listener(4, None, State::Healthy),
        ]);
        let group = Target::Group(0, "g".to_owned());
        let folded = rows(&snapshot, &BTreeSet::new());
        assert_eq!(order(&folded), [group.clone(), Target::Listener(1), Target::Listener(4)]);
        let unfolded = rows(&snapshot, &BTreeSet::from([group.clone()]));
        assert_eq!(order(&unfolded)[..3], [group, Target::Listener(2), Target::Listener(3)]);
    }

    #[test]
    fn the_choice_follows_what_becomes_of_it() {
        let single = of(vec![listener(1, None, State::Idle), listener(9, None, State::Overflowing)]);
        let list = rows(&single, &BTreeSet::new());
        assert_eq!(resolve(&single, &list, None, None), Some(Target::Listener(9)));
        assert_eq!(resolve(&single, &list, Some(&Target::Listener(1)), None), Some(Target::Listener(1)));
        assert_eq!(resolve(&single, &list, None, Some(&Target::Listener(1))), Some(Target::Listener(9)));
        let name = "10.0.0.1:80";
        let sharded = of(vec![listener(1, Some(name), State::Idle), listener(2, Some(name), State::Idle)]);
        let list = rows(&sharded, &BTreeSet::new());
        let group = Target::Group(0, name.to_owned());
        assert_eq!(resolve(&sharded, &list, None, Some(&Target::Listener(1))), Some(group.clone()));
        let list = rows(&single, &BTreeSet::new());
        assert_eq!(resolve(&single, &list, Some(&group), None), Some(Target::Listener(1)));
        assert_eq!(resolve(&of(vec![]), &[], Some(&group), None), None);
    }
}
