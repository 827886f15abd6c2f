//! One accepted connection: its socket, the bytes on their way in and out, and its account.
//!
//! A connection belongs to one thread at a time and carries everything that its next owner needs: it can be handed
//! from acceptor to reader, from reader to worker, and from one pattern to the next, at any point between two calls.
//! For that reason a request stays in the inbox until its answer has been composed.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::http::{self, Answer, Refusal, Request};
use crate::journal::Entry;
use crate::service::{Service, add};
use crate::stage::Member;

mod luggage;

pub use luggage::Luggage;

/// Where a connection came from.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// The client's address.
    pub remote: SocketAddr,
    /// The address the listener is bound to.
    pub local: SocketAddr,
    /// Number of the listener.
    pub shard: u32,
    /// `SO_COOKIE` of the listener.
    pub listener_cookie: u64,
    /// The thread that called accept(2).
    pub acceptor_tid: i32,
}

/// What the socket must be ready for before the connection can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Bytes to read.
    Read,
    /// Room for bytes to write.
    Write,
}

/// What is to be done next on a connection.
#[derive(Debug)]
pub enum Turn {
    /// A complete request waits for [`Connection::answer`].
    Answer(Request),
    /// Nothing, until the socket is ready.
    Wait(Interest),
    /// It has ended: drop it.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    /// Requests are read and answered.
    Serving,
    /// The last answer has been composed; close once it is sent.
    Closing,
    /// A request was refused: after the answer, so many bytes are still read and thrown away. Closing at once would
    /// make the kernel send RST for the unread ones, and the client might lose the answer (RFC 9112 section 9.6).
    Discarding { left: usize },
}

/// How much a client may go on sending after its request was refused.
const DISCARD_LIMIT: usize = 256 * 1024;

/// One connection; dropping it closes it, counts it and writes its line in the journal.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    service: Arc<Service>,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    status: Status,
    /// Sent to another process, where it goes on: nothing ends here.
    away: bool,
}

/// Everything about a connection but its socket and its bytes: what goes with it into another process.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Status {
    origin: Origin,
    /// How much of the outbox the kernel has taken.
    sent: usize,
    phase: Phase,
    nodelay: bool,
    nonblocking: bool,
    reads: u64,
    writes: u64,
    bytes_read: u64,
    bytes_written: u64,
    requests: u64,
    /// Kept only for the journal.
    trace: Option<Box<Trace>>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Trace {
    readers: Vec<i32>,
    writers: Vec<i32>,
}

impl Connection {
    /// Takes charge of a socket that accept(2) has just returned.
    pub fn new(socket: TcpStream, origin: Origin, service: &Arc<Service>, nonblocking: bool) -> Self {
        service.board.counters.accepted.fetch_add(1, Ordering::SeqCst);
        service.hold();
        Self {
            socket,
            service: Arc::clone(service),
            inbox: Vec::new(),
            outbox: Vec::new(),
            status: Status {
                origin,
                sent: 0,
                phase: Phase::Serving,
                nodelay: false,
                nonblocking,
                reads: 0,
                writes: 0,
                bytes_read: 0,
                bytes_written: 0,
                requests: 0,
                trace: service.journal.is_some().then(Box::default),
            },
            away: false,
        }
    }

    /// Goes as far as it can: sends what is pending, looks for a request, and reads at most once while `may_read`.
    ///
    /// One read for each time the socket was reported readable: a second one would usually return EAGAIN, and a
    /// client that sends without pause would keep the thread from everybody else.
    pub fn advance(&mut self, member: &Member<'_>, may_read: &mut bool) -> Turn {
        loop {
            match self.flush(member) {
                Ok(true) => {}
                Ok(false) => return Turn::Wait(Interest::Write),
                Err(_) => return Turn::Close,
            }
            match self.status.phase {
                Phase::Closing => return Turn::Close,
                Phase::Serving => match http::parse(&self.inbox) {
                    Ok(Some(request)) => return Turn::Answer(request),
                    Ok(None) => {}
                    Err(refusal) => {
                        self.refuse(&refusal);
                        continue;
                    }
                },
                Phase::Discarding { left: 0 } => return Turn::Close,
                Phase::Discarding { .. } => {}
            }
            if !std::mem::take(may_read) {
                return Turn::Wait(Interest::Read);
            }
            match self.read(member) {
                Ok(0) => return Turn::Close,
                Ok(_) => {}
                Err(error) if is_not_now(&error) => return Turn::Wait(Interest::Read),
                Err(_) => return Turn::Close,
            }
        }
    }

    /// Does the work of a request and composes its answer; [`Connection::advance`] or [`Connection::flush`] sends it.
    pub fn answer(&mut self, member: &Member<'_>, request: &Request) {
        self.service.work(member.index());
        self.compose(member, request);
    }

