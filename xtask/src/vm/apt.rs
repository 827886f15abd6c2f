//! Where kernels come from: this machine's apt, or an apt directory of our own with another suite.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    exec,
    machine::{Machine, ThisMachine},
    privilege, workspace,
};

/// A source of packages.
pub(super) struct Apt {
    /// What is told to each of apt's programs. Nothing for this machine's own.
    options: Vec<String>,
}

impl Apt {
    /// What this machine's apt offers.
    pub(super) fn of_this_machine() -> Self {
        Self { options: Vec::new() }
    }

    /// A suite for an architecture, from the mirror that this machine's own sources name, with fresh lists. It needs no
    /// root, and neither reads nor changes what this machine's apt keeps.
    pub(super) fn of_suite(suite: &str, architecture: &str) -> Result<Self> {
        let place = directory().join("apt").join(format!("{suite}-{architecture}"));
        let mirror = mirror()?;
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = place.join(part);
            fs::create_dir_all(&part).with_context(|| format!("could not make {}", part.display()))?;
        }
        let source = place.join("sources.list");
        let line = source_line(&mirror, suite, keyring());
        fs::write(&source, line).with_context(|| format!("could not write {}", source.display()))?;
        let set = |name: &str, value: &str| format!("--option={name}={value}");
        let at = |name: &str, path: &str| set(name, &place.join(path).to_string_lossy());
        let options = vec![
            at("Dir::Etc::SourceList", "sources.list"),
            set("Dir::Etc::SourceParts", "/dev/null"),
            at("Dir::State::Lists", "lists"),
            at("Dir::Cache", "cache"),
            // What is installed here is nothing that the suite offers.
            set("Dir::State::Status", "/dev/null"),
            set("APT::Architecture", architecture),
            set("APT::Architectures", architecture),
            // Another package's configuration may ask for its descriptions of programs.
            set("Acquire::IndexTargets::deb::DEP-11::DefaultEnabled", "false"),
            // Its own user may not be let into our directory. What is fetched is signed.
            set("APT::Sandbox::User", "root"),
        ];
        let apt = Self { options };
        let known = fs::read_dir(place.join("lists")).is_ok_and(|mut files| {
            files.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().ends_with("InRelease")))
        });
        match exec::run(apt.command("apt-get").args(["update", "-qq"])) {
            Err(error) if known => eprintln!("vm: going on with the lists of {suite} from before: {error:#}"),
            result => result.with_context(|| format!("could not fetch the lists of {suite}"))?,
        }
        Ok(apt)
    }

    /// Names of the packages that begin so.
    pub(super) fn names(&self, beginning: &str) -> Result<String> {
        exec::capture(self.command("apt-cache").args(["pkgnames", beginning])).context(
            "apt-cache does not run; the kernels come from Debian's packages, so this needs Debian or its kin",
        )
    }

    /// Downloads and unpacks packages into one directory, unless that was done before.
    pub(super) fn unpack(&self, packages: &[String], place: &Path) -> Result<()> {
        if place.exists() {
            return Ok(());
        }
        let names = packages.join(" ");
        eprintln!("vm: downloading {names}");
        let partial = place.with_added_extension("partial");
        let download = partial.join("download");
        // Whatever is there is left from a run that was interrupted.
        let _ = fs::remove_dir_all(&partial);
        fs::create_dir_all(&download).with_context(|| format!("could not make {}", download.display()))?;
        let mut apt = self.command("apt-get");
        exec::run(apt.args(["download", "-qq"]).args(packages).current_dir(&download))?;
        for file in fs::read_dir(&download).context("what was downloaded cannot be listed")?.flatten() {
            exec::run(exec::command("dpkg").arg("-x").arg(file.path()).arg(&partial))?;
        }
        let _ = fs::remove_dir_all(&download);
        fs::rename(&partial, place).with_context(|| format!("could not make {}", place.display()))
    }

    fn command(&self, program: &str) -> std::process::Command {
        let mut command = exec::command(program);
        command.args(&self.options).env("LC_ALL", "C");
        command
    }
}

/// Where kernels and all that belongs to them are kept.
pub(super) fn directory() -> PathBuf {
    workspace::target_dir().join("xtask").join("kernels")
}

/// Fetches the lists of this machine's apt, which a fresh image does not have.
pub(super) fn update_this_machine() -> Result<()> {
    eprintln!("vm: apt knows no kernels or no mirror, so first its lists: (as root) apt-get update");
    let privilege = privilege::detect(&ThisMachine);
    exec::run(privilege::as_root(&privilege, "apt-get").args(["update", "-q"]))
}

/// The mirror of Debian's archive that this machine uses.
fn mirror() -> Result<String> {
    let targets = || {
        ThisMachine.output(
            "apt-get",
            &["indextargets", "--format", "$(ORIGIN) $(SUITE) $(REPO_URI)", "Created-By: Packages"],
        )
    };
    if let Some(mirror) = targets().as_deref().and_then(archive) {
        return Ok(mirror.to_owned());
    }
    update_this_machine()?;
    match targets().as_deref().and_then(archive) {
        Some(mirror) => Ok(mirror.to_owned()),
        None => bail!(
            "no source of this machine's apt is Debian's archive, where the newest kernels come from: add one, or name \
             kernels of the machine's own suites with `--kernel`"
        ),
    }
}

/// Finds the archive among the targets of apt. Security updates lie elsewhere, and have no backports.
fn archive(targets: &str) -> Option<&str> {
    targets.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (origin, suite, address) = (words.next()?, words.next()?, words.next()?);
        (origin == "Debian" && !suite.contains("security")).then_some(address)
    })
}

/// The keys that Debian's archive is signed with, where this machine has them.
fn keyring() -> Option<&'static str> {
    let names =
        ["/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg"];
    names.into_iter().find(|name| Path::new(name).exists())
}

fn source_line(mirror: &str, suite: &str, keyring: Option<&str>) -> String {
    let signed = keyring.map_or_else(String::new, |path| format!("[signed-by={path}] "));
    format!("deb {signed}{mirror} {suite} main\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_told_from_other_sources() {
        let targets = "Docker bookworm https://docker.example/linux/debian/\n\
                       Debian oldstable-security http://mirror.example/debian-security/\n\
                       Debian oldstable http://mirror.example/debian/\n\
                       Debian oldstable-updates http://other.example/debian/\n";
        assert_eq!(archive(targets), Some("http://mirror.example/debian/"));
        // Without lists apt does not know whose they are.
        assert_eq!(archive("$(ORIGIN) $(SUITE) http://mirror.example/debian/\n"), None);
    }

    #[test]
    fn the_suite_is_checked_by_the_keys_of_the_archive() {
        assert_eq!(
            source_line("http://mirror.example/debian/", "s", Some("/k.gpg")),
            "deb [signed-by=/k.gpg] http://mirror.example/debian/ s main\n"
        );
        assert_eq!(source_line("file:/m/", "s", None), "deb file:/m/ s main\n");
    }
}
