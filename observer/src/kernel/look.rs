//! A closer look at a thread that should accept: what /proc shows of what it waits for. It costs more than the reading of
//! all threads, so it is for those of queues that are not emptied.

mod events;

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::tasks;
use crate::model::look::{Descriptors, Holding, Look, On};

/// Longest table of sockets that is read to find one.
const LONGEST_TABLE: u64 = 32 << 20;
/// Characters of a path.
const PATH: usize = 120;

/// A system call that a thread is in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    name: String,
    arguments: [u64; 6],
}

/// What is known of a listener that somebody waits at: its cookie, and its descriptor in the thread's process.
pub(super) type Awaited = (u64, Option<u32>);

/// Looks at a thread; `None` when it is gone or /proc does not show it. `before` is the last look at it: while it has not
/// run since, it waits for the same.
pub(super) fn look(pid: u32, tid: u32, awaited: &[Awaited], before: Option<&Look>) -> Option<Look> {
    let task = tasks::read(pid, tid).ok()??;
    let switches = Some(task.voluntary_switches + task.other_switches);
    let mut look = Look {
        state: Some(task.state),
        doing: tasks::doing(pid, tid, task.state),
        frozen: false,
        switches,
        on: None,
        lock_holder: None,
        writes: false,
        // At work it is not asked; how it watched when it last waited is how it will.
        watches: before.map(|before| before.watches.clone()).unwrap_or_default(),
        threads: tasks::threads_of(pid).len() as u32,
    };
    if task.state == 'R' {
        return Some(look);
    }
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/task/{tid}/{name}")).ok();
    look.frozen = read("wchan").is_some_and(|place| is_freezer(place.trim()));
    if let Some(before) = before.filter(|before| before.switches == switches) {
        // The same call as then.
        look.on.clone_from(&before.on);
    }
    let Some(call) = read("syscall").and_then(|text| call(&text)) else { return Some(look) };
    if matches!(call.name.as_str(), "flock" | "fcntl") {
        let holder = tasks::lock_holder(pid).and_then(|pid| Some((pid, tasks::process(pid)?.comm)));
        look.lock_holder = holder.map(|(pid, comm)| Holding { pid, comm });
    }
    let Some(waits) = events::of(pid, &call, awaited) else { return Some(look) };
    look.watches = waits.watches;
    look.writes = waits.writes;
    if waits.nothing {
        look.on = Some(On::Nothing);
    }
    if let Some(one) = waits.only
        && look.on.is_none()
        && !awaited.iter().any(|(_, descriptor)| descriptor == &Some(one))
    {
        look.on = behind((pid, tid), one);
    }
    Some(look)
}

/// Where a frozen task sleeps: `do_freezer_trap` with cgroup v2, `__refrigerator` with v1.
fn is_freezer(place: &str) -> bool {
    matches!(place, "do_freezer_trap" | "__refrigerator")
}

fn call(text: &str) -> Option<Call> {
    let mut words = text.split_whitespace();
    let name = tasks::call_name(words.next()?.parse().ok()?)?;
    let mut arguments = [0; 6];
    for argument in &mut arguments {
        *argument = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    }
    Some(Call { name, arguments })
}

