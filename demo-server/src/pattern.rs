//! The execution patterns: one row each in [`PATTERNS`], one file each in `pattern/`.
//!
//! The table feeds everything that offers a choice: the command line, the control protocol, the screens, the
//! documentation and the tests. A new pattern is a new file and a new row.

use std::io;

use serde::Serialize;

use crate::stage::Stage;

mod acceptor_readers;
mod acceptor_workers;
mod edge_once;
mod epoll_exclusive;
mod epoll_exclusive_readd;
mod epoll_herd;
mod process_per_connection;
mod sharding;
mod sharding_cpu;
mod sharding_incoming_cpu;
mod sharding_processes;
mod shared_accept;
mod shared_accept_processes;
mod single_thread;
mod thread_per_connection;
mod tokio_multi_thread;
mod uring_accept;

/// One way to run the service.
#[derive(Debug, Serialize)]
pub struct Pattern {
    /// Its name on command lines and on the wire.
    pub id: &'static str,
    /// Its number in the course, for the five that are in it.
    pub number: Option<u8>,
    /// Its name on screens.
    pub title: &'static str,
    /// What it does, in one line.
    pub line: &'static str,
    /// Who does it so.
    pub real_users: &'static str,
    /// When to choose it.
    pub when: &'static str,
    /// What it costs.
    pub cost: &'static str,
    /// What to look at in the observer.
    pub watch: &'static str,
    /// Whether every worker has a listener of its own.
    pub shards: bool,
    /// Whether it serves every client; one that is a known mistake does not.
    pub sound: bool,
    /// What a worker process with a number plays, if the pattern serves with processes.
    #[serde(skip)]
    pub process: Option<fn(&Stage, u32) -> io::Result<()>>,
    /// Plays it until the stage stops.
    #[serde(skip)]
    pub run: fn(&Stage) -> io::Result<()>,
}

/// Every pattern there is.
pub static PATTERNS: &[Pattern] = &[
    single_thread::PATTERN,
    acceptor_readers::PATTERN,
    acceptor_workers::PATTERN,
    shared_accept::PATTERN,
    sharding::PATTERN,
    epoll_herd::PATTERN,
    epoll_exclusive::PATTERN,
    epoll_exclusive_readd::PATTERN,
    edge_once::PATTERN,
    sharding_cpu::PATTERN,
    sharding_incoming_cpu::PATTERN,
    uring_accept::PATTERN,
    thread_per_connection::PATTERN,
    shared_accept_processes::PATTERN,
    sharding_processes::PATTERN,
    process_per_connection::PATTERN,
    tokio_multi_thread::PATTERN,
];

/// Finds a pattern by its id or by its course number.
#[must_use]
pub fn find(name: &str) -> Option<&'static Pattern> {
    PATTERNS
        .iter()
        .find(|pattern| pattern.id == name || pattern.number.is_some_and(|number| number.to_string() == name))
}

/// Finds a pattern, or says which there are.
pub fn expect(name: &str) -> Result<&'static Pattern, String> {
    find(name).ok_or_else(|| {
        let ids: Vec<_> = PATTERNS.iter().map(|pattern| pattern.id).collect();
        format!("unknown pattern '{name}'; there are {}", ids.join(", "))
    })
}

impl Pattern {
    /// How many listeners it needs with so many workers.
    #[must_use]
    pub fn listeners(&self, workers: u32) -> usize {
        if self.shards { workers as usize } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_unique_and_found() {
        for pattern in PATTERNS {
            assert_eq!(find(pattern.id).map(|found| found.id), Some(pattern.id));
            if let Some(number) = pattern.number {
                assert_eq!(find(&number.to_string()).map(|found| found.id), Some(pattern.id));
            }
        }
        assert!(find("").is_none() && find("0").is_none() && find("01").is_none());
        assert_eq!(PATTERNS.iter().filter_map(|pattern| pattern.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    }
}
