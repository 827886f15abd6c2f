//! The protocol of the demonstration: as much of HTTP/1.1 as a real client needs, and no more.
//!
//! [`parse()`] turns the beginning of a byte stream into a [`Request`], asks for more bytes, or refuses.
//! [`respond()`] writes an answer. Neither touches a socket, so both are tested with plain byte strings.

mod parse;
mod respond;

pub use parse::{Method, Refusal, Request, parse};
pub use respond::{Answer, refuse, respond};

/// The longest request line and header fields together, in bytes; past it the answer is 431.
pub const MAX_HEAD: usize = 8 * 1024;

/// The longest request body in bytes; past it the answer is 413.
pub const MAX_BODY: usize = 1024 * 1024;
