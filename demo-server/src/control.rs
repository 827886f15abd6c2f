//! The control socket: one JSON object a line, each way, on a UNIX socket.
//!
//! - [`protocol`]: the messages; `docs/control.md` describes them for people
//! - [`Client`]: a small blocking client
//! - [`serve`]: the server's side
//!
//! Every request carries `"v":1` and gets one line in reply. A client that has subscribed gets a line more for every
//! change, whoever made it.

pub mod protocol;

mod client;
pub(crate) mod desk;
mod service;

pub use client::{Asker, Client, Message, Subscription};
pub use protocol::{
    ActiveLoad, Counters, Fault, ListenerState, LoadRequest, Reply, Request, Settings, State, ThreadState,
    Update,
};
pub use service::{Control, serve};
