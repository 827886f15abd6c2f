//! Tasks instead of threads: a task for each connection, on N threads that steal work from each other.
//!
//! ```text
//!  kernel                            process
//!  accept queue ──► one epoll set ──► task: accept ──spawn──► task per connection: read, work, write
//!  receive queues ─►     │            ────────────────────────────────────────────────────────────
//!                        └─ minded by whichever thread idles   rt-0   rt-1   rt-2, each with a queue of tasks
//! ```
//!
//! The runtime has one epoll set for everything, edge-triggered, and no thread of its own for it: a thread that finds
//! no task waits in epoll_wait, and what it learns wakes tasks that any thread may run. So the thread that accepts
//! changes, and so may the thread that reads, even within one connection: balance is by readiness, and no connection
//! is stuck behind another one's computation as long as a thread is free.
//!
//! What blocks a thread blocks its tasks: the work that needs the processor runs here on the thread of the task, as it
//! does in most programs. Sleeping does not: it is a timer, and the thread goes on with another task.
//!
//! The sockets are this program's own, so that every pattern makes the same calls; only their readiness is the
//! runtime's.

#![expect(unsafe_code, reason = "the runtime's function that watches a descriptor is unsafe")]

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::unix::AsyncFd;
use tokio::io::{self as tokio_io};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Pattern;
use crate::connection::{Connection, Interest, Turn};
use crate::fault::Fault;
use crate::listener::Listener;
use crate::stage::{Desk, Member, Role, Stage};
use crate::wake::Wake;

pub(super) const PATTERN: Pattern = Pattern {
    id: "tokio-multi-thread",
    number: None,
    title: "Tokio, multi-threaded",
    line: "a task for each connection on N threads that steal work; one epoll set for all of them",
    real_users: "axum, hyper, tonic and most servers in Rust; Go's runtime works alike",
    when: "many connections that mostly wait, and handlers that wait for others: a wait costs no thread",
    cost: "a handler that computes or blocks holds up the tasks of its thread; caches follow tasks from core to core",
    watch: "accepts wander over the tids; a connection may have several readers; the queue that grows is of tasks, unseen",
    shards: false,
    sound: true,
    process: None,
    run,
};

static THREAD: Role = Role { name: "server", prefix: "rt", duties: &["accept", "read", "work", "write"] };

thread_local! {
    static DESK: RefCell<Option<Rc<Desk>>> = const { RefCell::new(None) };
}

/// Says that threads are to look at settings and faults.
type Bell = watch::Receiver<()>;

/// What the runtime watches.
struct Watched<T>(T);

impl<T: AsFd> AsRawFd for Watched<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Lets the runtime watch it.
fn watch<T: AsFd>(inner: T) -> io::Result<AsyncFd<Watched<T>>> {
    // SAFETY: what is watched owns its descriptor, which is therefore open until the runtime gives it back, and stays
    // the same: nothing here replaces the socket in a connection, a listener or a wake.
    Ok(unsafe { AsyncFd::register(Watched(inner)) }?)
}

fn run(stage: &Stage) -> io::Result<()> {
    let stage = stage.own()?;
    crate::signals::allow_interruption();
    let wake = Arc::new(Wake::new()?);
    let listener =
        stage.listeners().first().cloned().ok_or_else(|| io::Error::other("there is no listener"))?;
    listener.set_nonblocking(true)?;
    let runtime = runtime(&stage, &wake)?;
    stage.await_enrolled(stage.workers());
    runtime.block_on(async {
        let (ring, bell) = watch::channel(());
        let wake = watch(wake)?;
        let accepting = tokio::spawn(accept(Arc::clone(&stage), listener, bell));
        tokio::pin!(accepting);
        loop {
            tokio::select! {
                ended = &mut accepting => return ended.map_err(io::Error::other)?,
                rung = wake.readable() => {
                    rung?.clear_ready();
                    wake.get_ref().0.quiet();
                    ring.send_replace(());
                }
            }
        }
    })
}

/// The runtime, whose threads take their places as they start.
fn runtime(stage: &Arc<Stage>, wake: &Arc<Wake>) -> io::Result<Runtime> {
    let next = AtomicUsize::new(0);
    let (arriving, leaving, wake) = (Arc::clone(stage), Arc::clone(stage), Arc::clone(wake));
    Builder::new_multi_thread()
        .worker_threads(stage.workers())
        .enable_io()
        .enable_time()
        .on_thread_start(move || {
            let index = next.fetch_add(1, Ordering::SeqCst);
            DESK.set(Some(arriving.enrol(&THREAD, index, &wake)));
        })
        .on_thread_stop(move || {
            if let Some(desk) = DESK.take() {
                leaving.leave(&desk);
            }
        })
        .build()
}

