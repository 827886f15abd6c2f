//! A connection on its way to another process: the socket goes as a descriptor, the rest as this.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Connection, Status};
use crate::service::Service;

/// What is said of a connection beside its socket and its bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Luggage {
    /// How many of the bytes were received; the others are to be sent.
    inbox: usize,
    status: Status,
}

impl Connection {
    /// Sends it away with `carry`, which gets the luggage, the bytes and the socket. It comes back if that fails.
    pub(crate) fn send(
        mut self,
        carry: impl FnOnce(Luggage, &[u8], BorrowedFd<'_>) -> io::Result<()>,
    ) -> Result<(), Box<(io::Error, Self)>> {
        let luggage = Luggage { inbox: self.inbox.len(), status: self.status.clone() };
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
        if luggage.inbox > bytes.len() || luggage.status.sent > bytes.len() - luggage.inbox {
            return Err(io::Error::other("the luggage of a connection does not fit its bytes"));
        }
        let outbox = bytes.split_off(luggage.inbox);
        service.hold();
        Ok(Self {
            socket: TcpStream::from(socket),
            service: Arc::clone(service),
            inbox: bytes,
            outbox,
            status: luggage.status,
            away: false,
        })
    }
}
