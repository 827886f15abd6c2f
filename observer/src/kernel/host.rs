//! The kernel's own counters of a network namespace: the other side of the ledger.

use std::{collections::HashMap, fmt::Display, fs};

use crate::model::event::HostCounters;

/// Reads the counters of the namespace that a process is in, or `thread-self`; `None` when the process is gone.
pub fn read(pid: impl Display) -> Option<HostCounters> {
    let netstat = fs::read_to_string(format!("/proc/{pid}/net/netstat")).ok()?;
    let snmp = fs::read_to_string(format!("/proc/{pid}/net/snmp")).ok()?;
    Some(counters(&netstat, &snmp))
}

/// Each namespace has some two hundred counters, and is read in every interval: the others are passed over, not kept.
fn counters(netstat: &str, snmp: &str) -> HostCounters {
    let mut counters = HostCounters::default();
    let of = &mut counters;
    for (name, value) in pairs(netstat, "TcpExt:") {
        let counter = match name {
            "ListenOverflows" => &mut of.listen_overflows,
            "ListenDrops" => &mut of.listen_drops,
            "TCPReqQFullDrop" => &mut of.syn_queue_full_drops,
            "TCPReqQFullDoCookies" => &mut of.cookies_wanted,
            "SyncookiesSent" => &mut of.cookies_sent,
            "SyncookiesRecv" => &mut of.cookies_received,
            "SyncookiesFailed" => &mut of.cookies_failed,
            "TCPMigrateReqSuccess" => &mut of.migrations,
            "TCPMigrateReqFailure" => &mut of.migration_failures,
            "EmbryonicRsts" => &mut of.embryonic_resets,
            "TCPDeferAcceptDrop" => &mut of.deferred_acks,
            "DelayedACKs" => &mut of.delayed_acks,
            "TCPWinProbe" => &mut of.window_probes,
            _ => continue,
        };
        *counter = value.parse().unwrap_or(0);
    }
    let passive = pairs(snmp, "Tcp:").find(|(name, _)| *name == "PassiveOpens");
    of.passive_opens = passive.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    counters
}

/// Two lines with the same prefix, names and then values, each with one space between.
fn pairs<'a>(text: &'a str, prefix: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(prefix)?.strip_prefix(' '));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    names.split(' ').zip(values.split(' '))
}

/// The same, as far as they are whole numbers that are not negative (MaxConn is −1).
pub fn table<'a>(text: &'a str, prefix: &str) -> HashMap<&'a str, u64> {
    pairs(text, prefix).filter_map(|(name, value)| Some((name, value.parse().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_paired() {
        let text = "TcpExt: A B C\nTcpExt: 1 2 3\nIpExt: A\nIpExt: 9\n";
        let table = table(text, "TcpExt:");
        assert_eq!(table.get("B"), Some(&2));
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn odd_input_is_empty_not_a_panic() {
        for text in ["", "TcpExt:", "TcpExt: A\n", "TcpExt: A\nTcpExt: x\n"] {
            assert!(table(text, "TcpExt:").is_empty(), "{text:?}");
        }
    }

    #[test]
    fn each_counter_has_its_name() {
        let netstat = "TcpExt: SyncookiesSent X ListenDrops TCPWinProbe\nTcpExt: 1 -2 3 4\nIpExt: ListenDrops\nIpExt: 9\n";
        let snmp = "Ip: PassiveOpens\nIp: 7\nTcp: MaxConn PassiveOpens\nTcp: -1 5\n";
        let expected = HostCounters {
            cookies_sent: 1,
            listen_drops: 3,
            window_probes: 4,
            passive_opens: 5,
            ..HostCounters::default()
        };
        assert_eq!(counters(netstat, snmp), expected);
        assert_eq!(counters("TcpExt: ListenDrops", ""), HostCounters::default());
    }

    #[test]
    fn this_process_has_counters() {
        assert!(read(std::process::id()).is_some());
        assert_eq!(read(u32::MAX), None);
    }
}
