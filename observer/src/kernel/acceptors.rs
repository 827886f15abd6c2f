//! Who accepts from which listener and who holds it, read once a second: the threads that the kernel half counted, and a
//! closer look at those of queues that are not emptied.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use observer_ebpf::record::{AcceptorKey, ListenerIdentity, Sample, ThreadKey};

use super::{
    look::{self, Awaited},
    maps::Maps,
    owners::Owners,
    probes::Probes,
    tasks,
};
use crate::model::{
    connection::address,
    event::Event,
    look::{Acceptance, Holding, Look, On},
    name,
};

/// Most threads that are looked at closely at one time.
const MOST_LOOKS: usize = 64;
/// Most threads of one process that are, if none of them is known to accept.
const MOST_OF_PROCESS: usize = 16;
/// The search for holders goes through every open file of the machine, so it waits this long for the next.
const APART_NS: u64 = 5_000_000_000;

/// A listener's queue, as last sampled.
#[derive(Debug, Clone, Copy, Default)]
struct Queue {
    depth: u32,
    /// Depth when all threads were last read.
    depth_then: u32,
}

impl Queue {
    /// Somebody waits, and somebody waited then.
    fn waits(self) -> bool {
        self.depth > 0 && self.depth_then > 0
    }
}

/// What has ended since the threads were last read.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// Threads.
    pub(super) threads: Vec<ThreadKey>,
    /// A process that held a listener is among what has ended.
    pub(super) orphaned: bool,
}

/// What was read, and told of.
#[derive(Debug, Default)]
pub(super) struct Acceptors {
    /// Accepts and failures of each, as last told.
    told: HashMap<AcceptorKey, (u64, u64)>,
    /// Last figures of threads that ended before their listener was told of.
    early: Vec<Acceptance>,
    queues: BTreeMap<u64, Queue>,
    /// Last look at each thread that is looked at.
    looks: BTreeMap<(u32, u32), Look>,
    /// Who holds which listener, by listener: process and descriptor.
    holders: BTreeMap<u64, Vec<(u32, u32)>>,
    searched_ns: u64,
    /// Listeners from which another process accepted than the one that made them: who holds those was looked up.
    shared: BTreeSet<u64>,
    owners: Owners,
}

impl Acceptors {
    /// Takes a listener up.
    pub(super) fn opened(&mut self, identity: &ListenerIdentity) {
        self.owners.opened(identity);
    }

    /// Takes over the depth of a queue.
    pub(super) fn sampled(&mut self, sample: &Sample) {
        self.queues.entry(sample.cookie).or_default().depth = sample.accept_queue;
    }

    /// Forgets a listener that is closed.
    pub(super) fn closed(&mut self, listener: u64, maps: &mut Maps) {
        self.queues.remove(&listener);
        self.holders.remove(&listener);
        self.shared.remove(&listener);
        self.early.retain(|one| one.listener != listener);
        self.owners.closed(listener);
        let of_it: Vec<AcceptorKey> =
            self.told.keys().filter(|key| key.listener == listener).copied().collect();
        for key in of_it {
            self.told.remove(&key);
            maps.forget_acceptor(key);
        }
    }

    /// Processes that hold a listener at which somebody waits.
    pub(super) fn keepers(&self) -> impl Iterator<Item = u32> {
        let waits = self.queues.iter().filter(|(_, queue)| queue.waits());
        waits.filter_map(|(cookie, _)| self.holders.get(cookie)).flatten().map(|(pid, _)| *pid)
    }

