//! A small blocking client.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;

use super::protocol::{Reply, Request, State, Update};
use crate::visible::Shown;

/// How long a reply may take: longer than the longest request in hand that a switch waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest line in bytes: the state of a server with thousands of threads is shorter, and whoever answers at the
/// socket may not be one.
const MAX_REPLY: u64 = 1 << 20;
/// Characters of a line that are quoted in an error.
const QUOTED: usize = 200;

/// A connection to a server's control socket.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the socket at `path`.
    pub fn connect(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let stream = UnixStream::connect(path).with_context(|| {
            format!("cannot reach demo-server at {}, where one should be running", Shown(path))
        })?;
        stream.set_read_timeout(Some(PATIENCE)).context("cannot set a timeout on the control socket")?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a request and waits for the reply, which may be a refusal.
    pub fn request(&mut self, request: &Request) -> Result<Reply> {
        let line = request.to_line().context("cannot write the request as JSON")?;
        self.stream.get_mut().write_all(&line).context("cannot send to demo-server")?;
        let reply = self.line()?.ok_or_else(|| anyhow!("demo-server closed the control connection"))?;
        serde_json::from_str(&reply)
            .with_context(|| format!("demo-server's reply is not understood: {}", quoted(&reply)))
    }

    /// Sends a request and returns the state afterwards; a refusal is an error.
    pub fn command(&mut self, request: &Request) -> Result<State> {
        self.request(request)?.state_or_refusal()
    }

    /// The state now.
    pub fn state(&mut self) -> Result<State> {
        self.command(&Request::State {})
    }

    /// Turns the connection into a stream of changes; the state at its beginning comes first.
    pub fn subscribe(mut self) -> Result<Subscription> {
        let state = self.command(&Request::Subscribe {})?;
        self.stream.get_ref().set_read_timeout(None).context("cannot wait on the control socket")?;
        let first = Update { reason: "subscribed".to_owned(), state };
        Ok(Subscription { first: Some(first), client: self })
    }

    fn line(&mut self) -> Result<Option<String>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(MAX_REPLY + 1);
        let length = limited.read_until(b'\n', &mut line).context("no reply from demo-server")?;
        if length == 0 {
            return Ok(None);
        }
        if length as u64 > MAX_REPLY {
            bail!("a line from the control socket is longer than {MAX_REPLY} bytes: that is not demo-server");
        }
        let line = String::from_utf8(line).context("a line from the control socket is not UTF-8")?;
        Ok(Some(line))
    }
}

/// The beginning of a line, fit for a terminal.
fn quoted(line: &str) -> String {
    line.trim_end().chars().take(QUOTED).flat_map(char::escape_debug).collect()
}

/// What comes on a connection that has subscribed.
#[derive(Debug)]
pub enum Message {
    /// Something changed.
    Changed(Box<Update>),
    /// What came of a request that an [`Asker`] has sent, in the order of the requests.
    Reply(Box<Reply>),
}

/// The sending half of a connection that has subscribed.
#[derive(Debug)]
pub struct Asker(UnixStream);

impl Asker {
    /// Sends a request; its reply comes with the changes.
    pub fn ask(&mut self, request: &Request) -> Result<()> {
        let line = request.to_line().context("cannot write the request as JSON")?;
        self.0.write_all(&line).context("cannot send to demo-server")
    }

    /// Ends the connection, for both halves.
    pub fn hang_up(self) {
        // It may have ended already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Changes as they happen. It ends when the server does.
#[derive(Debug)]
pub struct Subscription {
    first: Option<Update>,
    client: Client,
}

impl Subscription {
    /// The way to send requests on the same connection.
    pub fn asker(&self) -> Result<Asker> {
        let stream =
            self.client.stream.get_ref().try_clone().context("cannot use the control socket twice")?;
        stream.set_write_timeout(Some(PATIENCE)).context("cannot set a timeout on the control socket")?;
        Ok(Asker(stream))
    }

    /// What comes next; none at the end.
    pub fn message(&mut self) -> Option<Result<Message>> {
        /// Only a reply has it.
        #[derive(Deserialize)]
        struct Kind {
            ok: Option<bool>,
        }
        if let Some(first) = self.first.take() {
            return Some(Ok(Message::Changed(Box::new(first))));
        }
        let line = match self.client.line() {
            Ok(line) => line?,
            Err(error) => return Some(Err(error)),
        };
        let message = serde_json::from_str(&line).and_then(|Kind { ok }| match ok {
            Some(_) => serde_json::from_str(&line).map(Message::Reply),
            None => serde_json::from_str(&line).map(Message::Changed),
        });
        Some(message.with_context(|| format!("demo-server's line is not understood: {}", quoted(&line))))
    }
}

/// The changes alone.
impl Iterator for Subscription {
    type Item = Result<Update>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.message()? {
                Ok(Message::Changed(update)) => return Some(Ok(*update)),
                Ok(Message::Reply(_)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
