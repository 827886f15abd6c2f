//! Handshakes that are begun and never completed: SYNs from addresses that do not answer.
//!
//! The packets are made here and sent through a raw socket, each from another address and port, so that each takes a
//! place of its own in the SYN queue. They stay there, the SYN-ACK sent again and again, until the run is over.

use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::engine::processor_time;
use super::measure::Measure;
use super::plan::Plan;
use super::progress::Progress;
use super::report::{Report, Usage};
use super::schedule::Schedule;
use crate::namespace::Silence;
use crate::segment;

/// SYNs of one run at most.
pub(super) const MOST: u64 = 1_000_000;

/// Sends them when they are due, and waits for the end of the run.
pub(super) fn run(plan: &Plan, stop: Option<BorrowedFd<'_>>) -> io::Result<Report> {
    let SocketAddr::V4(to) = plan.target else {
        return Err(io::Error::other("half-open connections are made over IPv4 only"));
    };
    let socket = segment::raw_socket()?;
    let _silence = Silence::begin().map_err(|error| {
        io::Error::new(error.kind(), format!("routes that lead nowhere, which need CAP_NET_ADMIN: {error}"))
    })?;
    let (start, processor) = (Instant::now(), processor_time());
    let (mut measure, mut schedule) = (Measure::new(), Schedule::of(plan));
    let mut progress = Progress::new(plan, start);
    let most = plan.total_connections.unwrap_or(MOST).min(MOST);
    loop {
        progress.show(&measure, 0);
        let left = measure.opened < most;
        let due = schedule.as_ref().filter(|_| left).map(Schedule::due).filter(|due| *due < plan.duration);
        if wait(stop, start + due.unwrap_or(plan.duration))? || due.is_none() {
            break;
        }
        if let Some(schedule) = &mut schedule {
            schedule.take();
        }
        let packet = segment::segment(segment::source(measure.opened), to, segment::SYN);
        match socket.send_to(&packet, &plan.target.into()) {
            Ok(length) => measure.bytes_sent += length as u64,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
            Err(_) => measure.error("other"),
        }
        measure.opened += 1;
    }
    let usage = Usage { elapsed: start.elapsed(), processor: processor_time().saturating_sub(processor) };
    Ok(Report::new(plan, &measure, usage))
}

/// Waits until then; true when it is to stop.
fn wait(stop: Option<BorrowedFd<'_>>, until: Instant) -> io::Result<bool> {
    loop {
        let left = until.saturating_duration_since(Instant::now()).min(Duration::from_millis(200));
        let left_until_then = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut fds: Vec<_> =
            stop.iter().map(|stop| PollFd::from_borrowed_fd(*stop, PollFlags::IN)).collect();
        match poll(&mut fds, Some(&left_until_then)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        if Instant::now() >= until {
            return Ok(false);
        }
    }
}
