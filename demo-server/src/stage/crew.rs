//! The threads of a pattern: started under their names, counted until all of them serve, waited for at the end.

use std::ffi::CString;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::thread::{self, Scope};

use super::member::{Desk, Seat};
use super::{Failure, Member, Stage, lock};
use crate::wake::Wake;

/// What a kind of thread is called and what it does.
#[derive(Debug, PartialEq, Eq)]
pub struct Role {
    /// The word for it, as `reader`.
    pub name: &'static str,
    /// How its threads are named: `rd` makes `rd-0`, `rd-1`.
    pub prefix: &'static str,
    /// The steps of a connection's way that it does, out of accept, read, work and write.
    pub duties: &'static [&'static str],
}

/// The crew while it is being assembled.
#[derive(Clone, Copy, Debug)]
pub struct Crew<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    stage: &'env Stage,
}

impl Stage {
    /// Lets `assemble` start the threads of the pattern, and returns when all of them have left.
    ///
    /// The threads may borrow what was made before: mailboxes, queues, the stage itself. An error of one of them,
    /// or of `assemble`, ends all.
    pub fn crew<'env>(
        &'env self,
        assemble: impl for<'scope> FnOnce(&Crew<'scope, 'env>) -> io::Result<()>,
    ) -> io::Result<()> {
        thread::scope(|scope| match assemble(&Crew { scope, stage: self }) {
            Ok(()) => self.await_places(),
            Err(error) => self.fail(error.into()),
        });
        self.outcome()
    }

    /// Lets the calling thread be the only one, under the name that it would have in a crew.
    pub fn solo<'env>(
        &'env self,
        role: &'static Role,
        index: u32,
        body: impl FnOnce(&Member<'env>) -> io::Result<()>,
    ) -> io::Result<()> {
        let name = format!("{}-{index}", role.prefix);
        name_thread(&name);
        let seat = Arc::new(Seat::new(name, role, Arc::new(Wake::new()?)).alone());
        lock(&self.seats).push(Arc::clone(&seat));
        self.take_part(&seat, index, body);
        self.outcome()
    }

    /// Gives the calling thread, which somebody else has started, a name and a place as number `index` of a kind.
    pub(crate) fn enrol(&self, role: &'static Role, index: usize, wake: &Arc<Wake>) -> Rc<Desk> {
        let name = format!("{}-{index}", role.prefix);
        name_thread(&name);
        let seat = Arc::new(Seat::new(name, role, Arc::clone(wake)));
        seat.tid.store(rustix::thread::gettid().as_raw_nonzero().get(), Ordering::SeqCst);
        lock(&self.seats).push(Arc::clone(&seat));
        let desk = Rc::new(Desk::new(seat, u32::try_from(index).unwrap_or(u32::MAX)));
        Member::at(self, &desk).take_place();
        desk
    }

    /// Takes the place away again.
    pub(crate) fn leave(&self, desk: &Desk) {
        self.dismiss(&desk.seat);
    }

    /// Waits until so many have a place, and says that the run is complete.
    pub(crate) fn await_enrolled(&self, count: usize) {
        let mut progress = self.progress();
        while lock(&self.seats).len() < count {
            progress = self.bell.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        progress.complete = true;
        self.bell.notify_all();
    }

    fn outcome(&self) -> io::Result<()> {
        match &self.progress().failure {
            Some(failure) => Err(failure.clone().into()),
            None => Ok(()),
        }
    }

    /// Plays a part on the calling thread, from taking the seat to leaving it.
    fn take_part<'env>(
        &'env self,
        seat: &Arc<Seat>,
        index: u32,
        body: impl FnOnce(&Member<'env>) -> io::Result<()>,
    ) {
        seat.tid.store(rustix::thread::gettid().as_raw_nonzero().get(), Ordering::SeqCst);
        let member = Member::new(self, Arc::clone(seat), index);
        // A thread that dies takes nobody with it: the others go on, as in any server with a pool.
        match panic::catch_unwind(AssertUnwindSafe(|| body(&member))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.fail(Failure::of(&seat.name, &error)),
            Err(_) => member.complain("the thread has panicked and is gone"),
        }
        member.take_place();
        self.dismiss(seat);
    }

    /// How many threads there are.
    pub fn crew_size(&self) -> usize {
        lock(&self.seats).len()
    }

    /// The lowest number that no thread of a kind has.
    pub fn free_number(&self, role: &Role) -> usize {
        let seats = lock(&self.seats);
        let taken =
            |number: &usize| seats.iter().any(|seat| seat.name == format!("{}-{number}", role.prefix));
        (0..seats.len()).find(|number| !taken(number)).unwrap_or(seats.len())
    }

    /// Forgets a thread that has left, and tells who waits for that.
    fn dismiss(&self, seat: &Arc<Seat>) {
        lock(&self.seats).retain(|other| !Arc::ptr_eq(other, seat));
        drop(self.progress());
        self.bell.notify_all();
    }

    /// Waits until every thread serves, or one has failed to: only then is a switch done, or undone.
    fn await_places(&self) {
        let mut progress = self.progress();
        while !lock(&self.seats).iter().all(|seat| seat.is_in_place()) {
            progress = self.bell.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        progress.complete = progress.failure.is_none();
        self.bell.notify_all();
    }
}

impl<'scope, 'env> Crew<'scope, 'env> {
    /// Starts thread number `index` of a kind. It carries its name before it does anything.
    pub fn spawn(
        &self,
        role: &'static Role,
        index: usize,
        body: impl FnOnce(&Member<'env>) -> io::Result<()> + Send + 'scope,
    ) -> io::Result<()> {
        let stage = self.stage;
        let name = format!("{}-{index}", role.prefix);
        let seat = Arc::new(Seat::new(name.clone(), role, Arc::new(Wake::new()?)));
        lock(&stage.seats).push(Arc::clone(&seat));
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let own = Arc::clone(&seat);
        let started = thread::Builder::new()
            .name(name)
            .spawn_scoped(self.scope, move || stage.take_part(&seat, index, body));
        started.map(|_| ()).inspect_err(|_| stage.dismiss(&own))
    }
}

/// Names the calling thread. The kernel cuts a name to 15 bytes, and the prefixes of roles are short.
fn name_thread(name: &str) {
    // Without the name, which has no zero byte, the thread would do the same.
    if let Ok(name) = CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
}
