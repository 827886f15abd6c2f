//! Pattern 3: one thread accepts, reads and parses; parsed requests go to workers, which answer.
//!
//! ```text
//!  kernel                      process
//!  accept queue ──accept──►┐           bounded queue
//!  receive queues ──read──►│ acc-0 ──request, request, request──► wk-0: work, write
//!                          └─◄───────── connection back ─────────  wk-1: work, write
//! ```
//!
//! Balance is by request and not by connection: whichever worker is free takes the next one, so one busy client
//! spreads over all workers, which no other of the five patterns does. A connection travels with its request and
//! comes back when the answer is written, so requests sent in one go are answered in order.
//!
//! When every worker is busy the bounded queue fills and the dispatcher stops; from then on the wait shows in the
//! receive queues of all connections at once, and then in the accept queue.
//!
//! A worker that writes to a client that does not read waits for it. That is the price of letting the worker write;
//! the other way, to hand the answer back, costs a second crossing between threads for every request.

use std::io;

use rustix::event::PollFlags;
use std::os::fd::AsFd as _;

use super::Pattern;
use crate::connection::Connection;
use crate::event_loop::{EventLoop, Ready, Token, Trigger};
use crate::listener::Listener;
use crate::stage::{Mailbox, Member, Message, Queue, Role, Stage};

pub(super) const PATTERN: Pattern = Pattern {
    id: "acceptor-workers",
    number: Some(3),
    title: "Acceptor and workers, by message",
    line: "one thread accepts, reads and parses; N workers take the requests from one queue and answer",
    real_users: "RAMCloud (dispatch and workers), many application servers behind a dispatcher thread",
    when: "requests differ much in cost, or few clients send most of them: load is balanced by message",
    cost: "all reads and all parsing on one core; two crossings between threads for every request",
    watch: "one tid accepts and reads everything, others write; when workers are busy all receive queues grow at once",
    shards: false,
    sound: true,
    process: None,
    run,
};

static DISPATCHER: Role = Role { name: "acceptor", prefix: "acc", duties: &["accept", "read"] };
static WORKER: Role = Role { name: "worker", prefix: "wk", duties: &["work", "write"] };

/// Requests that may wait for a worker. Enough that no worker idles between two requests, few enough that a request
/// taken from the kernel is soon answered.
const QUEUE_CAPACITY: usize = 128;

fn run(stage: &Stage) -> io::Result<()> {
    let listener = stage.listener()?;
    let mailboxes = stage.mailboxes(1)?;
    let queue = Queue::new(stage, QUEUE_CAPACITY, stage.workers());
    let (queue, answered) = (&queue, &mailboxes[0]);
    stage.crew(|crew| {
        let workers = (0..stage.workers()).try_for_each(|index| {
            crew.spawn(&WORKER, index, move |member| {
                let _place = queue.place();
                work(member, queue, answered);
                Ok(())
            })
        });
        let all = workers.and_then(|()| {
            crew.spawn(&DISPATCHER, 0, move |member| {
                let result = dispatch(member, listener, answered, queue);
                queue.close();
                result
            })
        });
        if all.is_err() {
            // Nobody else would send home the workers that have started.
            queue.close();
        }
        all
    })
}

fn dispatch(
    member: &Member<'_>,
    listener: &Listener,
    answered: &Mailbox<'_>,
    queue: &Queue<'_>,
) -> io::Result<()> {
    let mut sockets = EventLoop::new(member)?;
    sockets.watch_listener(listener, Trigger::Level)?;
    sockets.watch_mailbox(answered)?;
    let mut ready = Vec::new();
    while sockets.wait(&mut ready)? {
        for event in ready.drain(..) {
            match event {
                Ready::Listener => {
                    if let Some(connection) = listener.accept(member)? {
                        sockets.insert(connection);
                    }
                }
                Ready::Mailbox => {
                    for connection in answered.take() {
                        take_back(&mut sockets, connection, queue);
                    }
                }
                Ready::Connection(token) => pass_on(&mut sockets, token, queue),
                Ready::Arrivals => {}
            }
        }
    }
    Ok(())
}

/// Minds a connection again after its answer; if the client has sent more than one request, passes the next one on.
fn take_back(sockets: &mut EventLoop<'_>, connection: Connection, queue: &Queue<'_>) {
    let unfinished = connection.has_unfinished();
    if let Some(token) = sockets.insert(connection)
        && unfinished
    {
        pass_on(sockets, token, queue);
    }
}

fn pass_on(sockets: &mut EventLoop<'_>, token: Token, queue: &Queue<'_>) {
    if let Some((connection, request)) = sockets.take_request(token) {
        queue.push(Message { connection, request });
    }
}

fn work(member: &Member<'_>, queue: &Queue<'_>, answered: &Mailbox<'_>) {
    while member.goes_on() {
        let Some(Message { mut connection, request }) = queue.pop() else { break };
        // A fault may have come while the worker waited, or the end: then the request goes back as it is.
        if member.goes_on() {
            connection.answer(member, &request);
        }
        while let Ok(false) = connection.flush(member) {
            if member.stage().stopping() {
                break;
            }
            member.wait_ready(connection.as_fd(), PollFlags::OUT);
        }
        // Whether it is to be closed, or has failed, the dispatcher learns when it goes on with it.
        answered.put(connection);
    }
}
