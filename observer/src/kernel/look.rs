//! A closer look at a thread that should accept: what /proc shows of what it waits for. It costs more than the reading of
//! all threads, so it is for those of queues that are not emptied.

mod events;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::tasks;
use crate::model::look::{Beside, Descriptors, Holding, Look, On};

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
        beside: None,
        threads: tasks::threads_of(pid).len() as u32,
    };
    if task.state == 'R' {
        return Some(look);
    }
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/task/{tid}/{name}")).ok();
    look.frozen = read("wchan").is_some_and(|place| is_freezer(task.state, place.trim()));
    if let Some(before) = before.filter(|before| before.switches == switches) {
        // The same call as then.
        look.on.clone_from(&before.on);
        look.beside.clone_from(&before.beside);
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
    if let Some(inodes) = waits.inodes.filter(|_| waits.only.is_none() && !waits.nothing)
        && look.beside.is_none()
    {
        look.beside = beside((pid, tid), &inodes);
    }
    if let Some(one) = waits.only
        && look.on.is_none()
        && !awaited.iter().any(|(_, descriptor)| descriptor == &Some(one))
    {
        look.on = behind((pid, tid), one);
    }
    Some(look)
}

/// Where a frozen task sleeps: `do_freezer_trap` with cgroup v2, `__refrigerator` with v1. The former may be a part of its
/// caller, where nobody else sleeps: who is stopped or traced there has another state.
fn is_freezer(state: char, place: &str) -> bool {
    matches!((state, place), (_, "do_freezer_trap" | "__refrigerator") | ('S', "get_signal"))
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
    let socket = socket_inode(&text).and_then(|inode| other_socket((pid, tid), inode));
    let text = socket.unwrap_or_else(|| text.into_owned());
    let cut: String = text.chars().take(PATH).collect();
    Some(On::Other(crate::visible::visible(&cut)))
}

/// Addresses of the TCP socket with this inode number, in the network namespace of the thread, and whether it is being made.
fn connection(ids: (u32, u32), inode: u64) -> Option<(SocketAddr, SocketAddr, bool)> {
    let found = rows(ids, TCP).find(|row| row.inode == inode)?;
    Some((found.local, found.remote, found.state == SYN_SENT))
}

/// What those of a thread's files are that have these inode numbers.
fn beside(ids: (u32, u32), inodes: &[u64]) -> Option<Beside> {
    let (mut listens, mut found) = (BTreeSet::new(), Vec::new());
    for row in rows(ids, TCP) {
        if row.state == LISTEN {
            listens.insert(row.local.port());
        } else if row.inode != 0 && inodes.contains(&row.inode) {
            found.push(row);
        }
    }
    let (clients, servers): (Vec<Row>, Vec<Row>) =
        found.into_iter().partition(|row| listens.contains(&row.local.port()));
    let connections = clients.len() + servers.len();
    Some(Beside {
        clients: clients.len() as u32,
        servers: servers.iter().map(|row| row.remote).take(SERVERS).collect(),
        others: inodes.len().saturating_sub(connections) as u32,
    })
}

/// States of sockets in the kernel's tables, as they are written there (TCP_SYN_SENT, TCP_LISTEN).
const SYN_SENT: &str = "02";
const LISTEN: &str = "0A";
/// Servers that are named.
const SERVERS: usize = 3;

/// A socket in the tables of TCP.
struct Row {
    local: SocketAddr,
    remote: SocketAddr,
    state: String,
    inode: u64,
}

/// What a socket is that is none of TCP: one of UDP with its peer, or its own address where it has none, or a UNIX socket
/// with its path, which only the side that was bound has.
fn other_socket(ids: (u32, u32), inode: u64) -> Option<String> {
    if let Some(row) = rows(ids, UDP).find(|row| row.inode == inode) {
        return Some(match row.remote.port() {
            0 => format!("UDP at {}", row.local),
            _ => format!("UDP with {}", row.remote),
        });
    }
    let (pid, tid) = ids;
    let file = File::open(format!("/proc/{pid}/task/{tid}/net/unix")).ok()?;
    let mut lines = BufReader::new(file.take(LONGEST_TABLE)).lines().map_while(Result::ok);
    // `Num RefCount Protocol Flags Type St Inode Path`.
    lines.find_map(|line| {
        let mut words = line.split_whitespace().skip(6);
        let is_it = words.next()?.parse::<u64>() == Ok(inode);
        is_it.then(|| {
            words.next().map_or_else(|| "a UNIX socket".to_owned(), |path| format!("UNIX socket {path}"))
        })
    })
}

/// Names of tables of sockets.
const TCP: [&str; 2] = ["tcp", "tcp6"];
const UDP: [&str; 2] = ["udp", "udp6"];

/// The sockets of a thread's network namespace in these tables.
fn rows((pid, tid): (u32, u32), tables: [&'static str; 2]) -> impl Iterator<Item = Row> {
    tables.into_iter().flat_map(move |table| {
        let file = File::open(format!("/proc/{pid}/task/{tid}/net/{table}")).ok();
        let lines = file.map(|file| BufReader::new(file.take(LONGEST_TABLE)).lines().map_while(Result::ok));
        lines.into_iter().flatten().skip(1).filter_map(|line| row(&line))
    })
}

/// One line of /proc/net/tcp, or of the others: `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode`.
fn row(line: &str) -> Option<Row> {
    let mut words = line.split_whitespace().skip(1);
    let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
    let inode = words.nth(5)?.parse().ok()?;
    Some(Row { local: address(local)?, remote: address(remote)?, state: state.to_owned(), inode })
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
        let found = row(line).unwrap();
        assert_eq!(
            (found.local.to_string(), found.remote.to_string(), found.state.as_str(), found.inode),
            ("127.0.0.1:8080".to_owned(), "127.0.0.2:50000".to_owned(), "01", 777)
        );
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
        let inode = |socket: &dyn std::os::fd::AsRawFd| {
            let path = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
            socket_inode(&path.to_string_lossy()).unwrap()
        };
        let (accepted, _) = listener.accept().unwrap();
        let all = [inode(&client), inode(&accepted), 0];
        let servers = vec![listener.local_addr().unwrap()];
        assert_eq!(beside((pid, pid), &all), Some(Beside { clients: 1, servers, others: 1 }));
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let resolver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        datagrams.connect(resolver.local_addr().unwrap()).unwrap();
        let (unix, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        for (socket, told) in [
            (datagrams.as_raw_fd(), format!("UDP with {}", resolver.local_addr().unwrap())),
            (resolver.as_raw_fd(), format!("UDP at {}", resolver.local_addr().unwrap())),
            (unix.as_raw_fd(), "a UNIX socket".to_owned()),
        ] {
            assert_eq!(behind((pid, pid), socket.cast_unsigned()), Some(On::Other(told)));
        }
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
