//! What can be broken on purpose, while the server runs.
//!
//! Each fault is a row of [`FAULTS`]. Threads ask [`Faults`] at the place where the fault bites; while nothing is
//! broken that costs one load of one word.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The faults, in the order of [`FAULTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody calls accept(2).
    PauseAccept,
    /// Every thread that serves stops, once, for a while.
    Stall,
    /// One thread does nothing at all.
    StuckShard,
    /// One thread is slower than the others.
    SlowWorker,
    /// Connections are accepted and never read.
    NoRead,
    /// Connections are closed while their first bytes are still unread.
    CloseUnread,
    /// Every thread that serves stops, again and again.
    StallPeriodic,
    /// Requests are read and never answered.
    NoWrite,
    /// Connections that have ended are never closed.
    Leak,
    /// One thread ends by a panic.
    WorkerPanic,
    /// One shard is closed under its clients.
    CloseShard,
}

/// One row of the table.
#[derive(Debug)]
pub struct FaultRow {
    /// Which fault.
    pub fault: Fault,
    /// Its name in the control protocol.
    pub name: &'static str,
    /// What it does and what the kernel shows for it, in one line.
    pub line: &'static str,
    /// Whether it concerns the one thread whose number is `index`.
    pub takes_index: bool,
    /// Whether it takes a time `ms` in milliseconds, and the default.
    pub default_ms: Option<u64>,
}

impl FaultRow {
    /// The thread or shard it concerns if none is named.
    #[must_use]
    pub fn default_index(&self) -> u32 {
        // Shard 0 is the listener that is never closed.
        u32::from(self.fault == Fault::CloseShard)
    }
}

/// Finds a fault, or says which there are.
pub fn expect(name: &str) -> Result<&'static FaultRow, String> {
    FAULTS.iter().find(|row| row.name == name).ok_or_else(|| {
        let names: Vec<_> = FAULTS.iter().map(|row| row.name).collect();
        format!("unknown fault '{name}'; there are {}", names.join(", "))
    })
}

/// The longest time a fault may take, in milliseconds.
pub const MAX_MS: u64 = 60_000;

/// Every fault there is.
pub static FAULTS: &[FaultRow] = &[
    FaultRow {
        fault: Fault::PauseAccept,
        name: "pause-accept",
        line: "nobody calls accept: the accept queue fills to its limit + 1, then the kernel drops SYNs",
        takes_index: false,
        default_ms: None,
    },
    FaultRow {
        fault: Fault::Stall,
        name: "stall",
        line: "every thread that serves stops once for `ms`: queues grow by rate x time, then drain in a burst",
        takes_index: false,
        default_ms: Some(500),
    },
    FaultRow {
        fault: Fault::StuckShard,
        name: "stuck-shard",
        line: "thread `index` does nothing: with sharding its share of the clients waits while the others idle",
        takes_index: true,
        default_ms: None,
    },
    FaultRow {
        fault: Fault::SlowWorker,
        name: "slow-worker",
        line: "thread `index` sleeps `ms` more for each request: balanced connections are not balanced load",
        takes_index: true,
        default_ms: Some(10),
    },
    FaultRow {
        fault: Fault::NoRead,
        name: "no-read",
        line: "connections are accepted and never read: the accept queue is empty and yet nobody is served",
        takes_index: false,
        default_ms: None,
    },
    FaultRow {
        fault: Fault::CloseUnread,
        name: "close-unread",
        line: "connections are closed with unread data: the kernel sends RST where one expects FIN",
        takes_index: false,
        default_ms: None,
    },
    FaultRow {
        fault: Fault::StallPeriodic,
        name: "stall-periodic",
        line: "every thread that serves stops for `ms` out of every 4 x `ms`, as for a garbage collection",
        takes_index: false,
        default_ms: Some(500),
    },
    FaultRow {
        fault: Fault::NoWrite,
        name: "no-write",
        line: "requests are read, worked on and never answered: bytes come in, none go out, clients time out",
        takes_index: false,
        default_ms: None,
    },
    FaultRow {
        fault: Fault::Leak,
        name: "leak",
        line: "connections that have ended are not closed: CLOSE-WAIT grows, at most to 4096; mending closes them",
        takes_index: false,
        default_ms: None,
    },
    FaultRow {
        fault: Fault::WorkerPanic,
        name: "worker-panic",
        line: "thread `index` dies at its next request: what is dealt to it waits for a switch; a process is replaced at once",
        takes_index: true,
        default_ms: None,
    },
    FaultRow {
        fault: Fault::CloseShard,
        name: "close-shard",
        line: "shard `index`, not 0, is closed: the kernel resets what is queued on it, the others take over",
        takes_index: true,
        default_ms: None,
    },
];

