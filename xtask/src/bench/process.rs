//! What a process has used, from its files in /proc.

use std::fs;

use anyhow::{Context as _, Result};

/// Processor time used so far by all its threads, in milliseconds.
///
/// `/proc/PID/stat` counts in ticks of 10 ms, but by the scheduler's clock, so differences are right to one tick.
pub(super) fn cpu_ms(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("could not read {path}"))?;
    let ticks = ticks(&stat).with_context(|| format!("{path} is not understood: {stat}"))?;
    Ok(ticks as f64 * 1000.0 / rustix::param::clock_ticks_per_second() as f64)
}

/// `utime` and `stime`, fields 14 and 15 of proc_pid_stat(5). The name before them may hold spaces and brackets.
fn ticks(stat: &str) -> Option<u64> {
    let mut after_name = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let utime: u64 = after_name.next()?.parse().ok()?;
    let stime: u64 = after_name.next()?.parse().ok()?;
    Some(utime + stime)
}

/// Most memory that was resident at once, in MiB.
pub(super) fn peak_resident_mib(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("could not read {path}"))?;
    let kib = field(&status, "VmHWM:").with_context(|| format!("{path} has no VmHWM"))?;
    Ok(kib as f64 / 1024.0)
}

/// Memory of the eBPF maps and programs that it holds, in MiB, by the kernel's own account.
pub(super) fn kernel_memory_mib(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/fdinfo");
    let mut bytes = std::collections::BTreeMap::new();
    for entry in fs::read_dir(&path).with_context(|| format!("could not read {path}"))?.flatten() {
        // A descriptor may be closed between the two.
        let Ok(info) = fs::read_to_string(entry.path()) else { continue };
        let id = ["map_id:", "prog_id:"].iter().find_map(|key| Some((*key, field(&info, key)?)));
        if let (Some(id), Some(locked)) = (id, field(&info, "memlock:")) {
            bytes.insert(id, locked);
        }
    }
    Ok(bytes.values().sum::<u64>() as f64 / f64::from(1 << 20))
}

fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_misleads_nobody() {
        let stat = "7 (a) b) R 1 2 3 4 5 6 7 8 9 10 40 2 0 0";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a"), None);
    }

    #[test]
    fn this_process_has_used_something() {
        let pid = std::process::id();
        assert!(peak_resident_mib(pid).unwrap() > 0.1);
        assert!(cpu_ms(pid).unwrap() >= 0.0);
        assert!(kernel_memory_mib(pid).unwrap() >= 0.0);
    }
}
