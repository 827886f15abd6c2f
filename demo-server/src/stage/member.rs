//! A thread of a pattern: its name, its number, and how it is reached while it sleeps.

use std::cell::{RefCell, RefMut};
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use super::{Role, Stage};
use crate::fault::Fault;
use crate::wake::Wake;

/// What others know of a thread.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) name: String,
    pub(super) role: &'static Role,
    /// Wakes the thread when it sleeps beside sockets.
    pub(super) wake: Arc<Wake>,
    /// The kernel's thread id; 0 until the thread runs.
    pub(super) tid: AtomicI32,
    /// Set once the thread has what it needs and begins to serve, or has ended before.
    in_place: AtomicBool,
    /// Set while the thread is in, or about to enter, a call that only a signal can end.
    blocking: AtomicBool,
    /// The last epoch of the stage that the thread has looked at before it blocked.
    seen: AtomicU64,
    /// Nobody else is waited for before the run is complete.
    alone: bool,
}

impl Seat {
    pub(super) fn new(name: String, role: &'static Role, wake: Arc<Wake>) -> Self {
        Self {
            name,
            role,
            wake,
            tid: AtomicI32::new(0),
            in_place: AtomicBool::new(false),
            blocking: AtomicBool::new(false),
            seen: AtomicU64::new(0),
            alone: false,
        }
    }

    pub(super) fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    pub(super) fn tid(&self) -> i32 {
        self.tid.load(Ordering::SeqCst)
    }

    pub(super) fn is_in_place(&self) -> bool {
        self.in_place.load(Ordering::SeqCst)
    }

    /// Whether the thread may be blocked without knowing of `epoch`.
    pub(super) fn sleeps_since_before(&self, epoch: u64) -> bool {
        self.blocking.load(Ordering::SeqCst) && self.seen.load(Ordering::SeqCst) < epoch
    }
}

/// The size of one read(2).
const READ_SIZE: usize = 16 * 1024;

/// The calling thread, as a member of the crew.
#[derive(Debug)]
pub struct Member<'a> {
    stage: &'a Stage,
    desk: Rc<Desk>,
}

/// What a thread has of its own, whatever it does next.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(super) seat: Arc<Seat>,
    index: u32,
    label: String,
    /// One buffer for all reads of the thread, so that none has to be cleared first.
    buffer: RefCell<Box<[u8]>>,
}

impl Desk {
    pub(super) fn new(seat: Arc<Seat>, index: u32) -> Self {
        let label = format!("{}/{}", seat.name, seat.tid());
        Self { seat, index, label, buffer: RefCell::new(vec![0; READ_SIZE].into_boxed_slice()) }
    }
}

impl<'a> Member<'a> {
    pub(super) fn new(stage: &'a Stage, seat: Arc<Seat>, index: u32) -> Self {
        Self::at(stage, &Rc::new(Desk::new(seat, index)))
    }

    /// The calling thread, which has this desk.
    pub(crate) fn at(stage: &'a Stage, desk: &Rc<Desk>) -> Self {
        Self { stage, desk: Rc::clone(desk) }
    }

