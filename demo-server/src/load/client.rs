//! One client: a socket, where it is in its request, and a reader of responses.

use std::net::TcpStream;
use std::time::Instant;

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// connect(2) has begun.
    Connecting,
    /// So many bytes of the request have been sent.
    Sending(usize),
    /// The answer is awaited or half read.
    Receiving,
    /// Nothing is due.
    Idle,
}

/// One client with its connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) socket: TcpStream,
    pub(super) phase: Phase,
    /// When connect(2) was called.
    pub(super) began: Instant,
    /// When the request under way was due.
    pub(super) intended: Instant,
    /// When the first byte of it was sent.
    pub(super) sent: Instant,
    /// Requests answered on this connection.
    pub(super) answered: u32,
    /// A slow client that lets its socket wait.
    pub(super) paused: bool,
    pub(super) reader: ResponseReader,
}

/// Finds the end of a response in the bytes that arrive.
#[derive(Debug, Default)]
pub(super) struct ResponseReader {
    head: Vec<u8>,
    /// Bytes of the body that are still to come; None while the head is read.
    left: Option<usize>,
    /// Whether anything has arrived.
    pub(super) begun: bool,
}

/// A whole response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Response {
    /// The status code.
    pub(super) status: u16,
    /// Whether the server will close the connection.
    pub(super) closes: bool,
}

/// What there can be after some bytes: a response, or the need for more. An error names its kind.
pub(super) type Progress = Result<Option<Response>, &'static str>;

const MAX_HEAD: usize = 16 * 1024;

impl ResponseReader {
    /// Takes bytes as they arrive. A response is complete only with its last byte.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Progress {
        self.begun |= !bytes.is_empty();
        if self.left.is_none() {
            let searched = self.head.len().saturating_sub(3);
            self.head.extend_from_slice(bytes);
            let found = self.head[searched..].windows(4).position(|four| four == b"\r\n\r\n");
            let Some(end) = found.map(|at| searched + at + 4) else {
                return if self.head.len() > MAX_HEAD { Err("bad response") } else { Ok(None) };
            };
            let beyond = self.head.len() - end;
            bytes = &bytes[bytes.len() - beyond..];
            self.head.truncate(end);
            self.left = Some(self.content_length().ok_or("bad response")?);
        }
        match self.left.map(|left| left.checked_sub(bytes.len())) {
            Some(Some(0)) => {
                let response = self.response().ok_or("bad response")?;
                *self = Self { head: std::mem::take(&mut self.head), ..Self::default() };
                self.head.clear();
                Ok(Some(response))
            }
            Some(Some(left)) => {
                self.left = Some(left);
                Ok(None)
            }
            // More than was announced, and nothing was asked for meanwhile.
            Some(None) | None => Err("bad response"),
        }
    }

    fn content_length(&self) -> Option<usize> {
        self.field("content-length")?.parse().ok()
    }

    fn response(&self) -> Option<Response> {
        let head = std::str::from_utf8(&self.head).ok()?;
        let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
        Some(Response { status, closes: self.field("connection").is_some_and(|value| value == "close") })
    }

    /// The value of a field; demo-server writes names in lower case, other servers may not.
    fn field(&self, name: &str) -> Option<&str> {
        let head = std::str::from_utf8(&self.head).ok()?;
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_found_however_it_is_cut() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nconnection: close\r\n\r\nhello";
        for cut in 0..text.len() {
            let mut reader = ResponseReader::default();
            assert_eq!(reader.feed(&text[..cut]), Ok(None), "cut at {cut}");
            let expected = Ok(Some(Response { status: 200, closes: true }));
            assert_eq!(reader.feed(&text[cut..]), expected, "cut at {cut}");
            assert!(!reader.begun, "ready for the next");
        }
    }

    #[test]
    fn nonsense_is_an_error() {
        for text in
            ["SSH-2.0-x\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab"]
        {
            assert_eq!(ResponseReader::default().feed(text.as_bytes()), Err("bad response"), "{text}");
        }
    }
}
