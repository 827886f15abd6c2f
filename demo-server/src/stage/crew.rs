//! The threads of a pattern: started under their names, counted until all of them serve, waited for at the end.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::thread::{self, Scope};

use super::member::Seat;
use super::{Member, Stage, lock};
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
            Err(error) => self.fail(error.to_string()),
        });
        match &self.progress().failure {
            Some(failure) => Err(io::Error::other(failure.clone())),
            None => Ok(()),
        }
    }

    /// How many threads there are.
    pub fn crew_size(&self) -> usize {
        lock(&self.seats).len()
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
        let seat = Arc::new(Seat::new(name.clone(), role, Wake::new()?));
        lock(&stage.seats).push(Arc::clone(&seat));
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let thread = thread::Builder::new().name(name.clone());
        let own = Arc::clone(&seat);
        let started = thread.spawn_scoped(self.scope, move || {
            seat.tid.store(rustix::thread::gettid().as_raw_nonzero().get(), Ordering::SeqCst);
            let member = Member::new(stage, Arc::clone(&seat), index);
            // A thread that dies takes nobody with it: the others go on, as in any server with a pool.
            match panic::catch_unwind(AssertUnwindSafe(|| body(&member))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => stage.fail(format!("{name}: {error}")),
                Err(_) => member.complain("the thread has panicked and is gone; a switch starts it anew"),
            }
            member.take_place();
            stage.dismiss(&seat);
        });
        started.map(|_| ()).inspect_err(|_| stage.dismiss(&own))
    }
}
