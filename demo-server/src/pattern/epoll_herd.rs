//! Every thread has the one listener in an epoll set of its own: the thundering herd.
//!
//! ```text
//!  kernel                       process
//!                ┌──wakes──► srv-0: epoll set, accepts one
//!  accept queue ─┼──wakes──► srv-1: epoll set, finds nothing, sleeps again
//!                └──wakes──► srv-2: the same
//! ```
//!
//! An arrival calls every waiter of the listener's wait queue that is not exclusive (`sock_def_readable` →
//! `ep_poll_callback`), so N threads wake for one connection. Most of them never return from epoll_wait: they poll
//! the listener again, find it empty and go back to sleep (`ep_send_events`). A program that counts its `EAGAIN`s
//! therefore sees a small part of the waste; the scheduler's wake-ups are the true figure.

use std::io;

use super::{Pattern, single_thread};
use crate::event_loop::Trigger;
use crate::listener::Listener;
use crate::stage::{Role, Stage};

pub(super) const PATTERN: Pattern = Pattern {
    id: "epoll-herd",
    number: None,
    title: "Shared epoll, thundering herd",
    line: "N event loops watch one listener level-triggered; every arrival wakes them all, one accepts",
    real_users: "nginx with accept_mutex off before EPOLLEXCLUSIVE, h2o, libuv or libevent servers that fork after listen",
    when: "hardly ever on purpose; with few threads that are all busy it balances by who is free, and costs little",
    cost: "N wake-ups for one connection while idle: processor time and latency that grow with the number of threads",
    watch: "wake-ups per accept near N although EAGAIN is rare; one accept queue",
    shards: false,
    sound: true,
    process: None,
    run,
};

pub(super) static SERVER: Role =
    Role { name: "server", prefix: "srv", duties: &["accept", "read", "work", "write"] };

fn run(stage: &Stage) -> io::Result<()> {
    share(stage, Trigger::Level)
}

/// Runs pattern 1 on every thread, all on the same listener, which they watch with `trigger`.
pub(super) fn share(stage: &Stage, trigger: Trigger) -> io::Result<()> {
    let listener: &Listener = stage.listener()?;
    let inherited = stage.mailboxes(stage.workers())?;
    stage.crew(|crew| {
        for (index, mailbox) in inherited.iter().enumerate() {
            crew.spawn(&SERVER, index, move |member| {
                single_thread::event_loop(member, listener, mailbox, trigger)
            })?;
        }
        Ok(())
    })
}
