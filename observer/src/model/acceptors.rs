//! Who accepts from each listener and who holds it, and what those threads do while somebody waits.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::{
    bounds,
    look::{Acceptance, Descriptors, Holding, Look, On},
    snapshot::{AcceptedBy, Acceptors, Looked},
};
use crate::visible::visible;

/// What a thread did is remembered for this long.
const REMEMBERED_NS: u64 = 4_000_000_000;
/// Processes that are told as holders of one listener.
pub(super) const HOLDERS: usize = 64;
/// Threads that are looked at, in a recording that nobody vouches for.
const LOOKS: usize = 256;

/// One listener's acceptors.
#[derive(Debug, Default)]
struct OfListener {
    /// By process, thread and when it began.
    alive: BTreeMap<(u32, u32, u64), Acceptance>,
    /// The last that has ended.
    gone: Option<Acceptance>,
    holders: Option<Arc<[Holding]>>,
}

/// A thread that is looked at.
#[derive(Debug, Default)]
struct Seen {
    /// What the last look showed; none before the first reading is complete.
    last: Option<Arc<Look>>,
    /// The look since the last complete reading.
    next: Option<Look>,
    /// It has not run since, at least.
    still_since_ns: Option<u64>,
    /// What it did at each reading.
    doings: VecDeque<(u64, Option<String>)>,
}

/// Everything that is known of acceptors.
#[derive(Debug, Default)]
pub(super) struct Acceptances {
    listeners: HashMap<u64, OfListener>,
    looks: HashMap<(u32, u32), Seen>,
    descriptors: HashMap<u32, Descriptors>,
}

impl Acceptances {
    /// Takes over what a thread's calls on a listener came to, if there is room for it.
    pub(super) fn accepted(&mut self, mut one: Acceptance, most: Option<usize>) {
        let listener = self.listeners.entry(one.listener).or_default();
        let key = (one.pid, one.tid, one.started_ns);
        // Live it is a spelling already; a recording can hold anything.
        one.comm = visible(&one.comm);
        if one.gone {
            listener.alive.remove(&key);
            let is_later = listener.gone.as_ref().is_none_or(|gone| gone.accepted_ns <= one.accepted_ns);
            if is_later && one.accepts > 0 {
                listener.gone = Some(one);
            }
        } else if listener.alive.contains_key(&key) || most.is_none_or(|most| listener.alive.len() < most) {
            listener.alive.insert(key, one);
        }
    }

    /// Takes over who holds a listener.
    pub(super) fn held(&mut self, listener: u64, holders: Vec<Holding>) {
        let spelled = |holder: Holding| Holding { comm: visible(&holder.comm), ..holder };
        let holders = holders.into_iter().take(HOLDERS).map(spelled).collect();
        self.listeners.entry(listener).or_default().holders = Some(holders);
    }

    /// Takes over another name of a process that holds a listener.
    pub(super) fn renamed(&mut self, listener: u64, pid: u32, comm: &str) {
        let Some(holders) = self.listeners.get_mut(&listener).and_then(|here| here.holders.as_mut()) else {
            return;
        };
        let renamed = |holder: &Holding| match holder.pid == pid {
            true => Holding { pid, comm: visible(comm) },
            false => holder.clone(),
        };
        *holders = holders.iter().map(renamed).collect();
    }

    /// Takes over a look at a thread.
    pub(super) fn looked(&mut self, ids: (u32, u32), look: Option<Look>) {
        match look {
            None => drop(self.looks.remove(&ids)),
            Some(mut look) if self.looks.len() < LOOKS || self.looks.contains_key(&ids) => {
                look.doing = look.doing.map(|doing| visible(&doing));
                if let Some(On::Other(text)) = &mut look.on {
                    *text = visible(text);
                }
                self.looks.entry(ids).or_default().next = Some(look);
            }
            Some(_) => {}
        }
    }

    /// Takes over how many descriptors a process has.
    pub(super) fn descriptors(&mut self, pid: u32, descriptors: Descriptors) {
        if self.descriptors.len() < LOOKS || self.descriptors.contains_key(&pid) {
            self.descriptors.insert(pid, descriptors);
        }
    }

    /// All threads have been read at this time.
    pub(super) fn read(&mut self, time_ns: u64) {
        for seen in self.looks.values_mut() {
            let Some(next) = seen.next.take() else { continue };
            let has_run = seen.last.as_ref().is_none_or(|last| {
                next.switches.is_none()
                    || last.switches != next.switches
                    || next.doing.as_deref() == Some("runs")
            });
            if has_run || seen.still_since_ns.is_none() {
                seen.still_since_ns = Some(time_ns);
            }
            bounds::keep(&mut seen.doings, (time_ns, next.doing.clone()));
            while seen.doings.front().is_some_and(|(then, _)| time_ns.saturating_sub(*then) > REMEMBERED_NS) {
                seen.doings.pop_front();
            }
            seen.last = Some(Arc::new(next));
        }
    }

