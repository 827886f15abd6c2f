//! A recording beside another output: the same options for all of them.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::recording::recorder::Target;

/// A recording beside another output.
#[derive(Debug, Clone, Args)]
pub struct Recording {
    /// Also record to this file, from the start on: a replay shows the same again.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Replace that recording if it is there.
    #[arg(long, requires = "record")]
    pub force: bool,
}

impl Recording {
    /// Makes the file, if one is asked for.
    ///
    /// # Errors
    /// It cannot be written, or something is there already.
    pub fn target(&self) -> Result<Option<Target>> {
        self.record.as_deref().map(|path| Target::create(path, true, self.force)).transpose()
    }
}
