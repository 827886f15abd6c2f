//! Capabilities: exactly what is missing is named; what suffices, suffices.

use rustix::thread::CapabilitySet;

use crate::{has, run_with_only};

const WATCH: &[&str] = &["stream", "--duration", "10ms", "--netns", "/proc/self/ns/net"];

#[test]
fn without_any_capability() {
    for arguments in [WATCH, &["stream", "--port", "80"]] {
        let run = run_with_only(CapabilitySet::empty(), arguments);
        run.refused(3, &["CAP_BPF and CAP_PERFMON", "sudo", "setcap"]);
    }
}

#[test]
fn with_one_of_two() {
    if !has(CapabilitySet::BPF | CapabilitySet::PERFMON | CapabilitySet::SETPCAP) {
        println!("SKIPPED: privilege::with_one_of_two: there is no capability to give; run it as root");
        return;
    }
    for (given, missing, other) in
        [(CapabilitySet::BPF, "CAP_PERFMON", "CAP_BPF,"), (CapabilitySet::PERFMON, "CAP_BPF", "CAP_PERFMON,")]
    {
        let run = run_with_only(given, WATCH);
        run.refused(3, &[&format!("needs {missing}, which")]);
        assert!(!run.stderr.contains(&format!("needs {other}")), "{run:?}");
    }
}

#[test]
fn with_both_and_no_more() {
    if !has(CapabilitySet::BPF | CapabilitySet::PERFMON | CapabilitySet::SETPCAP) {
        println!("SKIPPED: privilege::with_both_and_no_more: there is no capability to give; run it as root");
        return;
    }
    let run = run_with_only(CapabilitySet::BPF | CapabilitySet::PERFMON, WATCH);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let first: serde_json::Value =
        serde_json::from_str(run.stdout.lines().next().expect("a first line")).unwrap();
    let missing = first["signals"].as_object().expect("signals").iter().filter(|(_, hook)| hook.is_null());
    for (signal, _) in missing {
        // Some kernels attach to no function, whoever asks.
        let note = first["signal_notes"][signal].as_str().unwrap_or_default();
        assert!(note.contains("does not attach programs to the function"), "{signal}: {note}");
    }
}

#[test]
fn help_and_version_need_none() {
    for flag in ["--help", "-h", "--version"] {
        let run = run_with_only(CapabilitySet::empty(), &[flag]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
        assert!(run.stdout.contains("observer"), "{run:?}");
    }
}

#[test]
fn wrong_usage_is_told_before_missing_privilege() {
    let run = run_with_only(CapabilitySet::empty(), &["stream", "--pid", "4294967295"]);
    run.refused(2, &["--pid 4294967295", "no such process"]);
}
