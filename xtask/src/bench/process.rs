//! What a process has used, from its files in /proc.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result, bail};

/// Processor time used so far by all its threads that live, in milliseconds.
///
/// From the scheduler's own account in nanoseconds (Documentation/scheduler/sched-stats.rst); `/proc/PID/stat` counts
/// in ticks of 10 ms, which is longer than a round costs.
pub(super) fn cpu_ms(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/task");
    let mut nanoseconds = 0;
    for entry in fs::read_dir(&path).with_context(|| format!("could not read {path}"))?.flatten() {
        // A thread may end between the two.
        let Ok(text) = fs::read_to_string(entry.path().join("schedstat")) else { continue };
        let ran = text.split(' ').next().and_then(|first| first.parse::<u64>().ok());
        nanoseconds += ran.with_context(|| format!("schedstat below {path} is not understood: {text}"))?;
    }
    match nanoseconds {
        0 => bail!(
            "no schedstat below {path}; the kernel was built without CONFIG_SCHED_INFO, or the process ended"
        ),
        _ => Ok(nanoseconds as f64 / 1e6),
    }
}

/// Processor time of this process and of its children that have ended, in milliseconds; exact to 20 ms or so.
///
/// No more than that is known of a child whose files in /proc are gone.
pub(super) fn cpu_ms_with_children() -> Result<f64> {
    let path = "/proc/self/stat";
    let stat = fs::read_to_string(path).with_context(|| format!("could not read {path}"))?;
    // The name of the program stands in parentheses and may hold spaces.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).context("it has no name")?;
    // utime, stime, cutime and cstime, fields 14 to 17 of proc_pid_stat(5), where the third follows the name.
    let ticks: Vec<u64> = fields.skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    if ticks.len() < 4 {
        bail!("{path} is not understood: {stat}");
    }
    Ok(ticks.iter().sum::<u64>() as f64 * 1000.0 / rustix::param::clock_ticks_per_second() as f64)
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
    let mut bytes = BTreeMap::new();
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
    fn this_process_has_used_something() {
        let pid = std::process::id();
        assert!(peak_resident_mib(pid).unwrap() > 0.1);
        let used = cpu_ms(pid).unwrap();
        assert!(used > 0.0 && cpu_ms_with_children().unwrap() + 50.0 > used);
        assert!(kernel_memory_mib(pid).unwrap() >= 0.0);
    }
}
