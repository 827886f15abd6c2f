//! Writing an answer into a buffer.

use std::io::Write as _;

use super::{Method, Refusal};

/// What the answer says beside its body.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The pattern that runs, in the field `x-pattern`.
    pub pattern: &'a str,
    /// The thread that answers, as name/tid, in the field `x-thread`.
    pub thread: &'a str,
    /// The length of the body in bytes.
    pub body: usize,
    /// Whether the connection stays open.
    pub keep_alive: bool,
}

/// The body is this line again and again, cut where the length says.
const LINE: &[u8] = b"one service, many ways to run it: watch the kernel not the code\n";

/// Appends the answer to a request with `method`.
pub fn respond(out: &mut Vec<u8>, method: Method, answer: &Answer<'_>) {
    let Answer { pattern, thread, body, keep_alive } = answer;
    let connection = if *keep_alive { "keep-alive" } else { "close" };
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {body}\r\n\
         x-pattern: {pattern}\r\nx-thread: {thread}\r\nconnection: {connection}\r\n\r\n"
    );
    if method != Method::Head {
        fill(out, *body);
    }
}

/// Appends the answer that says why a request is not served.
pub fn refuse(out: &mut Vec<u8>, refusal: &Refusal) {
    let Refusal { status, reason } = refusal;
    let _ = write!(
        out,
        "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{reason}\n",
        reason.len() + 1
    );
}

fn fill(out: &mut Vec<u8>, mut bytes: usize) {
    out.reserve(bytes);
    while bytes > 0 {
        let part = bytes.min(LINE.len());
        out.extend_from_slice(&LINE[..part]);
        bytes -= part;
    }
}
