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

/// An emulator of one architecture.
#[derive(Debug)]
pub(crate) struct Emulator {
    program: &'static str,
    packages: &'static [&'static str],
    /// Where it is unpacked, below `target/xtask`.
    place: &'static str,
}

/// The emulator of x86-64.
pub(crate) static X86: Emulator =
    Emulator { program: "qemu-system-x86_64", packages: &["qemu-system-x86", "seabios"], place: "qemu" };
/// The emulator of 64-bit ARM.
pub(crate) static ARM: Emulator =
    Emulator { program: "qemu-system-aarch64", packages: &["qemu-system-arm"], place: "qemu-arm" };

/// Where Debian's packages have libraries.
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
/// Where they have the firmware that a machine starts with.
const FIRMWARE: [&str; 2] = ["usr/share/qemu", "usr/share/seabios"];

impl Emulator {
    /// Looks for it.
    pub(super) fn check(&self, machine: &dyn Machine) -> State {
        let installed = first_line(machine, self.program, &["--version"]);
        let (variable, unpacked) = (libraries(&self.place()), self.unpacked());
        match (&installed, first_line(machine, "env", &[&variable, &unpacked.to_string_lossy(), "--version"]))
        {
            (State::Missing(_), State::Present(version)) => State::Present(format!("{version}, unpacked")),
            _ => installed,
        }
    }

    /// How to get it.
    pub(super) fn remedy(&self, machine: &dyn Machine) -> Remedy {
        Remedy::Steps(vec![match apt::offers(machine, self.packages) {
            true => Step::packages(self.packages),
            false => Step::unpack(self.packages, self.place()),
        }])
    }

    /// Begins its command line; it ends with this process.
    pub(crate) fn command(&self) -> Command {
        let unpacked = self.unpacked();
        if !unpacked.exists() {
            return exec::tied(self.program);
        }
        let place = self.place();
        let mut command = exec::tied("env");
        command.arg(libraries(&place)).arg(unpacked);
        for firmware in FIRMWARE {
            command.arg("-L").arg(place.join(firmware));
        }
        command
    }

    fn place(&self) -> PathBuf {
        workspace::target_dir().join("xtask").join(self.place)
    }

    fn unpacked(&self) -> PathBuf {
        self.place().join("usr/bin").join(self.program)
    }
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
        assert_eq!(X86.remedy(&machine), Remedy::Steps(vec![Step::packages(X86.packages)]));
    }

    #[test]
    fn else_they_are_unpacked() {
        let steps = vec![Step::unpack(X86.packages, X86.place())];
        assert_eq!(X86.remedy(&Scripted::default()), Remedy::Steps(steps));
    }

    #[test]
    fn what_was_unpacked_counts() {
        assert!(matches!(X86.check(&Scripted::default()), State::Missing(_)));
        let line = format!("env {} {} --version", libraries(&X86.place()), X86.unpacked().display());
        let machine = Scripted::default().command(&line, "QEMU 7\n");
        assert_eq!(X86.check(&machine), State::Present("QEMU 7, unpacked".into()));
        let machine = machine.command("qemu-system-x86_64 --version", "QEMU 8\n");
        assert_eq!(X86.check(&machine), State::Present("QEMU 8".into()));
    }
}
