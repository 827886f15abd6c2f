//! The kernels: which, and how to have them.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::{
    exec,
    machine::{Machine, ThisMachine},
    privilege, workspace,
};

/// Beginnings of the versions that are tried, the oldest first: long-term kernels of Debian, beside whatever this
/// machine runs.
const SERIES: [&str; 2] = ["6.1", "6.12"];

/// What the tests ask of the kernel that Debian builds as modules: sock_diag for TCP.
const MODULES: [&str; 2] = ["net/ipv4/inet_diag.ko", "net/ipv4/tcp_diag.ko"];

/// A kernel that can be booted.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    /// Beginning of its version.
    pub(super) series: String,
    /// Its version, as `uname -r` says it.
    pub(super) version: String,
    /// The image.
    pub(super) image: PathBuf,
    /// Modules to load, in this order.
    pub(super) modules: Vec<PathBuf>,
}

/// A series of the table.
pub(super) fn series(text: &str) -> Result<String, String> {
    match SERIES.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(format!("there is `{}`", SERIES.join("`, `"))),
    }
}

/// The newest kernel of each series that apt offers, from the cache if it is there.
pub(super) fn fetch(wanted: &[String]) -> Result<Vec<Kernel>> {
    let mut packages = names()?;
    if SERIES.iter().any(|series| newest(&packages, series).is_none()) {
        eprintln!("vm: apt knows no such kernels, so first its lists: (as root) apt-get update");
        let privilege = privilege::detect(&ThisMachine);
        exec::run(privilege::as_root(&privilege, "apt-get").args(["update", "-q"]))?;
        packages = names()?;
    }
    SERIES
        .iter()
        .filter(|series| wanted.is_empty() || wanted.iter().any(|one| one == *series))
        .map(|series| {
            let package = newest(&packages, series).with_context(|| {
                format!("apt offers no package linux-image-{series}*-cloud-amd64-unsigned; after `apt-get update` it should")
            })?;
            unpacked(series, package)
        })
        .collect()
}

/// Names of the packages that apt offers.
fn names() -> Result<String> {
    ThisMachine.output("apt-cache", &["pkgnames", "linux-image-"]).context(
        "apt-cache does not run; the kernels come from Debian's packages, so this needs Debian or its kin",
    )
}

/// The package of the highest version of a series.
fn newest<'a>(packages: &'a str, series: &str) -> Option<&'a str> {
    let of_series = |name: &&str| {
        name.strip_prefix("linux-image-")
            .and_then(|rest| rest.strip_suffix("-cloud-amd64-unsigned"))
            .and_then(|version| version.strip_prefix(series))
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    packages.lines().map(str::trim).filter(of_series).max_by_key(|name| numbers(name))
}

/// The numbers in a name, to compare versions by.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// Downloads and unpacks a package, unless that was done before.
fn unpacked(series: &str, package: &str) -> Result<Kernel> {
    let cache = workspace::target_dir().join("xtask").join("kernels");
    let version = package.trim_start_matches("linux-image-").trim_end_matches("-unsigned").to_owned();
    let place = cache.join(package);
    let image = place.join("boot").join(format!("vmlinuz-{version}"));
    if !image.exists() {
        eprintln!("vm: downloading {package}");
        let download = cache.join("download");
        // Whatever is there is left from a run that was interrupted.
        let _ = fs::remove_dir_all(&download);
        fs::create_dir_all(&download).with_context(|| format!("could not make {}", download.display()))?;
        exec::run(exec::command("apt-get").args(["download", "-q", package]).current_dir(&download))?;
        let file = fs::read_dir(&download)?.flatten().next().context("apt-get downloaded nothing")?.path();
        let partial = cache.join("partial");
        let _ = fs::remove_dir_all(&partial);
        exec::run(exec::command("dpkg").arg("-x").arg(&file).arg(&partial))?;
        fs::rename(&partial, &place).with_context(|| format!("could not make {}", place.display()))?;
        let _ = fs::remove_dir_all(&download);
    }
    if !image.exists() {
        bail!("{package} holds no {}", image.display());
    }
    let modules = place.join("lib/modules").join(&version).join("kernel");
    // Later kernels have them compressed.
    let modules = MODULES.iter().flat_map(|name| [modules.join(name), modules.join(format!("{name}.xz"))]);
    let modules = modules.filter(|path| path.exists()).collect();
    Ok(Kernel { series: series.to_owned(), version, image, modules })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_series_is_found() {
        let packages = "linux-image-6.1.0-9-cloud-amd64-unsigned\nlinux-image-6.1.0-56-cloud-amd64-unsigned\n\
                        linux-image-6.1.0-56-rt-amd64-unsigned\nlinux-image-6.12.117+deb12-cloud-amd64-unsigned\n\
                        linux-image-6.12.90+deb12-cloud-amd64-unsigned\nlinux-image-6.12.117+deb12-cloud-amd64-dbg\n";
        assert_eq!(newest(packages, "6.1"), Some("linux-image-6.1.0-56-cloud-amd64-unsigned"));
        assert_eq!(newest(packages, "6.12"), Some("linux-image-6.12.117+deb12-cloud-amd64-unsigned"));
        assert_eq!(newest(packages, "5.10"), None);
    }

    #[test]
    fn only_series_of_the_table() {
        assert_eq!(series("6.1").as_deref(), Ok("6.1"));
        assert!(series("6").is_err());
    }
}
