//! Which kernel types are of: the one that runs, and a new enough one.

use std::{fs, path::Path};

use super::{btf::Btf, probes::KERNEL_BTF};
use crate::failure::Failure;
use crate::visible::Shown;

/// The oldest kernel that has all that the programs cannot do without.
const OLDEST: &str = "Linux 5.15";
/// A helper that came with it, as an enumerator of `enum bpf_func_id`. A kernel that has it is new enough, whatever its
/// number says: distributions give old numbers to new code.
const SIGN: &str = "BPF_FUNC_task_pt_regs";

/// Refuses types of another kernel, where this one shows its own to compare them with. Their offsets would be wrong
/// here: programs would be refused, or read something else, which is worse.
///
/// Where nothing is shown, as in a container without /sys, the file is what there is.
pub(super) fn check(path: &Path, types: &Btf) -> Result<(), Failure> {
    if path == Path::new(KERNEL_BTF) {
        return Ok(());
    }
    match fs::read(KERNEL_BTF) {
        Ok(own) if own != types.bytes() => Err(Failure::Kernel(format!(
            "cannot use BTF of {}: it is that of another kernel than the running one, {}: its {} bytes are not the {} of \
             {KERNEL_BTF}, and offsets from it would be wrong here; leave out --btf, because this kernel shows its own",
            Shown(path),
            release(),
            types.bytes().len(),
            own.len()
        ))),
        _ => Ok(()),
    }
}

/// Refuses a kernel that is too old. Without this the first program that it cannot run would be blamed.
pub(super) fn check_age(path: &Path, types: &Btf) -> Result<(), Failure> {
    match types.constant(SIGN) {
        Some(_) => Ok(()),
        None => Err(Failure::Kernel(format!(
            "the observer needs {OLDEST} or newer, and this is {}: it has no {SIGN} in {}; boot a newer kernel",
            release(),
            Shown(path)
        ))),
    }
}

/// What to do where types cannot be read.
pub(super) fn remedy() -> String {
    format!(
        "it needs {OLDEST} or newer, built with CONFIG_DEBUG_INFO_BTF, and /sys mounted, or a copy of this kernel's BTF \
         for --btf"
    )
}

/// Release of the kernel that runs.
pub fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".into(), |text| text.trim().to_owned())
}
