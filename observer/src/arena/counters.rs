//! The kernel's counters of a namespace: `/proc/net/netstat` and `/proc/net/snmp`.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result};

use super::Arena;
use crate::kernel::host;

/// Counters of TCP and UDP by their names, such as `ListenDrops` and `Udp:RcvbufErrors`. On loopback they count both
/// ends of a connection.
#[derive(Debug, Clone, Default)]
pub struct Counters(BTreeMap<String, u64>);

impl Arena {
    /// Reads them.
    pub fn counters(&self) -> Result<Counters> {
        let mut all = BTreeMap::new();
        for (file, prefix, named) in
            [("netstat", "TcpExt:", ""), ("snmp", "Tcp:", ""), ("snmp", "Udp:", "Udp:")]
        {
            let path = format!("/proc/thread-self/net/{file}");
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
            all.extend(
                host::table(&text, prefix).into_iter().map(|(name, value)| (format!("{named}{name}"), value)),
            );
        }
        Ok(Counters(all))
    }

    /// What was counted since an earlier reading.
    pub fn counted_since(&self, earlier: &Counters) -> Result<Counters> {
        let now = self.counters()?.0.into_iter();
        Ok(Counters(
            now.map(|(name, now)| {
                let before = earlier.of(&name).unwrap_or(0);
                (name, now.saturating_sub(before))
            })
            .collect(),
        ))
    }
}

impl Counters {
    /// One of them; none where this kernel has no such counter.
    pub fn of(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }
}
