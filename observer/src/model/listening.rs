//! Every TCP listener that the kernel's own list (sock_diag) shows: how many are watched, and which are not.

use serde::{Deserialize, Serialize};

use super::snapshot::{LedgerCheck, Snapshot};

/// Most listeners that are not watched and are listed all the same, of all network namespaces.
pub const LISTED: usize = 256;

/// The listeners of one network namespace that the filters select, at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listening {
    /// Inode number of the namespace.
    pub netns: u32,
    /// Listeners that sock_diag shows.
    pub kernel: u64,
    /// Listeners that are watched and listen.
    pub watched: u64,
    /// Listeners that are not watched, those beyond [`LISTED`] included.
    pub unwatched: u64,
    /// Listeners that are not watched: those at which most is refused or waits first.
    pub listeners: Vec<Unwatched>,
}

/// A listener that is not watched; the `unwatched` line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unwatched {
    /// Socket cookie.
    pub cookie: u64,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Address and port it listens on.
    pub addr: String,
    /// The port.
    pub port: u16,
    /// Process that called listen(2), or that holds the socket; null if unknown.
    pub pid: Option<u32>,
    /// Its name; null if unknown.
    pub comm: Option<String>,
    /// Connections in its accept queue.
    pub accept_queue: u32,
    /// Limit of its accept queue.
    pub backlog_limit: u32,
    /// Refused since the observer first saw it (`sk_drops`).
    pub listen_drops: u64,
    /// Refused between the last two readings.
    pub listen_drops_last: u64,
    /// Why it is not watched.
    pub cause: Cause,
}

/// Why a listener is not watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The map of listeners is full.
    MaxListeners,
    /// No process holds it as a descriptor.
    #[default]
    NoHolder,
}

impl Cause {
    /// The reason in words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::MaxListeners => "more listeners than --max-listeners",
            Self::NoHolder => {
                "no process holds it as a descriptor that can be read: the kernel's own, or a fixed file of an io_uring"
            }
        }
    }
}

impl Unwatched {
    /// Its process as far as it is known.
    pub fn who(&self) -> Option<String> {
        Some(format!("{}/{}", self.comm.as_ref()?, self.pid?))
    }

    /// The accept queue is full: at limit + 1.
    pub fn is_full(&self) -> bool {
        self.accept_queue > self.backlog_limit
    }
}

/// Listeners of all network namespaces, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Listeners that are watched.
    pub watched: u64,
    /// Listeners that are not.
    pub unwatched: u64,
    /// Some of those are left out for `--max-listeners`.
    pub is_full: bool,
}

impl Count {
    /// Listeners that there are.
    pub fn all(self) -> u64 {
        self.watched.saturating_add(self.unwatched)
    }

    /// The option that has room for all of them.
    pub fn option(self) -> String {
        format!("--max-listeners {}", self.all().checked_next_power_of_two().unwrap_or(self.all()))
    }
}

impl Snapshot {
    /// Listeners that are not watched, as far as they are listed.
    pub fn unwatched(&self) -> impl Iterator<Item = &Unwatched> {
        self.listening.iter().flat_map(|here| &here.listeners)
    }

    /// Listeners of all network namespaces.
    pub fn listening_count(&self) -> Count {
        let open = self.listeners.iter().filter(|listener| listener.closed_ns.is_none()).count();
        Count {
            watched: open as u64,
            unwatched: self.listening.iter().fold(0, |sum, here| here.unwatched.saturating_add(sum)),
            is_full: self.unwatched().any(|listener| listener.cause == Cause::MaxListeners),
        }
    }
}

/// The lists without the listeners that are watched by now.
pub(super) fn without(lists: &[Listening], is_watched: impl Fn(u64) -> bool) -> Vec<Listening> {
    let mut lists = lists.to_vec();
    for here in &mut lists {
        let before = here.listeners.len();
        here.listeners.retain(|listener| !is_watched(listener.cookie));
        let now_watched = (before - here.listeners.len()) as u64;
        here.watched = here.watched.saturating_add(now_watched);
        here.unwatched = here.unwatched.saturating_sub(now_watched);
    }
    lists
}

/// The check of one network namespace: what is watched or listed as not watched is what the kernel lists.
pub(super) fn check(here: &Listening) -> LedgerCheck {
    let ours = here.watched.saturating_add(here.unwatched).cast_signed();
    let kernel = here.kernel.cast_signed();
    let reason = if ours == kernel {
        (here.unwatched > 0).then(|| format!("{} of them are not watched", here.unwatched))
    } else {
        Some("listeners that opened or closed while they were counted".to_owned())
    };
    LedgerCheck {
        scope: "host",
        listener: None,
        netns: here.netns,
        check: "listeners",
        ours,
        kernel,
        difference: ours.saturating_sub(kernel),
        reason,
        since_ns: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_watched_is_no_difference() {
        let mut here = Listening { kernel: 3, watched: 2, unwatched: 1, ..Listening::default() };
        let balanced = check(&here);
        assert_eq!((balanced.ours, balanced.kernel, balanced.difference), (3, 3, 0));
        assert_eq!(balanced.reason.as_deref(), Some("1 of them are not watched"));
        here.watched = 3;
        assert_eq!(check(&here).difference, 1, "one that is gone is still there");
    }

    #[test]
    fn what_is_watched_by_now_is_not_listed() {
        let row = |cookie| Unwatched { cookie, ..Unwatched::default() };
        let here = Listening {
            kernel: 3,
            watched: 1,
            unwatched: 2,
            listeners: vec![row(7), row(8)],
            ..Listening::default()
        };
        let [now] = without(&[here], |cookie| cookie == 7).try_into().unwrap();
        assert_eq!((now.kernel, now.watched, now.unwatched, now.listeners), (3, 2, 1, vec![row(8)]));
    }

    #[test]
    fn the_option_has_room_for_all() {
        let count = Count { watched: 1024, unwatched: 1976, is_full: true };
        assert_eq!((count.all(), count.option().as_str()), (3000, "--max-listeners 4096"));
    }
}
