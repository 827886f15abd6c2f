//! How a recording goes, on a line of stderr that is overwritten.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    sync::Arc,
    time::Instant,
};

use anyhow::Result;

use super::{Later, News, Output};
use crate::{model::snapshot::Snapshot, source::Origin, visible::say};

/// Shown after each snapshot, if anybody sees it.
pub struct Progress {
    began: Instant,
    shows: bool,
    /// A snapshot was recorded since it was last shown.
    is_due: bool,
}

impl Progress {
    /// It begins now.
    pub fn new() -> Self {
        Self { began: Instant::now(), shows: stderr().is_terminal(), is_due: false }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Output for Progress {
    fn snapshot(&mut self, _snapshot: &Arc<Snapshot>, _last: bool) -> Result<()> {
        self.is_due = self.shows;
        Ok(())
    }

    fn hear(&mut self, news: &News<'_>) -> Result<()> {
        if let News::Origin(Origin::Recorded(bytes)) = news
            && std::mem::take(&mut self.is_due)
        {
            let (seconds, size) = (self.began.elapsed().as_secs(), *bytes as f64 / 1e6);
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            // Nobody is there to be told that it cannot be shown.
            let _ = write!(stderr(), "\r{hours:02}:{minutes:02}:{:02}  {size:.1} MB ", seconds % 60);
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> Later<'static, Result<Option<String>>> {
        if self.shows {
            say("");
        }
        Box::pin(async { Ok(None) })
    }
}