/// A fault that is on, as the control protocol shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveFault {
    /// The name of its row.
    pub name: String,
    /// The thread it concerns, where it concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Its time in milliseconds, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
}

/// The particulars of a fault that is on.
#[derive(Debug, Default)]
struct Detail {
    index: AtomicU32,
    ms: AtomicU64,
    /// When it was switched on, by `CLOCK_MONOTONIC`, which is the same in every process.
    since_ns: AtomicU64,
}

/// Which faults are on. Whoever changes them is alone in doing so; who looks meanwhile may see one of them half changed
/// for an instant.
#[derive(Debug, Default)]
pub struct Faults {
    /// Bit n: row n of the table is on.
    active: AtomicU32,
    details: [Detail; FAULTS.len()],
}

impl Faults {
    /// Switches a fault on or off. The error is a sentence that names what is wrong; then nothing has changed.
    pub fn set(&self, name: &str, on: bool, index: Option<u32>, ms: Option<u64>) -> Result<(), String> {
        let row = expect(name)?;
        if index.is_some() && !row.takes_index {
            return Err(format!("{name} concerns every thread and takes no index"));
        }
        if ms.is_some() && row.default_ms.is_none() {
            return Err(format!("{name} lasts until it is switched off and takes no ms"));
        }
        if let Some(ms) = ms.filter(|ms| !(1..=MAX_MS).contains(ms)) {
            return Err(format!("ms {ms} is out of range: 1 to {MAX_MS}"));
        }
        if !on {
            self.clear(row.fault);
            return Ok(());
        }
        let detail = self.detail(row.fault);
        detail.index.store(index.unwrap_or(row.default_index()), Ordering::SeqCst);
        detail.ms.store(ms.or(row.default_ms).unwrap_or(0), Ordering::SeqCst);
        detail.since_ns.store(monotonic_ns(), Ordering::SeqCst);
        self.active.fetch_or(bit(row.fault), Ordering::SeqCst);
        Ok(())
    }

    /// Whether a fault that concerns every thread is on.
    pub fn on(&self, fault: Fault) -> bool {
        self.active.load(Ordering::SeqCst) & bit(fault) != 0
    }

    /// Whether a fault that concerns one thread or shard is on for number `index`.
    fn concerns(&self, fault: Fault, index: u32) -> bool {
        self.on(fault) && self.detail(fault).index.load(Ordering::SeqCst) == index
    }

    /// Whether worker number `index` is to do nothing.
    pub fn is_stuck(&self, index: u32) -> bool {
        self.concerns(Fault::StuckShard, index)
    }

    /// Whether shard number `index` is to be closed.
    pub fn is_shut(&self, index: u32) -> bool {
        self.concerns(Fault::CloseShard, index)
    }

    /// Whether thread number `index` is to die; true once, and the fault is over.
    pub fn take_panic(&self, index: u32) -> bool {
        self.concerns(Fault::WorkerPanic, index) && self.clear(Fault::WorkerPanic)
    }

    /// Lets no thread die any more.
    pub fn disarm_panic(&self) {
        self.clear(Fault::WorkerPanic);
    }

    /// What is left of a stall, or of the present one of many.
    pub fn stall_left(&self) -> Option<Duration> {
        self.single_stall_left().or_else(|| self.periodic_stall_left())
    }