    /// Reads everything.
    pub(super) fn read(
        &mut self,
        time_ns: u64,
        gone: &Gone,
        is_told: impl Fn(u64) -> bool,
        maps: &mut Maps,
        probes: &mut Probes,
        sink: &mut impl FnMut(Event),
    ) {
        let acceptors = self.accepted(&gone.threads, is_told, maps, sink);
        let waits: BTreeSet<u64> =
            self.queues.iter().filter(|(_, queue)| queue.waits()).map(|(cookie, _)| *cookie).collect();
        let is_new = waits.iter().any(|cookie| !self.holders.contains_key(cookie));
        let is_late = time_ns.saturating_sub(self.searched_ns) >= APART_NS;
        let ids_are_the_hosts = tasks::ids_are_the_hosts();
        let is_orphaned = ids_are_the_hosts && self.owners.look(sink) || gone.orphaned;
        // Whoever made it may have handed it on, and hold it no more.
        let by_others =
            acceptors.iter().filter(|one| one.accepts > 0 && !self.owners.is_of(one.listener, one.pid));
        let by_others: BTreeSet<u64> = by_others.map(|one| one.listener).collect();
        let is_shared = !by_others.is_subset(&self.shared);
        self.shared.extend(by_others);
        if (is_orphaned || is_shared || is_new || !waits.is_empty() && is_late) && ids_are_the_hosts {
            self.searched_ns = time_ns;
            self.find_holders(maps, probes, sink);
            for cookie in &waits {
                self.holders.entry(*cookie).or_default();
            }
        }
        let failing = acceptors.iter().filter(|one| one.failing_ns != 0 && !one.gone);
        for (pid, tid) in failing.map(|one| (one.pid, one.tid)).collect::<BTreeMap<u32, u32>>() {
            if let Some(descriptors) = look::descriptors(pid, tid) {
                sink(Event::Descriptors { pid, descriptors });
            }
        }
        self.look(&waits, &acceptors, maps, sink);
        self.queues.values_mut().for_each(|queue| queue.depth_then = queue.depth);
    }

    /// Tells what has changed of who accepted, and returns it all. Of a listener that was not told of, because its notice
    /// is still in the ring, nothing is told yet: nobody would know what it is about.
    fn accepted(
        &mut self,
        gone: &[ThreadKey],
        is_told: impl Fn(u64) -> bool,
        maps: &mut Maps,
        sink: &mut impl FnMut(Event),
    ) -> Vec<Acceptance> {
        for one in self.early.extract_if(.., |one| is_told(one.listener)) {
            sink(Event::Acceptance(Box::new(one)));
        }
        let all: Vec<_> = maps.acceptors().collect();
        let mut acceptors = Vec::with_capacity(all.len());
        for (key, entry) in all {
            let is_gone = gone.contains(&key.thread);
            let one = Acceptance {
                listener: key.listener,
                pid: key.thread.pid,
                tid: key.thread.tid,
                started_ns: key.thread.started_ns,
                comm: name::spelled(&entry.comm),
                accepts: entry.accepts,
                accepted_ns: entry.accepted_ns,
                failures: entry.failures,
                failing_ns: entry.failing_ns,
                failed_ns: entry.failed_ns,
                errno: entry.errno,
                gone: is_gone,
            };
            let now = (entry.accepts, entry.failures);
            if !is_told(key.listener) {
                self.early.extend(is_gone.then(|| one.clone()));
            } else if self.told.insert(key, now) != Some(now) || is_gone {
                sink(Event::Acceptance(Box::new(one.clone())));
            }
            if is_gone {
                self.told.remove(&key);
                maps.forget_acceptor(key);
            }
            acceptors.push(one);
        }
        acceptors
    }

    fn find_holders(&mut self, maps: &mut Maps, probes: &mut Probes, sink: &mut impl FnMut(Event)) {
        // An iterator that fails finds nobody, which is not told as none.
        if probes.find_holders().is_err() {
            return;
        }
        let mut found: BTreeMap<u64, Vec<(u32, u32)>> = BTreeMap::new();
        let mut names: BTreeMap<u64, Vec<Holding>> = BTreeMap::new();
        for (key, entry) in maps.take_holders() {
            found.entry(key.listener).or_default().push((key.pid, key.descriptor));
            let names = names.entry(key.listener).or_default();
            if !names.iter().any(|other| other.pid == key.pid) {
                names.push(Holding { pid: key.pid, comm: name::spelled(&entry.comm) });
            }
        }
        for (listener, mut holders) in names {
            holders.sort_by_key(|holder| holder.pid);
            self.owners.held(listener, &holders);
            sink(Event::Holders { listener, holders });
        }
        self.holders = found;
    }

