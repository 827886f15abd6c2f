//! What is known: plain data and pure functions, no I/O, no clock, no aya.
//!
//! # Layout
//! - [`snapshot`]: the value that every output renders
//! - [`histogram`]: durations and their quantiles

pub mod histogram;
pub mod snapshot;
