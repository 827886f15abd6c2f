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

use super::{host, netns_cookie};
use crate::model::event::{Event, HostCounters};

/// Namespaces that are read.
#[derive(Debug, Default)]
pub struct Namespaces {
    read: BTreeMap<u32, Read>,
    selected: Option<Selected>,
    /// The number of the selected one was given to another.
    gone: bool,
}

/// The namespace that was asked for.
#[derive(Debug)]
pub struct Selected {
    /// Inode number.
    pub netns: u32,
    /// The file that leads there.
    pub path: PathBuf,
    /// What tells it from the next one with its number; none where that cannot be known.
    pub cookie: Option<u64>,
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
    /// None so far. The selected one can be read even while nobody is in there.
    pub fn new(selected: Option<Selected>) -> Self {
        Self { selected, ..Self::default() }
    }

    /// Whether the number of the selected one was given to another, of which nothing is told.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// The kernel half has seen the other one.
    pub fn found_other(&mut self) {
        self.gone = true;
    }

    /// Reads the counters of a namespace from now on, once more than before; `candidates` may be in it.
    pub fn watch(&mut self, netns: u32, candidates: &[u32], sink: &mut impl FnMut(Event)) {
        let read = self.read.entry(netns).or_default();
        read.wanted += 1;
        let is_first = read.wanted == 1;
        if read.through.is_some() {
            return;
        }
        let found = candidates.iter().find_map(|id| Some((*id, self.counters_of(*id, netns)?)));
        if let Some(read) = self.read.get_mut(&netns) {
            read.through = found.map(|(id, _)| id);
        }
        match found.map(|(_, counters)| counters).or_else(|| self.entered(netns)) {
            Some(counters) => sink(Event::Host { netns, counters }),
            None if is_first => self.look(netns, sink),
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
            if let Some(counters) = self.now(netns) {
                sink(Event::Host { netns, counters });
            }
            self.read.remove(&netns);
            sink(Event::HostGone { netns });
        }
    }

    /// Reads the counters of all.
    pub fn read(&mut self, sink: &mut impl FnMut(Event)) {
        let all: Vec<u32> = self.read.keys().copied().collect();
        for netns in all {
            if let Some(counters) = self.now(netns) {
                sink(Event::Host { netns, counters });
            }
        }
    }

    /// Looks for somebody in those that nobody is known to be in, which means to look at every process. Whoever is in the
    /// selected one is asked again which one that is.
    pub fn find(&mut self, sink: &mut impl FnMut(Event)) {
        if let Some(netns) = self.selected.as_ref().map(|selected| selected.netns)
            && let Some(id) = self.read.get(&netns).and_then(|read| read.through)
            && !self.is_in(id, netns)
            && let Some(read) = self.read.get_mut(&netns)
        {
            read.through = None;
        }
        let lost: Vec<u32> =
            self.read.iter().filter(|(_, read)| read.through.is_none()).map(|(netns, _)| *netns).collect();
        for netns in lost {
            self.look(netns, sink);
        }
    }

    /// A file that leads to a namespace that is read, if one is known.
    pub(super) fn path_to(&self, netns: u32) -> Option<PathBuf> {
        let through = self.read.get(&netns).and_then(|read| read.through);
        let selected = self.selected.as_ref().filter(|selected| selected.netns == netns);
        through
            .map(|id| PathBuf::from(format!("/proc/{id}/ns/net")))
            .or_else(|| selected.map(|selected| selected.path.clone()))
    }

    fn look(&mut self, netns: u32, sink: &mut impl FnMut(Event)) {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        for id in ids.filter(|id| of(*id) == Some(netns)) {
            if let Some(counters) = self.counters_of(id, netns)
                && let Some(read) = self.read.get_mut(&netns)
            {
                read.through = Some(id);
                sink(Event::Host { netns, counters });
                return;
            }
        }
    }

    /// The counters of a namespace through somebody who may be in it.
    fn counters_of(&mut self, id: u32, netns: u32) -> Option<HostCounters> {
        if self.is_in(id, netns) { counters(id, netns) } else { None }
    }

    /// Whether somebody is in a namespace, and for the selected one not in another that was given its number.
    fn is_in(&mut self, id: u32, netns: u32) -> bool {
        if of(id) != Some(netns) {
            return false;
        }
        let selected = self.selected.as_ref().filter(|selected| selected.netns == netns);
        let Some(cookie) = selected.and_then(|selected| selected.cookie) else { return true };
        let found = netns_cookie::through(Path::new(&format!("/proc/{id}/ns/net")), netns);
        self.gone |= found.is_some_and(|found| found != cookie);
        found == Some(cookie)
    }

    /// The counters of a namespace now: through who was in it, who is forgotten if that is over, or by entering it.
    fn now(&mut self, netns: u32) -> Option<HostCounters> {
        let read = self.read.get_mut(&netns)?;
        let counted = read.through.and_then(|id| counters(id, netns));
        if counted.is_none() {
            read.through = None;
        }
        counted.or_else(|| self.entered(netns))
    }

    /// The counters of a namespace if it is the selected one, read by a thread that enters it, and ends then.
    fn entered(&mut self, netns: u32) -> Option<HostCounters> {
        let selected = self.selected.as_ref().filter(|selected| selected.netns == netns)?;
        let file = fs::File::open(&selected.path).ok()?;
        let inside = || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).ok()?;
            if of("thread-self") != Some(netns) {
                return None;
            }
            let is_other = selected.cookie.is_some() && netns_cookie::here() != selected.cookie;
            Some((is_other, host::read("thread-self")))
        };
        let (is_other, counters) = thread::scope(|scope| scope.spawn(inside).join().ok().flatten())?;
        self.gone |= is_other;
        counters.filter(|_| !is_other)
    }
}

/// The counters of a namespace through somebody who must be in it.
fn counters(id: u32, netns: u32) -> Option<HostCounters> {
    if of(id) == Some(netns) { host::read(id) } else { None }
}

/// Inode number of the network namespace that a process or thread is in.
pub fn of(id: impl Display) -> Option<u32> {
    fs::metadata(format!("/proc/{id}/ns/net")).ok().map(|metadata| metadata.ino() as u32)
}
