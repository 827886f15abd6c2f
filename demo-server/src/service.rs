//! The one service that every pattern runs: what its threads share, and the work done for a request.

use std::hint::black_box;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::board::SharedBoard;
use crate::fault::Fault;
use crate::journal::Journal;

/// What all threads share, whatever the pattern; it outlives every switch.
#[derive(Debug)]
pub struct Service {
    /// Settings, faults and counters, which all processes share too.
    pub board: SharedBoard,
    /// Where ended connections are written, if anywhere.
    pub journal: Option<Journal>,
    /// This program: what is started where a pattern serves with processes.
    pub program: PathBuf,
    /// Sockets that a fault keeps from being closed.
    pub(crate) leaked: Mutex<Vec<OwnedFd>>,
    /// The number of the worker, where the process is one.
    worker: Option<u32>,
}

/// Connections leaked at most, so that descriptors are left to mend the fault with.
const MOST_LEAKED: usize = 4096;

impl Service {
    /// Puts one together, with nothing leaked yet.
    #[must_use]
    pub fn new(board: SharedBoard, journal: Option<Journal>, program: PathBuf) -> Self {
        Self { board, journal, program, leaked: Mutex::default(), worker: None }
    }

    /// The same in the process of worker number `index`.
    #[must_use]
    pub fn of_worker(self, index: u32) -> Self {
        Self { worker: Some(index), ..self }
    }

    /// Notes that this process holds one connection more.
    pub(crate) fn hold(&self) {
        if let Some(index) = self.worker {
            self.board.held(index).fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Notes that this process holds so many connections less.
    pub(crate) fn release(&self, count: u64) {
        if let Some(index) = self.worker {
            self.board.held(index).fetch_sub(count, Ordering::SeqCst);
        }
    }

    /// Counts connections that have been closed.
    pub(crate) fn count_closed(&self, count: u64) {
        self.board.counters.closed.fetch_add(count, Ordering::SeqCst);
        self.release(count);
    }

    /// Keeps a socket open that its connection is about to close, if the fault says so; true if it is kept.
    pub(crate) fn leak(&self, socket: impl AsFd) -> bool {
        if !self.board.faults.on(Fault::Leak) || self.board.ending.load(Ordering::Relaxed) {
            return false;
        }
        // The file, and not only the descriptor: the socket is closed with the last of them.
        socket.as_fd().try_clone_to_owned().is_ok_and(|socket| self.keep(socket))
    }

    /// Keeps a leaked socket, unless there are too many.
    pub(crate) fn keep(&self, socket: OwnedFd) -> bool {
        let mut leaked = self.leaked.lock().unwrap_or_else(PoisonError::into_inner);
        let room = leaked.len() < MOST_LEAKED;
        if room {
            leaked.push(socket);
        }
        room
    }

    /// Takes the leaked sockets, still open.
    pub(crate) fn take_leaked(&self) -> Vec<OwnedFd> {
        std::mem::take(&mut *self.leaked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Closes what was leaked.
    pub(crate) fn close_leaked(&self) {
        self.count_closed(self.take_leaked().len() as u64);
    }

    /// Does the work of one request on the calling thread, which is number `index` of its kind.
    pub fn work(&self, index: u32) {
        self.compute(index);
        let pause = self.pause(index);
        if !pause.is_zero() {
            thread::sleep(pause);
        }
    }

    /// How long the thread sleeps for each request.
    pub fn pause(&self, index: u32) -> Duration {
        Duration::from_micros(self.board.live.sleep_us())
            + self.board.faults.slowness(index).unwrap_or_default()
    }

    /// The part of the work that needs the processor.
    pub fn compute(&self, index: u32) {
        if self.board.faults.take_panic(index) {
            // Without the hook's message: the crew reports every thread that dies.
            std::panic::resume_unwind(Box::new("the fault worker-panic"));
        }
        burn(Duration::from_micros(self.board.live.work_us()));
    }
}

/// Keeps the processor busy until the calling thread has consumed `time` of it.
///
/// The thread's own processor clock and not the wall clock: with more threads than processors, a loop that watched
/// the wall would do less work the more threads compete, and every pattern would look as if it scaled.
fn burn(time: Duration) {
    if time.is_zero() {
        return;
    }
    let start = processor_time();
    let mut value = 0_u64;
    while processor_time().saturating_sub(start) < time {
        for _ in 0..200 {
            value = black_box(value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
}

fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Totals since the server started.
#[derive(Debug, Default)]
pub struct Counters {
    /// See [`Totals::accepted`].
    pub accepted: AtomicU64,
    /// See [`Totals::closed`].
    pub closed: AtomicU64,
    /// See [`Totals::requests`].
    pub requests: AtomicU64,
    /// See [`Totals::bytes_read`].
    pub bytes_read: AtomicU64,
    /// See [`Totals::bytes_written`].
    pub bytes_written: AtomicU64,
    /// See [`Totals::restarts`].
    pub restarts: AtomicU64,
}

/// [`Counters`] at one moment, as the control protocol shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Connections taken from an accept queue.
    pub accepted: u64,
    /// Connections closed again.
    pub closed: u64,
    /// Requests answered.
    pub requests: u64,
    /// Bytes that read(2) returned.
    pub bytes_read: u64,
    /// Bytes that write(2) took.
    pub bytes_written: u64,
    /// Connections accepted and not yet closed.
    pub open: u64,
    /// Worker processes started in place of one that had died; absent in states of before there was the figure.
    #[serde(default)]
    pub restarts: u64,
}

impl Counters {
    /// Reads all of them. They are read one after the other, so under load they may disagree by what happened
    /// meanwhile; at rest they are exact.
    pub fn totals(&self) -> Totals {
        // Closed before accepted, so that the difference can never be negative.
        let closed = self.closed.load(Ordering::SeqCst);
        let accepted = self.accepted.load(Ordering::SeqCst);
        Totals {
            accepted,
            closed,
            requests: self.requests.load(Ordering::SeqCst),
            bytes_read: self.bytes_read.load(Ordering::SeqCst),
            bytes_written: self.bytes_written.load(Ordering::SeqCst),
            open: accepted.saturating_sub(closed),
            restarts: self.restarts.load(Ordering::SeqCst),
        }
    }
}

/// Adds to a counter.
pub fn add(counter: &AtomicU64, amount: usize) {
    counter.fetch_add(amount as u64, Ordering::Relaxed);
}
