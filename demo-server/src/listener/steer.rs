//! Sending every new client of a sharded address to the first listener, for as long as it takes to close others.

use std::io;
use std::sync::Arc;

use super::Listener;
use crate::socket_option::{self, SocketOption};

/// While it lives, the kernel chooses the first listener of the group for every new connection.
///
/// A classic BPF program that returns 0 replaces the hash over addresses and ports (`reuseport_select_sock`). Linux
/// allows it without privilege since 4.5. The first listener has index 0 because it was there before its shards.
#[derive(Debug)]
pub struct Steering {
    first: Arc<Listener>,
}

impl Steering {
    /// Begins to steer.
    pub fn to_first(first: &Arc<Listener>) -> io::Result<Self> {
        socket_option::set(first.as_ref(), SocketOption::ReuseportAlwaysFirst)?;
        Ok(Self { first: Arc::clone(first) })
    }
}

impl Drop for Steering {
    fn drop(&mut self) {
        // Fails only where there is nothing to detach; then the hash chooses already.
        let _ = socket_option::set(self.first.as_ref(), SocketOption::ReuseportByHash);
    }
}
