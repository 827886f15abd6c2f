//! What a thread that sleeps in a system call is told of: by the descriptors that it named, and by the epoll instances and
//! io_urings among them.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::{FileExt as _, MetadataExt as _},
};

use super::{Awaited, Call, socket_inode};
use crate::{
    kernel::tasks,
    model::look::{How, Watch},
};

/// Most descriptors that a call of poll(2) is read for.
const MOST_POLLED: usize = 1024;
/// The kernel nests epoll instances no deeper (EP_MAX_NESTS, fs/eventpoll.c).
const NESTS: u32 = 4;
/// Operations that a ring waits for and that accept nothing: readv, writev, read_fixed, write_fixed, sendmsg, recvmsg,
/// timeout, connect, read, write, send, recv, send_zc, sendmsg_zc, read_multishot (include/uapi/linux/io_uring.h). The
/// numbers are of the kernel's interface.
const NO_ACCEPT: [u32; 15] = [1, 2, 4, 5, 9, 10, 11, 16, 22, 23, 26, 27, 47, 48, 49];

/// What a thread waits for in its call.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// How it watches the listeners, as far as that is known.
    pub(super) watches: Vec<Watch>,
    /// The only descriptor that it waits for.
    pub(super) only: Option<u32>,
    /// It names no descriptor at all.
    pub(super) nothing: bool,
    /// It waits for room to write, and for nothing to read.
    pub(super) writes: bool,
    /// Inode numbers of all files that it waits for, if one of the listeners is not among them and all are known.
    pub(super) inodes: Option<Vec<u64>>,
}

/// A descriptor that a call names, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    descriptor: u32,
    read: bool,
    write: bool,
}

/// A descriptor of which a thread is told.
#[derive(Debug)]
struct Told {
    descriptor: u32,
    /// Of the file behind it: the same listener may have several descriptors, and one that was registered may be another
    /// file's by now.
    inode: Option<u64>,
    how: How,
}

impl Told {
    fn inode(&self, pid: u32) -> Option<u64> {
        let metadata = || fs::metadata(format!("/proc/{pid}/fd/{}", self.descriptor)).ok();
        self.inode.or_else(|| Some(metadata()?.ino()))
    }
}

/// All of which a thread is told.
#[derive(Debug, Default)]
struct List {
    told: Vec<Told>,
    /// Something among it could not be read, so that nothing is known to be missing.
    in_part: bool,
    /// An io_uring is among it, whose operations are not told by descriptor.
    has_ring: bool,
}

/// What the thread waits for in this call; none if the call waits for no descriptor, or it is not known for which.
pub(super) fn of(pid: u32, call: &Call, awaited: &[Awaited]) -> Option<Waits> {
    let mut list = List::default();
    let mut waits = Waits::default();
    match call.name.as_str() {
        "epoll_wait" | "epoll_pwait" | "epoll_pwait2" => {
            list.epoll(pid, call.arguments[0] as u32, How::Level, 0);
        }
        "io_uring_enter" => list.ring(pid, call.arguments[0] as u32),
        _ => {
            let wanted = wanted(pid, call)?;
            for one in &wanted {
                list.any(pid, one.descriptor, if one.read { How::Level } else { How::Disarmed }, 0);
            }
            if let ([one], [told]) = (wanted.as_slice(), list.told.as_slice()) {
                waits.only = (one.descriptor == told.descriptor && !list.in_part).then_some(one.descriptor);
            }
            waits.nothing = wanted.is_empty();
            waits.writes = wanted.iter().any(|one| one.write) && !wanted.iter().any(|one| one.read);
        }
    }
    let known = awaited.iter().filter_map(|(listener, descriptor)| Some((*listener, (*descriptor)?)));
    let watch = |(listener, descriptor)| Some(Watch { listener, how: list.how(pid, descriptor)? });
    waits.watches = known.filter_map(watch).collect();
    let is_elsewhere = waits.watches.iter().any(|watch| watch.how == How::Absent);
    waits.inodes = (is_elsewhere && !list.has_ring)
        .then(|| list.told.iter().filter_map(|told| told.inode(pid)).collect());
    Some(waits)
}

/// Descriptors that a call names.
fn wanted(pid: u32, call: &Call) -> Option<Vec<Wanted>> {
    let [first, second, third, ..] = call.arguments;
    match call.name.as_str() {
        "poll" | "ppoll" => polled(pid, first, second),
        "select" | "pselect6" => {
            let (read, write) = (selected(pid, first, second)?, selected(pid, first, third)?);
            let all: BTreeSet<u32> = read.iter().chain(&write).copied().collect();
            let wanted = |descriptor| Wanted {
                descriptor,
                read: read.contains(&descriptor),
                write: write.contains(&descriptor),
            };
            Some(all.into_iter().map(wanted).collect())
        }
        name if tasks::takes_descriptor(name) => {
            Some(vec![Wanted { descriptor: first as u32, read: true, write: false }])
        }
        _ => None,
    }
}

