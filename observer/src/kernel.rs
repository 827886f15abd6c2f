//! The privileged half: eBPF programs, maps, and what /proc says. Nothing above this module knows aya.
//!
//! # Layout
//! - [`btf`], [`layout`]: where members lie in the running kernel's structures
//! - [`plan`]: which signal comes from which hook
//! - [`refusal`]: why a hook cannot be used
//! - [`choice`]: choosing hooks by the plan
//! - `loading`: programs into the kernel and out of it
//! - [`origin`]: which kernel types are of
//! - `tracefs`: where that must be mounted first
//! - [`probes`]: the attached programs
//! - [`maps`]: typed reading of the maps
//! - [`ground`]: what can be told without any of these
//! - [`privilege`]: which capabilities there are, and which are missing
//! - `windows`: connections whose peer takes nothing
//! - `devices`: names of the interfaces that listeners are bound to
//! - `owners`: whose each listener is now; `acceptors`, `look`: who accepts, and what those threads do
//! - [`host`], [`namespaces`]: the kernel's own counters, per network namespace, and through whom they are read
//! - [`clock`]: the clocks of the kernel's programs
//! - [`netns_cookie`]: by what a namespace is told from the next one with its number
//! - [`tasks`], [`processor`]: threads in /proc, and the processor time of processes
//! - [`log`]: what the programs log, when asked for
//! - [`sock_diag`], `listening`: the kernel's own list of listeners, and which of them are watched
//! - `sampled`: what is kept of a listener between two readings
//! - `ends`: connections whose end no program was shown
//! - [`probed`]: all of it, read as events; [`meta`]: what of it does not change

mod acceptors;
pub mod btf;
pub mod choice;
pub mod clock;
mod devices;
mod ends;
pub mod ground;
pub mod host;
pub mod layout;
mod listening;
mod loading;
pub mod log;
mod look;
pub mod maps;
pub mod meta;
pub mod namespaces;
pub mod netns_cookie;
pub mod origin;
mod owners;
pub mod plan;
pub mod privilege;
pub mod probed;
pub mod probes;
pub mod processor;
pub mod refusal;
mod sampled;
pub mod sock_diag;
#[cfg(test)]
mod stack;
pub mod tasks;
mod tracefs;
mod windows;
