//! Pieces of a screen that know numbers and text, and nothing of the kernel.
//!
//! # Layout
//! - [`pen`]: draws text into an area and never outside it
//! - [`table`]: which columns fit, and where
//! - [`list`]: which row is chosen, which rows are in sight
//! - [`bar`]: one quantity against its limit
//! - [`plot`]: one quantity over time, with marks
//! - [`distribution`]: how many took how long
//! - [`paragraph`]: text broken into lines

pub(crate) mod bar;
pub(crate) mod distribution;
pub(crate) mod list;
pub(crate) mod paragraph;
pub(crate) mod pen;
pub(crate) mod plot;
pub(crate) mod table;
