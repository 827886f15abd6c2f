//! Which of the listeners that the kernel lists are watched.
//!
//! The list (sock_diag) is asked for before the iterator over open files runs, which gives every listener a cookie, and
//! then every few seconds. A listener that is in it and is not watched is told of, with what the kernel says of it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::PathBuf,
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{maps::Maps, namespaces, sock_diag};
use crate::model::{
    event::Event,
    listening::{Cause, LISTED, Listening as Told, Unwatched},
    name,
    snapshot::Filters,
};

/// Time between two lists.
const EVERY_NS: u64 = 3_000_000_000;

/// The listeners of each network namespace that can be asked, by its inode number.
pub(super) type Lists = BTreeMap<u32, Vec<sock_diag::Listener>>;

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Listening {
    filters: Filters,
    /// Leads to the selected namespace.
    entrance: Option<PathBuf>,
    max_listeners: usize,
    listed_ns: u64,
    /// `sk_drops` of those that are not watched: at first, and when last read.
    drops: HashMap<u64, (u32, u32)>,
    /// Listeners that the iterator was run for.
    sought: BTreeSet<u64>,
    told: Vec<Told>,
}

impl Listening {
    pub(super) fn new(filters: &Filters, entrance: Option<PathBuf>, max_listeners: u32) -> Self {
        Self { filters: filters.clone(), entrance, max_listeners: max_listeners as usize, ..Self::default() }
    }

    /// Whether it is time for the next list.
    pub(super) fn is_due(&mut self, time_ns: u64) -> bool {
        let is_due = time_ns.saturating_sub(self.listed_ns) >= EVERY_NS;
        if is_due {
            self.listed_ns = time_ns;
        }
        is_due
    }