    /// Composes the answer to a request whose work is done.
    pub fn compose(&mut self, member: &Member<'_>, request: &Request) {
        if self.service.board.faults.on(Fault::NoWrite) {
            self.inbox.drain(..request.length);
            return;
        }
        let ending = self.service.board.ending.load(Ordering::Relaxed);
        let keep_alive = request.keep_alive && self.service.board.live.keep_alive() && !ending;
        let answer = Answer {
            pattern: member.stage().pattern().id,
            thread: member.label(),
            body: self.service.board.live.response_bytes(),
            keep_alive,
        };
        http::respond(&mut self.outbox, request.method, &answer);
        self.inbox.drain(..request.length);
        self.status.requests += 1;
        add(&self.service.board.counters.requests, 1);
        if !keep_alive {
            self.status.phase = Phase::Closing;
        }
    }

    /// Sends what is pending; false when the socket takes no more now.
    pub fn flush(&mut self, member: &Member<'_>) -> io::Result<bool> {
        if self.outbox.is_empty() {
            return Ok(true);
        }
        let nodelay = self.service.board.live.nodelay();
        if nodelay != self.status.nodelay {
            self.socket.set_nodelay(nodelay)?;
            self.status.nodelay = nodelay;
        }
        while self.status.sent < self.outbox.len() {
            match self.socket.write(&self.outbox[self.status.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.status.sent += count;
                    self.status.bytes_written += count as u64;
                    self.status.writes += 1;
                    add(&self.service.board.counters.bytes_written, count);
                    if let Some(trace) = &mut self.status.trace {
                        note(&mut trace.writers, member.tid());
                    }
                }
                Err(error) if is_not_now(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.outbox.clear();
        self.status.sent = 0;
        if matches!(self.status.phase, Phase::Discarding { .. }) {
            // Tells the client that this was all; it has the answer before it can be reset.
            self.socket.shutdown(Shutdown::Write)?;
        }
        Ok(true)
    }

    fn read(&mut self, member: &Member<'_>) -> io::Result<usize> {
        let mut buffer = member.read_buffer();
        let count = self.socket.read(&mut buffer)?;
        self.status.bytes_read += count as u64;
        self.status.reads += u64::from(count > 0);
        add(&self.service.board.counters.bytes_read, count);
        if let Some(trace) = &mut self.status.trace {
            note(&mut trace.readers, member.tid());
        }
        match &mut self.status.phase {
            Phase::Discarding { left } => *left = left.saturating_sub(count),
            _ => self.inbox.extend_from_slice(&buffer[..count]),
        }
        Ok(count)
    }

    fn refuse(&mut self, refusal: &Refusal) {
        http::refuse(&mut self.outbox, refusal);
        self.inbox = Vec::new();
        self.status.phase = Phase::Discarding { left: DISCARD_LIMIT };
    }

    /// Bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.status.bytes_read
    }

    /// Whether there is something to do without waiting for the socket: bytes that an earlier owner has read or
    /// composed, or the end.
    pub fn has_unfinished(&self) -> bool {
        !self.inbox.is_empty() || !self.outbox.is_empty() || self.status.phase == Phase::Closing
    }

    /// Makes calls on the socket return at once, or wait.
    pub fn set_nonblocking(&mut self, nonblocking: bool) -> io::Result<()> {
        if self.status.nonblocking != nonblocking {
            self.socket.set_nonblocking(nonblocking)?;
            self.status.nonblocking = nonblocking;
        }
        Ok(())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.away {
            return;
        }
        if let (Some(journal), Some(trace)) = (&self.service.journal, self.status.trace.take()) {
            // With a wildcard listener only the socket itself knows which local address the client chose.
            let local = self.socket.local_addr().unwrap_or(self.status.origin.local);
            journal.write(&Entry {
                remote: self.status.origin.remote,
                local,
                shard: self.status.origin.shard,
                listener_cookie: self.status.origin.listener_cookie,
                acceptor_tid: self.status.origin.acceptor_tid,
                reader_tids: trace.readers,
                writer_tids: trace.writers,
                reads: self.status.reads,
                writes: self.status.writes,
                bytes_read: self.status.bytes_read,
                bytes_written: self.status.bytes_written,
                requests: self.status.requests,
            });
        }
        if !self.service.leak(&self.socket) {
            self.service.count_closed(1);
        }
    }
}

fn note(tids: &mut Vec<i32>, tid: i32) {
    if !tids.contains(&tid) {
        tids.push(tid);
    }
}

/// EAGAIN from a nonblocking socket, or EINTR from a blocking call that was interrupted so that its thread looks up.
fn is_not_now(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
