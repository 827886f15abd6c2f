//! Kernels among the names of Debian's packages.

/// One build of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Build {
    /// Its version, as `uname -r` says it.
    pub(super) version: String,
    /// The packages that together hold its image and its modules.
    pub(super) packages: Vec<String>,
}

/// Returns the build of the highest version of a series that is offered whole.
///
/// `series` is the beginning of the version, `from` the lowest version that counts, `architecture` Debian's name for it.
pub(super) fn newest(names: &str, series: &str, from: &[u64], architecture: &str) -> Option<Build> {
    let names: Vec<&str> = names.lines().map(str::trim).collect();
    let end = format!("-cloud-{architecture}");
    let of_series = |name: &&str| {
        let version = name.strip_prefix("linux-image-")?.strip_suffix(end.as_str())?;
        let numbers = numbers(version)?;
        let is_in = version.strip_prefix(series)?.starts_with('.') && numbers.as_slice() >= from;
        is_in.then(|| (numbers, format!("{version}{end}")))
    };
    // The image's package may be offered without a signature alone.
    let images = names.iter().map(|name| name.strip_suffix("-unsigned").unwrap_or(name));
    let mut builds: Vec<_> = images.filter_map(|name| of_series(&name)).collect();
    builds.sort();
    builds.into_iter().rev().find_map(|(_, version)| {
        let packages = packages(&names, &version)?;
        Some(Build { version, packages })
    })
}

/// Returns the packages that hold a version, or `None` if not all of them are offered.
fn packages(names: &[&str], version: &str) -> Option<Vec<String>> {
    let [unsigned, binary, modules, image] = [
        format!("linux-image-{version}-unsigned"),
        format!("linux-binary-{version}"),
        format!("linux-modules-{version}"),
        format!("linux-image-{version}"),
    ];
    let offered = |name: &String| names.contains(&name.as_str());
    if offered(&unsigned) {
        Some(vec![unsigned])
    } else if offered(&binary) {
        // The package of the image holds nothing since the image and the modules got one each. An archive keeps the
        // image longer than the modules.
        offered(&modules).then(|| vec![binary, modules])
    } else {
        offered(&image).then(|| vec![image])
    }
}

/// Returns the numbers of a version to compare it by. A name without a third number is virtual: it stands for whichever
/// build is the newest.
fn numbers(version: &str) -> Option<Vec<u64>> {
    let all = |text: &str| {
        let parts = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
        parts.map(|part| part.parse().ok()).collect::<Option<Vec<u64>>>()
    };
    let upstream = version.split(['+', '-', '~']).next().unwrap_or_default();
    let is_whole = upstream.split('.').count() >= 3;
    all(version).filter(|_| is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stable suite, recorded.
    const STABLE: &str = "linux-image-6.1.0-9-cloud-amd64-unsigned
linux-image-6.1.0-56-cloud-amd64-unsigned
linux-image-6.1.0-56-cloud-amd64
linux-image-6.1.0-56-rt-amd64-unsigned
linux-image-6.12.117+deb12-cloud-amd64-unsigned
linux-image-6.12.90+deb12-cloud-amd64-unsigned
linux-image-6.12.117+deb12-cloud-amd64-dbg
linux-image-cloud-amd64
";

    /// A suite of backports, recorded, with virtual names added as they have been seen.
    const BACKPORTS: &str = "linux-binary-6.19.14+deb13-cloud-amd64
linux-binary-7.2.12+deb13-cloud-amd64
linux-binary-7.3.4+deb13-cloud-amd64
linux-binary-unsigned-7.3.4+deb13-cloud-amd64
linux-image-6.16.12+deb13-cloud-amd64
linux-image-6.18.9+deb13-cloud-amd64
linux-image-6.18.15+deb13-cloud-amd64
linux-image-6.18.15+deb13-rt-amd64
linux-image-6.19.14+deb13-cloud-amd64
linux-image-7.2.12+deb13-cloud-amd64
linux-image-7.3.4+deb13-cloud-amd64
linux-image-7.3.4+deb13-cloud-amd64-dbg
linux-image-7.3.4+deb13-cloud-arm64
linux-image-7.3-cloud-amd64
linux-image-7.4-cloud-amd64
linux-image-cloud-amd64
linux-modules-7.2.12+deb13-cloud-amd64
linux-modules-7.3.4+deb13-cloud-amd64
linux-modules-cloud-amd64
";

    fn found(names: &str, series: &str, from: &[u64]) -> Option<Vec<String>> {
        newest(names, series, from, "amd64").map(|build| build.packages)
    }

    #[test]
    fn the_newest_of_a_stable_series() {
        let one = |name: &str| Some(vec![name.to_owned()]);
        assert_eq!(found(STABLE, "6.1", &[6, 1]), one("linux-image-6.1.0-56-cloud-amd64-unsigned"));
        assert_eq!(found(STABLE, "6.12", &[]), one("linux-image-6.12.117+deb12-cloud-amd64-unsigned"));
        assert_eq!(found(STABLE, "5.10", &[]), None);
    }

    #[test]
    fn the_image_and_the_modules_of_a_kernel_in_two_packages() {
        let build = newest(BACKPORTS, "7", &[7], "amd64").unwrap();
        assert_eq!(build.version, "7.3.4+deb13-cloud-amd64");
        assert_eq!(
            build.packages,
            ["linux-binary-7.3.4+deb13-cloud-amd64", "linux-modules-7.3.4+deb13-cloud-amd64"]
        );
    }

    #[test]
    fn a_kernel_whose_modules_are_gone_is_passed_over() {
        let expected = Some(vec!["linux-image-6.18.15+deb13-cloud-amd64".to_owned()]);
        assert_eq!(found(BACKPORTS, "6", &[6, 18]), expected);
    }

    #[test]
    fn what_is_older_than_wanted_does_not_count() {
        assert_eq!(found("linux-image-6.16.12+deb13-cloud-amd64\n", "6", &[6, 18]), None);
    }

    #[test]
    fn virtual_names_are_not_kernels() {
        assert_eq!(found("linux-image-7.3-cloud-amd64\nlinux-image-7.4-rc1-cloud-amd64\n", "7", &[7]), None);
    }
}
