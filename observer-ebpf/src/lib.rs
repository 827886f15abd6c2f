//! What the kernel half and the userspace half of observer agree on, written once.
//!
//! # Layout
//! - [`record`]: what crosses from the kernel: connection records, listener entries, samples, thread entries
//! - [`histogram`]: the log-linear buckets in which both halves count durations
//! - [`loss`]: every place where something can be lost, each with its counter
//! - [`plain`]: records as bytes and back
//! - [`layout`]: the kernel structure members whose offsets the loader looks up in BTF
//!
//! Everything here is plain data: `#[repr(C)]`, no padding that the compiler would choose, no enums, no pointers.
//! The programs themselves are the binary target of this crate, built for `bpfel-unknown-none`.
#![cfg_attr(target_arch = "bpf", no_std)]

pub mod histogram;
pub mod layout;
pub mod loss;
pub mod plain;
pub mod record;

pub use plain::Plain;
