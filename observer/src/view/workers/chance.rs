//! Shares of the accepts, and whether chance alone explains them.
//!
//! A share is one of what a *pool* accepted: the processes that accept from the same listener or group, such as the
//! children of a prefork server. Processes that share one of several listeners are in one pool, because the kernel
//! counts accepts by thread and not by thread and listener.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::chance::Band;
use crate::model::snapshot::{Listener, Thread};
use crate::view::listeners::Target;
use crate::view::screen::Context;

/// Processes that accept from the same listeners.
#[derive(Debug, Clone, Default, PartialEq)]
struct Pool {
    accepts: u64,
    acceptors: usize,
    /// Listeners of the one group that it accepts from; zero if it accepts from anything else, too.
    shards: usize,
}

/// Shares of all processes since the last change.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// Process → its pool.
    pool_of: BTreeMap<u32, usize>,
    pools: Vec<Pool>,
}

impl Shares {
    /// Sums up what the threads did.
    pub(super) fn of(context: &Context<'_>, threads: &[&Thread]) -> Self {
        let listeners = &context.snapshot().listeners;
        let open: Vec<&Listener> = listeners.iter().filter(|listener| listener.closed_ns.is_none()).collect();
        let mut accepts: BTreeMap<u32, (u64, usize)> = BTreeMap::new();
        for thread in threads {
            let accepted = context.history.eras.since_change(thread).accepts;
            if accepted > 0 {
                let process = accepts.entry(thread.pid).or_default();
                process.0 += accepted;
                process.1 += 1;
            }
        }
        let takes = |pid: u32, listener: &Listener| {
            listener.pid == pid || context.history.places.accepts_from(pid, listener.cookie)
        };
        let mut shares = Self { pool_of: pools(&accepts, &open, takes), pools: Vec::new() };
        shares.pools.resize_with(shares.pool_of.values().max().map_or(0, |last| last + 1), Pool::default);
        for (pid, pool) in &shares.pool_of {
            if let (Some((accepted, acceptors)), Some(pool)) = (accepts.get(pid), shares.pools.get_mut(*pool))
            {
                pool.accepts += accepted;
                pool.acceptors += acceptors;
            }
        }
        for (number, pool) in shares.pools.iter_mut().enumerate() {
            let pids = shares.pool_of.iter().filter(|(_, pool)| **pool == number).map(|(pid, _)| *pid);
            let pids: Vec<u32> = pids.collect();
            pool.shards =
                shards(open.iter().copied().filter(|listener| pids.iter().any(|pid| takes(*pid, listener))));
        }
        shares
    }

    fn pool(&self, pid: u32) -> Option<&Pool> {
        self.pools.get(*self.pool_of.get(&pid)?)
    }

    /// The share of a thread that accepted so many; none if its pool accepted nothing or is not known.
    pub(super) fn share(&self, pid: u32, accepts: u64) -> Option<f64> {
        let pool = self.pool(pid)?;
        (pool.accepts > 0).then(|| accepts as f64 / pool.accepts as f64)
    }

    /// The band, where chance decides: all listeners of the pool are shards of one group, a thread to each.
    pub(super) fn band(&self, pid: u32) -> Option<Band> {
        let pool = self.pool(pid)?;
        let dealt = pool.shards > 1 && pool.acceptors <= pool.shards && pool.accepts > 0;
        dealt.then(|| Band::new(pool.accepts, pool.shards))
    }
}

/// Puts processes that accepted into pools. One of which nobody knows where it accepts has none.
fn pools(
    accepts: &BTreeMap<u32, (u64, usize)>,
    listeners: &[&Listener],
    takes: impl Fn(u32, &Listener) -> bool,
) -> BTreeMap<u32, usize> {
    let mut pool_of: BTreeMap<u32, usize> = BTreeMap::new();
    let mut by_target: BTreeMap<Target, BTreeSet<u32>> = BTreeMap::new();
    for listener in listeners {
        let pids = accepts.keys().copied().filter(|pid| takes(*pid, listener));
        by_target.entry(Target::of(listener)).or_default().extend(pids);
    }
    for (number, pids) in by_target.into_values().enumerate() {
        let joined: BTreeSet<usize> = pids.iter().filter_map(|pid| pool_of.get(pid)).copied().collect();
        for pool in pool_of.values_mut().filter(|pool| joined.contains(pool)) {
            *pool = number;
        }
        pool_of.extend(pids.into_iter().map(|pid| (pid, number)));
    }
    pool_of
}

/// How many listeners these are, if they are shards of one group.
fn shards<'a>(mut listeners: impl Iterator<Item = &'a Listener>) -> usize {
    let Some(group) = listeners.next().and_then(|first| first.group.as_deref()) else { return 0 };
    let mut count = 1;
    for listener in listeners {
        if listener.group.as_deref() != Some(group) {
            return 0;
        }
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(cookie: u64, pid: u32, group: Option<&str>) -> Listener {
        Listener { cookie, pid, group: group.map(str::to_owned), ..Listener::default() }
    }

    #[test]
    fn only_a_group_alone_is_dealt_by_chance() {
        let (a, b, c) = (listener(1, 1, Some("a")), listener(2, 1, Some("a")), listener(3, 1, None));
        assert_eq!(shards([&a, &b].into_iter()), 2);
        assert_eq!(shards([&a, &b, &c].into_iter()), 0);
        assert_eq!(shards([&c].into_iter()), 0);
    }

    #[test]
    fn who_accepts_from_the_same_listener_is_in_one_pool() {
        // 10 opened the first and its children 11 and 12 accept; 20 has two of its own, 21 helps at one of them; 30
        // accepts nobody knows where.
        let accepts: BTreeMap<u32, (u64, usize)> =
            [11, 12, 20, 21, 30].into_iter().map(|pid| (pid, (1, 1))).collect();
        let (one, two, three) = (listener(1, 10, None), listener(2, 20, None), listener(3, 20, None));
        let takes = |pid: u32, listener: &Listener| {
            listener.pid == pid || matches!((pid, listener.cookie), (11 | 12, 1) | (21, 3))
        };
        let pool_of = pools(&accepts, &[&one, &two, &three], takes);
        assert_eq!(pool_of[&11], pool_of[&12]);
        assert_eq!(pool_of[&20], pool_of[&21]);
        assert_ne!(pool_of[&11], pool_of[&20]);
        assert!(!pool_of.contains_key(&30) && !pool_of.contains_key(&10));
    }
}
