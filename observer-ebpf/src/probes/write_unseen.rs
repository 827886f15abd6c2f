//! Signal: bytes went into a connection that no write was seen to bring: by a path that the hooks of `write` do not pass
//! (sendfile and splice on some kernels), or while the program was skipped. That they were written is certain; how often
//! and by whom is not known.
//!
//! It is looked for at the end, where `write_seq` tells all that was ever written.

use observer_ebpf::record::{Connection, flag};

use super::read_unseen::{is_layered, uncounted};
use crate::{books::set_bits, constants as at, kernel::Address};

/// Bytes beyond those that writes have brought, when the program has written this far.
#[inline(always)]
unsafe fn beyond(connection: *const Connection, written_to: u32) -> i32 {
    unsafe { uncounted((*connection).written_from, written_to, (*connection).bytes_written) }
}

/// Bytes that no write was seen to bring, so far; none if that cannot be told. A FIN that was sent counts as one.
#[inline(always)]
pub(crate) unsafe fn missing(connection: *const Connection, sock: Address) -> Option<i32> {
    let missing = unsafe { beyond(connection, sock.read(&at::TCP_WRITE_SEQ)?) };
    (missing <= 0 || !is_layered(sock)).then_some(missing)
}

/// Marks what was written unseen, and counts it as written: for a socket whose change to CLOSE no program was shown. Then
/// nothing tells a FIN from a byte.
#[inline(always)]
pub(crate) unsafe fn note(connection: *mut Connection, sock: Address) {
    unsafe { settle(connection, beyond(connection, sock.read_or_zero(&at::TCP_WRITE_SEQ)) - 1) }
}

/// The same for a socket that had written this far when its state became CLOSE.
#[inline(always)]
pub(crate) unsafe fn note_closed(connection: *mut Connection) {
    unsafe { settle(connection, beyond(connection, (*connection).written_to)) }
}

#[inline(always)]
unsafe fn settle(connection: *mut Connection, missing: i32) {
    if missing > 0 {
        unsafe {
            (*connection).bytes_written += u64::from(missing as u32);
            set_bits(&raw mut (*connection).flags, flag::WRITE_UNSEEN);
        }
    }
}
