//! Outputs: each renders the same snapshots.
//!
//! A new output is a file here and a row where [`crate::run`] chooses one.

pub mod doctor;
pub mod pipe;
pub mod report;
pub mod stream;

use std::sync::Arc;

use anyhow::Result;

use crate::model::snapshot::{Connection, Snapshot};

/// Something that renders what is known.
pub trait Output {
    /// A connection ended.
    fn connection(&mut self, connection: &Connection) -> Result<()>;
    /// What is known now.
    fn snapshot(&mut self, snapshot: &Arc<Snapshot>) -> Result<()>;
}
