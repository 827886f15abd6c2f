//! The lines of `observer stream`, as anybody who reads docs/stream.md would declare them.

use std::{cell::Cell, collections::BTreeSet, net::SocketAddr};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};
use serde_json::Value;

use crate::waiting::is_emulated;

/// Lines that a test in a guest shows when it fails.
const LAST: usize = 30;

thread_local! {
    /// The kernel left out runs of programs, and the observer counted them, in a test that failed on this thread.
    pub(crate) static LEFT_OUT: Cell<bool> = const { Cell::new(false) };
}

/// A `listener` line.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Listener {
    pub(crate) cookie: u64,
    #[serde(deserialize_with = "without_device")]
    pub(crate) addr: SocketAddr,
    pub(crate) netns: u32,
    pub(crate) pid: u32,
    pub(crate) comm: String,
    pub(crate) group: Option<String>,
    pub(crate) shard: Option<u32>,
    pub(crate) closed_ns: Option<u64>,
    pub(crate) state: String,
    pub(crate) backlog_limit: u32,
    pub(crate) accept_queue: u32,
    pub(crate) accept_queue_peak: u32,
    pub(crate) syn_queue: u32,
    pub(crate) enqueued: u64,
    pub(crate) accepted: u64,
    pub(crate) accepted_unseen: u64,
    pub(crate) dropped_queued: u64,
    pub(crate) aborted_queued: u64,
    pub(crate) migrated: u64,
    pub(crate) migrated_away: u64,
    pub(crate) requests: u64,
    pub(crate) queued_at_start: u32,
    pub(crate) overflows: Option<u64>,
    pub(crate) listen_drops: u64,
    pub(crate) sk_drops: u64,
    pub(crate) cookies: u64,
    pub(crate) cookies_sent: Option<u64>,
    pub(crate) cookies_failed: Option<u64>,
    pub(crate) synack_retransmits: u64,
    pub(crate) unread: u64,
    pub(crate) ended: u64,
    pub(crate) end_unseen: u64,
}

/// Who accepted.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Acceptor {
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) comm: String,
}

/// Who holds a connection from before the start.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) comm: String,
}

/// A `connection` line.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Connection {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) listener: Option<u64>,
    pub(crate) migrated: bool,
    pub(crate) syn_ns: Option<u64>,
    pub(crate) enqueued_ns: Option<u64>,
    pub(crate) established_ns: Option<u64>,
    pub(crate) accepted_ns: Option<u64>,
    pub(crate) first_data_ns: Option<u64>,
    pub(crate) first_read_ns: Option<u64>,
    pub(crate) first_write_ns: Option<u64>,
    pub(crate) closed_ns: Option<u64>,
    pub(crate) unseen: Vec<String>,
    pub(crate) queue_at_arrival: Option<u32>,
    pub(crate) synack_retransmits: u32,
    pub(crate) via: String,
    pub(crate) acceptor: Option<Acceptor>,
    pub(crate) holder: Option<Holder>,
    pub(crate) readers: Vec<u32>,
    pub(crate) writers: Vec<u32>,
    pub(crate) reads: u32,
    pub(crate) writes: u32,
    pub(crate) bytes_read: u64,
    pub(crate) bytes_written: u64,
    pub(crate) end: String,
    pub(crate) closed_first: Option<bool>,
    pub(crate) at_exit: bool,
}

/// A `thread` line.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Thread {
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) role: String,
    pub(crate) accepts: u64,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) bytes_read: u64,
    pub(crate) bytes_written: u64,
    pub(crate) wakeups: Option<u64>,
    pub(crate) run_ns: Option<u64>,
    pub(crate) ready_ns: Option<u64>,
    pub(crate) doing: Option<String>,
}

/// A `ledger` line.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) scope: String,
    pub(crate) listener: Option<u64>,
    pub(crate) netns: u32,
    pub(crate) check: String,
    pub(crate) ours: i64,
    pub(crate) kernel: i64,
    pub(crate) difference: i64,
}

/// A `host` line.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Host {
    pub(crate) netns: u32,
    pub(crate) listen_overflows: u64,
    pub(crate) listen_drops: u64,
    pub(crate) syn_queue_full_drops: u64,
    pub(crate) cookies_wanted: u64,
    pub(crate) cookies_sent: u64,
    pub(crate) cookies_failed: u64,
    pub(crate) passive_opens: u64,
    pub(crate) migrations: u64,
    pub(crate) embryonic_resets: u64,
    pub(crate) deferred_acks: u64,
}

/// A `loss` line.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Loss {
    pub(crate) produced: u64,
    pub(crate) delivered: u64,
    pub(crate) total: u64,
}