/// The inode number in what /proc calls a socket.
fn socket_inode(path: &str) -> Option<u64> {
    path.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// What a descriptor is.
fn behind((pid, tid): (u32, u32), descriptor: u32) -> Option<On> {
    let path = fs::read_link(format!("/proc/{pid}/task/{tid}/fd/{descriptor}")).ok()?;
    let text = path.to_string_lossy();
    if let Some(found) = socket_inode(&text).and_then(|inode| connection((pid, tid), inode)) {
        let (local, remote, connecting) = found;
        return Some(On::Connection {
            local,
            remote,
            connecting,
            listener: None,
            accepted: false,
            accepted_ns: None,
            has_data: None,
        });
    }
    let cut: String = text.chars().take(PATH).collect();
    Some(On::Other(demo_server::visible::visible(&cut)))
}

/// Addresses of the TCP socket with this inode number, in the network namespace of the thread, and whether it is being made.
fn connection((pid, tid): (u32, u32), inode: u64) -> Option<(SocketAddr, SocketAddr, bool)> {
    ["tcp", "tcp6"].iter().find_map(|table| {
        let file = File::open(format!("/proc/{pid}/task/{tid}/net/{table}")).ok()?;
        let lines = BufReader::new(file.take(LONGEST_TABLE)).lines().map_while(Result::ok);
        lines.skip(1).find_map(|line| in_table(&line, inode))
    })
}

/// One line of /proc/net/tcp: `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode`.
fn in_table(line: &str, inode: u64) -> Option<(SocketAddr, SocketAddr, bool)> {
    let words: Vec<&str> = line.split_whitespace().take(10).collect();
    let found = words.get(9)?.parse::<u64>().ok()?;
    (found == inode).then_some(())?;
    // TCP_SYN_SENT.
    Some((address(words.get(1)?)?, address(words.get(2)?)?, *words.get(3)? == "02"))
}

/// An address as the kernel prints it: words of 32 bits in the machine's order, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        _ => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            let ip = Ipv6Addr::from(bytes);
            ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)
        }
    };
    Some(SocketAddr::new(ip, port))
}

/// Descriptors of a thread's table, which is mostly that of its process: how many are open, and how many may be.
pub(super) fn descriptors(pid: u32, tid: u32) -> Option<Descriptors> {
    let table = format!("/proc/{pid}/task/{tid}/fd");
    // Since Linux 6.2 the size of that directory is the number of descriptors; before it is 0.
    let size = fs::metadata(&table).ok()?.len();
    let used = if size > 0 { size } else { fs::read_dir(&table).ok()?.count() as u64 };
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    Some(Descriptors { used, limit: line.split_whitespace().next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn a_call_has_a_name_and_arguments() {
        let text = format!("{} 0x5 0x7f00 0x9 0x0 0x0 0x0 0x7ffd 0x7f11", libc::SYS_recvfrom);
        let call = call(&text).unwrap();
        assert_eq!((call.name.as_str(), call.arguments[0]), ("recvfrom", 5));
        for text in ["running", "-1 0x1 0x2", "45 5", ""] {
            assert_eq!(super::call(text), None, "{text}");
        }
    }

    #[test]
    fn a_line_of_the_table_has_both_addresses() {
        let line =
            "   0: 0100007F:1F90 0200007F:C350 01 00000000:00000000 00:00000000 00000000  0 0 777 1 0 20";
        let (local, remote, connecting) = in_table(line, 777).unwrap();
        assert_eq!(
            (local.to_string().as_str(), remote.to_string().as_str(), connecting),
            ("127.0.0.1:8080", "127.0.0.2:50000", false)
        );
        assert_eq!(in_table(line, 778), None);
        let mapped = "0000000000000000FFFF00000100007F:0050";
        assert_eq!(address(mapped).unwrap().to_string(), "127.0.0.1:80");
        assert_eq!(address("00000000000000000000000001000000:0050").unwrap().to_string(), "[::1]:80");
    }

    #[test]
    fn what_this_process_waits_for_is_found() {
        let pid = std::process::id();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let found = behind((pid, pid), client.as_raw_fd().cast_unsigned());
        let Some(On::Connection { local, remote, .. }) = found else { panic!("{found:?}") };
        assert_eq!((local, remote), (client.local_addr().unwrap(), listener.local_addr().unwrap()));
        let null = File::open("/dev/null").unwrap();
        assert_eq!(
            behind((pid, pid), null.as_raw_fd().cast_unsigned()),
            Some(On::Other("/dev/null".to_owned()))
        );
        assert!(descriptors(pid, pid).is_some_and(|found| found.used > 2 && found.limit >= found.used));
        let look = look(pid, pid, &[], None).unwrap();
        assert!(look.state.is_some() && look.threads >= 1, "{look:?}");
    }
}
