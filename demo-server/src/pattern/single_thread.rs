//! Pattern 1: one thread listens, accepts, reads, works and writes.
//!
//! ```text
//!  kernel                         process
//!  accept queue ──accept──►┐
//!  receive queues ──read──►│ srv-0: one epoll set, one thing at a time
//!  send queues ◄──write────┘
//! ```
//!
//! The thread can do only one thing at a time. While it works on a request it does not accept, so the accept queue
//! grows by arrival rate × working time and drains afterwards: the length of that queue *is* the load of the
//! thread. One connection is accepted for each time the listener is reported ready, as nginx does without
//! `multi_accept`, so that accepting and serving take turns and the wait stays where it can be seen, in the kernel.

use std::io;

use super::Pattern;
use crate::event_loop::{EventLoop, Ready, Trigger};
use crate::listener::Listener;
use crate::stage::{Mailbox, Member, Role, Stage};

pub(super) const PATTERN: Pattern = Pattern {
    id: "single-thread",
    number: Some(1),
    title: "Single thread",
    line: "one thread listens, accepts, reads, works and writes",
    real_users: "Redis (classic), Node.js (one process), each worker of nginx on the inside",
    when: "requests are short and never block, or one core is all there is; no locks, no hand-overs",
    cost: "one slow request stops everything: accepting, reading and answering all wait for it; one core at most",
    watch: "one tid owns every accept and every read; the accept queue is a sawtooth of rate x working time",
    shards: false,
    sound: true,
    process: None,
    run,
};

static SERVER: Role = Role { name: "server", prefix: "srv", duties: &["accept", "read", "work", "write"] };

fn run(stage: &Stage) -> io::Result<()> {
    let listener = stage.listener()?;
    let inherited = stage.mailboxes(1)?;
    stage.crew(|crew| {
        for mailbox in &inherited {
            crew.spawn(&SERVER, 0, move |member| event_loop(member, listener, mailbox, Trigger::Level))?;
        }
        Ok(())
    })
}

/// The event loop. The mailbox brings the connections that an earlier pattern has left open.
pub(super) fn event_loop(
    member: &Member<'_>,
    listener: &Listener,
    mailbox: &Mailbox<'_>,
    trigger: Trigger,
) -> io::Result<()> {
    let mut sockets = EventLoop::new(member)?;
    sockets.watch_listener(listener, trigger)?;
    sockets.watch_mailbox(mailbox)?;
    let mut ready = Vec::new();
    while sockets.wait(&mut ready)? {
        for event in ready.drain(..) {
            match event {
                Ready::Listener => {
                    if let Some(connection) = listener.accept(member)? {
                        sockets.take_turns()?;
                        sockets.adopt(connection);
                    }
                }
                Ready::Mailbox => mailbox.take().into_iter().for_each(|connection| sockets.adopt(connection)),
                Ready::Connection(token) => sockets.serve(token),
                Ready::Arrivals => {}
            }
        }
    }
    Ok(())
}
