//! Edge-triggered epoll with one accept for each event strands connections.

use std::net::TcpListener;

use anyhow::{Context as _, Result};
use rustix::event::{Timespec, epoll};

use super::Lab;
use crate::{
    arena::{
        traffic::{accept, connect, listen, port},
        watch::listeners,
    },
    model::snapshot::State,
    trial::{
        Trial,
        figure::{CALLS, OBSERVER, SOCKETS},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "stranded",
    title: "EPOLLET and one accept per event: clients wait in the queue while every thread sleeps",
    question: "Ten clients connect before the server's thread gets to call epoll_wait(2). The listener is registered \
               with EPOLLET, and the thread accepts one connection per event. How many are accepted?",
    setup: "Ten clients connect to a listener that is registered with EPOLLET. The server asks epoll for events, \
            accepts one connection, and asks again. Then one more client comes. At the end the server accepts until \
            EAGAIN.",
    why: "A listener that is watched with EPOLLET is reported when something arrives (sock_def_readable() wakes \
          ep_poll_callback() in fs/eventpoll.c), and ep_send_events() does not put it back on the ready list merely \
          because the queue is not empty, as it does without EPOLLET. Ten arrivals before the first epoll_wait(2) are \
          one event. Nine stay, and nothing will ever say so again: each later arrival frees one and takes a place. \
          Whoever asks for edges must accept until EAGAIN.",
    next: "Run `demo-server serve --pattern edge-once` under `demo-server load --profile burst` and look at it in \
           `observer live`: the state is `stranded`, connections wait and nobody is working.",
    needs: &["listener", "queue_depth", "enqueue", "accept"],
    run,
};

const CLIENTS: u64 = 10;

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let arena = trial.arena;
    let listener = listen(64)?;
    let here = port(&listener)?;
    let events = Events::of(&listener)?;
    let mut clients = (0..CLIENTS).map(|_| connect(&listener)).collect::<Result<Vec<_>>>()?;
    arena.until("all clients to be queued", || Ok(arena.sockets()?.queued(here) == CLIENTS))?;

    trial.exactly("events for ten arrivals", 1, events.ready()?, CALLS);
    let _first = accept(&listener, arena)?;
    trial.exactly("events after one accept", 0, events.ready()?, CALLS);
    trial.exactly("left in the accept queue", CLIENTS - 1, arena.sockets()?.queued(here), SOCKETS);
    let stranded = |one: &crate::model::snapshot::Listener| one.state == State::Stranded;
    let snapshot = trial.watch.wait_for("the listener to be called stranded", |snapshot| {
        Ok(listeners(snapshot, here).all(stranded))
    })?;
    let queued = listeners(&snapshot, here).map(|one| u64::from(one.accept_queue)).sum::<u64>();
    trial.exactly("left in the accept queue, called stranded", CLIENTS - 1, queued, OBSERVER);

    clients.push(connect(&listener)?);
    arena.until("the event of one more arrival", || Ok(events.ready()? > 0))?;
    let _second = accept(&listener, arena)?;
    trial.exactly(
        "left after one more arrival and one more accept",
        CLIENTS - 1,
        arena.sockets()?.queued(here),
        SOCKETS,
    );
    trial.exactly("events then", 0, events.ready()?, CALLS);

    let mut rest = 0;
    while listener.accept().is_ok() {
        rest += 1;
    }
    trial.exactly("accepted until EAGAIN", CLIENTS - 1, rest, CALLS);
    let ours = trial.listener(here)?;
    trial.exactly("accepted in all", CLIENTS + 1, ours.accepted, OBSERVER);
    trial.exactly("left in the accept queue", 0, u64::from(ours.accept_queue), OBSERVER);
    Ok(())
}

/// An epoll set with the listener in it, edge-triggered.
struct Events(std::os::fd::OwnedFd);

impl Events {
    fn of(listener: &TcpListener) -> Result<Self> {
        let make = || {
            let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
            let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
            epoll::add(&set, listener, epoll::EventData::new_u64(0), flags)?;
            rustix::io::Result::Ok(Self(set))
        };
        make().context("cannot make an epoll set")
    }

    /// How many events there are now.
    fn ready(&self) -> Result<u64> {
        let mut events = Vec::with_capacity(4);
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut events), Some(&none))
            .context("cannot ask epoll for events")?;
        Ok(events.len() as u64)
    }
}
