//! Tests of the whole server and of the load generator, through sockets and the command line.
//!
//! Everything is compared with somebody else's count: what the client sent with what the server read, what the
//! server says of its threads with what the kernel says, a queue with `/proc/net/tcp`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod control;
mod documents;
mod faults;
mod flood;
mod http;
mod lacking;
mod load;
mod more_faults;
mod patterns;
mod processes;
mod program;
mod support;
mod switching;
mod variants;
