//! From the kernel's record of a connection to the one that outputs show.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use observer_ebpf::record::{self, NAMED_THREADS, flag, via};

use super::{
    name::spelled,
    snapshot::{Acceptor, Connection, End, Holder, Via},
};

/// `AF_INET6`.
const INET6: u16 = 10;

/// An address in the kernel's bytes; IPv4 in the first four.
pub fn address(family: u16, bytes: [u8; 16], port: u16) -> SocketAddr {
    let ip = if family == INET6 {
        IpAddr::V6(Ipv6Addr::from(bytes))
    } else {
        IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
    };
    SocketAddr::new(ip, port)
}

/// The connection that a record describes. `open` when it has not ended yet.
pub fn of(record: &record::Connection, open: bool) -> Connection {
    let has = |bit: u32| record.flags & bit != 0;
    let time = |ns: u64| (ns != 0).then_some(ns);
    let arrival_seen = !has(flag::ARRIVAL_UNSEEN);
    let established_ns = time(record.established_ns);
    let via = match record.via {
        via::HANDSHAKE => Via::Handshake,
        via::COOKIE => Via::Cookie,
        via::FAST_OPEN => Via::Tfo,
        _ => Via::Unseen,
    };
    Connection {
        local: address(record.family, record.local_address, record.local_port),
        remote: address(record.family, record.remote_address, record.remote_port),
        listener: (record.listener != 0).then_some(record.listener),
        migrated: has(flag::MIGRATED),
        syn_ns: established_ns
            .filter(|_| record.syn_wait_us != 0)
            .map(|ns| ns.saturating_sub(u64::from(record.syn_wait_us) * 1000)),
        enqueued_ns: time(record.enqueued_ns),
        established_ns,
        accepted_ns: time(record.accepted_ns),
        first_data_ns: time(record.first_data_ns),
        first_read_ns: time(record.first_read_ns),
        first_write_ns: time(record.first_write_ns),
        closed_ns: time(record.closed_ns),
        unseen: unseen(record, arrival_seen),
        queue_at_arrival: arrival_seen.then_some(record.queue_at_arrival),
        synack_retransmits: record.synack_retransmits.into(),
        via,
        acceptor: (record.acceptor_tid != 0).then(|| Acceptor {
            pid: record.acceptor_pid,
            tid: record.acceptor_tid,
            comm: spelled(&record.acceptor_comm),
        }),
        holder: has(flag::HELD)
            .then(|| Holder { pid: record.acceptor_pid, comm: spelled(&record.acceptor_comm) }),
        readers: named(&record.readers),
        writers: named(&record.writers),
        more_threads: has(flag::MORE_READERS) || has(flag::MORE_WRITERS),
        reads: record.reads,
        writes: record.writes,
        held_writes: record.held_writes,
        bytes_read: record.bytes_read,
        bytes_written: record.bytes_written,
        longest_read_wait_ns: record.longest_read_wait_ns,
        end: match (open, record.closed_ns) {
            (false, 0) if has(flag::END_UNSEEN) => End::Unseen,
            (false, _) => end(record.flags),
            (true, 0) => End::Open,
            // It is over, but the program holds its socket still; or it waits in the queue, and may yet be accepted.
            (true, _) => end(record.flags | flag::ACCEPTED),
        },
        closed_first: has(flag::FIN).then(|| has(flag::CLOSED_FIRST)),
        at_exit: has(flag::AT_EXIT),
    }
}