    /// Asks the kernel for all listeners of the watched network namespaces. One that cannot be entered is not there.
    pub(super) fn list(&self) -> Lists {
        let mut lists = Lists::new();
        let own = namespaces::of("thread-self");
        let mut others = Vec::new();
        for (netns, path) in self.namespaces() {
            if own == Some(netns) {
                lists.extend(sock_diag::listeners().ok().map(|listeners| (netns, listeners)));
            } else {
                others.extend(File::open(path).ok().map(|file| (netns, file)));
            }
        }
        let inside = || {
            let list = |(netns, file): &(u32, File)| {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).ok()?;
                // The number may be another's by now.
                (namespaces::of("thread-self") == Some(*netns)).then_some(())?;
                Some((*netns, sock_diag::listeners().ok()?))
            };
            others.iter().filter_map(list).collect::<Lists>()
        };
        if !others.is_empty() {
            lists.extend(thread::scope(|scope| scope.spawn(inside).join().unwrap_or_default()));
        }
        lists
    }

    /// The namespaces that are watched, and a file that leads to each.
    fn namespaces(&self) -> BTreeMap<u32, PathBuf> {
        if let Some((netns, path)) = self.filters.netns.zip(self.entrance.clone()) {
            return [(netns, path)].into();
        }
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        ids.filter_map(|id| Some((namespaces::of(id)?, PathBuf::from(format!("/proc/{id}/ns/net")))))
            .filter(|(netns, _)| self.filters.netns.is_none_or(|selected| selected == *netns))
            .collect()
    }

    /// Whether there are more listeners than can be watched.
    pub(super) fn is_too_much(&self, lists: &Lists) -> bool {
        lists.values().map(Vec::len).sum::<usize>() > self.max_listeners
    }

    /// Compares the lists with what was watched before and is watched after they were made. `gone` are those that are
    /// watched as if they listened, by namespace, and are in no list. Returns whether it is worth to look for holders
    /// of those that are not watched.
    pub(super) fn compare(
        &mut self,
        lists: &Lists,
        before: &BTreeSet<u64>,
        gone: &BTreeMap<u32, u64>,
        maps: &mut Maps,
        sink: &mut impl FnMut(Event),
    ) -> bool {
        let after: BTreeSet<u64> = maps.listener_cookies().collect();
        let held = self.filters.pid.map(inodes);
        let mut told = Vec::new();
        let mut sought = BTreeSet::new();
        let mut drops = HashMap::new();
        let mut is_worth = false;
        for (netns, listeners) in lists {
            let mut here = Told { netns: *netns, ..Told::default() };
            for listener in listeners {
                if after.contains(&listener.cookie) {
                    here.watched += 1;
                } else if !before.contains(&listener.cookie) && self.selects(listener, held.as_ref()) {
                    let row = self.unwatched(*netns, listener, maps);
                    drops.insert(listener.cookie, (self.first(listener), listener.drops));
                    is_worth |= match row.cause {
                        Cause::MaxListeners => after.len() < self.max_listeners,
                        Cause::NoHolder => sought.insert(row.cookie) && !self.sought.contains(&row.cookie),
                    };
                    here.listeners.push(row);
                }
            }
            here.unwatched = here.listeners.len() as u64;
            here.kernel = here.watched + here.unwatched;
            here.watched += gone.get(netns).copied().unwrap_or(0);
            told.push(here);
        }
        let listed: BTreeSet<u64> = lists.values().flatten().map(|listener| listener.cookie).collect();
        maps.forget_left_out(|cookie| !listed.contains(&cookie) || after.contains(&cookie));
        (self.sought, self.drops) = (sought, drops);
        self.told = told;
        self.cut();
        self.retell(sink);
        is_worth
    }

    /// Tells again what was told last.
    pub(super) fn retell(&self, sink: &mut impl FnMut(Event)) {
        sink(Event::Listening(self.told.clone()));
    }

    /// Keeps the rows that matter most.
    fn cut(&mut self) {
        let mut places = LISTED;
        for here in &mut self.told {
            here.listeners.sort_by_key(|row| {
                Reverse((row.listen_drops_last, row.is_full(), row.accept_queue, row.listen_drops))
            });
            here.listeners.truncate(places);
            places -= here.listeners.len();
        }
    }

    /// Whether the filters select a listener, as far as the list tells.
    fn selects(&self, listener: &sock_diag::Listener, held: Option<&BTreeSet<u32>>) -> bool {
        let Filters { ports, pid: _, netns: _, cgroup } = &self.filters;
        (ports.is_empty() || ports.contains(&listener.address.port()))
            && held.is_none_or(|held| held.contains(&listener.inode))
            && cgroup.is_none_or(|cgroup| listener.cgroup == Some(cgroup))
    }

    /// `sk_drops` when it was first listed.
    fn first(&self, listener: &sock_diag::Listener) -> u32 {
        self.drops.get(&listener.cookie).map_or(listener.drops, |(first, _)| *first)
    }

    fn unwatched(&self, netns: u32, listener: &sock_diag::Listener, maps: &Maps) -> Unwatched {
        let last = self.drops.get(&listener.cookie).map_or(listener.drops, |(_, last)| *last);
        let holder = maps.left_out(listener.cookie);
        Unwatched {
            cookie: listener.cookie,
            netns,
            addr: listener.address.to_string(),
            port: listener.address.port(),
            pid: holder.map(|holder| holder.pid),
            comm: holder.map(|holder| name::spelled(&holder.comm)),
            accept_queue: listener.accept_queue,
            backlog_limit: listener.limit,
            listen_drops: listener.drops.wrapping_sub(self.first(listener)).into(),
            listen_drops_last: listener.drops.wrapping_sub(last).into(),
            cause: if holder.is_some() { Cause::MaxListeners } else { Cause::NoHolder },
        }
    }
}

/// Inode numbers of the sockets that a process holds.
fn inodes(pid: u32) -> BTreeSet<u32> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let sockets = files.filter(|file| {
        fs::read_link(file.path()).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    });
    sockets.filter_map(|file| Some(fs::metadata(file.path()).ok()?.ino() as u32)).collect()
}
