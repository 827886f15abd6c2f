//! Where a thread finds connections that others have for it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;

use super::{Stage, lock};
use crate::connection::Connection;
use crate::wake::Wake;

/// A queue of connections with a descriptor that tells its reader of new ones.
///
/// What is still in it when it is dropped goes back to the stage, so that no switch loses a connection on its way
/// from one thread to another.
#[derive(Debug)]
pub struct Mailbox<'a> {
    stage: &'a Stage,
    queue: Mutex<VecDeque<Connection>>,
    wake: Wake,
}

impl<'a> Mailbox<'a> {
    pub(super) fn new(stage: &'a Stage) -> io::Result<Self> {
        Ok(Self { stage, queue: Mutex::new(VecDeque::new()), wake: Wake::new()? })
    }

    /// Leaves a connection for the reader of the mailbox.
    pub fn put(&self, connection: Connection) {
        lock(&self.queue).push_back(connection);
        self.wake.ring();
    }

    /// Takes everything that is in it.
    pub fn take(&self) -> VecDeque<Connection> {
        // Quiet first: what is put in after that rings again, what was put in before is taken now.
        self.wake.quiet();
        std::mem::take(&mut *lock(&self.queue))
    }
}

impl AsFd for Mailbox<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

impl Drop for Mailbox<'_> {
    fn drop(&mut self) {
        for connection in self.take() {
            self.stage.hand_back(connection);
        }
    }
}
