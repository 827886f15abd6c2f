//! Network namespaces, and through whom their counters can be read.
//!
//! `/proc/ID/net` is the namespace that a process or thread is in now. Who listens may have left it, or exited: then
//! somebody else who is in there is looked for. The selected one, if a path to it is known, is entered while nobody is there.

use std::{
    collections::BTreeMap,
    fmt::Display,
    fs,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::host;
use crate::model::event::{Event, HostCounters};

/// Namespaces that are read.
#[derive(Debug, Default)]
pub struct Namespaces {
    read: BTreeMap<u32, Read>,
    /// One that can be entered, and the file that leads there.
    entrance: Option<(u32, PathBuf)>,
}

/// How one is read.
#[derive(Debug, Default)]
struct Read {
    /// A process or thread that was in it when it was last asked; none while nobody is found.
    through: Option<u32>,
    /// What makes it worth reading: its watched listeners, and that it is the observer's own or the selected one.
    wanted: u32,
}

impl Namespaces {
    /// None so far. Where `entrance` leads can be read even while nobody is in there.
    pub fn new(entrance: Option<(u32, PathBuf)>) -> Self {
        Self { read: BTreeMap::new(), entrance }
    }

    /// Reads the counters of a namespace from now on, once more than before; `candidates` may be in it.
    pub fn watch(&mut self, netns: u32, candidates: &[u32], sink: &mut impl FnMut(Event)) {
        let read = self.read.entry(netns).or_default();
        read.wanted += 1;
        if read.through.is_some() {
            return;
        }
        let found = candidates.iter().find_map(|id| Some((*id, counters(*id, netns)?)));
        read.through = found.map(|(id, _)| id);
        match found.map(|(_, counters)| counters).or_else(|| entered(self.entrance.as_ref(), netns)) {
            Some(counters) => sink(Event::Host { netns, counters }),
            None if read.wanted == 1 => self.look(netns, sink),
            // Looked for already, and again by and by.
            None => {}
        }
    }

    /// One reason less to read it; without any it is forgotten.
    pub fn leave(&mut self, netns: u32, sink: &mut impl FnMut(Event)) {
        let Some(read) = self.read.get_mut(&netns) else { return };
        read.wanted = read.wanted.saturating_sub(1);
        if read.wanted == 0 {
            // The last listener's last figures are compared with these.
            if let Some(counters) = now(read, self.entrance.as_ref(), netns) {
                sink(Event::Host { netns, counters });
            }
            self.read.remove(&netns);
            sink(Event::HostGone { netns });
        }
    }

    /// Reads the counters of all.
    pub fn read(&mut self, sink: &mut impl FnMut(Event)) {
        for (netns, read) in &mut self.read {
            if let Some(counters) = now(read, self.entrance.as_ref(), *netns) {
                sink(Event::Host { netns: *netns, counters });
            }
        }
    }

    /// Looks for somebody in those that nobody is known to be in, which means to look at every process.
    pub fn find(&mut self, sink: &mut impl FnMut(Event)) {
        let lost: Vec<u32> =
            self.read.iter().filter(|(_, read)| read.through.is_none()).map(|(netns, _)| *netns).collect();
        for netns in lost {
            self.look(netns, sink);
        }
    }

    fn look(&mut self, netns: u32, sink: &mut impl FnMut(Event)) {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        for id in ids.filter(|id| of(*id) == Some(netns)) {
            if let Some(counters) = counters(id, netns)
                && let Some(read) = self.read.get_mut(&netns)
            {
                read.through = Some(id);
                sink(Event::Host { netns, counters });
                return;
            }
        }
    }
}

/// The counters of a namespace through somebody who must be in it.
fn counters(id: u32, netns: u32) -> Option<HostCounters> {
    if of(id) == Some(netns) { host::read(id) } else { None }
}

/// The counters of a namespace now: through who was in it, who is forgotten if that is over, or by entering it.
fn now(read: &mut Read, entrance: Option<&(u32, PathBuf)>, netns: u32) -> Option<HostCounters> {
    let counted = read.through.and_then(|id| counters(id, netns));
    if counted.is_none() {
        read.through = None;
    }
    counted.or_else(|| entered(entrance, netns))
}

/// The counters of a namespace if it is the one that can be entered.
fn entered(entrance: Option<&(u32, PathBuf)>, netns: u32) -> Option<HostCounters> {
    let (_, path) = entrance.filter(|(other, _)| *other == netns)?;
    enter(path, netns)
}

/// The counters of a namespace, read by a thread that enters it, and ends then.
fn enter(path: &Path, netns: u32) -> Option<HostCounters> {
    let file = fs::File::open(path).ok()?;
    let inside = || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).ok()?;
        if of("thread-self") == Some(netns) { host::read("thread-self") } else { None }
    };
    thread::scope(|scope| scope.spawn(inside).join().ok().flatten())
}

/// Inode number of the network namespace that a process or thread is in.
pub fn of(id: impl Display) -> Option<u32> {
    fs::metadata(format!("/proc/{id}/ns/net")).ok().map(|metadata| metadata.ino() as u32)
}
