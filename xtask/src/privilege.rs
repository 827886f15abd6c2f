//! Root, or the way to it.

use std::{
    ffi::{OsStr, OsString},
    process::Command,
};

use crate::{exec, machine::Machine};

/// Capabilities by their names, with their numbers in `include/uapi/linux/capability.h`.
const CAPABILITIES: [(&str, u32); 4] =
    [("CAP_NET_ADMIN", 12), ("CAP_SYS_ADMIN", 21), ("CAP_PERFMON", 38), ("CAP_BPF", 39)];

/// What loads and attaches the observer's programs.
pub(crate) const TO_OBSERVE: &[&str] = &["CAP_PERFMON", "CAP_BPF"];
/// What makes network namespaces and brings their loopback up.
pub(crate) const TO_MAKE_NAMESPACES: &[&str] = &["CAP_NET_ADMIN", "CAP_SYS_ADMIN"];

/// How something can be run as root here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Privilege {
    /// We are root.
    Root,
    /// Through sudo, which may ask for a password.
    Sudo,
    /// Not at all; says why.
    None(String),
}

/// Finds out from `/proc/self/status`.
pub(crate) fn detect(machine: &dyn Machine) -> Privilege {
    let status = machine.text("/proc/self/status").unwrap_or_default();
    match field(&status, "Uid:").and_then(|ids| ids.split_whitespace().nth(1)) {
        Some("0") => Privilege::Root,
        _ if machine.runs("sudo", &["-V"]) => Privilege::Sudo,
        _ => Privilege::None("not root, and sudo is not there".to_owned()),
    }
}

/// Those of `wanted` that root does not have, because a container or the like withholds them.
pub(crate) fn withheld(machine: &dyn Machine, wanted: &[&str]) -> Vec<&'static str> {
    let status = machine.text("/proc/self/status").unwrap_or_default();
    let held = field(&status, "CapEff:").and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0);
    let wanted = CAPABILITIES.iter().filter(|(name, _)| wanted.contains(name));
    wanted.filter(|(_, bit)| held >> bit & 1 == 0).map(|(name, _)| *name).collect()
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
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
        let machine = status(0, "000001ffffffffff");
        assert_eq!(detect(&machine), Privilege::Root);
        assert!(withheld(&machine, TO_OBSERVE).is_empty());
    }

    #[test]
    fn root_in_a_container_lacks_what_is_named() {
        // The default set of a container.
        let machine = status(0, "00000000a80425fb");
        assert_eq!(withheld(&machine, TO_OBSERVE), ["CAP_PERFMON", "CAP_BPF"]);
        assert_eq!(withheld(&machine, TO_MAKE_NAMESPACES), ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]);
    }

    #[test]
    fn a_user_needs_sudo() {
        assert_eq!(detect(&status(1000, "0").command("sudo -V", "")), Privilege::Sudo);
        assert_eq!(detect(&status(1000, "0")), Privilege::None("not root, and sudo is not there".to_owned()));
    }
}
