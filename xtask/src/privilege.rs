//! Root, or the way to it.

use std::{
    ffi::{OsStr, OsString},
    process::Command,
};

use crate::{exec, machine::Machine};

/// Capabilities that observer needs, with their numbers in `include/uapi/linux/capability.h`.
const CAPABILITIES: [(&str, u32); 5] = [
    ("CAP_NET_ADMIN", 12),
    ("CAP_SYS_PTRACE", 19),
    ("CAP_SYS_ADMIN", 21),
    ("CAP_PERFMON", 38),
    ("CAP_BPF", 39),
];

/// How something can be run as root here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Privilege {
    /// We are root with all that it takes.
    Root,
    /// Through sudo, which may ask for a password.
    Sudo,
    /// We are root, but in a container or the like that withholds capabilities; says which.
    Bounded(String),
    /// Not at all; says why.
    None(String),
}

/// Finds out from `/proc/self/status`.
pub(crate) fn detect(machine: &dyn Machine) -> Privilege {
    let status = machine.text("/proc/self/status").unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let effective_uid = field("Uid:").and_then(|ids| ids.split_whitespace().nth(1));
    if effective_uid != Some("0") {
        return match machine.runs("sudo", &["-V"]) {
            true => Privilege::Sudo,
            false => Privilege::None("not root, and sudo is not there".to_owned()),
        };
    }
    let held = field("CapEff:").and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0);
    let lacking: Vec<_> =
        CAPABILITIES.iter().filter(|(_, bit)| held >> bit & 1 == 0).map(|(name, _)| *name).collect();
    match lacking.is_empty() {
        true => Privilege::Root,
        false => Privilege::Bounded(format!("root, but without {}", lacking.join(", "))),
    }
}

/// `program` as root: itself when we are root, else through sudo with our PATH, which sudo would replace.
pub(crate) fn as_root(privilege: &Privilege, program: impl AsRef<OsStr>) -> Command {
    if *privilege != Privilege::Sudo {
        return exec::command(program);
    }
    let mut path = OsString::from("PATH=");
    path.push(exec::search_path());
    let mut sudo = exec::command("sudo");
    sudo.args(["-E", "--", "env"]).arg(path).arg(program);
    sudo
}

/// The same for a program that must end when we do: tied to us where we can, in the foreground's group in any case.
pub(crate) fn tied_as_root(privilege: &Privilege, program: impl AsRef<OsStr>) -> Command {
    match privilege {
        Privilege::Sudo => as_root(privilege, program),
        _ => exec::tied(program),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::scripted::Scripted;

    fn status(uid: u32, capabilities: &str) -> Scripted {
        Scripted::default()
            .file("/proc/self/status", &format!("Name:\tx\nUid:\t1\t{uid}\t1\t1\nCapEff:\t{capabilities}\n"))
    }

    #[test]
    fn root_with_everything() {
        assert_eq!(detect(&status(0, "000001ffffffffff")), Privilege::Root);
    }

    #[test]
    fn root_in_a_container_lacks_what_is_named() {
        // The default set of a container: no CAP_SYS_ADMIN, CAP_BPF, CAP_PERFMON and others.
        let Privilege::Bounded(reason) = detect(&status(0, "00000000a80425fb")) else { panic!("it passed") };
        assert_eq!(
            reason,
            "root, but without CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF"
        );
    }

    #[test]
    fn a_user_needs_sudo() {
        assert_eq!(detect(&status(1000, "0").command("sudo -V", "")), Privilege::Sudo);
        assert_eq!(detect(&status(1000, "0")), Privilege::None("not root, and sudo is not there".to_owned()));
    }
}
