//! A connection on its way to another process: the socket goes as a descriptor, the rest as this.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Connection, Origin, Phase, Trace};
use crate::service::Service;

/// Everything about a connection but its socket and its bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Luggage {
    origin: Origin,
    /// How many of the bytes were received; the others are to be sent.
    inbox: usize,
    sent: usize,
    phase: Phase,
    nodelay: bool,
    nonblocking: bool,
    bytes_read: u64,
    bytes_written: u64,
    requests: u64,
    trace: Option<Trace>,
}

impl Connection {
    /// Sends it away with `carry`, which gets the luggage, the bytes and the socket. It comes back if that fails.
    pub(crate) fn send(
        mut self,
        carry: impl FnOnce(Luggage, &[u8], BorrowedFd<'_>) -> io::Result<()>,
    ) -> Result<(), Box<(io::Error, Self)>> {
        let luggage = Luggage {
            origin: self.origin,
            inbox: self.inbox.len(),
            sent: self.sent,
            phase: self.phase,
            nodelay: self.nodelay,
            nonblocking: self.nonblocking,
            bytes_read: self.bytes_read,
            bytes_written: self.bytes_written,
            requests: self.requests,
            trace: self.trace.as_deref().cloned(),
        };
        let bytes = [self.inbox.as_slice(), self.outbox.as_slice()].concat();
        match carry(luggage, &bytes, self.socket.as_fd()) {
            Ok(()) => {
                self.service.release(1);
                self.away = true;
                Ok(())
            }
            Err(error) => Err(Box::new((error, self))),
        }
    }

    /// Takes charge of one that another process has sent.
    pub(crate) fn receive(
        luggage: Luggage,
        mut bytes: Vec<u8>,
        socket: OwnedFd,
        service: &Arc<Service>,
    ) -> io::Result<Self> {
        if luggage.inbox > bytes.len() || luggage.sent > bytes.len() - luggage.inbox {
            return Err(io::Error::other("the luggage of a connection does not fit its bytes"));
        }
        let outbox = bytes.split_off(luggage.inbox);
        service.hold();
        Ok(Self {
            socket: TcpStream::from(socket),
            origin: luggage.origin,
            service: Arc::clone(service),
            inbox: bytes,
            outbox,
            sent: luggage.sent,
            phase: luggage.phase,
            nodelay: luggage.nodelay,
            nonblocking: luggage.nonblocking,
            bytes_read: luggage.bytes_read,
            bytes_written: luggage.bytes_written,
            requests: luggage.requests,
            trace: luggage.trace.map(Box::new),
            away: false,
        })
    }
}
