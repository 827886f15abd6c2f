//! io_uring moves the accept queue to where nobody looks.

use anyhow::Result;

use super::{Lab, second_queue::Busy};
use crate::{
    arena::traffic::Asked,
    trial::{
        CannotRun, Trial,
        figure::{CALLS, OBSERVER, SOCKETS},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "hidden-queue",
    title: "a server with io_uring's multishot accept is overloaded, and its accept queue is empty",
    question: "A server with one thread is busy with one request for ten seconds; 30 more clients connect and ask \
               meanwhile. How many are in the accept queue, if the thread accepts with accept(2), and if a multishot \
               accept of io_uring is armed?",
    setup: "demo-server runs one request that burns processor time, first under `single-thread`, then under \
            `uring-accept`. 30 clients connect and send their requests, and nobody has time for them.",
    why: "A multishot accept is armed once and completes for each arrival. The arrival interrupts the busy thread, and \
          io_accept() (io_uring/net.c) takes the connection out of the accept queue as task work on its way back \
          to user space, without any call of the program. So the queue that ss and nstat show stays empty and its limit \
          protects nobody: the wait has moved to the completion queue, and the data lie unread. A ring with \
          IORING_SETUP_DEFER_TASKRUN accepts only when the program asks for completions.",
    next: "Bound what you accept yourself, or use DEFER_TASKRUN. Watch unread connections rather than the accept queue; \
           `second-queue` shows the same with plain threads.",
    needs: &["listener", "queue_depth", "enqueue", "accept", "data_queued", "read"],
    run,
};

const CLIENTS: u64 = 30;

fn run(trial: &mut Trial<'_>) -> Result<()> {
    busy(trial, "single-thread", CLIENTS, 1, 0)?;
    busy(trial, "uring-accept", 0, CLIENTS + 1, CLIENTS).map_err(|error| {
        // The backend says why, and what to do.
        let text = format!("{error:#}");
        if text.contains("io_uring cannot be used") { CannotRun(text).into() } else { error }
    })
}

fn busy(trial: &mut Trial<'_>, pattern: &str, queued: u64, accepted: u64, unread: u64) -> Result<()> {
    let busy = Busy::burning(trial, pattern)?;
    let waiting = (0..CLIENTS).map(|_| Asked::new(busy.address())).collect::<Result<Vec<_>>>()?;
    busy.wait_for(trial, queued, unread)?;
    let what = |text: &str| format!("{pattern}: {text}");
    trial.exactly(what("answers so far"), 0, busy.answers(&waiting), CALLS);
    trial.exactly(what("in the accept queue"), queued, trial.arena.sockets()?.queued(busy.port()), SOCKETS);
    let ours = trial.listener(busy.port())?;
    trial.exactly(what("in the accept queue"), queued, u64::from(ours.accept_queue), OBSERVER);
    trial.exactly(what("accepted"), accepted, ours.accepted, OBSERVER);
    trial.exactly(what("accepted, with data that nobody has read"), unread, ours.unread, OBSERVER);
    Ok(())
}
