//! What the kernel must offer: its type information, and the list of its tracepoints.

use super::requirements::State;
use crate::machine::Machine;

const BTF: &str = "/sys/kernel/btf/vmlinux";
const TRACING: &str = "/sys/kernel/tracing";

/// The command that mounts tracefs where programs expect it.
pub(super) const MOUNT_TRACEFS: [&str; 5] = ["mount", "-t", "tracefs", "tracefs", TRACING];

/// The running kernel's BTF can be read and is BTF.
pub(super) fn check_btf(machine: &dyn Machine) -> State {
    // `struct btf_header` begins with this number in the machine's own byte order (include/uapi/linux/btf.h).
    const MAGIC: u16 = 0xeb9f;
    match machine.read(BTF).as_deref() {
        None => State::Missing(format!("{BTF} cannot be read")),
        Some([a, b, ..]) if u16::from_ne_bytes([*a, *b]) == MAGIC => State::Present(BTF.into()),
        Some(_) => State::Missing(format!("{BTF} does not hold BTF")),
    }
}

/// Tracefs is mounted. Its directory is closed to users, so the list of mounts is asked and not the directory.
pub(super) fn check_tracefs(machine: &dyn Machine) -> State {
    let mounts = machine.text("/proc/self/mounts").unwrap_or_default();
    let mounted = mounts.lines().any(|line| {
        let mut words = line.split(' ').skip(1);
        words.next() == Some(TRACING) && words.next() == Some("tracefs")
    });
    match mounted {
        true => State::Present(TRACING.into()),
        false => State::Missing(format!("no tracefs at {TRACING}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::scripted::Scripted;

    #[test]
    fn tracefs_is_looked_for_among_the_mounts() {
        let mounts = |line| Scripted::default().file("/proc/self/mounts", line);
        let there = mounts("proc /proc proc rw 0 0\ntracefs /sys/kernel/tracing tracefs rw,nosuid 0 0\n");
        assert_eq!(check_tracefs(&there), State::Present(TRACING.into()));
        let elsewhere = mounts("tracefs /sys/kernel/debug/tracing tracefs rw 0 0\n");
        assert_eq!(check_tracefs(&elsewhere), State::Missing("no tracefs at /sys/kernel/tracing".into()));
    }

    #[test]
    fn something_else_is_not_btf() {
        let other = Scripted::default().file(BTF, "hello");
        assert_eq!(check_btf(&other), State::Missing("/sys/kernel/btf/vmlinux does not hold BTF".into()));
    }
}
