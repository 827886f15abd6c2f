//! Pattern 4 with processes: several processes block in accept(2) on one listener.
//!
//! ```text
//!  kernel                      processes
//!                ┌──accept──► srv-0: read, work, write, until the client closes; then accept again
//!  accept queue ─┼──accept──► srv-1: the same
//!                └──accept──► srv-2: the same
//! ```
//!
//! To the kernel it is the same as with threads: one socket in TCP_LISTEN, waiters in its queue, woken in order
//! (`inet_csk_wait_for_connect`). What differs is around it. A worker that crashes takes only its own connection with
//! it, and what it leaks ends with it; but nothing in its memory is shared, and a connection can reach another worker
//! only as a descriptor through a socket.

use std::io;

use super::{Pattern, shared_accept};
use crate::process;
use crate::signals;
use crate::stage::{Role, Stage};

pub(super) const PATTERN: Pattern = Pattern {
    id: "shared-accept-processes",
    number: None,
    title: "Shared accept, processes",
    line: "N processes block in accept on one inherited listener, and each serves its connection to the end",
    real_users: "Apache prefork, PHP-FPM, pre-forking servers in scripting languages",
    when: "handlers may crash, leak or are not safe with threads: a worker dies alone and is started anew",
    cost: "memory for each worker, no shared cache, and a process per open connection: idle clients hold workers",
    watch: "as many pids as workers, accepts equal to within one, one listener and one accept queue",
    shards: false,
    sound: true,
    process: Some(serve),
    run,
};

static SERVER: Role = Role { name: "server", prefix: "srv", duties: &["accept", "read", "work", "write"] };

fn run(stage: &Stage) -> io::Result<()> {
    let listener = stage.listener()?;
    stage.crew(|crew| {
        for (index, connections) in stage.deal(stage.workers()).into_iter().enumerate() {
            crew.spawn(&SERVER, index, move |member| process::guard(member, Some(listener), connections))?;
        }
        Ok(())
    })
}

fn serve(stage: &Stage, index: u32) -> io::Result<()> {
    signals::allow_interruption();
    let listener = stage.listener()?;
    listener.set_nonblocking(false)?;
    stage.solo(&SERVER, index, |member| shared_accept::serve_each(member, listener))
}
