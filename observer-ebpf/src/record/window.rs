//! The record of a closed window.

use super::plain;

/// Value of the map of closed windows, keyed by the address of the `struct sock`: a connection whose peer takes nothing
/// more.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ClosedWindow {
    /// Cookie of the listener that the connection came out of; 0 for one that was accepted before the start.
    pub listener: u64,
    /// When it was first seen closed with nothing acknowledged since.
    pub since_ns: u64,
    /// `snd_una`: what the peer has acknowledged.
    pub acknowledged: u32,
    /// `write_seq` − `snd_una`: bytes written and not acknowledged, the Send-Q of ss; 0 when the window is open again.
    pub waiting: u32,
}

plain!(ClosedWindow = 2 * 8 + 2 * 4);
