//! QEMU, installed or unpacked beside the kernels that it boots.
//!
//! A machine that has `qemu-utils` of a newer release (a backport, say) can have Debian's QEMU only in its place, and
//! nothing is removed for us. Then the packages are unpacked into the target directory instead; QEMU runs from there.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    apt,
    requirements::{State, first_line},
    step::{Remedy, Step},
};
use crate::{exec, machine::Machine, workspace};

const PROGRAM: &str = "qemu-system-x86_64";
const PACKAGES: [&str; 2] = ["qemu-system-x86", "seabios"];
/// Where Debian's packages have libraries.
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
/// Where they have what a machine begins with.
const FIRMWARE: [&str; 2] = ["usr/share/qemu", "usr/share/seabios"];

/// Looks for it.
pub(super) fn check(machine: &dyn Machine) -> State {
    let installed = first_line(machine, PROGRAM, &["--version"]);
    let (variable, place) = (libraries(&place()), unpacked(&place()));
    let place = place.to_string_lossy();
    match (&installed, first_line(machine, "env", &[&variable, &place, "--version"])) {
        (State::Missing(_), State::Present(version)) => State::Present(format!("{version}, unpacked")),
        _ => installed,
    }
}

/// How to get it.
pub(super) fn remedy(machine: &dyn Machine) -> Remedy {
    Remedy::Steps(vec![match apt::offers(machine, &PACKAGES) {
        true => Step::packages(&PACKAGES),
        false => Step::unpack(&PACKAGES, place()),
    }])
}

/// Begins its command line; it ends with this process.
pub(crate) fn command() -> Command {
    let place = place();
    if !unpacked(&place).exists() {
        return exec::tied(PROGRAM);
    }
    let mut command = exec::tied("env");
    command.arg(libraries(&place)).arg(unpacked(&place));
    for firmware in FIRMWARE {
        command.arg("-L").arg(place.join(firmware));
    }
    command
}

fn place() -> PathBuf {
    workspace::target_dir().join("xtask").join("qemu")
}

fn unpacked(place: &Path) -> PathBuf {
    place.join("usr/bin").join(PROGRAM)
}

/// The variable with which the loader finds what was unpacked with it.
fn libraries(place: &Path) -> String {
    let paths = LIBRARIES.map(|path| place.join(path).to_string_lossy().into_owned());
    format!("LD_LIBRARY_PATH={}", paths.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::scripted::Scripted;

    const SIMULATION: &str =
        "apt-get install -y --no-install-recommends --no-remove --simulate qemu-system-x86 seabios";

    #[test]
    fn packages_are_installed_where_nothing_has_to_go_for_them() {
        let machine = Scripted::default().command(SIMULATION, "");
        assert_eq!(remedy(&machine), Remedy::Steps(vec![Step::packages(&PACKAGES)]));
    }

    #[test]
    fn else_they_are_unpacked() {
        assert_eq!(remedy(&Scripted::default()), Remedy::Steps(vec![Step::unpack(&PACKAGES, place())]));
    }

    #[test]
    fn what_was_unpacked_counts() {
        assert!(matches!(check(&Scripted::default()), State::Missing(_)));
        let line = format!("env {} {} --version", libraries(&place()), unpacked(&place()).display());
        let machine = Scripted::default().command(&line, "QEMU 7\n");
        assert_eq!(check(&machine), State::Present("QEMU 7, unpacked".into()));
        let machine = machine.command("qemu-system-x86_64 --version", "QEMU 8\n");
        assert_eq!(check(&machine), State::Present("QEMU 8".into()));
    }
}
