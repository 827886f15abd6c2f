//! The loop of `observer live`.

use std::io::{IsTerminal as _, stdout};

use anyhow::Result;

use crate::{cli, failure::Failure};

/// Draws frames until the user quits.
pub(super) async fn run(_options: cli::Live) -> Result<()> {
    if !stdout().is_terminal() {
        return Err(Failure::Usage(
            "the screen needs a terminal, and stdout is none; `observer stream` writes the same as JSON lines".into(),
        )
        .into());
    }
    Ok(())
}
