//! What backends told: their changes, and the load that they offer.

use std::{collections::BTreeMap, sync::Arc};

use super::{mark::Mark, offered::Offered, snapshot::MARKS};

/// Backends of which more is kept than that they changed something.
const MOST: usize = 16;

/// What all of them told so far.
#[derive(Debug, Default)]
pub(super) struct Backends {
    marks: Arc<Vec<Mark>>,
    offered: BTreeMap<u32, Offered>,
}

impl Backends {
    pub(super) fn changed(&mut self, mark: Mark) {
        let marks = Arc::make_mut(&mut self.marks);
        if marks.len() == MARKS {
            marks.remove(0);
        }
        marks.push(mark);
    }

    pub(super) fn offers(&mut self, backend: u32, offered: Option<Offered>) {
        match offered {
            Some(offered) if self.offered.len() < MOST || self.offered.contains_key(&backend) => {
                self.offered.insert(backend, offered);
            }
            Some(_) => {}
            None => _ = self.offered.remove(&backend),
        }
    }

    /// Changes, the newest last.
    pub(super) fn marks(&self) -> &Arc<Vec<Mark>> {
        &self.marks
    }

    pub(super) fn offered(&self) -> Vec<Offered> {
        self.offered.values().cloned().collect()
    }
}
