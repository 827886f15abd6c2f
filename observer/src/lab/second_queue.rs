//! An acceptor of its own empties the accept queue, and the wait goes on behind it.

use std::net::SocketAddr;

use anyhow::Result;
use demo_server::settings::Settings;

use super::Lab;
use crate::{
    arena::{backend::Backend, traffic::Asked, watch::listeners},
    trial::{
        Trial,
        figure::{CALLS, OBSERVER, SOCKETS},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "second-queue",
    title: "with an acceptor of its own a server is overloaded behind an empty accept queue",
    question: "Each request takes ten seconds. 20 clients come, to a server with one thread for everything, and to one \
               with an acceptor and two readers. How many clients wait in the accept queue of each, and where are the \
               others?",
    setup: "demo-server sleeps ten seconds for each request, first under `single-thread`, then under \
            `acceptor-readers` with two readers. 20 clients connect and ask.",
    why: "The acceptor does nothing but accept(2), so sk_ack_backlog falls to zero at once and neither ss nor \
          ListenOverflows ever show an overload. Each connection is handed to a reader, which has no time: the request \
          stays in the receive queue of an accepted socket (tcp_data_queue() in net/ipv4/tcp_input.c). That is the \
          second queue, it has no limit but descriptors and memory, and no counter of the kernel adds it up.",
    next: "In `observer live` it is the column of unread connections. Bound the number of connections in hand, and let \
           the accept queue be the place where overload shows.",
    needs: &["listener", "queue_depth", "enqueue", "accept", "data_queued", "read"],
    run,
};

const CLIENTS: u64 = 20;
const READERS: u32 = 2;
/// The longest that demo-server allows.
const LONG_US: u64 = 10_000_000;

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let in_hand = u64::from(READERS);
    for (pattern, queued, accepted, unread) in
        [("single-thread", CLIENTS - 1, 1, 0), ("acceptor-readers", 0, CLIENTS, CLIENTS - in_hand)]
    {
        let settings = Settings { workers: READERS, sleep_us: LONG_US, ..Settings::default() };
        let busy = Busy::with(trial, pattern, &settings)?;
        let rest = (1..CLIENTS).map(|_| Asked::new(busy.address())).collect::<Result<Vec<_>>>()?;
        busy.wait_for(trial, queued, unread)?;
        let what = |text: &str| format!("{pattern}: {text}");
        trial.exactly(what("answers so far"), 0, busy.answers(&rest), CALLS);
        trial.exactly(
            what("in the accept queue"),
            queued,
            trial.arena.sockets()?.queued(busy.port()),
            SOCKETS,
        );
        let ours = trial.listener(busy.port())?;
        trial.exactly(what("in the accept queue"), queued, u64::from(ours.accept_queue), OBSERVER);
        trial.exactly(what("accepted"), accepted, ours.accepted, OBSERVER);
        trial.exactly(what("accepted, with data that nobody has read"), unread, ours.unread, OBSERVER);
    }
    Ok(())
}

/// A backend that has a client's request in hand, for longer than a lab takes.
pub(super) struct Busy {
    backend: Backend,
    first: Asked,
}

impl Busy {
    /// Its thread burns processor time.
    pub(super) fn burning(trial: &mut Trial<'_>, pattern: &str) -> Result<Self> {
        Self::with(trial, pattern, &Settings { workers: 1, work_us: LONG_US, ..Settings::default() })
    }

    /// With other settings.
    pub(super) fn with(trial: &mut Trial<'_>, pattern: &str, settings: &Settings) -> Result<Self> {
        let backend = trial.arena.serve(pattern, settings)?;
        let first = Asked::new(backend.address())?;
        trial.watch.wait_for("the first request to be read", |snapshot| {
            Ok(snapshot.threads.iter().any(|thread| thread.pid == backend.pid() && thread.reads > 0))
        })?;
        Ok(Self { backend, first })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.backend.address()
    }

    pub(super) fn port(&self) -> u16 {
        self.backend.address().port()
    }

    /// Waits until so many connections are in the accept queue, and so many are accepted and unread.
    pub(super) fn wait_for(&self, trial: &mut Trial<'_>, queued: u64, unread: u64) -> Result<()> {
        trial.watch.wait_for("the clients to wait where they should", |snapshot| {
            let ours = listeners(snapshot, self.port()).next();
            Ok(ours.is_some_and(|one| u64::from(one.accept_queue) == queued && one.unread == unread))
        })?;
        Ok(())
    }

    /// How many clients have an answer.
    pub(super) fn answers(&self, others: &[Asked]) -> u64 {
        others.iter().chain([&self.first]).filter(|client| client.is_answered()).count() as u64
    }
}
