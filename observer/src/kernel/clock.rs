//! The clocks: those of the kernel's programs, whatever time namespace this process is in.
//!
//! `bpf_ktime_get_ns` is the host's CLOCK_MONOTONIC, and `start_boottime` of a task its CLOCK_BOOTTIME. In a time
//! namespace (time_namespaces(7)) clock_gettime(2) adds an offset to both, which is the same for the namespace's whole life
//! and stands in /proc, so it is taken off again.

use std::{fs, io, sync::OnceLock};

use anyhow::{Context as _, Result, bail};

/// What a time namespace adds to the host's clocks, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Offsets {
    monotonic: i128,
    boottime: i128,
}

/// Nanoseconds of the host's CLOCK_MONOTONIC, the clock of all times here.
///
/// # Errors
/// The clock cannot be read, or it is not known what it shows.
pub fn now_ns() -> Result<u64> {
    hosts("CLOCK_MONOTONIC", libc::CLOCK_MONOTONIC, offsets()?.monotonic)
}

/// Nanoseconds of the host's CLOCK_BOOTTIME.
pub(super) fn boot_ns() -> Result<u64> {
    hosts("CLOCK_BOOTTIME", libc::CLOCK_BOOTTIME, offsets()?.boottime)
}

fn hosts(name: &str, clock: libc::clockid_t, offset: i128) -> Result<u64> {
    let here = clock_ns(clock).with_context(|| format!("cannot read {name}"))?;
    u64::try_from(i128::from(here) - offset).with_context(|| format!("{name} shows no time of the host's"))
}

/// Nanoseconds of a clock, as this process sees it.
pub(super) fn clock_ns(clock: libc::clockid_t) -> io::Result<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec that lives through the call.
    #[expect(unsafe_code, reason = "std does not give the value of a clock")]
    let result = unsafe { libc::clock_gettime(clock, &mut time) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// The offsets of this process's time namespace, read once: a process with threads cannot enter another one.
fn offsets() -> Result<Offsets> {
    static OFFSETS: OnceLock<Result<Offsets, String>> = OnceLock::new();
    let read = OFFSETS.get_or_init(|| look().map_err(|error| format!("{error:#}")));
    read.clone().map_err(anyhow::Error::msg)
}

fn look() -> Result<Offsets> {
    let text = match fs::read_to_string("/proc/self/timens_offsets") {
        Ok(text) => text,
        // A kernel built without CONFIG_TIME_NS.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Offsets::default()),
        Err(error) => return Err(error).context("cannot read /proc/self/timens_offsets"),
    };
    // It is about the namespace that children will be in, which is another one after unshare(2).
    let inode = |name: &str| fs::read_link(format!("/proc/self/ns/{name}"));
    let (own, next) = (inode("time"), inode("time_for_children"));
    if matches!((&own, &next), (Ok(own), Ok(next)) if own != next) {
        bail!(
            "this process is in another time namespace than its children will be, and cannot know what its clock shows; \
             start it as a child, as `unshare --time --fork` does"
        );
    }
    parse(&text).context(
        "/proc/self/timens_offsets is not as expected; start the observer outside of a time namespace",
    )
}

/// Lines of a clock's name, seconds and nanoseconds.
fn parse(text: &str) -> Option<Offsets> {
    let of = |clock: &str| -> Option<i128> {
        let mut lines = text.lines().map(str::split_whitespace);
        let mut line = lines.find_map(|mut words| (words.next()? == clock).then_some(words))?;
        let (seconds, nanoseconds): (i128, i128) = (line.next()?.parse().ok()?, line.next()?.parse().ok()?);
        Some(seconds * 1_000_000_000 + nanoseconds)
    };
    Some(Offsets { monotonic: of("monotonic")?, boottime: of("boottime")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_have_signs_and_nanoseconds() {
        let text = "monotonic     -86400  999999999\nboottime           7          0\n";
        let expected = Offsets { monotonic: -86_399_000_000_001, boottime: 7_000_000_000 };
        assert_eq!(parse(text), Some(expected));
        for odd in ["", "monotonic 1 2\n", "monotonic x 0\nboottime 0 0\n", "monotonic 1\nboottime 0 0\n"] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_clock_goes_on() {
        let (first, then) = (now_ns().unwrap(), now_ns().unwrap());
        assert!(0 < first && first <= then);
        assert!(boot_ns().unwrap() >= first, "it counts suspend as well");
    }
}
