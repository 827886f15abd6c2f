//! observer: see every connection's way through the kernel, know which thread did each step, and trust the figures.
//!
//! # Layout
//! - [`model`]: what is known; plain data and pure functions

pub mod model;
