//! Which capabilities this process has, and what is missing.

use std::fs;

use crate::failure::Failure;

/// Bits of `CapEff`, from `include/uapi/linux/capability.h`.
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// An error with the remedy when the probes could not be loaded for lack of capabilities. Capabilities are tested,
/// not the user: a binary with file capabilities needs no root.
pub fn check() -> Result<(), Failure> {
    let effective = effective().unwrap_or(u64::MAX);
    let has = |capability: u32| effective & (1 << capability) != 0;
    if has(CAP_SYS_ADMIN) {
        return Ok(());
    }
    let missing: Vec<&str> = [(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")]
        .into_iter()
        .filter(|(capability, _)| !has(*capability))
        .map(|(_, name)| name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::Privilege(format!(
        "loading probes needs {}, which this process does not have; run it with sudo, or give the binary the \
         capabilities: sudo setcap cap_bpf,cap_perfmon+ep PATH",
        missing.join(" and ")
    )))
}

/// Effective capabilities of this process as a bit set.
fn effective() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let hex = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}
