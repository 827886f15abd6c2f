//! Copies of a program, for the events that it was not shown.
//!
//! The kernel does not run a program on a processor where it is running already (`prog->active` in `__bpf_trace_run` and
//! `__bpf_prog_enter_recur`). Where programs can be preempted, which is so since tracepoints are guarded by SRCU (7.0), a
//! task that is switched out in the middle of one keeps it from every other task there. So what runs most often is
//! attached more than once, right behind each other, and a copy deals with what those before it were not shown.
//!
//! Two things tell. Whoever deals with an event leaves a mark on its processor: the socket, and a sequence number that
//! each such event moves on. A copy that finds the mark of its own event leaves. One that does not may have been moved to
//! another processor, or come after somebody else's event; so then it asks the socket, which cannot be wrong.
//!
//! Where nothing is preempted no copy is attached, and [`PREEMPTED`](crate::constants::PREEMPTED) is a constant 0, so that
//! the verifier drops what is here.

use observer_ebpf::loss;

use crate::{
    books::lost,
    constants::{self as at, value},
    kernel::Address,
    maps::MARKS,
};

/// Which of several attachments this is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Turn {
    /// The first.
    First,
    /// One behind it.
    Again,
}

/// What a mark is about: the index in [`MARKS`].
pub(crate) mod event {
    /// A read.
    pub(crate) const READ: u32 = 0;
    /// A write.
    pub(crate) const WRITE: u32 = 1;
    /// Data for a connection.
    pub(crate) const DATA: u32 = 2;
    /// A connection for a listener.
    pub(crate) const ARRIVAL: u32 = 3;
    /// A connection that no queue held.
    pub(crate) const NEVER_QUEUED: u32 = 4;
    /// Number of them.
    pub(crate) const EVENTS: u32 = 5;
}

/// Who dealt with an event last on this processor.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    sock: u64,
    sequence: u64,
}

/// Whether programs can be preempted here.
#[inline(always)]
pub(crate) fn preempted() -> bool {
    value(&at::PREEMPTED) != 0
}

/// Leaves a mark; `false` if the mark of this event is there already, so that it was dealt with.
#[inline(always)]
fn mark(event: u32, sock: u64, sequence: u64, turn: Turn) -> bool {
    let Some(mark) = MARKS.get_ptr_mut(event) else { return true };
    unsafe {
        if turn == Turn::Again
            && (&raw const (*mark).sock).read_volatile() == sock
            && (&raw const (*mark).sequence).read_volatile() == sequence
        {
            return false;
        }
        (&raw mut (*mark).sock).write_volatile(sock);
        (&raw mut (*mark).sequence).write_volatile(sequence);
    }
    true
}

/// [`mark`] with a sequence number of the socket's own.
#[inline(always)]
pub(crate) fn mark_at(event: u32, sock: u64, sequence: &'static u32, turn: Turn) -> bool {
    !preempted() || mark(event, sock, Address(sock).read_or_zero::<u32>(sequence).into(), turn)
}

/// [`mark`] without a sequence number. It is the same for the next event of the socket, so the copy takes it away.
#[inline(always)]
pub(crate) fn mark_once(event: u32, sock: u64, turn: Turn) -> bool {
    if !preempted() {
        return true;
    }
    let is_first = mark(event, sock, 0, turn);
    if turn == Turn::Again
        && let Some(mark) = MARKS.get_ptr_mut(event)
    {
        unsafe { (&raw mut (*mark).sock).write_volatile(0) };
    }
    is_first
}

/// Counts that a copy dealt with an event.
#[inline(always)]
pub(crate) fn taken_over() {
    lost(loss::TAKEN_OVER);
}
