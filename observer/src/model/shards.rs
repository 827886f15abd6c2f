//! Which listeners are shards of one group: those that the kernel deals connections out to, and their numbers.
//!
//! The same address and port do not make a group. Sockets bound to different interfaces share nothing, and the kernel puts
//! listeners into one `struct sock_reuseport` only if they have the same family, interface and user
//! (`inet_reuseport_add_sock`). So the group is that structure, as the samples show it.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
};

use super::{listener::Watched, snapshot::Listener};

/// Network namespace, address, and index of the interface, 0 for any: what a group is named by.
pub(super) type Place = (u32, SocketAddr, u32);

/// Highest number given at each place.
#[derive(Debug, Default)]
pub(super) struct Shards(HashMap<Place, u32>);

impl Shards {
    /// Numbers the shards of every group in the order in which they opened. A number stays with its socket, and is not given
    /// again while somebody listens at the place.
    pub(super) fn number<'a>(&mut self, listeners: impl Iterator<Item = &'a mut Watched>) {
        let mut places: HashMap<Place, Vec<&mut Watched>> = HashMap::new();
        for watched in listeners {
            places.entry(watched.place()).or_default().push(watched);
        }
        self.0.retain(|place, _| places.contains_key(place));
        for (place, here) in places {
            for mut shards in groups(here) {
                if shards.len() == 1 && !self.0.contains_key(&place) {
                    continue;
                }
                let last = self.0.entry(place).or_default();
                shards.sort_by_key(|shard| (shard.identity().opened_ns, shard.identity().cookie));
                for shard in shards.iter_mut().filter(|shard| shard.shard().is_none()) {
                    *last += 1;
                    shard.number(*last);
                }
            }
        }
    }
}

/// Listeners of one place by the kernel's group. One that no sample has shown yet is in the group that is there.
fn groups(here: Vec<&mut Watched>) -> impl Iterator<Item = Vec<&mut Watched>> {
    let known = here.iter().filter_map(|watched| watched.reuseport()).find(|group| *group != 0);
    let mut groups: BTreeMap<u64, Vec<&mut Watched>> = BTreeMap::new();
    for watched in here {
        match watched.reuseport().or(known) {
            // In no group, and known to be in none.
            Some(0) => {}
            group => groups.entry(group.unwrap_or(0)).or_default().push(watched),
        }
    }
    groups.into_values()
}

/// Puts listeners in their order: groups together, shards by number.
pub(super) fn sort(listeners: &mut [Listener]) {
    fn place(one: &Listener) -> (u32, u16, &str, Option<u32>, u64) {
        (one.netns, one.port, &one.addr, one.shard, one.cookie)
    }
    listeners.sort_by(|left, right| place(left).cmp(&place(right)));
}
