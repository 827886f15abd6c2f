//! One control client, on a thread of its own: its requests in, replies and updates out.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use super::protocol::{MAX_LINE, Reply, Request, versioned_line};
use crate::server::{Outcome, Server};
use crate::wake::Wake;

/// Updates that may wait for a client that does not read. Past it the client is cut off: it would miss changes.
const PENDING_LIMIT: usize = 256;

/// How long a client may refuse to take a line.
const PATIENCE: Duration = Duration::from_secs(2);

/// Lines on their way to a subscriber. Whoever makes a change puts one in and never waits.
#[derive(Debug)]
pub struct Outbox {
    lines: Mutex<Pending>,
    wake: Wake,
}

#[derive(Debug, Default)]
struct Pending {
    lines: VecDeque<Arc<[u8]>>,
    overflown: bool,
}

impl Outbox {
    fn new() -> io::Result<Self> {
        Ok(Self { lines: Mutex::default(), wake: Wake::new()? })
    }

    /// Leaves a line for the client.
    pub fn put(&self, line: &Arc<[u8]>) {
        let mut pending = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.lines.len() < PENDING_LIMIT {
            pending.lines.push_back(Arc::clone(line));
        } else {
            pending.overflown = true;
        }
        drop(pending);
        self.wake.ring();
    }

    fn take(&self) -> Pending {
        self.wake.quiet();
        std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Serves one client until it leaves, misbehaves, or `closing` is rung.
pub(super) fn attend(server: &Arc<Server>, mut stream: UnixStream, closing: &Wake) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let outbox = Arc::new(Outbox::new()?);
    let mut lines = Lines::default();
    let mut buffer = [0; 4096];
    loop {
        let mut fds = [
            PollFd::new(&stream, PollFlags::IN),
            PollFd::new(&outbox.wake, PollFlags::IN),
            PollFd::new(closing, PollFlags::IN),
        ];
        poll(&mut fds, None)?;
        let [readable, updated, closed] = fds.map(|fd| !fd.revents().is_empty());
        if updated {
            let pending = outbox.take();
            for line in &pending.lines {
                stream.write_all(line)?;
            }
            if pending.overflown {
                return Ok(());
            }
        }
        if readable {
            let count = stream.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            for line in lines.add(&buffer[..count]) {
                let reply = match line {
                    Ok(line) => reply(server, &line, &outbox),
                    Err(TooLong) => refusal(format!("the line is longer than {MAX_LINE} bytes")),
                };
                stream.write_all(&versioned_line(&reply)?)?;
            }
        }
        if closed {
            return Ok(());
        }
    }
}

fn reply(server: &Arc<Server>, line: &[u8], outbox: &Arc<Outbox>) -> Reply {
    let done = Request::from_line(line).and_then(|request| match request {
        Request::State {} => Ok(Outcome::default()),
        Request::Set(change) => server.set(&change),
        Request::Fault { name, on, index, ms } => server.fault(&name, on, index, ms),
        Request::Load(load) => server.load(&load),
        Request::Subscribe {} => Ok(Outcome { state: Some(server.subscribe(outbox)), note: None }),
        Request::Stop {} => {
            server.request_end();
            Ok(Outcome::default())
        }
    });
    match done {
        Ok(Outcome { state, note }) => {
            let state = Box::new(state.unwrap_or_else(|| server.state()));
            Reply { ok: true, state: Some(state), error: None, note }
        }
        Err(error) => refusal(error),
    }
}

pub(super) fn refusal(error: String) -> Reply {
    Reply { ok: false, state: None, error: Some(error), note: None }
}

/// Cuts a byte stream into lines of bounded length.
#[derive(Debug, Default)]
struct Lines {
    begun: Vec<u8>,
    /// The line under way is too long; it is thrown away to its end, and what follows is read again.
    skipping: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct TooLong;

impl Lines {
    fn add(&mut self, bytes: &[u8]) -> Vec<Result<Vec<u8>, TooLong>> {
        let mut complete = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ended) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            if !self.skipping {
                self.begun.extend_from_slice(text);
            }
            if self.begun.len() > MAX_LINE {
                self.begun.clear();
                self.skipping = true;
                complete.push(Err(TooLong));
            }
            if ended {
                let line = std::mem::take(&mut self.begun);
                if !std::mem::take(&mut self.skipping) {
                    complete.push(Ok(line));
                }
            }
        }
        complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_however_they_are_cut() {
        let text = b"one\n\ntwo\nrest";
        for cut in 0..text.len() {
            let mut lines = Lines::default();
            let mut found = lines.add(&text[..cut]);
            found.extend(lines.add(&text[cut..]));
            assert_eq!(found, [Ok(b"one".to_vec()), Ok(Vec::new()), Ok(b"two".to_vec())], "cut at {cut}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_costs_only_itself() {
        let mut lines = Lines::default();
        let mut found = lines.add(&vec![b'x'; MAX_LINE + 1]);
        found.extend(lines.add(&vec![b'x'; 100_000]));
        found.extend(lines.add(b"\nnext\n"));
        assert_eq!(found, [Err(TooLong), Ok(b"next".to_vec())]);
        assert_eq!(lines.add(&[vec![b'y'; MAX_LINE], b"\n".to_vec()].concat()).len(), 1);
    }
}
