//! Processes that serve in place of threads.
//!
//! A worker is this program, started anew: fork(2) in a program with threads copies locks that nobody will release,
//! execve(2) leaves all of that behind. It inherits one descriptor, a socket to its guard, through which everything
//! else comes: the shared board, its listener, the journal, open connections.
//!
//! ```text
//!  server process                                        worker process
//!  thread of the crew (guard) ◄── frames, descriptors ──► thread `guard-link`
//!                                                         main thread srv-0: accepts, reads, works, writes
//!          settings, faults, counters: one board in shared memory
//! ```
//!
//! In the server a worker has a place in the crew like a thread has: its guard takes it, and gives it the worker's
//! process id. A worker never outlives the server: the kernel kills it when its guard ends (`PR_SET_PDEATHSIG`).

mod channel;
mod guard;
mod worker;

pub use guard::guard;
pub use worker::run;

use serde::{Deserialize, Serialize};

use crate::connection::Luggage;

/// What a guard says.
#[derive(Debug, Serialize, Deserialize)]
enum ToWorker {
    /// The first word, with the board and, where there are any, the journal and the listener.
    Begin(Assignment),
    /// A connection, with its socket; as many as were announced.
    Connection(Luggage),
    /// Settings or faults have changed: look at the board.
    Look,
    /// Finish the request in hand, hand everything back, and end.
    Stop,
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
enum FromWorker {
    /// Its first word, which says that it is what it should be.
    Here,
    /// It has what it needs and serves.
    Serving,
    /// It has looked.
    Looked,
    /// A connection that it leaves open, with its socket.
    Connection(Luggage),
    /// The socket of a connection that it has leaked, which is to stay open although it ends.
    Leaked,
    /// Its last word; with the reason if nobody had told it to stop.
    Ended(Option<String>),
}

/// What a worker is to do.
#[derive(Debug, Serialize, Deserialize)]
struct Assignment {
    pattern: String,
    index: u32,
    /// Number of the shard that the listener is; absent for a worker that does not accept.
    shard: Option<u32>,
    journal: bool,
    /// Connections that follow.
    connections: usize,
}