impl List {
    /// Adds a descriptor, or what it is told of if it is such a thing itself.
    fn any(&mut self, pid: u32, descriptor: u32, how: How, depth: u32) {
        let path = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).unwrap_or_default();
        match path.to_string_lossy().as_ref() {
            "anon_inode:[eventpoll]" => self.epoll(pid, descriptor, how, depth),
            "anon_inode:[io_uring]" => self.ring(pid, descriptor),
            text => self.told.push(Told { descriptor, inode: socket_inode(text), how }),
        }
    }

    /// Adds what an epoll instance is told of, and what those are that it is told of itself: a line
    /// `tfd: 3 events: 19 data: ... ino:61af` for each descriptor.
    fn epoll(&mut self, pid: u32, instance: u32, outer: How, depth: u32) {
        let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{instance}"));
        let anonymous = fs::metadata(format!("/proc/{pid}/fd/{instance}"));
        let (Ok(text), Ok(anonymous), true) = (text, anonymous, depth <= NESTS) else {
            self.in_part = true;
            return;
        };
        for (descriptor, events, inode) in text.lines().filter_map(target) {
            let how = outer.max(match events {
                events if events & libc::EPOLLIN.cast_unsigned() == 0 => How::Disarmed,
                events if events & libc::EPOLLET.cast_unsigned() != 0 => How::Edge,
                _ => How::Level,
            });
            // Instances, rings, timers and the like share one inode.
            if inode == Some(anonymous.ino()) {
                self.any(pid, descriptor, how, depth + 1);
            } else {
                self.told.push(Told { descriptor, inode, how });
            }
        }
    }

    /// Adds what an io_uring waits for: its operations are shown, and not on what. Those that a thread of the kernel has
    /// to fetch yet, or waits in itself, are not.
    fn ring(&mut self, pid: u32, ring: u32) {
        let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{ring}")).unwrap_or_default();
        let value = |name: &str| text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim()));
        let is_fetched = value("SqHead:").is_some() && value("SqHead:") == value("SqTail:");
        let accepts_nothing = |line: &str| {
            let number = line.trim().strip_prefix("op=").and_then(|rest| rest.split(',').next());
            number.and_then(|number| number.parse().ok()).is_some_and(|number| NO_ACCEPT.contains(&number))
        };
        let polls = text.lines().skip_while(|line| !line.starts_with("PollList:")).skip(1);
        let mut polls = polls.take_while(|line| line.starts_with(' '));
        let is_shown = text.contains("\nPollList:") && value("SqThread:") == Some("-1");
        self.has_ring = true;
        self.in_part |= !(is_fetched && is_shown && polls.all(accepts_nothing));
    }

    /// How a listener is watched that has this descriptor in the process.
    fn how(&self, pid: u32, descriptor: u32) -> Option<How> {
        let inode = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok();
        let inode = inode.and_then(|path| socket_inode(&path.to_string_lossy()));
        let is_it = |told: &&Told| match (inode, told.inode) {
            (Some(inode), Some(registered)) => inode == registered,
            _ => told.descriptor == descriptor,
        };
        let best = self.told.iter().filter(is_it).map(|told| told.how).min();
        best.or((!self.in_part).then_some(How::Absent))
    }
}

/// Descriptor, events and inode of a line about an epoll instance.
fn target(line: &str) -> Option<(u32, u32, Option<u64>)> {
    let mut words = line.strip_prefix("tfd:")?.split_whitespace();
    let descriptor = words.next()?.parse().ok()?;
    let events = u32::from_str_radix(words.nth(1)?, 16).ok()?;
    let inode = words.find_map(|word| u64::from_str_radix(word.strip_prefix("ino:")?, 16).ok());
    Some((descriptor, events, inode))
}

/// The process's memory at an address.
fn memory(pid: u32, address: u64, bytes: usize) -> Option<Vec<u8>> {
    let mut buffer = vec![0; bytes];
    File::open(format!("/proc/{pid}/mem")).ok()?.read_exact_at(&mut buffer, address).ok()?;
    Some(buffer)
}

/// Descriptors that poll(2) waits for: an array of `struct pollfd`.
fn polled(pid: u32, address: u64, count: u64) -> Option<Vec<Wanted>> {
    if count == 0 {
        return Some(Vec::new());
    }
    let count = usize::try_from(count).ok().filter(|count| *count <= MOST_POLLED)?;
    let polled = memory(pid, address, count * 8)?;
    let wanted = polled.chunks_exact(8).filter_map(|one| {
        let [a, b, c, d, e, f, ..] = *one.first_chunk::<8>()?;
        let events = i16::from_ne_bytes([e, f]);
        // Negative ones are left out by the kernel.
        let descriptor = u32::try_from(i32::from_ne_bytes([a, b, c, d])).ok()?;
        Some(Wanted { descriptor, read: events & libc::POLLIN != 0, write: events & libc::POLLOUT != 0 })
    });
    Some(wanted.collect())
}

