//! `EPOLLEXCLUSIVE` with nginx's remedy: every so many accepts a thread takes the listener out of its epoll set and
//! adds it again.
//!
//! ```text
//!  kernel                        process
//!                ┌──wakes──► srv-0: accepts 16, then takes the listener out and adds it again ──┐
//!  accept queue ─┤           srv-1: is now the first that waits                                 │
//!                └           srv-2                                                              │
//!                            srv-0: waits behind the others ◄───────────────────────────────────┘
//! ```
//!
//! Adding it anew moves the thread to the other end of the listener's wait queue, so that the next one is the first
//! that the kernel finds. nginx does so every 16 accepts since 1.21.6 (`ngx_reorder_accept_events`).

use std::io;

use super::{Pattern, epoll_herd};
use crate::event_loop::Trigger;
use crate::stage::Stage;

pub(super) const PATTERN: Pattern = Pattern {
    id: "epoll-exclusive-readd",
    number: None,
    title: "Shared epoll, exclusive, in turn",
    line: "as epoll-exclusive, and every 16 accepts a thread goes to the end of the kernel's wait queue",
    real_users: "nginx since 1.21.6",
    when: "as epoll-exclusive, where connections live long and must be spread while the server is idle",
    cost: "two epoll_ctl for 16 accepts; turns of 16, not of one",
    watch: "one wake-up per accept, shares even within 16; epoll_ctl DEL and ADD on the listener",
    shards: false,
    sound: true,
    process: None,
    run,
};

/// As nginx.
const ROUND: u32 = 16;

fn run(stage: &Stage) -> io::Result<()> {
    epoll_herd::share(stage, Trigger::Exclusive { rejoin_after: Some(ROUND) })
}
