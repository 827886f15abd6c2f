//! A backend that runs one service under the classic execution patterns, and the load to throw at it.
//!
//! Which thread accepts, which reads and which works is all that differs between the patterns; what the kernel then
//! does with the connections is what the observer shows. Everything else is shared, small and plain: blocking or
//! polled sockets and threads, so that each call the kernel sees stands in this code. The one pattern that is a runtime
//! leaves to it only who waits for which socket.
//!
//! # Layout
//!
//! - [`pattern`]: the patterns, one row in a table and one file each; start reading here
//! - [`stage`]: one run of a pattern: its threads, and what passes from one run to the next
//! - [`process`]: workers that are processes instead of threads
//! - [`event_loop`]: one thread that minds many sockets
//! - [`listener`]: listening sockets, shards, the backlog
//! - [`accept_ring`]: accepting through io_uring
//! - [`connection`]: one accepted connection, from the first byte to its line in the journal
//! - [`http`]: the protocol, on byte strings
//! - [`service`]: the work done for a request, and the counters
//! - [`board`]: what all threads and processes look at and count into
//! - [`settings`], [`fault`]: what can be changed, and what can be broken, while it runs
//! - [`server`]: all of that together, with live switching
//! - [`control`]: the socket through which the server is watched and changed, and a client for it
//! - [`load`]: the load generator
//! - [`namespace`]: a place for floods, from which nothing can leave; [`segment`]: what floods are made of
//! - [`journal`]: one line for each ended connection, for tests
//! - [`private`]: directories of our own
//! - [`visible`]: text that others chose, made safe to look at
//! - [`wake`], [`signals`], [`socket_option`], [`descriptors`], [`duration`], [`command_line`]: the small things
//!   underneath

pub mod accept_ring;
pub mod board;
pub mod command_line;
pub mod connection;
pub mod control;
pub mod descriptors;
pub mod duration;
pub mod event_loop;
pub mod fault;
pub mod http;
pub mod journal;
pub mod listener;
pub mod load;
pub mod namespace;
mod netlink;
pub mod pattern;
pub mod private;
pub mod process;
pub mod segment;
pub mod server;
pub mod service;
pub mod settings;
pub mod signals;
pub mod socket_option;
pub mod stage;
pub mod visible;
pub mod wake;
