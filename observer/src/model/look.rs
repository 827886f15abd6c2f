//! A closer look at a thread that should accept, as /proc shows it: what it does, and what it waits for.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What a thread does now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The kernel's letter: R runs, S sleeps, D sleeps and takes no signal, T is stopped, t is traced, Z has ended.
    pub state: Option<char>,
    /// The system call that it waits in, `runs`, `stopped` or `traced`.
    #[serde(default)]
    pub doing: Option<String>,
    /// Its cgroup is frozen.
    #[serde(default)]
    pub frozen: bool,
    /// Times that it was switched away, by itself or not: with the same number it has not run in between.
    #[serde(default)]
    pub switches: Option<u64>,
    /// What it waits for, if it waits for one descriptor.
    #[serde(default)]
    pub on: Option<On>,
    /// The process that took the lock on a file that it waits for, if it waits for one.
    #[serde(default)]
    pub lock_holder: Option<Holding>,
    /// It waits for room to write, and for nothing to read.
    #[serde(default)]
    pub writes: bool,
    /// How it watches the listeners whose queues are not emptied, if it waits for events.
    #[serde(default)]
    pub watches: Vec<Watch>,
    /// What else it waits for, if it waits for several descriptors and one of those listeners is not among them.
    #[serde(default)]
    pub beside: Option<Beside>,
    /// Threads of its process.
    #[serde(default)]
    pub threads: u32,
}

/// Descriptors that a thread waits for beside listeners.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// Connections to a port that somebody listens on: those of clients.
    pub clients: u32,
    /// Peers of connections that this side made, a few of them.
    pub servers: Vec<SocketAddr>,
    /// Anything else.
    pub others: u32,
}

/// What a thread waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// A TCP connection.
    Connection {
        /// Own address.
        local: SocketAddr,
        /// The peer's.
        remote: SocketAddr,
        /// The listener that it was accepted from, if it is followed.
        listener: Option<u64>,
        /// It is one that a watched listener's address has: accepted, and not made by this side.
        accepted: bool,
        /// When it was accepted, if that was seen.
        accepted_ns: Option<u64>,
        /// Data has come on it; null when it is not followed.
        has_data: Option<bool>,
        /// This side asked for it, and has no answer yet.
        #[serde(default)]
        connecting: bool,
    },
    /// No descriptor: poll(2) or select(2) as a sleep.
    Nothing,
    /// Something else: a path, or what /proc calls it.
    Other(String),
}

/// How a thread that waits for events watches a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Cookie of the listener.
    pub listener: u64,
    /// In which way.
    pub how: How,
}

/// A way to watch a listener, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It is told as long as somebody waits.
    Level,
    /// It is told of new arrivals only (EPOLLET).
    Edge,
    /// It is registered, and asks for nothing: EPOLLONESHOT, not armed again, or no EPOLLIN.
    Disarmed,
    /// It is not among what the thread waits for.
    Absent,
}

/// What one thread's calls of accept(2) on one listener came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// Cookie of the listener.
    pub listener: u64,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// When the thread began: a thread id is used again.
    pub started_ns: u64,
    /// Its name.
    pub comm: String,
    /// Connections that it accepted.
    pub accepts: u64,
    /// Its last accept; 0 if none.
    pub accepted_ns: u64,
    /// Calls that failed, EAGAIN and interrupted ones apart.
    pub failures: u64,
    /// Its first failure since its last accept; 0 if none.
    pub failing_ns: u64,
    /// Its last failure; 0 if none.
    pub failed_ns: u64,
    /// The error of it.
    pub errno: u32,
    /// The thread has ended: these are its last figures.
    #[serde(default)]
    pub gone: bool,
}

/// A process that holds a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Process.
    pub pid: u32,
    /// Its name.
    pub comm: String,
}

/// Descriptors of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptors {
    /// Open now.
    pub used: u64,
    /// Most that it may have open (RLIMIT_NOFILE).
    pub limit: u64,
}

/// Name of an error of accept(2), for those that say that something has run out or is forbidden.
pub fn errno_name(errno: u32) -> Option<&'static str> {
    Some(match i32::try_from(errno).ok()? {
        libc::EMFILE => "EMFILE",
        libc::ENFILE => "ENFILE",
        libc::ENOBUFS => "ENOBUFS",
        libc::ENOMEM => "ENOMEM",
        libc::EPERM => "EPERM",
        _ => return None,
    })
}

/// An error as sentences name it.
pub fn error(errno: u32) -> String {
    errno_name(errno).map_or_else(|| format!("error {errno}"), str::to_owned)
}
