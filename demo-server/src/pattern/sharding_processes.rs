//! Pattern 5 with processes: each process has a listener of its own on the one address.
//!
//! ```text
//!  kernel                                   processes
//!         ┌─► accept queue 0 ──accept──► shard-0: pattern 1 on a listener of its own
//!  hash ──┼─► accept queue 1 ──accept──► shard-1: the same
//!         └─► accept queue 2 ──accept──► shard-2: the same
//! ```
//!
//! As nginx does it: the master opens all listeners and each worker watches its own. That the master holds them too
//! has a price and a gain that the pure form has not: when a worker dies its listener stays in the group, the hash goes
//! on dealing connections to it (`reuseport_select_sock`), and none of them is reset. They wait for the worker that the
//! master starts in its place.

use std::io;

use super::{Pattern, single_thread};
use crate::event_loop::Trigger;
use crate::process;
use crate::stage::{Role, Stage};

pub(super) const PATTERN: Pattern = Pattern {
    id: "sharding-processes",
    number: None,
    title: "Socket sharding, processes",
    line: "N processes, each with a SO_REUSEPORT listener of its own; the kernel deals by hash",
    real_users: "nginx with reuseport, and any server started several times on one port with the option set",
    when: "many short connections, and workers that must not take each other down",
    cost: "the hash ignores load, as with threads; connections queued on a dead worker wait for its successor",
    watch: "a pid and an accept queue for each shard; stop one (SIGSTOP), and its queue fills while the others are served",
    shards: true,
    sound: true,
    process: Some(serve),
    run,
};

static SHARD: Role = Role { name: "shard", prefix: "shard", duties: &["accept", "read", "work", "write"] };

fn run(stage: &Stage) -> io::Result<()> {
    let listeners = stage.listeners();
    stage.crew(|crew| {
        for (index, connections) in stage.deal(listeners.len()).into_iter().enumerate() {
            let listener = &listeners[index];
            crew.spawn(&SHARD, index, move |member| process::guard(member, Some(listener), connections))?;
        }
        Ok(())
    })
}

fn serve(stage: &Stage, index: u32) -> io::Result<()> {
    let listener = stage.listener()?;
    let mailboxes = stage.mailboxes(1)?;
    stage.solo(&SHARD, index, |member| {
        mailboxes
            .iter()
            .try_for_each(|mailbox| single_thread::event_loop(member, listener, mailbox, Trigger::Level))
    })
}