/// Descriptors in a set of select(2): a bit each.
fn selected(pid: u32, count: u64, address: u64) -> Option<Vec<u32>> {
    if address == 0 {
        return Some(Vec::new());
    }
    let count = usize::try_from(count).ok().filter(|count| *count <= MOST_POLLED)?;
    let bits = memory(pid, address, count.div_ceil(64) * 8)?;
    let is_set =
        |descriptor: &usize| bits.get(descriptor / 8).is_some_and(|byte| byte >> (descriptor % 8) & 1 == 1);
    Some((0..count).filter(is_set).map(|descriptor| descriptor as u32).collect())
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, os::fd::AsRawFd as _};

    use rustix::event::epoll::{CreateFlags, EventData, EventFlags, add, create};

    use super::*;

    #[test]
    fn polled_and_selected_descriptors_are_read_from_memory() {
        let pid = std::process::id();
        let polls =
            [libc::pollfd { fd: 7, events: 1, revents: 0 }, libc::pollfd { fd: -1, events: 1, revents: 0 }];
        let seven = Wanted { descriptor: 7, read: true, write: false };
        assert_eq!(polled(pid, polls.as_ptr() as u64, 2), Some(vec![seven]));
        let bits: [u64; 2] = [1 << 3, 1 << 1];
        assert_eq!(selected(pid, 70, bits.as_ptr() as u64), Some(vec![3, 65]));
        assert_eq!(polled(pid, 0, 1), None, "nothing is there");
    }

    /// A call of this process.
    fn waits(name: &str, arguments: [u64; 2], listener: &TcpListener) -> (Option<How>, Option<u32>) {
        let call = Call { name: name.to_owned(), arguments: [arguments[0], arguments[1], 0, 0, 0, 0] };
        let awaited = [(5, Some(listener.as_raw_fd().cast_unsigned()))];
        let waits = of(std::process::id(), &call, &awaited).unwrap();
        assert!(!waits.nothing && !waits.writes);
        (waits.watches.first().map(|watch| watch.how), waits.only)
    }

    #[test]
    fn a_listener_in_an_epoll_instance_within_another_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let (outer, inner) = (create(CreateFlags::CLOEXEC).unwrap(), create(CreateFlags::CLOEXEC).unwrap());
        let number = |fd: &std::os::fd::OwnedFd| fd.as_raw_fd() as u64;
        let data = EventData::new_u64(0);
        add(&inner, &listener, data, EventFlags::IN).unwrap();
        let epoll = |listener| waits("epoll_wait", [number(&outer), 0], listener).0;
        assert_eq!(epoll(&listener), Some(How::Absent));
        add(&outer, &inner, data, EventFlags::IN | EventFlags::ET).unwrap();
        assert_eq!((epoll(&listener), epoll(&other)), (Some(How::Edge), Some(How::Absent)));
        // Programs whose loop polls an instance (GLib) wait in poll(2).
        let polls = [libc::pollfd { fd: inner.as_raw_fd(), events: 1, revents: 0 }];
        let poll = |listener| waits("poll", [polls.as_ptr() as u64, 1], listener);
        assert_eq!((poll(&listener), poll(&other)), ((Some(How::Level), None), (Some(How::Absent), None)));
    }

    #[test]
    fn a_wait_for_nothing_or_to_write_is_told_from_one_for_data() {
        let of = |name: &str, arguments: [u64; 3]| {
            let [first, second, third] = arguments;
            let call = Call { name: name.to_owned(), arguments: [first, second, third, 0, 0, 0] };
            let waits = of(std::process::id(), &call, &[]).unwrap();
            (waits.nothing, waits.writes, waits.only)
        };
        assert_eq!((of("poll", [0; 3]), of("select", [0; 3])), ((true, false, None), (true, false, None)));
        let null = File::open("/dev/null").unwrap();
        let number = null.as_raw_fd().cast_unsigned();
        let poll = |events| {
            let polls = [libc::pollfd { fd: null.as_raw_fd(), events, revents: 0 }];
            of("poll", [polls.as_ptr() as u64, 1, 0])
        };
        assert_eq!(poll(libc::POLLIN | libc::POLLOUT), (false, false, Some(number)));
        assert_eq!(poll(libc::POLLOUT), (false, true, Some(number)));
        let bits = [1_u64 << number];
        assert_eq!(of("select", [64, 0, bits.as_ptr() as u64]), (false, true, Some(number)));
    }

    #[test]
    fn the_only_descriptor_of_a_call_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let number = listener.as_raw_fd().cast_unsigned();
        assert_eq!(waits("accept4", [number.into(), 0], &listener), (Some(How::Level), Some(number)));
        let null = File::open("/dev/null").unwrap();
        let number = null.as_raw_fd().cast_unsigned();
        assert_eq!(waits("read", [number.into(), 0], &listener), (Some(How::Absent), Some(number)));
    }
}
