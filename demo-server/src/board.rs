//! What every thread looks at while it serves, in memory that processes can share: settings, faults and counters.
//!
//! A pattern may serve with processes instead of threads. They must obey the same settings and faults and count into
//! the same totals, and a total must not lose what a killed process has counted. So all of it is atomic integers in
//! one anonymous file (memfd_create(2)) that every process of the server maps; there is no other copy, and nothing is
//! sent about it.
#![expect(unsafe_code, reason = "mmap(2) of memory that is shared between processes has no safe wrapper")]

use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU64};

use rustix::fs::{MemfdFlags, fstat, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::fault::Faults;
use crate::service::Counters;
use crate::settings::{Live, Settings};

/// The content. Atomic integers alone, of which zero is a valid value: it begins as zeros.
#[derive(Debug)]
#[repr(C)]
pub struct Board {
    /// Settings that are looked up for each request.
    pub live: Live,
    /// What is broken on purpose.
    pub faults: Faults,
    /// What has happened since the start.
    pub counters: Counters,
    /// Set once, when the server ends: every answer from then on closes its connection.
    pub ending: AtomicBool,
    /// Connections that each worker process holds, so that the books still balance when one is killed.
    held: [AtomicU64; WORKERS],
}

/// Worker processes at most.
pub const WORKERS: usize = 1024;

impl Board {
    /// How many connections worker process number `index` holds.
    pub fn held(&self, index: u32) -> &AtomicU64 {
        &self.held[index as usize % WORKERS]
    }
}

/// A board, mapped into this process.
#[derive(Debug)]
pub struct SharedBoard {
    at: NonNull<Board>,
    memory: OwnedFd,
}

// SAFETY: the mapping belongs to the value and not to a thread, and its content is atomics alone.
unsafe impl Send for SharedBoard {}
// SAFETY: as above.
unsafe impl Sync for SharedBoard {}

impl SharedBoard {
    /// Makes one with the settings that a server begins with, and nothing counted.
    pub fn new() -> io::Result<Self> {
        let memory = memfd_create("demo-server-board", MemfdFlags::CLOEXEC)?;
        ftruncate(&memory, size_of::<Board>() as u64)?;
        let board = Self::of(memory)?;
        board.live.store(&Settings::default());
        Ok(board)
    }

    /// Maps the one that another process of this program has made.
    pub fn of(memory: OwnedFd) -> io::Result<Self> {
        if fstat(&memory)?.st_size != i64::try_from(size_of::<Board>()).map_err(io::Error::other)? {
            return Err(io::Error::other("the shared memory is that of another version of this program"));
        }
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: the kernel chooses a free place; the file has just been found to be as long as the mapping.
        let at = unsafe { mmap(ptr::null_mut(), size_of::<Board>(), access, flags, &memory, 0) }?;
        let at = NonNull::new(at.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { at, memory })
    }
}

impl Deref for SharedBoard {
    type Target = Board;

    fn deref(&self) -> &Board {
        // SAFETY: the mapping is page-aligned, as long as a Board and lives as long as `self`; its bytes are zeros or
        // what atomic stores have left, and any such value is valid. `ending` is only ever stored as a bool.
        unsafe { self.at.as_ref() }
    }
}

impl AsFd for SharedBoard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }
}

impl Drop for SharedBoard {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `of` with this length, and nothing borrows it any more. An error would mean
        // that it is not there.
        let _ = unsafe { munmap(self.at.as_ptr().cast(), size_of::<Board>()) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn two_mappings_are_one_board() {
        let first = SharedBoard::new().unwrap();
        let second = SharedBoard::of(first.as_fd().try_clone_to_owned().unwrap()).unwrap();
        first.counters.accepted.fetch_add(7, Ordering::SeqCst);
        second.faults.set("stuck-shard", true, Some(3), None).unwrap();
        assert_eq!(second.counters.totals().accepted, 7);
        assert!(first.faults.is_stuck(3) && !first.faults.is_stuck(2));
        drop(first);
        assert_eq!(second.counters.totals().accepted, 7);
    }

    #[test]
    fn foreign_memory_is_refused() {
        let memory = memfd_create("test", MemfdFlags::CLOEXEC).unwrap();
        assert!(SharedBoard::of(memory).unwrap_err().to_string().contains("another version"));
    }
}
