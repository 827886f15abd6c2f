//! Pattern 2: one thread accepts, several threads read, work and write.
//!
//! ```text
//!  kernel                    process
//!  accept queue ──accept──► acc-0 ──connection──► mailbox 0 ──► rd-0: read, work, write
//!                              └───connection──► mailbox 1 ──► rd-1: read, work, write
//! ```
//!
//! The acceptor does nothing but accept, so the accept queue stays empty even when the readers are overloaded. The
//! wait has moved: to the mailboxes, and to the receive queues of connections that nobody has read yet. Connections
//! are dealt out in turn, as memcached does (`select_thread_round_robin`), and stay with their reader.

use std::io;

use super::Pattern;
use crate::event_loop::{EventLoop, Ready, Trigger};
use crate::listener::Listener;
use crate::stage::{Mailbox, Member, Role, Stage};

pub(super) const PATTERN: Pattern = Pattern {
    id: "acceptor-readers",
    number: Some(2),
    title: "Acceptor and readers",
    line: "one thread accepts and hands each connection to one of N readers in turn",
    real_users: "memcached, Node.js cluster, Netty (boss and workers), Envoy with exact balance",
    when: "connections live long and requests are many: every core reads, and one place decides who gets whom",
    cost: "a wake-up across threads for each connection; balanced connections are not balanced load; \
           at high churn the acceptor is the bottleneck",
    watch: "one tid accepts and never reads; reads are shared evenly; the accept queue is empty while unread grows",
    shards: false,
    sound: true,
    process: None,
    run,
};

static ACCEPTOR: Role = Role { name: "acceptor", prefix: "acc", duties: &["accept"] };
static READER: Role = Role { name: "reader", prefix: "rd", duties: &["read", "work", "write"] };

fn run(stage: &Stage) -> io::Result<()> {
    let listener = stage.listener()?;
    let mailboxes = stage.mailboxes(stage.workers())?;
    stage.crew(|crew| {
        crew.spawn(&ACCEPTOR, 0, |member| accept(member, listener, &mailboxes))?;
        for (index, mailbox) in mailboxes.iter().enumerate() {
            crew.spawn(&READER, index, move |member| read(member, mailbox))?;
        }
        Ok(())
    })
}

fn accept(member: &Member<'_>, listener: &Listener, readers: &[Mailbox<'_>]) -> io::Result<()> {
    let mut sockets = EventLoop::new(member)?;
    sockets.watch_listener(listener, Trigger::Level)?;
    let mut next = readers.iter().cycle();
    let mut ready = Vec::new();
    while sockets.wait(&mut ready)? {
        // Only the listener is in the set, so whatever is ready is the accept queue.
        for _ in ready.drain(..) {
            if let Some(connection) = listener.accept(member)?
                && let Some(reader) = next.next()
            {
                reader.put(connection);
            }
        }
    }
    Ok(())
}

fn read(member: &Member<'_>, mailbox: &Mailbox<'_>) -> io::Result<()> {
    let mut sockets = EventLoop::new(member)?;
    sockets.watch_mailbox(mailbox)?;
    let mut ready = Vec::new();
    while sockets.wait(&mut ready)? {
        for event in ready.drain(..) {
            match event {
                Ready::Connection(token) => sockets.serve(token),
                Ready::Mailbox | Ready::Listener | Ready::Arrivals => {
                    mailbox.take().into_iter().for_each(|connection| sockets.adopt(connection));
                }
            }
        }
    }
    Ok(())
}
