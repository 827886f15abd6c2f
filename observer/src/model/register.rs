//! Listeners come and go: which are known, and what is kept of those that are closed.

use observer_ebpf::record::ListenerEntry;

use super::{Model, host::Host, listener::Watched};
use crate::visible::visible;

impl Model {
    /// Takes over a reading of a listener, the first or another.
    pub(super) fn listener(&mut self, entry: &ListenerEntry) {
        let cookie = entry.identity.cookie;
        if let Some(bounds) = self.bounds
            && !self.listeners.contains_key(&cookie)
        {
            let open = self.listeners.len() - self.closed;
            if open >= bounds.most_listeners() || self.left_out.has_listener(cookie) {
                self.left_out.listener(cookie);
                return;
            }
        }
        let host_known = self.hosts.contains_key(&entry.identity.netns);
        self.listeners
            .entry(entry.identity.cookie)
            .and_modify(|watched| watched.histograms(entry))
            .or_insert_with(|| Watched::new(entry, host_known));
    }

    /// Takes over the last figures of a listener.
    pub(super) fn listener_closed(&mut self, entry: &ListenerEntry) {
        self.listener(entry);
        let migrations = self.hosts.get(&entry.identity.netns).is_none_or(Host::has_migrated);
        let Some(watched) = self.listeners.get_mut(&entry.identity.cookie) else { return };
        let was_open = !watched.is_closed();
        watched.closed(entry, self.last_ns.unwrap_or(0), migrations);
        if !was_open {
            return;
        }
        if self.bounds.is_some_and(|bounds| self.closed >= bounds.most_listeners()) {
            self.left_out.closed = self.left_out.closed.saturating_add(1);
            if let Some(watched) = self.listeners.remove(&entry.identity.cookie) {
                self.sum_up(&watched);
            }
        } else {
            self.closed += 1;
        }
    }

    /// Whether another namespace may be kept beside so many; counts it if not.
    pub(super) fn has_room_for_namespace(&mut self, there: usize) -> bool {
        let has_room = self.bounds.is_none_or(|bounds| there < bounds.most_namespaces());
        if !has_room {
            self.left_out.namespaces = self.left_out.namespaces.saturating_add(1);
        }
        has_room
    }

    /// Takes over the name of an interface, if a listener is bound to it: so there are no more names than listeners.
    pub(super) fn device(&mut self, device: (u32, u32), name: &str) {
        let is_it = |watched: &Watched| (watched.place().0, watched.place().2) == device;
        if self.listeners.values().any(is_it) {
            self.devices.insert(device, visible(name));
        }
    }

    /// Keeps the totals of a closed listener.
    fn sum_up(&mut self, watched: &Watched) {
        let netns = watched.identity().netns;
        if self.gone.contains_key(&netns) || self.has_room_for_namespace(self.gone.len()) {
            self.gone.entry(netns).or_default().add(watched);
        }
    }

    /// A closed listener has been in one snapshot; only its totals are still of use. So has a namespace without any.
    pub(super) fn forget_closed(&mut self) {
        let closed: Vec<Watched> = self
            .listeners
            .extract_if(.., |_, watched| watched.is_closed())
            .map(|(_, closed)| closed)
            .collect();
        closed.iter().filter(|closed| !closed.is_disowned()).for_each(|closed| self.sum_up(closed));
        if !closed.is_empty() {
            let listeners = &self.listeners;
            self.acceptances.retain(|listener| listeners.contains_key(&listener));
        }
        self.closed = 0;
        for netns in self.hosts_gone.drain() {
            self.hosts.remove(&netns);
            self.before.remove(&netns);
            self.gone.remove(&netns);
            self.devices.retain(|device, _| device.0 != netns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        event::{Event, HostCounters},
        tests::{NETNS, counters, entry, model},
    };

    #[test]
    fn what_came_and_went_between_two_readings_is_not_of_the_next_namespace_with_that_number() {
        let mut model = model();
        model.apply(Event::Listener(entry(1)));
        let mut last = entry(1);
        last.counters = counters(1, 1);
        last.identity.destroyed_ns = 9;
        model.apply(Event::ListenerClosed(last));
        model.apply(Event::HostGone { netns: NETNS });
        model.snapshot(10);
        let host = |passive_opens| HostCounters { passive_opens, ..HostCounters::default() };
        model.apply(Event::Host { netns: NETNS, counters: host(0) });
        model.apply(Event::Listener(entry(2)));
        model.apply(Event::Host { netns: NETNS, counters: host(0) });
        for check in model.snapshot(11).ledger {
            assert_eq!(check.difference, 0, "{check:?}");
        }
    }
}
