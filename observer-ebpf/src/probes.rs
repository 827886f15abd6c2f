//! The signals. One file each holds what is done; `state` and `data_ready` are hooks that serve several signals and
//! only tell them apart.

mod accept;
mod accept_late;
mod accept_unseen;
mod acceptors;
mod arrival;
mod closed_window;
mod cookie;
mod data;
mod data_ready;
mod destroy;
mod ending;
mod endings;
mod existing;
mod fast_open;
mod followed;
mod gone;
mod held;
mod holders;
mod listener;
mod migration;
mod read;
mod read_unseen;
mod refused;
mod request;
mod reset;
mod sample;
mod state;
mod synack;
mod wakeups;
mod write;
mod write_unseen;
