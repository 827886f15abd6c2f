//! Handshakes that are begun and never completed: SYNs from addresses that do not answer.
//!
//! The packets are made here and sent through a raw socket, each from another address and port, so that each takes a
//! place of its own in the SYN queue. They stay there, the SYN-ACK sent again and again, until the run is over.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};

use super::engine::processor_time;
use super::measure::Measure;
use super::plan::Plan;
use super::progress::Progress;
use super::report::{Report, Usage};
use super::schedule::Schedule;
use crate::namespace::Silence;

/// SYNs of one run at most.
pub(super) const MOST: u64 = 1_000_000;

/// Sends them when they are due, and waits for the end of the run.
pub(super) fn run(plan: &Plan, stop: Option<BorrowedFd<'_>>) -> io::Result<Report> {
    let SocketAddr::V4(to) = plan.target else {
        return Err(io::Error::other("half-open connections are made over IPv4 only"));
    };
    let socket =
        Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW))).map_err(|error| {
            io::Error::new(error.kind(), format!("a raw socket, which needs CAP_NET_RAW: {error}"))
        })?;
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
        let packet = syn(source(measure.opened), to);
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

/// The address that SYN number `number` comes from: 65,536 addresses of the silent half, then the next port.
fn source(number: u64) -> SocketAddrV4 {
    let [.., high, low] = number.to_be_bytes();
    let port = 1024 + u16::try_from((number >> 16) % 60_000).unwrap_or(0);
    SocketAddrV4::new(Ipv4Addr::new(127, 200, high, low), port)
}

/// A packet with the heads of IPv4 and TCP, no options and no data.
fn syn(from: SocketAddrV4, to: SocketAddrV4) -> [u8; 40] {
    let mut packet = [0; 40];
    let (ip, tcp) = packet.split_at_mut(20);
    ip[0] = 0x45; // Version 4, five words.
    ip[3] = 40;
    ip[8] = 64;
    ip[9] = TCP;
    ip[12..16].copy_from_slice(&from.ip().octets());
    ip[16..20].copy_from_slice(&to.ip().octets());
    tcp[0..2].copy_from_slice(&from.port().to_be_bytes());
    tcp[2..4].copy_from_slice(&to.port().to_be_bytes());
    tcp[12] = 5 << 4; // Five words.
    tcp[13] = 2; // SYN.
    tcp[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
    // Over the addresses, the protocol and the length too (RFC 9293 section 3.1); IP's own the kernel fills in (raw(7)).
    let sum = checksum(ip[12..20].chunks(2).chain([&[0, TCP][..], &[0, 20]]).chain(tcp.chunks(2)));
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    packet
}

const TCP: u8 = 6;

/// The complement of the ones' complement sum of 16-bit words (RFC 1071).
fn checksum<'a>(words: impl Iterator<Item = &'a [u8]>) -> u16 {
    let mut sum: u32 = words.map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}
