//! Connections as they are begun: from which address, with which options.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::plan::Plan;
use super::profile::Manner;
use crate::socket_option::{self, SocketOption};

/// What a slow reader asks for as its receive buffer; the kernel doubles it (`SO_RCVBUF`).
const SMALL_BUFFER: usize = 4096;

/// Begins connections to one target.
#[derive(Debug)]
pub(super) struct Dialer {
    target: SocketAddr,
    /// Addresses to come from, in turn; empty: the kernel's choice.
    sources: Vec<Ipv4Addr>,
    next: usize,
    small_buffer: bool,
}

impl Dialer {
    pub(super) fn new(plan: &Plan) -> Self {
        let small_buffer = plan.manner == Manner::ReadSlowly;
        Self { target: plan.target, sources: plan.source_addresses(), next: 0, small_buffer }
    }

    /// Begins one and does not wait for it.
    pub(super) fn dial(&mut self) -> io::Result<TcpStream> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = Socket::new_raw(Domain::for_address(self.target), kind, Some(Protocol::TCP))?;
        if !self.sources.is_empty() {
            let source = self.sources[self.next % self.sources.len()];
            self.next += 1;
            socket_option::set(&socket, SocketOption::BindAddressOnly)?;
            socket.bind(&SocketAddr::from((source, 0)).into())?;
        }
        if self.small_buffer {
            // Before connect(2): the window is announced in the handshake.
            socket.set_recv_buffer_size(SMALL_BUFFER)?;
        }
        match socket.connect(&self.target.into()) {
            Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
            other => other?,
        }
        Ok(socket.into())
    }
}
