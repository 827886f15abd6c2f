//! Recordings: what enters the model, in a file, so that live and replay of the same data are the same.
//!
//! A recording is a header and frames. A frame is whole or it is not there: its header and its contents have a checksum
//! each, and it is written as soon as a snapshot is due. So a file that is cut anywhere replays up to the cut.
//! docs/recording.md describes the format.
//!
//! # Layout
//! - [`mod@format`]: the header of the file, the header of a frame
//! - [`codec`]: events as bytes, and back
//! - [`recorder`]: writing one
//! - [`mod@file`]: opening and reading one, whatever the file holds

pub mod codec;
pub mod file;
pub mod format;
pub mod recorder;

#[cfg(test)]
mod tests;
