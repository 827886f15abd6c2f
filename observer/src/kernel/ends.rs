//! Followed connections against the sockets that exist: finds those whose end no program was shown, and counts the rest.

use std::time::{Duration, Instant};

use observer_ebpf::loss;

use super::{maps::Maps, probes::Probes, source::PER_RUN};
use crate::model::event::{Event, Followed};

/// Passes are no closer than this.
const APART: Duration = Duration::from_secs(2);
/// Nor than so many times as long as the last one took: it costs at most this part of one processor.
const PART: u32 = 200;

/// When the next pass is due.
#[derive(Debug, Default)]
pub(super) struct Ends {
    due: Option<Instant>,
}

impl Ends {
    /// Looks at all connections that are followed, if that is due.
    pub(super) fn look(&mut self, probes: &mut Probes, maps: &Maps, sink: &mut impl FnMut(Event)) {
        let start = Instant::now();
        if self.due.is_some_and(|due| start < due) {
            return;
        }
        let count = |maps: &Maps| {
            let counters = maps.counters().ok()?;
            Some((counters[loss::FOLLOWED as usize], counters[loss::PRODUCED as usize]))
        };
        let before = count(maps);
        let socks = maps.connection_socks();
        socks.chunks(PER_RUN).for_each(|socks| {
            probes.run("look_for_ends", socks);
        });
        if let Some((begun, ended)) = before
            && let Some((begun_after, ended_after)) = count(maps)
        {
            let meanwhile = (begun_after - begun) + (ended_after - ended);
            sink(Event::Followed(Followed { begun, ended, open: socks.len() as u64, meanwhile }));
        }
        self.due = Some(Instant::now() + APART.max(start.elapsed() * PART));
    }
}
