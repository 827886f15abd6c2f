//! Pattern 4: several threads block in accept(2) on one listener; each serves what it accepts.
//!
//! ```text
//!  kernel                      process
//!                ┌──accept──► srv-0: read, work, write, until the client closes; then accept again
//!  accept queue ─┼──accept──► srv-1: the same
//!                └──accept──► srv-2: the same
//! ```
//!
//! The classic prefork shape, with plain blocking calls: accept, read and write all sleep in the kernel, and no
//! thread minds two sockets. Threads wait exclusively and in order (`inet_csk_wait_for_connect` →
//! `prepare_to_wait_exclusive`), so a connection wakes exactly one of them, and the share of each is equal to
//! within one.
//!
//! The price: a thread belongs to its connection until the client closes it. N threads serve N connections, and the
//! next one waits in the accept queue although every thread may be idle, waiting for its client. Servers of this
//! shape therefore limit how long a connection may be kept idle.

use std::io;
use std::os::fd::AsFd as _;

use rustix::event::PollFlags;

use super::Pattern;
use crate::connection::{Connection, Turn};
use crate::fault::Fault;
use crate::listener::Listener;
use crate::signals;
use crate::stage::{Member, Role, Stage};

pub(super) const PATTERN: Pattern = Pattern {
    id: "shared-accept",
    number: Some(4),
    title: "Shared accept",
    line: "N threads block in accept on one listener, and each serves its connection to the end",
    real_users: "Apache prefork, many Java servlet containers in their blocking form, pre-forking Perl and Ruby servers",
    when: "connections are short, or handlers block anyway; the kernel balances by who is free",
    cost: "a thread per open connection: idle keep-alive clients hold threads while others wait in the accept queue",
    watch: "accepts are equal to within one per tid, one wake-up per accept; the accept queue fills with idle threads",
    shards: false,
    sound: true,
    process: None,
    run,
};

static SERVER: Role = Role { name: "server", prefix: "srv", duties: &["accept", "read", "work", "write"] };

fn run(stage: &Stage) -> io::Result<()> {
    signals::allow_interruption();
    let listener = stage.listener()?;
    listener.set_nonblocking(false)?;
    stage.crew(|crew| {
        for index in 0..stage.workers() {
            crew.spawn(&SERVER, index, move |member| serve_each(member, listener))?;
        }
        Ok(())
    })
}

/// Accepts one connection after the other, each when the last has ended.
pub(super) fn serve_each(member: &Member<'_>, listener: &Listener) -> io::Result<()> {
    while let Some(connection) = next_connection(member, listener)? {
        serve(member, connection)?;
    }
    Ok(())
}

/// A connection that an earlier pattern left open, or else a new one. None when the thread is to leave.
pub(super) fn next_connection(member: &Member<'_>, listener: &Listener) -> io::Result<Option<Connection>> {
    let paused = || member.fault(Fault::PauseAccept);
    while member.goes_on() {
        if let Some(connection) = member.stage().take_inherited() {
            return Ok(Some(connection));
        }
        member.wait_while(paused);
        let accepted = member.interruptible(|| !paused(), || listener.accept(member));
        if let Some(connection) = accepted.transpose()?.flatten() {
            return Ok(Some(connection));
        }
    }
    Ok(None)
}

/// Serves one connection until it ends, or until the thread is to leave; then the next pattern gets it.
pub(super) fn serve(member: &Member<'_>, mut connection: Connection) -> io::Result<()> {
    connection.set_nonblocking(false)?;
    let held = || member.fault(Fault::NoRead) || member.fault(Fault::CloseUnread);
    while member.goes_on() {
        member.wait_while(|| member.fault(Fault::NoRead));
        if member.fault(Fault::CloseUnread)
            && member.wait_ready(connection.as_fd(), PollFlags::IN)
            && member.fault(Fault::CloseUnread)
        {
            return Ok(());
        }
        match member.interruptible(|| !held(), || connection.advance(member, &mut true)) {
            Some(Turn::Answer(request)) => connection.answer(member, &request),
            Some(Turn::Close) => return Ok(()),
            // Interrupted, or not yet a whole request, or a fault has come in between: look up and go on.
            Some(Turn::Wait(_)) | None => {}
        }
    }
    member.stage().hand_back(connection);
    Ok(())
}