    /// Forgets what closed listeners had.
    pub(super) fn retain(&mut self, is_known: impl Fn(u64) -> bool) {
        self.listeners.retain(|listener, _| is_known(*listener));
    }

    /// Who accepts from a listener.
    pub(super) fn of(&self, listener: u64) -> Acceptors {
        let Some(here) = self.listeners.get(&listener) else { return Acceptors::default() };
        let mut alive: Vec<AcceptedBy> = here.alive.values().map(|one| self.snapshot(one)).collect();
        alive.sort_by_key(|one| (std::cmp::Reverse(one.accepted_ns), one.pid, one.tid));
        Acceptors {
            alive: alive.into(),
            gone: here.gone.as_ref().map(|one| Arc::new(self.snapshot(one))),
            holders: here.holders.clone(),
        }
    }

    fn snapshot(&self, one: &Acceptance) -> AcceptedBy {
        let time = |ns: u64| (ns != 0).then_some(ns);
        AcceptedBy {
            pid: one.pid,
            tid: one.tid,
            comm: one.comm.clone(),
            accepts: one.accepts,
            accepted_ns: time(one.accepted_ns),
            failures: one.failures,
            failing_since_ns: time(one.failing_ns),
            failed_ns: time(one.failed_ns),
            errno: (one.failures > 0).then(|| super::look::error(one.errno)),
            descriptors: self.descriptors.get(&one.pid).copied().filter(|_| one.failing_ns != 0),
        }
    }

    /// What a thread does, if it is looked at.
    pub(super) fn look(&self, ids: (u32, u32)) -> Option<Arc<Looked>> {
        let seen = self.looks.get(&ids)?;
        Some(Arc::new(Looked {
            look: Look::clone(seen.last.as_ref()?),
            still_since_ns: seen.still_since_ns,
            doings: seen.doings.iter().map(|(_, doing)| doing.clone()).collect(),
        }))
    }

    /// Failures of a thread's accept(2) at all listeners: how many, the last, and its error.
    pub(super) fn failures(&self, ids: (u32, u32)) -> (u64, Option<u64>, Option<String>) {
        let all = self.listeners.values().flat_map(|listener| listener.alive.values());
        let own = all.filter(|one| (one.pid, one.tid) == ids && one.failures > 0);
        own.fold((0, None, None), |(count, last, errno), one| {
            let later = Some(one.failed_ns) > last;
            let error = if later { Some(super::look::error(one.errno)) } else { errno };
            (count + one.failures, last.max(Some(one.failed_ns)), error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn acceptance(tid: u32, accepts: u64, accepted_ns: u64) -> Acceptance {
        Acceptance {
            listener: 1,
            pid: 7,
            tid,
            comm: format!("t{tid}"),
            accepts,
            accepted_ns,
            ..Acceptance::default()
        }
    }

    #[test]
    fn who_accepted_last_is_first_and_who_is_gone_is_remembered() {
        let mut all = Acceptances::default();
        all.accepted(acceptance(8, 3, 10), None);
        all.accepted(acceptance(9, 1, 20), None);
        let tids = |all: &Acceptances| all.of(1).alive.iter().map(|one| one.tid).collect::<Vec<_>>();
        assert_eq!(tids(&all), [9, 8]);
        all.accepted(Acceptance { gone: true, ..acceptance(9, 1, 20) }, None);
        assert_eq!((tids(&all), all.of(1).gone.map(|gone| gone.tid)), (vec![8], Some(9)));
        all.accepted(acceptance(10, 1, 30), Some(1));
        assert_eq!(tids(&all), [8], "there is no room");
        all.retain(|_| false);
        assert_eq!(tids(&all), [0; 0]);
    }

    #[test]
    fn a_thread_is_still_while_it_is_not_switched() {
        let mut all = Acceptances::default();
        let mut at = |second: u64, switches: u64| {
            let doing = Some("futex".to_owned());
            all.looked((7, 8), Some(Look { switches: Some(switches), doing, ..Look::default() }));
            all.read(second * SECOND);
            all.look((7, 8)).and_then(|looked| looked.still_since_ns).map(|ns| ns / SECOND)
        };
        assert_eq!((at(1, 5), at(2, 5), at(3, 5)), (Some(1), Some(1), Some(1)));
        assert_eq!((at(4, 6), at(5, 6)), (Some(4), Some(4)), "it ran in between");
        all.looked((7, 8), None);
        assert!(all.look((7, 8)).is_none());
    }

    #[test]
    fn failures_are_of_all_listeners() {
        let mut all = Acceptances::default();
        let failed = |listener, failures, failed_ns, errno: i32| Acceptance {
            listener,
            failures,
            failed_ns,
            errno: errno.cast_unsigned(),
            ..acceptance(8, 0, 0)
        };
        all.accepted(failed(1, 3, 50, libc::EMFILE), None);
        all.accepted(failed(2, 4, 40, libc::ENOMEM), None);
        assert_eq!(all.failures((7, 8)), (7, Some(50), Some("EMFILE".to_owned())));
        assert_eq!(all.failures((7, 9)), (0, None, None));
    }
}
