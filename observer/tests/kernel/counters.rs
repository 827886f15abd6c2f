//! The kernel's own counters of the namespace that a thread is in.

use std::{collections::HashMap, fs, ops::Sub};

/// Counters of `/proc/net/netstat` and `/proc/net/snmp` by their names, such as `ListenDrops`.
#[derive(Debug, Clone)]
pub(crate) struct Counters(HashMap<String, i64>);

impl Counters {
    /// Reads them for the calling thread's namespace.
    pub(crate) fn read() -> Self {
        let text: String = ["netstat", "snmp"]
            .iter()
            .map(|file| {
                fs::read_to_string(format!("/proc/thread-self/net/{file}")).expect("counters are readable")
            })
            .collect();
        let lines: Vec<&str> = text.lines().collect();
        let pairs = lines.chunks(2).filter(|pair| pair[0].starts_with("Tcp"));
        let named = |pair: &[&str]| -> Vec<(String, i64)> {
            let names = pair[0].split_whitespace().skip(1).map(str::to_owned);
            names.zip(pair[1].split_whitespace().skip(1).map(|value| value.parse().unwrap())).collect()
        };
        Self(pairs.flat_map(named).collect())
    }

    /// One of them.
    pub(crate) fn of(&self, name: &str) -> i64 {
        *self.0.get(name).unwrap_or_else(|| panic!("the kernel has no counter {name}"))
    }
}

impl Sub<&Counters> for Counters {
    type Output = Counters;

    /// What was counted since.
    fn sub(self, earlier: &Counters) -> Counters {
        let since = self.0.into_iter().map(|(name, now)| {
            let before = earlier.0.get(&name).copied().unwrap_or(0);
            (name, now - before)
        });
        Counters(since.collect())
    }
}
