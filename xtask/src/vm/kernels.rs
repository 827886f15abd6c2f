//! The kernels: which, and how to have them.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::PathBuf,
};

use anyhow::{Context as _, Result, bail};

use super::{
    apt::{self, Apt},
    board::AMD64,
    builds::{self, Build},
};

/// A series of kernels, of which the newest is taken.
#[derive(Debug)]
pub(super) struct Series {
    /// Beginning of its versions, whole numbers, as `--kernel` takes it.
    name: &'static str,
    /// The lowest version that counts.
    from: &'static [u64],
    /// Debian's suite that has it; `None` for the suites that this machine's apt knows.
    suite: Option<&'static str>,
    /// The tests run with every hook that loads, and not only with those that the observer chooses.
    every_hook: bool,
}

/// The suite of the newest kernels.
const BACKPORTS: Option<&str> = Some("trixie-backports");

/// The series that are tried, the oldest first, beside the kernel that this machine runs: the long-term kernels of a
/// Debian release, and the newest kernels that Debian builds, which are found and not named because a suite of backports
/// moves on. The oldest and the newest have every hook tested; hooks that load on a kernel between them load on one of these
/// two as well, or are the observer's choice there, and `unproven` complains of any that are neither.
const SERIES: [Series; 4] = [
    Series { name: "6.1", from: &[6, 1], suite: None, every_hook: true },
    Series { name: "6.12", from: &[6, 12], suite: None, every_hook: false },
    Series { name: "6", from: &[6, 18], suite: BACKPORTS, every_hook: false },
    Series { name: "7", from: &[7], suite: BACKPORTS, every_hook: true },
];

/// The kernel for another architecture: a long-term one.
const OTHER: Series = Series { name: "6.12", from: &[6, 12], suite: Some(OTHER_SUITE), every_hook: false };
const OTHER_SUITE: &str = "trixie";

/// Modules that the tests need: sock_diag for TCP.
const MODULES: [&str; 2] = ["net/ipv4/inet_diag.ko", "net/ipv4/tcp_diag.ko"];
/// Where packages have modules; and, of later kernels, the image.
const MODULE_ROOTS: [&str; 2] = ["lib/modules", "usr/lib/modules"];

/// A kernel that can be booted.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    /// Its first two numbers, as documents name it.
    pub(super) series: String,
    /// Its version, as `uname -r` says it.
    pub(super) version: String,
    /// The tests run with every hook that loads.
    pub(super) every_hook: bool,
    /// The image.
    pub(super) image: PathBuf,
    /// Modules to load, in this order.
    pub(super) modules: Vec<PathBuf>,
}

/// Checks that a series is in the table.
pub(super) fn series(text: &str) -> Result<String, String> {
    let names = SERIES.map(|series| series.name);
    match names.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(format!("there is `{}`", names.join("`, `"))),
    }
}

/// Which series to try.
pub(super) enum Wanted<'a> {
    /// These.
    Named(&'a [String]),
    /// All of the table.
    All,
}

/// Returns the newest kernel of each series that is wanted, from the cache if it is there.
pub(super) fn fetch(wanted: &Wanted<'_>) -> Result<Vec<Kernel>> {
    let mut sources: BTreeMap<Option<&str>, Apt> = BTreeMap::new();
    let is_wanted = |series: &&Series| match wanted {
        Wanted::Named(names) => names.iter().any(|one| one == series.name),
        Wanted::All => true,
    };
    let mut kernels = Vec::new();
    for series in SERIES.iter().filter(is_wanted) {
        let apt = match sources.entry(series.suite) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(match series.suite {
                Some(suite) => Apt::of_suite(suite, AMD64.architecture)?,
                None => Apt::of_this_machine(),
            }),
        };
        kernels.push(newest(series, apt, AMD64.architecture)?);
    }
    Ok(kernels)
}

/// Returns the kernel of another architecture, and where it comes from.
pub(super) fn fetch_other(architecture: &str) -> Result<(Kernel, Apt)> {
    let apt = Apt::of_suite(OTHER_SUITE, architecture)?;
    Ok((newest(&OTHER, &apt, architecture)?, apt))
}

/// Downloads the newest kernel of a series, unless it is there.
fn newest(series: &Series, apt: &Apt, architecture: &str) -> Result<Kernel> {
    let find = || -> Result<Option<Build>> {
        Ok(builds::newest(&apt.names("linux-")?, series.name, series.from, architecture))
    };
    let mut build = find()?;
    if build.is_none() && series.suite.is_none() {
        apt::update_this_machine()?;
        build = find()?;
    }
    let build = build.with_context(|| {
        let from = series.from.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
        format!(
            "{} offers no whole kernel {}.* from {from} on (a package linux-image-*-cloud-{architecture}, or \
             linux-binary and linux-modules): change the row of `SERIES` if Debian has moved on",
            series.suite.unwrap_or("apt"),
            series.name
        )
    })?;
    unpacked(&build, apt, series.every_hook)
}

/// Downloads and unpacks a build, unless that was done before.
fn unpacked(build: &Build, apt: &Apt, every_hook: bool) -> Result<Kernel> {
    let version = &build.version;
    let first = build.packages.first().context("a kernel without packages")?;
    let place = apt::directory().join(first);
    apt.unpack(&build.packages, &place)?;
    let roots = MODULE_ROOTS.map(|root| place.join(root).join(version));
    let images = [place.join("boot").join(format!("vmlinuz-{version}"))].into_iter();
    let mut images = images.chain(roots.iter().map(|root| root.join("vmlinuz")));
    let Some(image) = images.find(|image| image.exists()) else {
        bail!("{} holds no image of Linux {version}: remove it, and run this again", place.display());
    };
    let modules = MODULES.iter().map(|name| module(&roots, name).with_context(|| format!("Linux {version}")));
    let mut numbers = version.split('.');
    let series = [numbers.next(), numbers.next()].into_iter().flatten().collect::<Vec<_>>().join(".");
    let modules = modules.collect::<Result<_>>()?;
    Ok(Kernel { series, version: version.clone(), every_hook, image, modules })
}

/// Finds a module below the directories of a kernel. Later kernels have them compressed.
fn module(roots: &[PathBuf], name: &str) -> Result<PathBuf> {
    let mut paths =
        roots.iter().flat_map(|root| ["", ".xz"].map(|end| root.join(format!("kernel/{name}{end}"))));
    paths.find(|path| path.exists()).with_context(|| format!("there is no module {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_series_of_the_table() {
        assert_eq!(series("6.1").as_deref(), Ok("6.1"));
        assert_eq!(series("7").as_deref(), Ok("7"));
        assert!(series("6.2").is_err());
    }

    #[test]
    fn the_oldest_and_the_newest_have_every_hook_tested() {
        let all = SERIES.map(|series| series.every_hook);
        assert!(all[0] && all[all.len() - 1]);
        assert!(SERIES.is_sorted_by_key(|series| series.from), "the oldest first");
    }
}
