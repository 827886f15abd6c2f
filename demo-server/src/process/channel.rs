//! Frames between a guard and its worker: a message, bytes, and open descriptors.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// More than any frame is long: an answer of a megabyte and requests that a client has sent ahead.
const MAX_LENGTH: u32 = 64 * 1024 * 1024;
/// Most descriptors of one frame.
const MAX_DESCRIPTORS: usize = 3;
/// The length of the message and of the bytes.
const HEAD: usize = 8;

/// One end.
#[derive(Debug)]
pub(super) struct Channel {
    socket: UnixStream,
    /// Held while a frame is written, for several threads write.
    writing: Mutex<()>,
}

/// What arrives.
#[derive(Debug)]
pub(super) struct Frame<T> {
    pub(super) message: T,
    pub(super) bytes: Vec<u8>,
    pub(super) descriptors: std::vec::IntoIter<OwnedFd>,
}

impl Channel {
    /// Two ends, the second as what it becomes in the other process.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Self::of(ours.into()), theirs.into()))
    }

    pub(super) fn of(socket: OwnedFd) -> Self {
        Self { socket: socket.into(), writing: Mutex::default() }
    }

    /// Sends a frame. The descriptors stay open here.
    pub(super) fn send<T: Serialize>(
        &self,
        message: &T,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let message = serde_json::to_vec(message)?;
        let lengths = [message.len(), bytes.len()].map(|length| u32::try_from(length).unwrap_or(u32::MAX));
        let head = [lengths[0].to_ne_bytes(), lengths[1].to_ne_bytes()].concat();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other("too many descriptors for one frame"));
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Eight bytes are taken whole or not at all, and the descriptors with them.
        sendmsg(&self.socket, &[IoSlice::new(&head)], &mut ancillary, SendFlags::NOSIGNAL)?;
        (&self.socket).write_all(&message)?;
        (&self.socket).write_all(bytes)
    }

    /// Waits for a frame; None when the other end is closed.
    pub(super) fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<Frame<T>>> {
        let mut head = [0; HEAD];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL;
        let got = loop {
            match recvmsg(&self.socket, &mut [IoSliceMut::new(&mut head)], &mut ancillary, flags) {
                Err(rustix::io::Errno::INTR) => {}
                // Reset: it has died with something unread.
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                other => break other?,
            }
        };
        let descriptors: Vec<OwnedFd> = ancillary
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        if got.bytes < HEAD {
            return Ok(None);
        }
        let (message, bytes) = head.split_at(HEAD / 2);
        match (self.take(message)?, self.take(bytes)?) {
            (Some(message), Some(bytes)) => {
                let message = serde_json::from_slice(&message)?;
                Ok(Some(Frame { message, bytes, descriptors: descriptors.into_iter() }))
            }
            // Killed while it wrote.
            _ => Ok(None),
        }
    }

    fn take(&self, length: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let length = u32::from_ne_bytes(length.try_into().map_err(io::Error::other)?);
        if length > MAX_LENGTH {
            return Err(io::Error::other(format!("a frame of {length} bytes is longer than {MAX_LENGTH}")));
        }
        let mut bytes = vec![0; length as usize];
        match (&self.socket).read_exact(&mut bytes) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl<T> Frame<T> {
    /// The next descriptor that came with it.
    pub(super) fn descriptor(&mut self) -> io::Result<OwnedFd> {
        self.descriptors.next().ok_or_else(|| io::Error::other("a descriptor is missing"))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_arrive_whole_with_their_descriptors_and_then_the_end() {
        let (near, far) = Channel::pair().unwrap();
        let far = Channel::of(far);
        let pair = UnixStream::pair().unwrap();
        near.send(&"first", b"bytes", &[pair.0.as_fd()]).unwrap();
        near.send(&"second", b"", &[]).unwrap();
        drop(near);
        let mut first: Frame<String> = far.receive().unwrap().unwrap();
        assert_eq!((first.message.as_str(), first.bytes.as_slice()), ("first", &b"bytes"[..]));
        let mut sent = UnixStream::from(first.descriptor().unwrap());
        sent.write_all(b"x").unwrap();
        let mut heard = [0];
        (&pair.1).read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"x");
        let mut second: Frame<String> = far.receive().unwrap().unwrap();
        assert!(second.message == "second" && second.descriptor().is_err());
        assert!(far.receive::<String>().unwrap().is_none());
    }

    #[test]
    fn nonsense_is_an_error() {
        let (near, far) = UnixStream::pair().unwrap();
        (&near).write_all(&[0xff; 16]).unwrap();
        let error = Channel::of(far.into()).receive::<String>().unwrap_err().to_string();
        assert!(error.contains("longer than"), "{error}");
    }
}
