//! The open clients, found by their descriptors.

use std::os::fd::RawFd;

use super::client::Client;

/// Descriptors are small numbers that the kernel gives out from below, so they are an index: nothing is hashed for
/// each of a few hundred thousand events a second.
#[derive(Debug, Default)]
pub(super) struct Clients {
    slots: Vec<Option<Box<Client>>>,
    count: usize,
    /// Those on which nothing is due, the one used last at the end.
    idle: Vec<RawFd>,
}

impl Clients {
    pub(super) fn get_mut(&mut self, fd: RawFd) -> Option<&mut Client> {
        self.slots.get_mut(index(fd))?.as_deref_mut()
    }

    pub(super) fn insert(&mut self, fd: RawFd, client: Client) {
        let index = index(fd);
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        // The one before on this descriptor is closed, or it could not have been given out again.
        if self.slots[index].replace(Box::new(client)).is_none() {
            self.count += 1;
        }
    }

    /// Takes one out; dropping it closes its connection.
    pub(super) fn remove(&mut self, fd: RawFd) -> Option<Box<Client>> {
        let client = self.slots.get_mut(index(fd))?.take()?;
        self.count -= 1;
        Some(client)
    }

    /// Notes that nothing is due on one.
    pub(super) fn rest(&mut self, fd: RawFd) {
        self.idle.push(fd);
    }

    /// The one that has rested shortest.
    pub(super) fn wake(&mut self) -> Option<RawFd> {
        self.idle.pop()
    }

    /// Takes out one that rests.
    pub(super) fn remove_idle(&mut self, fd: RawFd) {
        self.idle.retain(|&idle| idle != fd);
        self.remove(fd);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many have something due.
    pub(super) fn in_flight(&self) -> usize {
        self.count - self.idle.len()
    }
}

fn index(fd: RawFd) -> usize {
    fd.unsigned_abs() as usize
}
