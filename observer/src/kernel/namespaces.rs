//! Network namespaces, and through whom their counters can be read.
//!
//! `/proc/ID/net` is the namespace that a process or thread is in now. Who listens may have left it, or exited: then
//! somebody else who is in there is looked for.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt as _};

use super::host;
use crate::model::event::{Event, HostCounters};

/// Namespaces that are read.
#[derive(Debug, Default)]
pub struct Namespaces(BTreeMap<u32, Read>);

/// How one is read.
#[derive(Debug, Default)]
struct Read {
    /// A process or thread that was in it when it was last asked; none while nobody is found.
    through: Option<u32>,
    /// What makes it worth reading: its watched listeners, and that it is the observer's own.
    wanted: u32,
}

impl Namespaces {
    /// Reads the counters of a namespace from now on, once more than before; `candidates` may be in it.
    pub fn watch(&mut self, netns: u32, candidates: &[u32], sink: &mut impl FnMut(Event)) {
        let read = self.0.entry(netns).or_default();
        read.wanted += 1;
        if read.through.is_some() {
            return;
        }
        let found = candidates.iter().find_map(|id| Some((*id, counters(*id, netns)?)));
        read.through = found.map(|(id, _)| id);
        match found {
            Some((_, counters)) => sink(Event::Host { netns, counters }),
            None if read.wanted == 1 => self.look(netns, sink),
            // Looked for already, and again by and by.
            None => {}
        }
    }

    /// Whether it is read already.
    pub fn is_read(&self, netns: u32) -> bool {
        self.0.contains_key(&netns)
    }

    /// One reason less to read it; without any it is forgotten.
    pub fn leave(&mut self, netns: u32, sink: &mut impl FnMut(Event)) {
        let Some(read) = self.0.get_mut(&netns) else { return };
        read.wanted = read.wanted.saturating_sub(1);
        if read.wanted == 0 {
            // The last listener's last figures are compared with these.
            if let Some(counters) = read.through.and_then(|id| counters(id, netns)) {
                sink(Event::Host { netns, counters });
            }
            self.0.remove(&netns);
            sink(Event::HostGone { netns });
        }
    }

    /// Reads the counters of all.
    pub fn read(&mut self, sink: &mut impl FnMut(Event)) {
        for (netns, read) in &mut self.0 {
            match read.through.and_then(|id| counters(id, *netns)) {
                Some(counters) => sink(Event::Host { netns: *netns, counters }),
                None => read.through = None,
            }
        }
    }

    /// Looks for somebody in those that nobody is known to be in, which means to look at every process.
    pub fn find(&mut self, sink: &mut impl FnMut(Event)) {
        let lost: Vec<u32> =
            self.0.iter().filter(|(_, read)| read.through.is_none()).map(|(netns, _)| *netns).collect();
        for netns in lost {
            self.look(netns, sink);
        }
    }

    fn look(&mut self, netns: u32, sink: &mut impl FnMut(Event)) {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        for id in ids.filter(|id| of(*id) == Some(netns)) {
            if let Some(counters) = counters(id, netns)
                && let Some(read) = self.0.get_mut(&netns)
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

/// Inode number of the network namespace that a process or thread is in.
pub fn of(id: u32) -> Option<u32> {
    fs::metadata(format!("/proc/{id}/ns/net")).ok().map(|metadata| metadata.ino() as u32)
}
