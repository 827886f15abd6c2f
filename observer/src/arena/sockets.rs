//! The TCP sockets of a namespace, as `/proc/net/tcp` shows them (`get_tcp4_sock`, `get_openreq4`).

use std::fs;

use anyhow::{Context as _, Result};

use super::Arena;

/// The state of a socket: the kernel's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// `TCP_ESTABLISHED`
    Established = 1,
    /// `TCP_SYN_SENT`
    SynSent = 2,
    /// A request that waits for the last ACK of its handshake.
    SynRecv = 3,
    /// `TCP_TIME_WAIT`
    TimeWait = 6,
    /// `TCP_CLOSE_WAIT`
    CloseWait = 8,
    /// `TCP_LISTEN`
    Listen = 10,
}

/// One socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// Own port.
    pub local: u16,
    /// The peer's port.
    pub remote: u16,
    /// Number of the state.
    pub state: u8,
    /// Bytes that the peer has not acknowledged.
    pub send_queue: u32,
    /// Bytes that nobody has read; of a listener, the depth of its accept queue.
    pub receive_queue: u32,
}

/// All of them.
#[derive(Debug, Clone)]
pub struct Sockets(Vec<Socket>);

impl Arena {
    /// Reads them.
    pub fn sockets(&self) -> Result<Sockets> {
        let text = fs::read_to_string("/proc/thread-self/net/tcp")
            .context("cannot read /proc/thread-self/net/tcp")?;
        Ok(Sockets(text.lines().skip(1).filter_map(parse).collect()))
    }
}

impl Sockets {
    /// How many in a state have this port themselves.
    pub fn at(&self, port: u16, state: State) -> u64 {
        self.here(port, state).count() as u64
    }

    /// How many in a state have a peer with this port: clients of a server.
    pub fn towards(&self, port: u16, state: State) -> u64 {
        self.0.iter().filter(|socket| socket.remote == port && socket.state == state as u8).count() as u64
    }

    /// Depths of the accept queues of the listeners on a port, one for each shard, in the kernel's order.
    pub fn accept_queues(&self, port: u16) -> Vec<u64> {
        self.here(port, State::Listen).map(|listener| listener.receive_queue.into()).collect()
    }

    /// Connections in all of them.
    pub fn queued(&self, port: u16) -> u64 {
        self.accept_queues(port).iter().sum()
    }

    /// Bytes that nobody has read, on established connections with this port on this side.
    pub fn unread(&self, port: u16) -> u64 {
        self.here(port, State::Established).map(|socket| u64::from(socket.receive_queue)).sum()
    }

    /// Bytes that the peer has not acknowledged, on established connections with this port on this side.
    pub fn unacknowledged(&self, port: u16) -> u64 {
        self.here(port, State::Established).map(|socket| u64::from(socket.send_queue)).sum()
    }

    fn here(&self, port: u16, state: State) -> impl Iterator<Item = &Socket> {
        self.0.iter().filter(move |socket| socket.local == port && socket.state == state as u8)
    }
}

/// `sl local remote state send:receive …`, all hexadecimal.
fn parse(line: &str) -> Option<Socket> {
    let mut fields = line.split_whitespace().skip(1);
    let mut port = || u16::from_str_radix(fields.next()?.split_once(':')?.1, 16).ok();
    let (local, remote) = (port()?, port()?);
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let (send, receive) = fields.next()?.split_once(':')?;
    let queue = |hex| u32::from_str_radix(hex, 16).ok();
    Some(Socket { local, remote, state, send_queue: queue(send)?, receive_queue: queue(receive)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table() {
        let line =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000009 00:00000000 00000000     0        0 4242";
        let socket = Socket { local: 8080, remote: 0, state: 10, send_queue: 0, receive_queue: 9 };
        assert_eq!(parse(line), Some(socket));
        assert_eq!(Sockets(vec![socket]).accept_queues(8080), [9]);
        for odd in ["", "  sl  local_address", "0: x:y 1", "0: 0:0 0:0 0A 1"] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
