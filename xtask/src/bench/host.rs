//! The machine that the figures are from.

use std::{fs, thread};

use serde::Serialize;

/// As far as it matters for figures.
#[derive(Debug, Serialize)]
pub(super) struct Host {
    /// The processor's name.
    cpu: String,
    /// How many of them we may use.
    cores: usize,
    /// The kernel's release.
    kernel: String,
    /// Memory, in MiB.
    memory_mib: u64,
    /// Whether it is a virtual machine, as far as the processor tells.
    virtual_machine: bool,
}

/// This one. What cannot be found out is empty or zero.
pub(super) fn describe() -> Host {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let kib = value(&meminfo, "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    Host {
        cpu: value(&cpuinfo, "model name").unwrap_or_default(),
        cores: thread::available_parallelism().map_or(0, usize::from),
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        memory_mib: kib.unwrap_or(0) / 1024,
        virtual_machine: value(&cpuinfo, "flags")
            .is_some_and(|flags| flags.split(' ').any(|f| f == "hypervisor")),
    }
}

impl Host {
    /// In one line.
    pub(super) fn line(&self) -> String {
        let kind = if self.virtual_machine { ", virtual machine" } else { "" };
        format!("{}, {} cores, {} MiB, Linux {}{kind}", self.cpu, self.cores, self.memory_mib, self.kernel)
    }
}