/// Runs `part` as the thread that the task happens to be on; an error on a thread that is none of the runtime's.
fn here<T>(stage: &Stage, part: impl FnOnce(&Member<'_>) -> T) -> io::Result<T> {
    let desk = DESK.with_borrow(Clone::clone);
    let desk = desk.ok_or_else(|| io::Error::other("a task runs on a thread that is not the runtime's"))?;
    Ok(part(&Member::at(stage, &desk)))
}

/// The task that accepts, until the stage stops; then it waits for the others.
async fn accept(stage: Arc<Stage>, listener: Arc<Listener>, mut bell: Bell) -> io::Result<()> {
    let socket = watch(Arc::clone(&listener))?;
    let mut tasks = JoinSet::new();
    for connection in stage.deal(1).into_iter().flatten() {
        tasks.spawn(serve(Arc::clone(&stage), connection, bell.clone()));
    }
    while here(&stage, |member| member.goes_on())? {
        let paused = || stage.service().board.faults.on(Fault::PauseAccept);
        // Interruptible although it does not block: whoever sets a fault then waits for a call under way.
        let taken = here(&stage, |member| member.interruptible(|| !paused(), || listener.accept(member)))?;
        if let Some(connection) = taken.transpose()?.flatten() {
            tasks.spawn(serve(Arc::clone(&stage), connection, bell.clone()));
            // As any loop of tasks should: the others are served in between.
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! {
            ready = socket.readable(), if !paused() => ready?.clear_ready(),
            _ = bell.changed() => {}
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => complain(&stage, &ended),
        }
    }
    while let Some(ended) = tasks.join_next().await {
        complain(&stage, &ended);
    }
    Ok(())
}

/// The runtime catches the panic of a task: the connection is gone, the thread is not.
fn complain(stage: &Stage, ended: &Result<io::Result<()>, tokio::task::JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => stage.complain(PATTERN.id, &format!("a connection is closed unserved: {error}")),
        // Its number and its words may be others each time.
        Err(_) => stage.complain(PATTERN.id, "a task has panicked, its thread goes on"),
    }
}

/// The task of one connection, until it ends, or until the stage stops; then the next pattern gets it.
async fn serve(stage: Arc<Stage>, mut connection: Connection, mut bell: Bell) -> io::Result<()> {
    connection.set_nonblocking(true)?;
    let faults = &stage.service().board.faults;
    let mut socket = watch(connection)?;
    while here(&stage, |member| member.goes_on())? {
        let held = faults.on(Fault::NoRead);
        let unread = faults.on(Fault::CloseUnread);
        if held || unread {
            tokio::select! {
                ready = socket.readable(), if unread && !held => {
                    ready?.retain_ready();
                    if faults.on(Fault::CloseUnread) {
                        return Ok(());
                    }
                }
                _ = bell.changed() => {}
            }
            continue;
        }
        let connection = &mut socket.get_mut().0;
        let before = connection.bytes_read();
        let go = || !faults.on(Fault::NoRead) && !faults.on(Fault::CloseUnread);
        let turn = here(&stage, |member| member.interruptible(go, || connection.advance(member, &mut true)))?;
        match turn {
            None => {}
            Some(Turn::Close) => return Ok(()),
            Some(Turn::Answer(request)) => {
                let pause = here(&stage, |member| {
                    stage.service().compute(member.index());
                    stage.service().pause(member.index())
                })?;
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                here(&stage, |member| socket.get_mut().0.compose(member, &request))?;
            }
            // An edge is reported once: only what was read to EAGAIN may be waited for.
            Some(Turn::Wait(Interest::Read)) if connection.bytes_read() > before => {}
            Some(Turn::Wait(interest)) => {
                let wanted = match interest {
                    Interest::Read => tokio_io::Interest::READABLE,
                    Interest::Write => tokio_io::Interest::WRITABLE,
                };
                tokio::select! {
                    // Cleared before the next attempt, so that what arrives meanwhile is not forgotten.
                    ready = socket.ready(wanted) => ready?.clear_ready(),
                    _ = bell.changed() => {}
                }
            }
        }
    }
    stage.hand_back(socket.into_inner().0);
    Ok(())
}
