//! One run of a pattern: the stage it plays on, from the first thread's start to the last one's end.
//!
//! A switch ends one stage and begins the next. What must survive it passes from one to the other: the listeners,
//! which belong to the server, and the open connections, which every thread hands back when it leaves.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::fault::Fault;
use crate::listener::Listener;
use crate::pattern::Pattern;
use crate::service::Service;
use crate::signals;

mod crew;
mod failure;
mod mailbox;
mod member;
mod queue;
mod repeats;

pub use crew::{Crew, Role};
pub use failure::Failure;
pub use mailbox::Mailbox;
pub use member::Member;
pub use queue::{Message, Place, Queue};

pub(crate) use member::Desk;
use member::Seat;
use repeats::Repeats;

/// What the threads of one run share.
#[derive(Debug)]
pub struct Stage {
    /// Itself, for what may outlive a borrow.
    own: Weak<Stage>,
    pattern: &'static Pattern,
    service: Arc<Service>,
    listeners: Vec<Arc<Listener>>,
    workers: usize,
    stopping: AtomicBool,
    /// Counts the changes that threads must look at; see [`Stage::ring`].
    epoch: AtomicU64,
    /// Open connections that an earlier run has left.
    inherited: Mutex<VecDeque<Connection>>,
    /// Open connections that this run leaves.
    returned: Mutex<Vec<Connection>>,
    seats: Mutex<Vec<Arc<Seat>>>,
    progress: Mutex<Progress>,
    /// Announces every change of `progress`, and every [`Stage::ring`].
    bell: Condvar,
    repeats: Mutex<Repeats>,
}

/// How far the run has come.
#[derive(Debug, Default)]
pub struct Progress {
    /// Every thread of the pattern serves.
    pub complete: bool,
    /// The run is over; its threads have left.
    pub over: bool,
    /// Why it ended, if not because it was told to.
    pub failure: Option<Failure>,
}

