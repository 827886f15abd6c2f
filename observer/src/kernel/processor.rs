//! Processor time of a process and of its children.

use std::{collections::HashMap, fs};

use super::{clock::clock_ns, tasks};

/// A tick of /proc, `USER_HZ`: a hundredth of a second wherever this program runs.
const TICK_NS: u64 = 10_000_000;

/// Nanoseconds of processor time that a process, its threads past and present, and its children have used; `None` when
/// it is gone.
///
/// The clock of a process is exact to the nanosecond, and counts threads that have ended (`thread_group_cputime`). Of
/// children that have ended and were waited for there is only the sum in /proc, in ticks.
pub fn used_ns(pid: u32) -> Option<u64> {
    let all = processes();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(all.iter().filter(|(_, stat)| stat.parent == parent).map(|(child, _)| *child));
        next += 1;
    }
    let mut sum = 0;
    for member in family {
        match clock(member) {
            Some(ns) => sum += ns + all.get(&member).map_or(0, |stat| stat.waited_for) * TICK_NS,
            // A child that ended just now is in its parent's sum, or will be.
            None if member != pid => {}
            None => return None,
        }
    }
    Some(sum)
}

/// The clock that clock_getcpuclockid(3) names, CPUCLOCK_SCHED of the whole process.
fn clock(pid: u32) -> Option<u64> {
    const CPUCLOCK_SCHED: libc::clockid_t = 2;
    let pid = libc::clockid_t::try_from(pid).ok()?;
    clock_ns((!pid << 3) | CPUCLOCK_SCHED).ok()
}

/// What /proc tells of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// Ticks of children that were waited for.
    waited_for: u64,
}

fn processes() -> HashMap<u32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| Some((pid, parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)?))).collect()
}

/// After the name, `state ppid` are fields 3 and 4, `cutime cstime` 16
/// and 17.
fn parse(stat: &[u8]) -> Option<Stat> {
    let fields: Vec<&str> = tasks::after_name(stat)?.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat { parent: field(4)?.try_into().ok()?, waited_for: field(16)? + field(17)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_is_no_field() {
        let line = b"7 (a\xd1) 1 (b) S 42 7 7 0 -1 4194560 1 2 3 4 11 12 13 14 20 0 1 0 5 6 7";
        assert_eq!(parse(line), Some(Stat { parent: 42, waited_for: 27 }));
        for odd in ["", "7 (a", "7 (a) S", "7 (a) S x"] {
            assert_eq!(parse(odd.as_bytes()), None, "{odd}");
        }
    }

    #[test]
    fn work_is_counted_here_and_in_a_child() {
        let own = std::process::id();
        let before = used_ns(own).unwrap();
        let mut child = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        // It burns without end: as soon as its own clock goes on, ours has to.
        while clock(child.id()).is_none_or(|ns| ns < 5_000_000) {
            std::thread::yield_now();
        }
        let with_child = used_ns(own).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(with_child >= before + 5_000_000, "{before} {with_child}");
        assert_eq!(used_ns(u32::MAX), None);
    }
}
