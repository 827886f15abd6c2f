//! What can be changed while the server runs: the settings, their limits, and their live form.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// The settings that every pattern obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Threads of the kind that the pattern multiplies: readers, workers, acceptors or shards.
    pub workers: u32,
    /// What is passed to listen(2) for each listener; the kernel clamps it to `net.core.somaxconn`.
    pub backlog: u32,
    /// Processor time burnt for each request, in microseconds.
    pub work_us: u64,
    /// Time slept for each request, in microseconds, as a call to a database would.
    pub sleep_us: u64,
    /// Length of a response's body.
    pub response_bytes: u32,
    /// `TCP_NODELAY` on accepted connections.
    pub nodelay: bool,
    /// Whether a connection stays open after an answer if the client wants it to.
    pub keep_alive: bool,
    /// `TCP_DEFER_ACCEPT` of each listener, in seconds: a connection is queued only once its first data are there.
    /// 0: off.
    pub defer_accept_s: u32,
    /// `TCP_FASTOPEN` of each listener: how many connections may be open before their handshake is complete. 0: off.
    pub fast_open: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 4,
            backlog: 128,
            work_us: 0,
            sleep_us: 0,
            response_bytes: 64,
            nodelay: true,
            keep_alive: true,
            defer_accept_s: 0,
            fast_open: 0,
        }
    }
}

/// A change of some settings, and of the pattern; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The pattern to run, by its id or its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// See [`Settings::workers`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
    /// See [`Settings::backlog`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog: Option<u32>,
    /// See [`Settings::work_us`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_us: Option<u64>,
    /// See [`Settings::sleep_us`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep_us: Option<u64>,
    /// See [`Settings::response_bytes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_bytes: Option<u32>,
    /// See [`Settings::nodelay`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodelay: Option<bool>,
    /// See [`Settings::keep_alive`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<bool>,
    /// See [`Settings::defer_accept_s`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defer_accept_s: Option<u32>,
    /// See [`Settings::fast_open`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast_open: Option<u32>,
}

/// The allowed range of a setting, by the name it has on the wire. The upper ends are not the kernel's: they keep
/// one mistyped digit from taking the machine down.
pub const LIMITS: &[(&str, std::ops::RangeInclusive<u64>)] = &[
    ("workers", 1..=1024),
    ("backlog", 0..=65_535),
    ("work_us", 0..=10_000_000),
    ("sleep_us", 0..=10_000_000),
    ("response_bytes", 0..=1_048_576),
    ("defer_accept_s", 0..=60),
    ("fast_open", 0..=65_535),
];

impl Settings {
    /// These settings after `change`, whose pattern is not looked at here.
    #[must_use]
    pub fn with(self, change: &Change) -> Self {
        Self {
            workers: change.workers.unwrap_or(self.workers),
            backlog: change.backlog.unwrap_or(self.backlog),
            work_us: change.work_us.unwrap_or(self.work_us),
            sleep_us: change.sleep_us.unwrap_or(self.sleep_us),
            response_bytes: change.response_bytes.unwrap_or(self.response_bytes),
            nodelay: change.nodelay.unwrap_or(self.nodelay),
            keep_alive: change.keep_alive.unwrap_or(self.keep_alive),
            defer_accept_s: change.defer_accept_s.unwrap_or(self.defer_accept_s),
            fast_open: change.fast_open.unwrap_or(self.fast_open),
        }
    }

    /// Checks every value against [`LIMITS`]; the error names the setting, the value and the range.
    pub fn check(&self) -> Result<(), String> {
        for (name, range) in LIMITS {
            let value = match *name {
                "workers" => u64::from(self.workers),
                "backlog" => u64::from(self.backlog),
                "work_us" => self.work_us,
                "sleep_us" => self.sleep_us,
                "defer_accept_s" => u64::from(self.defer_accept_s),
                "fast_open" => u64::from(self.fast_open),
                _ => u64::from(self.response_bytes),
            };
            if !range.contains(&value) {
                return Err(format!("{name} {value} is out of range: {} to {}", range.start(), range.end()));
            }
        }
        Ok(())
    }

    /// What differs from `earlier`, as `workers 4 → 8`.
    #[must_use]
    pub fn differences(&self, earlier: &Self) -> Vec<String> {
        let both = earlier.shown().into_iter().zip(self.shown());
        let changed = both.filter(|((_, before), (_, now))| before != now);
        changed.map(|((name, before), (_, now))| format!("{name} {before} → {now}")).collect()
    }

    /// Each setting and its value, as text.
    pub fn shown(&self) -> [(&'static str, String); 9] {
        [
            ("workers", self.workers.to_string()),
            ("backlog", self.backlog.to_string()),
            ("work_us", self.work_us.to_string()),
            ("sleep_us", self.sleep_us.to_string()),
            ("response_bytes", self.response_bytes.to_string()),
            ("nodelay", self.nodelay.to_string()),
            ("keep_alive", self.keep_alive.to_string()),
            ("defer_accept_s", self.defer_accept_s.to_string()),
            ("fast_open", self.fast_open.to_string()),
        ]
    }
}

/// The settings that a thread looks up for each request, without a lock.
#[derive(Debug)]
pub struct Live {
    work_us: AtomicU64,
    sleep_us: AtomicU64,
    response_bytes: AtomicU32,
    nodelay: AtomicBool,
    keep_alive: AtomicBool,
}

impl Live {
    /// Takes over new values. A request in progress may still see the old ones.
    pub fn store(&self, settings: &Settings) {
        self.work_us.store(settings.work_us, Ordering::Relaxed);
        self.sleep_us.store(settings.sleep_us, Ordering::Relaxed);
        self.response_bytes.store(settings.response_bytes, Ordering::Relaxed);
        self.nodelay.store(settings.nodelay, Ordering::Relaxed);
        self.keep_alive.store(settings.keep_alive, Ordering::Relaxed);
    }

    /// See [`Settings::work_us`].
    pub fn work_us(&self) -> u64 {
        self.work_us.load(Ordering::Relaxed)
    }

    /// See [`Settings::sleep_us`].
    pub fn sleep_us(&self) -> u64 {
        self.sleep_us.load(Ordering::Relaxed)
    }

    /// See [`Settings::response_bytes`].
    pub fn response_bytes(&self) -> usize {
        self.response_bytes.load(Ordering::Relaxed) as usize
    }

    /// See [`Settings::keep_alive`].
    pub fn keep_alive(&self) -> bool {
        self.keep_alive.load(Ordering::Relaxed)
    }

    /// See [`Settings::nodelay`].
    pub fn nodelay(&self) -> bool {
        self.nodelay.load(Ordering::Relaxed)
    }
}
