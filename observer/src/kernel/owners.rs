//! Whose each listener is now. listen(2) tells whose it was then: exec(2) gives the process another name, and when it has ended
//! its number may be another one's.

use std::collections::{BTreeMap, BTreeSet};

use observer_ebpf::record::ListenerIdentity;

use super::tasks::{self, Process};
use crate::model::{event::Event, look::Holding, name};

/// Who made a listener, or holds it.
#[derive(Debug, Clone)]
struct Owner {
    pid: u32,
    /// Thread that called listen(2), whose name is told while it lives; 0 if none.
    tid: u32,
    /// Name as last told.
    comm: String,
}

/// The owners of the watched listeners.
#[derive(Debug, Default)]
pub(super) struct Owners {
    listeners: BTreeMap<u64, Owner>,
    /// When each process began.
    began: BTreeMap<u32, u64>,
}

impl Owners {
    /// Takes a listener up.
    pub(super) fn opened(&mut self, identity: &ListenerIdentity) {
        let comm = name::spelled(&identity.comm);
        self.listeners.insert(identity.cookie, Owner { pid: identity.pid, tid: identity.tid, comm });
    }

    /// Takes over who holds it. The model has the same rule.
    pub(super) fn held(&mut self, listener: u64, holders: &[Holding]) {
        let Some(owner) = self.listeners.get_mut(&listener) else { return };
        if let Some(first) = holders.first()
            && !holders.iter().any(|holder| holder.pid == owner.pid)
        {
            *owner = Owner { pid: first.pid, tid: 0, comm: first.comm.clone() };
        }
    }

    /// Whether it is this process's, as far as it is known.
    pub(super) fn is_of(&self, listener: u64, pid: u32) -> bool {
        self.listeners.get(&listener).is_none_or(|owner| owner.pid == pid)
    }

    /// Forgets a listener that is closed.
    pub(super) fn closed(&mut self, listener: u64) {
        self.listeners.remove(&listener);
    }

    /// Looks at each process once, and tells of those that have another name. Returns whether the number of one is another
    /// process's by now.
    pub(super) fn look(&mut self, sink: &mut impl FnMut(Event)) -> bool {
        let pids: BTreeSet<u32> = self.listeners.values().map(|owner| owner.pid).collect();
        self.began.retain(|pid, _| pids.contains(pid));
        let mut others = BTreeSet::new();
        let mut names: BTreeMap<u32, String> = BTreeMap::new();
        for pid in pids {
            let Some(Process { comm, began }) = tasks::process(pid) else { continue };
            if *self.began.entry(pid).or_insert(began) == began {
                names.insert(pid, comm);
            } else {
                others.insert(pid);
            }
        }
        for (listener, owner) in &mut self.listeners {
            let Some(name) = names.get(&owner.pid) else { continue };
            let of_thread = |tid: u32| tasks::name_of(owner.pid, tid);
            let own = Some(owner.tid).filter(|tid| *tid != 0 && *tid != owner.pid).and_then(of_thread);
            let comm = own.as_ref().unwrap_or(name);
            if owner.comm != *comm {
                owner.comm.clone_from(comm);
                sink(Event::Owner { listener: *listener, pid: owner.pid, comm: comm.clone() });
            }
        }
        // Nobody's, until it is known who holds it.
        for owner in self.listeners.values_mut().filter(|owner| others.contains(&owner.pid)) {
            (owner.pid, owner.tid) = (0, 0);
        }
        !others.is_empty()
    }
}