    /// Looks at the threads that should accept where somebody waits: those that have, or those of the holders.
    fn look(
        &mut self,
        waits: &BTreeSet<u64>,
        acceptors: &[Acceptance],
        maps: &Maps,
        sink: &mut impl FnMut(Event),
    ) {
        let mut threads: BTreeMap<(u32, u32), Vec<u64>> = BTreeMap::new();
        for listener in waits {
            let held: Option<&Vec<(u32, u32)>> = self.holders.get(listener);
            // Who has closed it will not accept, and those who have it are looked at.
            let holds = |pid: u32| {
                held.is_none_or(|held| held.is_empty() || held.iter().any(|(holder, _)| *holder == pid))
            };
            let here = acceptors.iter();
            let here = here.filter(|one| one.listener == *listener && !one.gone && holds(one.pid));
            let mut ids: Vec<(u32, u32)> = here.map(|one| (one.pid, one.tid)).collect();
            if ids.is_empty() {
                let mut pids: Vec<u32> = held.into_iter().flatten().map(|(pid, _)| *pid).collect();
                if pids.is_empty() {
                    pids.extend(maps.listener(*listener).map(|entry| entry.identity.pid));
                }
                pids.dedup();
                let of = |pid: u32| {
                    tasks::threads_of(pid).into_iter().take(MOST_OF_PROCESS).map(move |tid| (pid, tid))
                };
                ids = pids.into_iter().take(MOST_OF_PROCESS).flat_map(of).collect();
            }
            for ids in ids.into_iter().take(MOST_LOOKS) {
                threads.entry(ids).or_default().push(*listener);
            }
        }
        let mut looks = BTreeMap::new();
        for ((pid, tid), listeners) in threads.into_iter().take(MOST_LOOKS) {
            let descriptor = |listener: &u64| {
                let here = self.holders.get(listener).into_iter().flatten();
                here.clone().find(|(holder, _)| *holder == pid).map(|(_, descriptor)| *descriptor)
            };
            let awaited: Vec<Awaited> =
                listeners.iter().map(|listener| (*listener, descriptor(listener))).collect();
            let before = self.looks.get(&(pid, tid));
            let Some(mut look) = look::look(pid, tid, &awaited, before) else { continue };
            if let Some(on) = &mut look.on
                && before.is_none_or(|before| before.on.as_ref() != Some(on))
            {
                identify(on, maps);
            }
            sink(Event::Look { pid, tid, look: Some(Box::new(look.clone())) });
            looks.insert((pid, tid), look);
        }
        for (pid, tid) in self.looks.keys().filter(|ids| !looks.contains_key(ids)) {
            sink(Event::Look { pid: *pid, tid: *tid, look: None });
        }
        self.looks = looks;
    }
}

/// What is known of the connection that a thread waits for. It goes through the open connections, once for each wait.
fn identify(on: &mut On, maps: &Maps) {
    let On::Connection { local, remote, listener, accepted, accepted_ns, has_data, .. } = on else { return };
    let is_it = |record: &observer_ebpf::record::Connection| {
        address(record.family, record.local_address, record.local_port).port() == local.port()
            && address(record.family, record.remote_address, record.remote_port).port() == remote.port()
            && address(record.family, record.remote_address, record.remote_port).ip().to_canonical()
                == remote.ip()
    };
    if let Some(record) = maps.connections().find(is_it) {
        *accepted = true;
        *listener = (record.listener != 0).then_some(record.listener);
        *accepted_ns = (record.accepted_ns != 0).then_some(record.accepted_ns);
        // Of one from before the start what was before is not known.
        *has_data =
            (record.enqueued_ns != 0).then_some(record.flags & observer_ebpf::record::flag::DATA != 0);
    }
}