/// Everything that the observer wrote so far. Shown whole when the test that holds it panics.
/// The address without the interface that the listener is bound to: `127.0.0.1%lo:80`.
fn without_device<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    let whole = match (text.find('%'), text.rfind(':')) {
        (Some(device), Some(port)) => format!("{}{}", &text[..device], &text[port..]),
        _ => text,
    };
    whole.parse().map_err(Error::custom)
}

/// A line as the contract has it.
#[track_caller]
fn read<T: DeserializeOwned>(line: &Value) -> T {
    T::deserialize(line).unwrap_or_else(|error| panic!("not as the contract says: {error}: {line}"))
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Lines(pub(crate) Vec<Value>);

impl Lines {
    /// All lines of a type, in order.
    pub(crate) fn of<T: DeserializeOwned>(&self, kind: &str) -> Vec<T> {
        self.0.iter().filter(|line| line["type"] == kind).map(read).collect()
    }

    /// The last line of a type in which this field is so.
    fn last_of<T: DeserializeOwned>(&self, kind: &str, field: &str, is: u64) -> Option<T> {
        self.0.iter().rfind(|line| line["type"] == kind && line[field] == is).map(read)
    }

    /// The `meta` line.
    pub(crate) fn meta(&self) -> &Value {
        self.0.first().filter(|line| line["type"] == "meta").expect("the first line is not `meta`")
    }

    /// Connections that ended, or are open at the end.
    pub(crate) fn connections(&self) -> Vec<Connection> {
        self.of("connection")
    }

    /// The connection from this client.
    #[track_caller]
    pub(crate) fn connection_from(&self, remote: SocketAddr) -> Connection {
        let remote = remote.to_string();
        let is_it = |line: &&Value| line["type"] == "connection" && line["remote"] == remote.as_str();
        let mut those = self.0.iter().filter(is_it).map(read);
        let one = those.next().unwrap_or_else(|| panic!("no line for the connection from {remote}"));
        assert!(those.next().is_none(), "more than one line for the connection from {remote}");
        one
    }

    /// Cookies of all listeners.
    pub(crate) fn cookies(&self) -> BTreeSet<u64> {
        let listeners = self.0.iter().filter(|line| line["type"] == "listener");
        listeners.filter_map(|line| line["cookie"].as_u64()).collect()
    }

    /// All lines of one listener.
    pub(crate) fn listener_over_time(&self, cookie: u64) -> Vec<Listener> {
        let is_it = |line: &&Value| line["type"] == "listener" && line["cookie"] == cookie;
        self.0.iter().filter(is_it).map(read).collect()
    }

    /// The last line of one listener.
    #[track_caller]
    pub(crate) fn listener(&self, cookie: u64) -> Listener {
        self.last_of("listener", "cookie", cookie)
            .unwrap_or_else(|| panic!("no line for the listener {cookie}"))
    }

    /// All fields of the last line of a listener; null if there is none.
    pub(crate) fn listener_fields(&self, cookie: u64) -> &Value {
        let mut lines = self.0.iter().rev();
        lines.find(|line| line["type"] == "listener" && line["cookie"] == cookie).unwrap_or(&Value::Null)
    }

    /// The last line of each thread.
    #[track_caller]
    pub(crate) fn thread(&self, tid: u32) -> Thread {
        self.last_of("thread", "tid", tid.into()).unwrap_or_else(|| panic!("no line for the thread {tid}"))
    }

    /// The last ledger line of a listener.
    #[track_caller]
    pub(crate) fn books_of(&self, cookie: u64) -> Ledger {
        self.last_of("ledger", "listener", cookie)
            .unwrap_or_else(|| panic!("no ledger line for the listener {cookie}"))
    }

    /// The kernel has left out runs of programs, and the observer counted them.
    pub(crate) fn lack_runs(&self) -> bool {
        let last = self.0.iter().rfind(|line| line["type"] == "loss");
        last.is_some_and(|line| line["counters"]["recursion_misses"].as_u64() > Some(0))
    }

    /// The last `loss` line.
    #[track_caller]
    pub(crate) fn loss(&self) -> Loss {
        self.0.iter().rfind(|line| line["type"] == "loss").map(read).expect("no `loss` line")
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A guest's serial port takes a second for 4 kB.
            let shown = if is_emulated() { LAST } else { usize::MAX };
            println!("what the observer wrote, {} lines:", self.0.len());
            self.0.iter().skip(self.0.len().saturating_sub(shown)).for_each(|line| println!("{line}"));
            if self.lack_runs() {
                LEFT_OUT.set(true);
            }
        }
    }
}