    fn periodic_stall_left(&self) -> Option<Duration> {
        let time = self.time(Fault::StallPeriodic)?;
        let period = time.as_nanos().saturating_mul(4).max(1);
        let into = self.elapsed(Fault::StallPeriodic).as_nanos() % period;
        time.checked_sub(Duration::from_nanos(u64::try_from(into).unwrap_or(u64::MAX)))
            .filter(|left| !left.is_zero())
    }

    fn single_stall_left(&self) -> Option<Duration> {
        self.time(Fault::Stall)?.checked_sub(self.elapsed(Fault::Stall)).filter(|left| !left.is_zero())
    }

    /// How much longer thread number `index` takes for each request.
    pub fn slowness(&self, index: u32) -> Option<Duration> {
        self.time(Fault::SlowWorker).filter(|_| self.concerns(Fault::SlowWorker, index))
    }

    /// The faults that are on. A stall that is over is not.
    pub fn active(&self) -> Vec<ActiveFault> {
        if self.on(Fault::Stall) && self.single_stall_left().is_none() {
            // Over by itself; whoever asks next pays one load again.
            self.clear(Fault::Stall);
        }
        FAULTS
            .iter()
            .filter(|row| self.on(row.fault))
            .map(|row| ActiveFault {
                name: row.name.to_owned(),
                index: row.takes_index.then(|| self.detail(row.fault).index.load(Ordering::SeqCst)),
                ms: row.default_ms.map(|_| self.detail(row.fault).ms.load(Ordering::SeqCst)),
            })
            .collect()
    }

    /// Switches it off; false if it was off already, so that of several who do so one alone hears true.
    fn clear(&self, fault: Fault) -> bool {
        self.active.fetch_and(!bit(fault), Ordering::SeqCst) & bit(fault) != 0
    }

    /// The time of a fault that is on.
    fn time(&self, fault: Fault) -> Option<Duration> {
        self.on(fault).then(|| Duration::from_millis(self.detail(fault).ms.load(Ordering::SeqCst)))
    }

    fn elapsed(&self, fault: Fault) -> Duration {
        let since = self.detail(fault).since_ns.load(Ordering::SeqCst);
        Duration::from_nanos(monotonic_ns().saturating_sub(since))
    }

    fn detail(&self, fault: Fault) -> &Detail {
        &self.details[fault as usize]
    }
}

fn bit(fault: Fault) -> u32 {
    1 << fault as u32
}

fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::try_from(now).ok().and_then(|now| u64::try_from(now.as_nanos()).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_the_order_of_the_enum() {
        for (index, row) in FAULTS.iter().enumerate() {
            assert_eq!(row.fault as usize, index, "{}", row.name);
        }
    }

    #[test]
    fn wrong_requests_change_nothing() {
        let faults = Faults::default();
        for (name, index, ms, expected) in [
            ("nothing", None, None, "unknown fault 'nothing'; there are pause-accept"),
            ("no-read", Some(1), None, "takes no index"),
            ("no-read", None, Some(1), "takes no ms"),
            ("stall", None, Some(0), "ms 0 is out of range: 1 to 60000"),
            ("stall", None, Some(60_001), "ms 60001 is out of range"),
        ] {
            let error = faults.set(name, true, index, ms).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(faults.active().is_empty());
        }
    }

    #[test]
    fn only_the_named_thread_is_concerned() {
        let faults = Faults::default();
        faults.set("stuck-shard", true, Some(2), None).unwrap();
        faults.set("slow-worker", true, Some(1), Some(7)).unwrap();
        assert!(faults.is_stuck(2) && !faults.is_stuck(1));
        assert_eq!(faults.slowness(1), Some(Duration::from_millis(7)));
        assert_eq!(faults.slowness(2), None);
        faults.set("stuck-shard", false, None, None).unwrap();
        assert!(!faults.is_stuck(2));
        assert_eq!(faults.active().len(), 1);
    }
}
