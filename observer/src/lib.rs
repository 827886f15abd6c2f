//! observer: see every connection's way through the kernel, know which thread did each step, and trust the figures.
//!
//! # Layout
//! Data flows one way: hook → event → model → snapshot → output.
//! - [`kernel`]: the privileged half: probes, maps, /proc; a source of events
//! - [`model`]: what is known; plain data and pure functions, events in, snapshots out
//! - [`recording`]: what enters the model, in a file, and from there again
//! - [`outputs`]: NDJSON, the doctor's report
//! - [`run`]: the loops that move one to the other
//! - [`view`], [`terminal`]: the screen, and the terminal it is drawn on
//! - [`demo`]: the link to the bundled backend
//! - [`arena`]: a network namespace of its own for an experiment, with a backend, load and an observation in it
//! - [`lab`], [`trial`]: guided experiments, and one run of one
//! - [`compare`]: patterns under the same load, and what really differs
//! - [`html`]: pages that need no other file
//! - [`cli`], [`selection`]: what was typed, and what follows from it
//! - [`output_file`]: files that outputs are written to
//! - `figures`: quantities as text
//! - [`failure`]: errors that have an exit code of their own
//! - [`input`], [`file_size`]: files to read, and how large files may get
//! - [`stderr`]: what is said beside the output

pub mod arena;
pub mod cli;
pub mod compare;
pub mod demo;
pub mod failure;
mod figures;
pub mod file_size;
pub mod html;
pub mod input;
pub mod kernel;
pub mod lab;
pub mod model;
pub mod output_file;
pub mod outputs;
pub mod recording;
pub mod run;
pub mod selection;
pub mod stderr;
pub mod terminal;
pub mod trial;
pub mod view;
