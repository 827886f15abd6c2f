//! What the observer finds around it: file systems that are not mounted.

use std::{path::Path, thread};

use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::{CapabilitySet, UnshareFlags, unshare_unsafe},
};
use serde_json::Value;

use crate::{Run, has, run, run_with_only};

/// Runs the binary in some way with mounts of its own, changed before.
#[track_caller]
pub(crate) fn with_mounts(change: impl FnOnce() + Send, binary: impl FnOnce() -> Run + Send) -> Run {
    let run = || {
        // SAFETY: only the mounts are left, and with them what threads share of the file system's root.
        #[expect(unsafe_code, reason = "rustix marks all of unshare(2) so, for the sake of CLONE_FILES")]
        unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.expect("unshare");
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
            .expect("private mounts");
        change();
        binary()
    };
    thread::scope(|scope| scope.spawn(run).join()).expect("a thread")
}

/// Runs the binary in some way where these directories are empty.
#[track_caller]
pub(crate) fn without(hidden: &[&str], binary: impl FnOnce() -> Run + Send) -> Run {
    let hide = || {
        for directory in hidden.iter().filter(|directory| Path::new(directory).exists()) {
            mount("none", *directory, "tmpfs", MountFlags::empty(), None).expect("an empty file system");
        }
    };
    with_mounts(hide, binary)
}

const TRACING: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug"];

/// What `doctor --json` says of each signal.
#[track_caller]
fn signals(run: &Run) -> Vec<Value> {
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    report["signals"].as_array().expect("signals").clone()
}

#[test]
fn without_tracefs() {
    if !has(CapabilitySet::SYS_ADMIN | CapabilitySet::SETPCAP) {
        println!(
            "SKIPPED: surroundings::without_tracefs: it needs CAP_SYS_ADMIN, to hide a mount; run it as root"
        );
        return;
    }
    // What it takes to mount one is missing, too.
    let allowed = CapabilitySet::BPF | CapabilitySet::PERFMON;
    let run = without(&TRACING, || run_with_only(allowed, &["doctor", "--json"]));
    for signal in signals(&run) {
        let hook = signal["hook"].as_str().unwrap_or_default();
        assert!(!hook.contains("tracepoint/"), "{signal}");
        for refused in signal["refused"].as_array().expect("refused") {
            if refused["hook"].as_str().is_some_and(|hook| hook.starts_with("tracepoint/")) {
                let (reason, remedy) = (refused["reason"].to_string(), refused["remedy"].to_string());
                assert!(reason.contains("tracefs") && remedy.contains("mount -t tracefs"), "{refused}");
            }
        }
    }
}

#[test]
fn where_tracefs_can_be_mounted_it_is_not_missed() {
    if !has(CapabilitySet::SYS_ADMIN) {
        println!(
            "SKIPPED: surroundings::where_tracefs_can_be_mounted_it_is_not_missed: it needs CAP_SYS_ADMIN; run \
             it as root"
        );
        return;
    }
    let doctor = || {
        let run = run(&["doctor", "--json", "--hook", "accept=tracepoint/sys_exit_accept"]);
        let entries = TRACING.map(|place| std::fs::read_dir(place).map_or(0, Iterator::count));
        assert_eq!(entries, [0, 0], "nobody else sees what it mounts");
        run
    };
    let signals = signals(&without(&TRACING, doctor));
    let accept = signals.iter().find(|signal| signal["signal"] == "accept").expect("the signal");
    assert_eq!(accept["hook"], "tracepoint/sys_exit_accept");
}

#[test]
fn without_cgroup2() {
    if !has(CapabilitySet::SYS_ADMIN) {
        println!(
            "SKIPPED: surroundings::without_cgroup2: it needs CAP_SYS_ADMIN, to hide a mount; run it as root"
        );
        return;
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
    let hidden: Vec<&str> = mounts
        .lines()
        .filter(|line| line.split(' ').nth(2) == Some("cgroup2"))
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    let all = ["stream", "--duration", "10ms", "--netns", "/proc/self/ns/net"];
    assert_eq!(without(&hidden, || run(&all)).code, Some(0), "nothing needs it but --cgroup");
    let cgroup = ["stream", "--cgroup", "/tmp"];
    without(&hidden, || run(&cgroup)).refused(2, &["--cgroup /tmp", "cgroup2"]);
}
