//! The kernel's own counters of a network namespace: the other side of the ledger.

use std::{collections::HashMap, fmt::Display, fs};

use crate::model::event::HostCounters;

/// Reads the counters of the namespace that a process is in, or `thread-self`; `None` when the process is gone.
pub fn read(pid: impl Display) -> Option<HostCounters> {
    let netstat = fs::read_to_string(format!("/proc/{pid}/net/netstat")).ok()?;
    let snmp = fs::read_to_string(format!("/proc/{pid}/net/snmp")).ok()?;
    let extended = table(&netstat, "TcpExt:");
    let tcp = table(&snmp, "Tcp:");
    let of = |table: &HashMap<&str, u64>, name: &str| table.get(name).copied().unwrap_or(0);
    Some(HostCounters {
        listen_overflows: of(&extended, "ListenOverflows"),
        listen_drops: of(&extended, "ListenDrops"),
        passive_opens: of(&tcp, "PassiveOpens"),
        syn_queue_full_drops: of(&extended, "TCPReqQFullDrop"),
        cookies_wanted: of(&extended, "TCPReqQFullDoCookies"),
        cookies_sent: of(&extended, "SyncookiesSent"),
        cookies_received: of(&extended, "SyncookiesRecv"),
        cookies_failed: of(&extended, "SyncookiesFailed"),
        migrations: of(&extended, "TCPMigrateReqSuccess"),
        migration_failures: of(&extended, "TCPMigrateReqFailure"),
        embryonic_resets: of(&extended, "EmbryonicRsts"),
        deferred_acks: of(&extended, "TCPDeferAcceptDrop"),
        delayed_acks: of(&extended, "DelayedACKs"),
        window_probes: of(&extended, "TCPWinProbe"),
    })
}

/// Two lines with the same prefix: names, then values.
pub fn table<'a>(text: &'a str, prefix: &str) -> HashMap<&'a str, u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(prefix));
    match (lines.next(), lines.next()) {
        (Some(names), Some(values)) => names
            .split_whitespace()
            .zip(values.split_whitespace())
            // Some values are signed (MaxConn is −1); none of those is read here.
            .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
            .collect(),
        _ => HashMap::new(),
    }
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
    fn this_process_has_counters() {
        assert!(read(std::process::id()).is_some());
        assert_eq!(read(u32::MAX), None);
    }
}