impl Stage {
    /// Prepares a run.
    pub fn new(
        pattern: &'static Pattern,
        service: &Arc<Service>,
        listeners: Vec<Arc<Listener>>,
        workers: u32,
        inherited: Vec<Connection>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            own: Weak::clone(own),
            pattern,
            service: Arc::clone(service),
            listeners,
            workers: workers as usize,
            stopping: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            inherited: Mutex::new(inherited.into()),
            returned: Mutex::new(Vec::new()),
            seats: Mutex::new(Vec::new()),
            progress: Mutex::new(Progress::default()),
            bell: Condvar::new(),
            repeats: Mutex::default(),
        })
    }

    /// The pattern that runs.
    pub fn pattern(&self) -> &'static Pattern {
        self.pattern
    }

    /// The stage for those who cannot borrow it.
    pub(crate) fn own(&self) -> io::Result<Arc<Self>> {
        self.own.upgrade().ok_or_else(|| io::Error::other("the stage is being taken down"))
    }

    /// What outlives the run.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Threads of the kind that the pattern multiplies.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The one listener of a pattern that does not shard.
    pub fn listener(&self) -> io::Result<&Listener> {
        self.listeners().first().map(Arc::as_ref).ok_or_else(|| io::Error::other("there is no listener"))
    }

    /// All listeners.
    pub fn listeners(&self) -> &[Arc<Listener>] {
        &self.listeners
    }

    /// As many mailboxes as asked for, the inherited connections dealt out among them in turn.
    pub fn mailboxes(&self, count: usize) -> io::Result<Vec<Mailbox<'_>>> {
        let mailboxes = (0..count).map(|_| Mailbox::new(self)).collect::<io::Result<Vec<_>>>()?;
        for (hand, mailbox) in self.deal(count).into_iter().zip(&mailboxes) {
            hand.into_iter().for_each(|connection| mailbox.put(connection));
        }
        Ok(mailboxes)
    }

    /// The inherited connections, dealt out in turn.
    pub fn deal(&self, count: usize) -> Vec<Vec<Connection>> {
        let mut hands: Vec<_> = (0..count).map(|_| Vec::new()).collect();
        for (number, connection) in std::mem::take(&mut *lock(&self.inherited)).into_iter().enumerate() {
            if let Some(hand) = hands.get_mut(number % count.max(1)) {
                hand.push(connection);
            }
        }
        hands
    }

    /// One inherited connection, for patterns whose threads take them as they become free.
    pub fn take_inherited(&self) -> Option<Connection> {
        lock(&self.inherited).pop_front()
    }

    /// Leaves an open connection to the next run.
    pub fn hand_back(&self, connection: Connection) {
        lock(&self.returned).push(connection);
    }

    /// Everything that is still open once the run is over.
    pub fn leftovers(&self) -> Vec<Connection> {
        let mut left = std::mem::take(&mut *lock(&self.returned));
        left.extend(lock(&self.inherited).drain(..));
        left
    }

    /// Whether threads are to finish the request in hand and leave.
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Tells all threads to leave.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.ring();
    }

    /// Makes every thread look at `stopping` and the faults, wherever it sleeps: in epoll_wait (its eventfd), on the
    /// bell (the condition variable), or in a blocking call (a signal).
    pub fn ring(&self) {
        let epoch = self.epoch.fetch_add(1, Ordering::SeqCst) + 1;
        drop(self.progress());
        self.bell.notify_all();
        let seats = lock(&self.seats).clone();
        for seat in &seats {
            seat.wake.ring();
        }
        // A signal that arrives just before the call blocks is lost, so it is sent until the thread has looked.
        // Nothing in a blocking call on a socket can hold a signal off; the bound is for what nobody thought of.
        let patience = Instant::now() + Duration::from_secs(2);
        while Instant::now() < patience {
            let mut asleep = false;
            for seat in seats.iter().filter(|seat| seat.sleeps_since_before(epoch)) {
                signals::interrupt(seat.tid());
                asleep = true;
            }
            if !asleep {
                break;
            }
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// Follows what another process has done to faults and listeners, and makes the threads look too.
    pub(crate) fn look(&self) {
        let faults = &self.service.board.faults;
        for listener in &self.listeners {
            listener.note_closed(listener.shard() > 0 && faults.is_shut(listener.shard()));
        }
        if !faults.on(Fault::Leak) {
            self.service.close_leaked();
        }
        self.ring();
    }

    /// The threads as (tid, name, role), in the order in which they were started.
    pub fn threads(&self) -> Vec<(i32, String, &'static Role)> {
        lock(&self.seats).iter().map(|seat| (seat.tid(), seat.name.clone(), seat.role)).collect()
    }

    /// Waits until the pattern's threads run, or the run is over because they could not.
    pub fn wait_until_complete(&self) -> Result<(), Failure> {
        let mut progress = self.progress();
        while !progress.complete && !progress.over {
            progress = self.bell.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        match &progress.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    /// Whether the pattern's threads ever ran.
    pub fn was_complete(&self) -> bool {
        self.progress().complete
    }

    /// Waits until the run is over, at most until `deadline`; false when it is not over by then.
    pub fn wait_until_over(&self, deadline: Option<Instant>) -> bool {
        let mut progress = self.progress();
        while !progress.over {
            progress = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return false,
                Some(left) => {
                    self.bell.wait_timeout(progress, left).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.bell.wait(progress).unwrap_or_else(PoisonError::into_inner),
            };
        }
        true
    }

    /// Runs the pattern on the calling thread, to the end. Returns why it ended if nobody told it to.
    pub fn play(&self) -> Option<Failure> {
        let result = (self.pattern.run)(self);
        let mut progress = self.progress();
        if let Err(error) = result {
            progress.failure.get_or_insert_with(|| error.into());
        } else if !self.stopping() {
            progress
                .failure
                .get_or_insert_with(|| Failure::new("its threads have left without being told to"));
        }
        progress.over = true;
        self.bell.notify_all();
        progress.failure.clone()
    }

    /// Says on standard error what went wrong at `place`, unless the same was said often enough.
    pub(crate) fn complain(&self, place: &str, what: &str) {
        if let Some(what) = lock(&self.repeats).note(what) {
            eprintln!("demo-server: {place}: {what}");
        }
    }

    fn fail(&self, failure: Failure) {
        self.progress().failure.get_or_insert(failure);
        self.stop();
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.progress)
    }
}

/// Locks what holds no invariant across a panic: a thread that died with the lock has at worst not added its part.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
