//! The whole life of a worker process.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::thread;

use anyhow::{Context as _, Result, bail};

use super::channel::{Channel, Frame};
use super::{Assignment, FromWorker, ToWorker};
use crate::board::SharedBoard;
use crate::connection::Connection;
use crate::fault::Fault;
use crate::journal::Journal;
use crate::listener::Listener;
use crate::pattern;
use crate::service::Service;
use crate::stage::Stage;

/// Does what the guard at the other end of standard input says, until it says stop.
pub fn run() -> Result<()> {
    let channel =
        Channel::of(io::stdin().as_fd().try_clone_to_owned().context("cannot take standard input")?);
    // Fails only where nobody listens, and then there is nothing to receive either.
    let _ = channel.send(&FromWorker::Here, &[], &[]);
    let frame =
        channel.receive().context("this command is for demo-server itself: standard input is no guard")?;
    let Some(mut frame @ Frame { message: ToWorker::Begin(_), .. }) = frame else {
        bail!("the server has gone before it said what to do");
    };
    let board = SharedBoard::of(frame.descriptor()?).context("cannot map the board")?;
    let Frame { message: ToWorker::Begin(assignment), mut descriptors, .. } = frame else {
        bail!("the guard did not begin with an assignment");
    };
    let Assignment { pattern, index, shard, journal, connections } = assignment;
    let mut descriptor = || descriptors.next().context("a descriptor is missing");
    let journal = if journal { Some(Journal::of(descriptor()?.into())) } else { None };
    let listener = match shard {
        Some(shard) => {
            vec![Arc::new(Listener::of(descriptor()?, shard).context("cannot take the listener")?)]
        }
        None => Vec::new(),
    };
    let pattern = pattern::expect(&pattern).map_err(anyhow::Error::msg)?;
    let serve = pattern.process.with_context(|| format!("{} does not serve with processes", pattern.id))?;
    let service = Service::new(board, journal, "/proc/self/exe".into()).of_worker(index);
    let service = Arc::new(service);
    let inherited = (0..connections).map(|_| connection(&channel, &service)).collect::<Result<_>>()?;
    let stage = Stage::new(pattern, &service, listener, 1, inherited);
    let channel = Arc::new(channel);
    thread::Builder::new().name("guard-link".to_owned()).spawn({
        let (stage, channel) = (Arc::clone(&stage), Arc::clone(&channel));
        move || listen(&stage, &channel)
    })?;
    let failure = serve(&stage, index).err().map(|error| error.to_string());
    for socket in service.take_leaked() {
        match service.board.faults.on(Fault::Leak) {
            true if channel.send(&FromWorker::Leaked, &[], &[socket.as_fd()]).is_ok() => service.release(1),
            _ => service.count_closed(1),
        }
    }
    for connection in stage.leftovers() {
        let sent = connection
            .send(|luggage, bytes, socket| channel.send(&FromWorker::Connection(luggage), bytes, &[socket]));
        if let Err(unsent) = sent {
            let error = &unsent.0;
            eprintln!("demo-server: a connection cannot be handed back and is closed: {error}");
        }
    }
    Ok(channel.send(&FromWorker::Ended(failure), &[], &[])?)
}

fn connection(channel: &Channel, service: &Arc<Service>) -> Result<Connection> {
    let mut frame = channel.receive()?.context("the server has gone")?;
    let socket = frame.descriptor()?;
    match frame.message {
        ToWorker::Connection(luggage) => Ok(Connection::receive(luggage, frame.bytes, socket, service)?),
        _ => bail!("a connection was announced and did not come"),
    }
}

/// Hears the guard while the main thread serves.
fn listen(stage: &Stage, channel: &Channel) {
    if stage.wait_until_complete().is_ok() {
        // Should the guard be gone, so will be this process, at the next line or by its parent-death signal.
        let _ = channel.send(&FromWorker::Serving, &[], &[]);
    }
    while let Ok(Some(Frame { message: ToWorker::Look, .. })) = channel.receive() {
        stage.look();
        let _ = channel.send(&FromWorker::Looked, &[], &[]);
    }
    stage.stop();
}
