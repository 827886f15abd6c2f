//! Packages of Debian and its kin.

use anyhow::Result;

use super::step::run_as_root;
use crate::machine::Machine;

/// How packages are installed. Nothing is ever removed for them: Debian's compiler conflicts with Debian's rustup, and
/// apt would rather remove that one.
pub(super) const INSTALL: &str = "apt-get install -y --no-install-recommends --no-remove";

/// Remembers that the package lists were fetched.
#[derive(Default)]
pub(super) struct Apt {
    updated: bool,
}

impl Apt {
    /// Fetches the package lists, once in a run: a fresh image has none, and old ones name files that are gone.
    /// Failure is no error yet, because what is needed may be in apt's cache.
    pub(super) fn update_once(&mut self, machine: &dyn Machine) {
        if self.updated || !exists(machine) {
            return;
        }
        self.updated = true;
        eprintln!("setup: packages are needed, so first their lists: (as root) apt-get update");
        let line = ["apt-get", "update", "-q"].map(Into::into);
        if let Err(error) = run_as_root(machine, &line, &[]) {
            eprintln!("setup: going on with the lists that are there: {error:#}");
        }
    }
}

/// This machine has apt.
pub(super) fn exists(machine: &dyn Machine) -> bool {
    machine.runs("apt-get", &["--version"])
}

/// Apt could install all of these now, without removing anything.
pub(super) fn offers(machine: &dyn Machine, packages: &[&str]) -> bool {
    let mut arguments: Vec<&str> = INSTALL.split(' ').skip(1).collect();
    arguments.push("--simulate");
    arguments.extend(packages);
    machine.runs("apt-get", &arguments)
}

/// All of these are installed.
pub(super) fn installed(machine: &dyn Machine, packages: &[String]) -> Result<(), String> {
    let is_installed = |package: &&String| {
        let status = machine.output("dpkg-query", &["-W", "-f=${Status}", package]);
        status.is_some_and(|status| status.starts_with("install ok installed"))
    };
    let missing: Vec<&str> =
        packages.iter().filter(|package| !is_installed(package)).map(String::as_str).collect();
    match missing.as_slice() {
        [] => Ok(()),
        _ => Err(format!("not installed: {}", missing.join(" "))),
    }
}

/// Installs them.
pub(super) fn install(machine: &dyn Machine, packages: &[String]) -> Result<()> {
    let line: Vec<String> = INSTALL.split(' ').map(Into::into).chain(packages.iter().cloned()).collect();
    run_as_root(machine, &line, &[("DEBIAN_FRONTEND", "noninteractive")])
}
