//! Names of the interfaces that listeners are bound to. An index means something in its own network namespace alone, and a
//! name can be changed, so it is asked for in there, once a second.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::PathBuf,
    thread,
};

use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, netdevice::index_to_name_inlined, socket_with},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::namespaces::{self, Namespaces};
use crate::model::{event::Event, name};

/// The interfaces of listeners.
#[derive(Debug, Default)]
pub(super) struct Devices {
    /// Listener → its network namespace, and the interface that it is bound to, 0 if none.
    bound: BTreeMap<u64, (u32, u32)>,
    /// Names as last told.
    told: BTreeMap<(u32, u32), String>,
}

impl Devices {
    /// Takes a listener up.
    pub(super) fn opened(&mut self, listener: u64, netns: u32, device: u32) {
        self.bound.insert(listener, (netns, device));
    }

    /// Takes over what a sample shows of it.
    pub(super) fn sampled(&mut self, listener: u64, device: u32) {
        if let Some(bound) = self.bound.get_mut(&listener) {
            bound.1 = device;
        }
    }

    /// Forgets a listener that is closed.
    pub(super) fn closed(&mut self, listener: u64) {
        self.bound.remove(&listener);
    }

    /// Asks for the names, and tells those that are new.
    pub(super) fn look(&mut self, namespaces: &Namespaces, sink: &mut impl FnMut(Event)) {
        let wanted: BTreeSet<(u32, u32)> =
            self.bound.values().copied().filter(|device| device.1 != 0).collect();
        self.told.retain(|device, _| wanted.contains(device));
        let spaces: BTreeSet<u32> = wanted.iter().map(|(netns, _)| *netns).collect();
        for netns in spaces {
            let here = wanted.iter().filter(|device| device.0 == netns).map(|device| device.1);
            for (index, name) in names(namespaces.path_to(netns), netns, &here.collect::<Vec<_>>()) {
                if self.told.get(&(netns, index)) != Some(&name) {
                    sink(Event::Device { netns, index, name: name.clone() });
                    self.told.insert((netns, index), name);
                }
            }
        }
    }
}

/// Names of interfaces in a network namespace, asked for by a thread that enters it, and ends then. Those that it does not
/// get have none.
fn names(path: Option<PathBuf>, netns: u32, indices: &[u32]) -> Vec<(u32, String)> {
    let ask = || {
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()?;
        let name = |index: &u32| {
            let name = index_to_name_inlined(&socket, *index).ok()?;
            Some((*index, name::spelled(name.as_bytes())))
        };
        Some(indices.iter().filter_map(name).collect())
    };
    if namespaces::of("thread-self") == Some(netns) {
        return ask().unwrap_or_default();
    }
    let inside = || {
        let file = fs::File::open(path?).ok()?;
        // Whoever was in there may have left it.
        (file.metadata().ok()?.ino() == u64::from(netns)).then_some(())?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).ok()?;
        ask()
    };
    thread::scope(|scope| scope.spawn(inside).join().ok().flatten()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_interface_of_every_namespace_is_loopback() {
        let own = namespaces::of("thread-self").unwrap();
        assert_eq!(names(None, own, &[1, u32::MAX >> 1]), [(1, "lo".to_owned())]);
        assert_eq!(names(None, own + 1, &[1]), []);
    }
}
