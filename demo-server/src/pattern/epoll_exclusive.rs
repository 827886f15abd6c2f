//! Event loops on one listener with `EPOLLEXCLUSIVE`: one wake-up for one connection, and no balance.
//!
//! ```text
//!  kernel                        process
//!                ┌──wakes──► srv-0: registered first, takes everything while it is idle
//!  accept queue ─┤           srv-1: is woken only while srv-0 is busy
//!                └           srv-2: the same
//! ```
//!
//! An exclusive waiter ends the walk over the wait queue (`__wake_up_common` with `WQ_FLAG_EXCLUSIVE`), and the walk
//! begins at the same end each time; nothing rotates the queue, as a blocking accept(2) does by queueing anew. So the
//! first idle waiter gets every connection, and what lives long piles up on it.

use std::io;

use super::{Pattern, epoll_herd};
use crate::event_loop::Trigger;
use crate::stage::Stage;

pub(super) const PATTERN: Pattern = Pattern {
    id: "epoll-exclusive",
    number: None,
    title: "Shared epoll, exclusive",
    line: "N event loops watch one listener with EPOLLEXCLUSIVE; an arrival wakes the first that is idle",
    real_users: "nginx since 1.11.3, Apache Traffic Server, and others that share a listener between event loops",
    when: "several event loops must share one accept queue, so that a stuck one harms no client that is still queued",
    cost: "idle, the same thread gets everything; long-lived connections that came then stay on it",
    watch: "one wake-up per accept; shares like 100/0/0/0 when idle, which even out only under saturation",
    shards: false,
    sound: true,
    process: None,
    run,
};

fn run(stage: &Stage) -> io::Result<()> {
    epoll_herd::share(stage, Trigger::Exclusive { rejoin_after: None })
}
