//! The server's side of a worker process: starts it, speaks for it in the crew, takes back what it leaves.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use super::channel::{Channel, Frame};
use super::{Assignment, FromWorker, ToWorker};
use crate::connection::Connection;
use crate::fault::Fault;
use crate::listener::Listener;
use crate::stage::Member;

/// A worker is not started again sooner than this after the start of the one before it: one that dies at once costs a
/// process a second, and not all the time of a processor.
const APART: Duration = Duration::from_secs(1);

/// A started process that is killed and reaped if its guard gives up.
struct Worker(Child);

impl Worker {
    fn start(member: &Member<'_>, channel: OwnedFd) -> io::Result<Self> {
        let program = &member.stage().service().program;
        let mut command = Command::new(program);
        command.arg("worker").args(["--die-with", &std::process::id().to_string()]);
        // In a group of its own, so that Ctrl-C on the terminal reaches the server alone, which then ends in order.
        command.process_group(0).stdin(Stdio::from(channel)).stdout(Stdio::null());
        command.spawn().map(Self).map_err(|error| {
            io::Error::other(format!("cannot start {} as a worker: {error}", program.display()))
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Without effect on one that was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves by a process of its own. It accepts from `listener`, if there is one, and begins with `connections`.
///
/// One that accepts is started again when it dies, at once or a second after the last start, as the master of a pre-forking server does: its
/// listener is open here, so connections go on arriving, and wait. One without a listener ends with its connection.
///
/// Called on the thread of the crew whose place the process takes: the kernel's parent-death signal follows the thread
/// that forked (prctl(2), `PR_SET_PDEATHSIG`).
pub fn guard(
    member: &Member<'_>,
    listener: Option<&Listener>,
    connections: Vec<Connection>,
) -> io::Result<()> {
    // The first begins with what is open.
    let mut connections = connections;
    loop {
        let begun = Instant::now();
        let ended = serve(member, listener, std::mem::take(&mut connections));
        if listener.is_none() || member.stage().stopping() || !member.is_serving() {
            return ended;
        }
        if let Err(error) = ended {
            member.complain(&error.to_string());
        }
        member.rest(|| APART.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()));
        if member.stage().stopping() {
            return Ok(());
        }
        eprintln!("demo-server: {}: another process takes its place", member.name());
        member.stage().service().board.counters.restarts.fetch_add(1, Ordering::SeqCst);
    }
}

/// Serves by one process until it ends.
fn serve(member: &Member<'_>, listener: Option<&Listener>, connections: Vec<Connection>) -> io::Result<()> {
    // The worker has the name that the thread was given, and the thread does nothing that the name says.
    let _ = rustix::thread::set_name(c"guard");
    let (channel, theirs) = Channel::pair()?;
    let mut worker = match Worker::start(member, theirs) {
        Ok(worker) => worker,
        Err(error) => {
            connections.into_iter().for_each(|connection| member.stage().hand_back(connection));
            return Err(error);
        }
    };
    member.stands_for(i32::try_from(worker.0.id()).map_err(io::Error::other)?);
    let here = matches!(channel.receive(), Ok(Some(Frame { message: FromWorker::Here, .. })));
    // Errors of sending are left to receiving: a worker that has died is found there, with its status.
    let _ = begin(member, &channel, listener, connections.len());
    for connection in connections {
        let sent = connection.send(|luggage, bytes, socket| match here {
            true => channel.send(&ToWorker::Connection(luggage), bytes, &[socket]),
            false => Err(io::ErrorKind::NotConnected.into()),
        });
        if let Err(unsent) = sent {
            member.stage().hand_back(unsent.1);
        }
    }
    let ended = attend(member, &channel);
    // Nobody is to wait for it any more, and it cannot be sent anything: it ends, if it has not.
    member.stands_for_nobody();
    drop(channel);
    let status = worker.0.wait()?;
    match ended {
        Ok(Farewell::Done) => Ok(()),
        Ok(Farewell::Failed(failure)) => Err(io::Error::other(failure)),
        Ok(Farewell::None) => lost(member, worker.0.id(), status),
        Err(error) => Err(error),
    }
}

fn begin(
    member: &Member<'_>,
    channel: &Channel,
    listener: Option<&Listener>,
    connections: usize,
) -> io::Result<()> {
    let service = member.stage().service();
    let journal = service.journal.as_ref().map(|journal| journal.file()).transpose()?;
    let assignment = Assignment {
        pattern: member.stage().pattern().id.to_owned(),
        index: member.index(),
        shard: listener.map(Listener::shard),
        journal: journal.is_some(),
        connections,
    };
    let mut descriptors = vec![service.board.as_fd()];
    descriptors.extend(journal.as_ref().map(|file| file.as_fd()));
    descriptors.extend(listener.map(|listener| listener.as_fd()));
    channel.send(&ToWorker::Begin(assignment), &[], &descriptors)
}

/// How a worker has ended.
enum Farewell {
    /// It was told to, or its client has left.
    Done,
    /// It could not go on.
    Failed(String),
    /// It died without a word.
    None,
}

/// Passes on what the stage says and takes what the worker says, until it has nothing more to say.
fn attend(member: &Member<'_>, channel: &Channel) -> io::Result<Farewell> {
    let stage = member.stage();
    let mut told = false;
    let mut asked = std::collections::VecDeque::new();
    loop {
        let mut fds = [PollFd::new(channel, PollFlags::IN), PollFd::new(member.wake(), PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [spoken, rung] = fds.map(|fd| !fd.revents().is_empty());
        if rung {
            member.wake().quiet();
            asked.push_back(member.epoch());
            let _ = channel.send(&ToWorker::Look, &[], &[]);
            if stage.stopping() && !told {
                told = true;
                let _ = channel.send(&ToWorker::Stop, &[], &[]);
            }
        }
        if !spoken {
            continue;
        }
        let Some(mut frame) = channel.receive()? else { return Ok(Farewell::None) };
        match frame.message {
            FromWorker::Here => {}
            FromWorker::Serving => member.take_place(),
            FromWorker::Looked => {
                if let Some(epoch) = asked.pop_front() {
                    member.has_looked(epoch);
                }
            }
            FromWorker::Connection(ref luggage) => {
                let luggage = luggage.clone();
                let socket = frame.descriptor()?;
                let Frame { bytes, .. } = frame;
                stage.hand_back(Connection::receive(luggage, bytes, socket, stage.service())?);
            }
            FromWorker::Leaked => {
                if !stage.service().keep(frame.descriptor()?) {
                    stage.service().count_closed(1);
                }
                // It may have been mended while the socket was on its way; looked at after it is kept, so that either
                // this or the mending closes it.
                if !stage.service().board.faults.on(Fault::Leak) {
                    stage.service().close_leaked();
                }
            }
            // What else it may begin to say is cut off by its end.
            FromWorker::Ended(failure) => return Ok(failure.map_or(Farewell::Done, Farewell::Failed)),
        }
    }
}

/// A worker has died without a word. The kernel has closed what it held; the others go on, as in any server with a
/// pool of processes.
fn lost(member: &Member<'_>, pid: u32, status: ExitStatus) -> io::Result<()> {
    let (name, board) = (member.name(), &member.stage().service().board);
    let held = board.held(member.index()).swap(0, Ordering::SeqCst);
    board.counters.closed.fetch_add(held, Ordering::SeqCst);
    if !member.is_serving() {
        return Err(io::Error::other(format!("the worker process has ended before it served ({status})")));
    }
    eprintln!("demo-server: {name}: process {pid} is gone ({status}), and {held} connections with it");
    Ok(())
}
