//! Threads, as /proc shows them.

use std::{fs, os::unix::fs::MetadataExt as _};

/// What /proc tells of a thread now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its name.
    pub comm: String,
    /// Times that it gave up the processor by itself, which a sleeping server thread does once per wake-up.
    pub voluntary_switches: u64,
}

/// Reads a thread; `None` when it is gone.
pub fn read(pid: u32, tid: u32) -> Option<Task> {
    let status = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).ok()?;
    parse(&status)
}

fn parse(status: &str) -> Option<Task> {
    let value = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    Some(Task {
        comm: value("Name")?.trim().to_owned(),
        voluntary_switches: value("voluntary_ctxt_switches")?.trim().parse().ok()?,
    })
}

/// What a thread does now, by the kernel's letter: R runs, S sleeps until something wakes it.
pub fn state(pid: u32, tid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
    // The name before it may hold anything, and ends with the last parenthesis.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Thread ids of a process; empty when it is gone.
pub fn threads_of(pid: u32) -> Vec<u32> {
    fs::read_dir(format!("/proc/{pid}/task"))
        .map(|entries| entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
        .unwrap_or_default()
}

/// Whether process and thread ids in the kernel's records are those of /proc: not inside a PID namespace, where the
/// records still hold the host's.
pub fn ids_are_the_hosts() -> bool {
    /// `PROC_PID_INIT_INO`
    const FIRST: u64 = 0xeffffffc;
    fs::metadata("/proc/self/ns/pid").map_or(true, |metadata| metadata.ino() == FIRST)
}

/// Whether there is such a process.
pub fn exists(pid: u32) -> bool {
    fs::metadata(format!("/proc/{pid}")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_file_is_read() {
        let status =
            "Name:\trd-1\nUmask:\t0022\nvoluntary_ctxt_switches:\t42\nnonvoluntary_ctxt_switches:\t7\n";
        assert_eq!(parse(status), Some(Task { comm: "rd-1".into(), voluntary_switches: 42 }));
        assert_eq!(parse("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_has_threads() {
        let pid = std::process::id();
        assert!(threads_of(pid).contains(&pid));
        assert!(read(pid, pid).is_some());
        assert!(state(pid, pid).is_some());
        assert!(exists(pid) && !exists(u32::MAX));
    }
}
