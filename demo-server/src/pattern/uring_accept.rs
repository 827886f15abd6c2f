//! One thread whose connections are accepted by io_uring: one request, any number of connections.
//!
//! ```text
//!  kernel                                              process
//!  accept queue ──accept──► completion queue ──read──► srv-0: pattern 1 from here on
//!                  (by the kernel, as soon as they arrive)
//! ```
//!
//! A multishot accept stays armed. An arrival interrupts the thread wherever it is, and the connection is taken out
//! of the accept queue on the way (`io_accept` as task work), even while the thread is busy with a request. So the
//! wait moves from the accept queue, where every tool looks, to the completion queue, where none does: an empty accept
//! queue no longer says that the server keeps up. A ring with `IORING_SETUP_DEFER_TASKRUN` would accept only when the
//! thread asks, and restore the back-pressure; this one shows what the default does. Multishot accept came with Linux
//! 5.19; on an older kernel the pattern does not start, and says why.

use std::io;

use super::Pattern;
use crate::accept_ring::AcceptRing;
use crate::event_loop::{EventLoop, Ready};
use crate::fault::Fault;
use crate::listener::Listener;
use crate::stage::{Mailbox, Member, Role, Stage};

pub(super) const PATTERN: Pattern = Pattern {
    id: "uring-accept",
    number: None,
    title: "io_uring, multishot accept",
    line: "one event loop, and the kernel accepts for it: connections wait in io_uring's completion queue",
    real_users: "monoio, glommio and servers on liburing (those that use multishot accept)",
    when: "accept rates so high that the system call is felt, with a bound of one's own on what is accepted",
    cost: "the accept queue's limit protects no longer; overload is invisible to ss and nstat",
    watch: "accepts without any accept4 call; the accept queue stays empty under overload, and unread grows",
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
            crew.spawn(&SERVER, 0, move |member| event_loop(member, listener, mailbox))?;
        }
        Ok(())
    })
}

fn event_loop(member: &Member<'_>, listener: &Listener, mailbox: &Mailbox<'_>) -> io::Result<()> {
    let mut sockets = EventLoop::new(member)?;
    // Made here, because the kernel completes the requests of a ring in the thread that has submitted them.
    let mut ring = AcceptRing::new(listener)?;
    sockets.watch_mailbox(mailbox)?;
    sockets.watch_arrivals(&ring)?;
    let mut ready = Vec::new();
    let result = loop {
        if let Err(error) = ring.accept_while(!member.fault(Fault::PauseAccept)) {
            break Err(error);
        }
        match sockets.wait(&mut ready) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
        for event in ready.drain(..) {
            match event {
                Ready::Arrivals => {
                    for connection in ring.take(member) {
                        sockets.adopt(connection);
                    }
                }
                Ready::Mailbox => mailbox.take().into_iter().for_each(|connection| sockets.adopt(connection)),
                Ready::Connection(token) => sockets.serve(token),
                Ready::Listener => {}
            }
        }
    };
    // What the kernel has accepted until the request is gone belongs to the next pattern.
    let cancelled = ring.accept_while(false);
    ring.take(member).into_iter().for_each(|connection| member.stage().hand_back(connection));
    result.and(cancelled)
}
