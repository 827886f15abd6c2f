//! Which capabilities this process has, and what is missing.

use std::{fs, os::unix::fs::MetadataExt as _};

use rustix::thread::{CapabilitySet, capabilities};

use crate::failure::Failure;

/// `PROC_USER_INIT_INO`, `include/linux/proc_ns.h`.
const FIRST_USER_NAMESPACE: u64 = 0xeffffffd;

/// An error with the remedy when the probes could not be loaded for lack of capabilities. Capabilities are tested,
/// not the user: a binary with file capabilities needs no root.
pub fn check() -> Result<(), Failure> {
    // What cannot be read is left to the kernel to refuse.
    if fs::metadata("/proc/self/ns/user").is_ok_and(|namespace| namespace.ino() != FIRST_USER_NAMESPACE) {
        return Err(Failure::Privilege(
            "loading probes needs CAP_BPF and CAP_PERFMON of the host, and this process is in a user namespace, as in a \
             rootless container, whose capabilities are worth nothing outside of it; start it outside, with sudo"
                .into(),
        ));
    }
    let effective = capabilities(None).map_or(CapabilitySet::all(), |sets| sets.effective);
    let has = |capability| effective.contains(capability);
    if has(CapabilitySet::SYS_ADMIN) {
        return Ok(());
    }
    let missing: Vec<&str> = [(CapabilitySet::BPF, "CAP_BPF"), (CapabilitySet::PERFMON, "CAP_PERFMON")]
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