/// Stages that are null although they did happen, or may have; and counts that may be too low.
fn unseen(record: &record::Connection, arrival_seen: bool) -> Vec<&'static str> {
    let mut unseen = Vec::new();
    // The SYN came in any case; a cookie leaves nothing that remembers when.
    if record.syn_wait_us == 0 {
        unseen.push("syn_ns");
    }
    if !arrival_seen {
        unseen.extend(["enqueued_ns", "established_ns"]);
        if record.first_data_ns == 0 {
            unseen.push("first_data_ns");
        }
    }
    if record.flags & flag::ACCEPT_UNSEEN != 0 && record.accepted_ns == 0 {
        unseen.push("accepted_ns");
    }
    if record.flags & flag::HELD != 0 {
        // They may have been before the start, whatever was seen since.
        unseen.extend(["first_read_ns", "first_write_ns"]);
    } else {
        if record.flags & flag::READ_UNSEEN != 0 && record.first_read_ns == 0 {
            unseen.push("first_read_ns");
        }
        if record.flags & flag::WRITE_UNSEEN != 0 && record.first_write_ns == 0 {
            unseen.push("first_write_ns");
        }
    }
    if record.flags & flag::END_UNSEEN != 0 && record.closed_ns == 0 {
        unseen.push("closed_ns");
    }
    if record.flags & flag::READ_UNSEEN != 0 {
        unseen.push("reads");
    }
    if record.flags & flag::WRITE_UNSEEN != 0 {
        unseen.push("writes");
    }
    unseen
}

fn end(flags: u32) -> End {
    let has = |bit: u32| flags & bit != 0;
    if !has(flag::ACCEPTED) {
        End::QueuedReset
    } else if has(flag::RESET_IN) {
        End::RstIn
    } else if has(flag::TIMED_OUT) {
        // It resets the peer as well, should that still be there.
        End::Timeout
    } else if has(flag::RESET_OUT) {
        End::RstOut
    } else if has(flag::FIN) {
        End::Fin
    } else {
        End::Unknown
    }
}

fn named(list: &[u32; NAMED_THREADS]) -> Vec<u32> {
    list.iter().copied().filter(|tid| *tid != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families() {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&[127, 0, 0, 1]);
        assert_eq!(address(2, bytes, 80).to_string(), "127.0.0.1:80");
        bytes = [0; 16];
        bytes[15] = 1;
        assert_eq!(address(10, bytes, 443).to_string(), "[::1]:443");
    }

    #[test]
    fn what_is_over_has_its_end_though_its_socket_is_held() {
        let mut record = record::Connection { flags: flag::RESET_IN, ..record::Connection::BLANK };
        assert_eq!(of(&record, true).end, End::Open);
        record.closed_ns = 1;
        assert_eq!(of(&record, true).end, End::RstIn);
    }

    #[test]
    fn what_was_not_seen_is_said() {
        let unseen = |flags, closed_ns| {
            let flags = flags | flag::ACCEPTED;
            let record = record::Connection {
                flags,
                closed_ns,
                syn_wait_us: 1,
                established_ns: 5,
                ..record::Connection::BLANK
            };
            let connection = of(&record, false);
            (connection.unseen.join(" "), connection.end)
        };
        assert_eq!(unseen(flag::FIN, 9), (String::new(), End::Fin));
        assert_eq!(unseen(flag::READ_UNSEEN, 9).0, "first_read_ns reads");
        assert_eq!(unseen(flag::WRITE_UNSEEN, 9).0, "first_write_ns writes");
        assert_eq!(unseen(flag::END_UNSEEN, 0), ("closed_ns".to_owned(), End::Unseen));
        assert_eq!(
            unseen(flag::END_UNSEEN | flag::FIN, 9),
            (String::new(), End::Fin),
            "how it ended was seen"
        );
    }

    #[test]
    fn a_connection_never_accepted_was_reset_in_the_queue_whoever_did_it() {
        assert_eq!(end(flag::RESET_IN), End::QueuedReset);
        assert_eq!(end(flag::RESET_OUT), End::QueuedReset);
        assert_eq!(end(flag::ACCEPTED | flag::RESET_IN | flag::FIN), End::RstIn);
        assert_eq!(end(flag::ACCEPTED | flag::RESET_OUT), End::RstOut);
        assert_eq!(end(flag::ACCEPTED | flag::FIN), End::Fin);
        assert_eq!(end(flag::ACCEPTED), End::Unknown);
    }
}
