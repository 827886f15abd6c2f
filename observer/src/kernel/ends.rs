//! Followed connections against the sockets that exist: finds those whose end no program was shown, and counts the rest.

use std::time::{Duration, Instant};

use observer_ebpf::{
    loss,
    record::{Connection, flag},
};

use super::{maps::Maps, probed::PER_RUN, probes::Probes};
use crate::model::{
    event::{Event, Followed},
    snapshot::OLDEST,
};

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
    /// Looks at all connections that are followed, if that is due, and tells which of the accepted ones are the oldest.
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
        oldest(maps, &socks).into_iter().for_each(|connection| sink(Event::Open(Box::new(connection))));
        if let Some((begun, ended)) = before
            && let Some((begun_after, ended_after)) = count(maps)
        {
            let meanwhile = (begun_after - begun) + (ended_after - ended);
            sink(Event::Followed(Followed { begun, ended, open: socks.len() as u64, meanwhile }));
        }
        self.due = Some(Instant::now() + APART.max(start.elapsed() * PART));
    }
}

/// The connections that were accepted first, of those that are open, the first one first.
fn oldest(maps: &Maps, socks: &[u64]) -> Vec<Connection> {
    let open = socks.iter().filter_map(|sock| maps.connection(*sock));
    let mut oldest: Vec<Connection> = Vec::with_capacity(2 * OLDEST);
    for connection in open.filter(|connection| connection.flags & flag::ACCEPTED != 0) {
        oldest.push(connection);
        if oldest.len() == 2 * OLDEST {
            keep_oldest(&mut oldest);
        }
    }
    keep_oldest(&mut oldest);
    oldest
}

fn keep_oldest(connections: &mut Vec<Connection>) {
    connections.sort_by_key(|connection| (connection.accepted_ns, connection.remote_port));
    connections.truncate(OLDEST);
}
