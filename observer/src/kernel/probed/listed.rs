//! Listeners that are watched against those that the kernel lists, and those of which no end was shown.

use std::collections::{BTreeMap, BTreeSet};

use super::{PER_RUN, Probed};
use observer_ebpf::record::ListenerEntry;

use crate::{kernel::listening::Lists, model::event::Event};

impl Probed {
    /// Asks the kernel for its listeners, and tells which are not watched.
    pub(super) fn list(&mut self, sink: &mut impl FnMut(Event)) {
        let before = self.listeners.keys().copied().collect();
        let lists = self.listening.list();
        self.compare(&lists, &before, sink);
    }

    /// Tells which listeners of some lists are not watched. Those that a process holds by now are watched from now on.
    pub(super) fn compare(&mut self, lists: &Lists, before: &BTreeSet<u64>, sink: &mut impl FnMut(Event)) {
        let gone = self.gone(lists, before, sink);
        if self.listening.compare(lists, before, &gone, &mut self.maps, sink) {
            // A run that fails finds nobody; they are listed as not watched.
            let _ = self.probes.find_listeners();
        }
    }

    /// Listeners of each network namespace that are watched as if they listened, and that its list does not show.
    fn gone(
        &mut self,
        lists: &Lists,
        before: &BTreeSet<u64>,
        sink: &mut impl FnMut(Event),
    ) -> BTreeMap<u32, u64> {
        let listed: BTreeSet<u64> = lists.values().flatten().map(|listener| listener.cookie).collect();
        let missing: Vec<u64> = before.difference(&listed).copied().collect();
        // One may have closed since it was last read.
        missing.chunks(PER_RUN).for_each(|cookies| {
            self.sample(cookies, sink);
        });
        let mut gone = BTreeMap::new();
        for cookie in missing {
            let Some(one) = self.listeners.get(&cookie).filter(|one| lists.contains_key(&one.netns)) else {
                continue;
            };
            let destroyed = |entry: Box<ListenerEntry>| entry.identity.destroyed_ns != 0;
            if one.listens && !self.maps.listener(cookie).is_none_or(destroyed) {
                *gone.entry(one.netns).or_default() += 1;
            }
        }
        gone
    }

    /// Closes listeners that no reading finds any more, though no program was shown their end.
    pub(super) fn end_gone(&mut self, sink: &mut impl FnMut(Event)) {
        let gone: Vec<u64> =
            self.listeners.iter_mut().filter_map(|(cookie, one)| one.asked().then_some(*cookie)).collect();
        gone.into_iter().for_each(|cookie| self.closed(cookie, sink));
    }
}
