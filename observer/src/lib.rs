//! observer: see every connection's way through the kernel, know which thread did each step, and trust the figures.
//!
//! # Layout
//! Data flows one way: hook → event → model → snapshot → output.
//! - [`kernel`]: the privileged half: probes, maps, /proc; a source of events
//! - [`model`]: what is known; plain data and pure functions, events in, snapshots out
//! - [`recording`]: what enters the model, in a file, and from there again
//! - [`source`]: the kernel or a recording, as something that is read step by step
//! - [`engine`]: the one loop: from a source to the model, from the model to the outputs
//! - [`outputs`]: the screen, NDJSON, a recording, a page, the doctor's report
//! - [`view`], [`terminal`]: what the screen shows, and the terminal it is drawn on
//! - [`commands`]: what was typed, as a source and outputs
//! - [`backend`]: the link to the bundled backend
//! - [`arena`]: a network namespace of its own for an experiment, with a backend, load and an observation in it
//! - [`lab`], [`trial`]: guided experiments, and one run of one
//! - [`compare`]: patterns under the same load, and what really differs
//! - [`html`]: pages that need no other file
//! - [`cli`], [`selection`]: what was typed, and what follows from it
//! - [`output_file`]: files that outputs are written to
//! - `figures`: quantities as text
//! - [`failure`]: errors that have an exit code of their own
//! - `self_test`: proves each hook with connections of our own
//! - [`signals`]: when the process is to end, or to stop
//! - [`input`], [`file_size`]: files to read, and how large files may get
//! - [`visible`]: text that others chose, made safe; what is said beside the output

pub mod arena;
pub mod backend;
pub mod cli;
pub mod commands;
pub mod compare;
pub mod engine;
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
pub mod selection;
mod self_test;
pub mod signals;
pub mod source;
pub mod terminal;
pub mod trial;
pub mod view;
pub mod visible;
