//! A bug, to look at: edge-triggered epoll with one accept for each event.
//!
//! ```text
//!  kernel                            process
//!  accept queue: 3 ──one edge──► srv-0: accepts one, sleeps. Two stay queued, and nothing says so again
//! ```
//!
//! With `EPOLLET` the listener is reported once after an arrival and not again while the queue merely stays
//! non-empty (`ep_send_events` does not put it back on the ready list). Whoever asks for edges must accept until
//! `EAGAIN` (epoll(7)). This one does not: connections that arrive while the threads are busy share an edge, and all
//! but one of them wait for ever. Every later arrival frees one, and leaves itself at the end of the queue.

use std::io;

use super::{Pattern, epoll_herd};
use crate::event_loop::Trigger;
use crate::stage::Stage;

pub(super) const PATTERN: Pattern = Pattern {
    id: "edge-once",
    number: None,
    title: "Edge-triggered, one accept (a bug)",
    line: "N event loops watch one listener with EPOLLET and accept once per event: connections are stranded",
    real_users: "nobody on purpose; a mistake often made when EPOLLET is added to a level-triggered loop",
    when: "never; it shows what a stranded queue looks like from the kernel",
    cost: "connections that arrive together wait for ever, although every thread sleeps",
    watch: "accept queue above zero, no accepts or too few, all threads asleep: the state is `stranded`",
    shards: false,
    sound: false,
    process: None,
    run,
};

fn run(stage: &Stage) -> io::Result<()> {
    epoll_herd::share(stage, Trigger::Edge)
}