    /// The run it takes part in.
    pub fn stage(&self) -> &'a Stage {
        self.stage
    }

    /// Its number among the threads of its kind.
    pub fn index(&self) -> u32 {
        self.desk.index
    }

    /// The kernel's thread id.
    pub fn tid(&self) -> i32 {
        self.desk.seat.tid()
    }

    /// Its name, as `rd-1`.
    pub fn name(&self) -> &str {
        &self.desk.seat.name
    }

    /// Name and tid, as `rd-1/4127`.
    pub fn label(&self) -> &str {
        &self.desk.label
    }

    pub(crate) fn read_buffer(&self) -> RefMut<'_, Box<[u8]>> {
        self.desk.buffer.borrow_mut()
    }

    /// Whether it is one of those that do the work, of which a pattern has several; faults concern only these, so
    /// that a lone acceptor goes on and shows where the connections pile up.
    fn works(&self) -> bool {
        self.desk.seat.role.duties.contains(&"work")
    }

    /// Whether a fault that concerns every thread is on.
    pub fn fault(&self, fault: Fault) -> bool {
        self.stage.service.board.faults.on(fault)
    }

    /// Where every thread looks up between two pieces of work: it stays here while a fault holds it, and learns
    /// whether to go on. The first time says that the thread has what it needs to serve.
    pub fn goes_on(&self) -> bool {
        self.take_place();
        let faults = &self.stage.service.board.faults;
        let stuck = || self.works() && faults.is_stuck(self.desk.index);
        while !self.stage.stopping() {
            if stuck() {
                self.wait_while(stuck);
            } else if self.works() && faults.stall_left().is_some() {
                // Looked up anew after every ring: a stall can be made shorter, or be switched off.
                self.rest(|| faults.stall_left());
            } else {
                return true;
            }
        }
        false
    }

    /// Says that the thread, or the process in its place, has what it needs to serve.
    pub(crate) fn take_place(&self) {
        if !self.desk.seat.is_in_place() {
            self.desk.seat.in_place.store(true, Ordering::SeqCst);
            let mut progress = self.stage.progress();
            progress.complete |= self.desk.seat.alone && progress.failure.is_none();
            drop(progress);
            self.stage.bell.notify_all();
        }
    }

    /// Says that process `pid` does what the thread was to do, and that whoever rings waits until it has looked.
    pub(crate) fn stands_for(&self, pid: i32) {
        self.desk.seat.tid.store(pid, Ordering::SeqCst);
        self.desk.seat.seen.store(self.epoch(), Ordering::SeqCst);
        self.desk.seat.blocking.store(true, Ordering::SeqCst);
    }

    /// Says that the process is gone, and that nobody is to wait for it.
    pub(crate) fn stands_for_nobody(&self) {
        self.desk.seat.seen.store(u64::MAX, Ordering::SeqCst);
        self.desk.seat.tid.store(0, Ordering::SeqCst);
    }

    /// Whether the thread, or the process in its place, has begun to serve.
    pub(crate) fn is_serving(&self) -> bool {
        self.desk.seat.is_in_place()
    }

    /// Which change was the last.
    pub(crate) fn epoch(&self) -> u64 {
        self.stage.epoch.load(Ordering::SeqCst)
    }

    /// The process has looked at every change up to `epoch`.
    pub(crate) fn has_looked(&self, epoch: u64) {
        self.desk.seat.seen.fetch_max(epoch, Ordering::SeqCst);
    }

    /// Sleeps on the bell while `condition` holds and the stage runs.
    pub fn wait_while(&self, condition: impl Fn() -> bool) {
        let mut progress = self.stage.progress();
        while condition() && !self.stage.stopping() {
            progress = self.stage.bell.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Sleeps as long as `left` says that something is left to sleep, and the stage runs.
    pub fn rest(&self, left: impl Fn() -> Option<Duration>) {
        let mut progress = self.stage.progress();
        while let Some(left) = left().filter(|_| !self.stage.stopping()) {
            progress = self.stage.bell.wait_timeout(progress, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Makes a blocking call that a change on the stage ends with `EINTR`; None when `go` says not to make it.
    ///
    /// The order matters: the thread declares that it will block before it notes the epoch, and notes the epoch
    /// before it looks at what `go` looks at. Whoever changes something rings afterwards; so either `go` sees the
    /// change, or [`Stage::ring`] sees a thread that sleeps and does not know.
    pub fn interruptible<T>(&self, go: impl Fn() -> bool, call: impl FnOnce() -> T) -> Option<T> {
        self.desk.seat.blocking.store(true, Ordering::SeqCst);
        self.desk.seat.seen.store(self.stage.epoch.load(Ordering::SeqCst), Ordering::SeqCst);
        let result = (!self.stage.stopping() && go()).then(call);
        self.desk.seat.blocking.store(false, Ordering::SeqCst);
        result
    }

    /// Waits until `socket` is ready or somebody rings; true when it is ready.
    pub fn wait_ready(&self, socket: BorrowedFd<'_>, events: PollFlags) -> bool {
        let mut fds =
            [PollFd::from_borrowed_fd(socket, events), PollFd::new(&self.desk.seat.wake, PollFlags::IN)];
        // An error here can only be EINTR or want of memory; the caller tries its call again in either case.
        let _ = poll(&mut fds, None);
        let ready = !fds[0].revents().is_empty();
        self.desk.seat.wake.quiet();
        ready
    }

    /// The descriptor that becomes readable when somebody rings.
    pub fn wake(&self) -> &Wake {
        &self.desk.seat.wake
    }

    /// Says on standard error what went wrong on this thread, unless the same was said often enough in this run.
    pub fn complain(&self, what: &str) {
        self.stage.complain(&self.desk.label, what);
    }
}
