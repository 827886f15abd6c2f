//! Packages of Debian and its kin.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use super::step::run_as_root;
use crate::{exec, machine::Machine};

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

/// Unpacks them, and what they need and is not installed, into `place`. Nothing is installed, and root is not needed.
pub(super) fn unpack(machine: &dyn Machine, packages: &[String], place: &Path) -> Result<()> {
    let mut arguments = vec!["install", "--simulate", "--no-install-recommends"];
    arguments.extend(packages.iter().map(String::as_str));
    let plan = machine.output("apt-get", &arguments).context("apt-get cannot tell what they need")?;
    let partial = place.with_extension("partial");
    let download = partial.join("download");
    // Whatever is there is left from a run that was interrupted.
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&download).with_context(|| format!("could not make {}", download.display()))?;
    exec::run(exec::command("apt-get").args(["download", "-q"]).args(planned(&plan)).current_dir(&download))?;
    for file in fs::read_dir(&download).context("what was downloaded cannot be listed")?.flatten() {
        exec::run(exec::command("dpkg").arg("-x").arg(file.path()).arg(&partial))?;
    }
    let _ = fs::remove_dir_all(&download);
    let _ = fs::remove_dir_all(place);
    fs::rename(&partial, place).with_context(|| format!("could not make {}", place.display()))
}

/// The packages that a simulated installation would install.
fn planned(simulation: &str) -> impl Iterator<Item = &str> {
    simulation.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next())
}

#[cfg(test)]
mod tests {
    use super::planned;

    #[test]
    fn what_would_be_installed_is_read_from_the_simulation() {
        let simulation = "The following packages will be REMOVED:\n  tools\nRemv tools [10]\n\
                          Inst library (6.5 Debian:12 [amd64])\nInst program [1] (2 Debian:12 [amd64])\n\
                          Conf library (6.5 Debian:12 [amd64])\n";
        assert_eq!(planned(simulation).collect::<Vec<_>>(), ["library", "program"]);
    }
}
