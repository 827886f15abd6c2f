//! The kernel's type information (BTF): absent, no such thing, cut off, another kernel's, too old, or without a member.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::{mount::mount_bind, thread::CapabilitySet};

use crate::{
    Run, has, run,
    surroundings::{with_mounts, without},
};

const KERNEL: &str = "/sys/kernel/btf/vmlinux";
/// Where it is.
const PLACE: &str = "/sys/kernel/btf";
const WATCH: &[&str] = &["stream", "--duration", "10ms", "--netns", "/proc/self/ns/net"];

/// A file that goes with the test.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn with(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("observer-test-{}-{name}.btf", std::process::id()));
        fs::write(&path, content).expect("a temporary file");
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The kernel's own, or the reason why the test cannot run.
pub(crate) fn kernel_btf(test: &str) -> Option<Vec<u8>> {
    let missing = if has(CapabilitySet::BPF | CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN) {
        match fs::read(KERNEL) {
            Ok(data) => return Some(data),
            Err(error) => format!("cannot read {KERNEL}: {error}"),
        }
    } else {
        "it needs CAP_BPF and CAP_PERFMON, and CAP_SYS_ADMIN to show the observer another one; run it as root"
            .to_owned()
    };
    println!("SKIPPED: type_information::{test}: {missing}");
    None
}

#[track_caller]
fn watch(btf: &Path) -> Run {
    let btf = btf.to_str().expect("a path in UTF-8");
    run(&[WATCH, &["--btf", btf]].concat())
}

/// Runs the binary where the kernel seems to show this instead of its own.
#[track_caller]
pub(crate) fn shown(file: &Scratch, arguments: &[&str]) -> Run {
    let path = file.path().to_owned();
    with_mounts(move || mount_bind(path, KERNEL).expect("a bind mount"), || run(arguments))
}

/// The same data with every string that is exactly `from` replaced by `to`, which is as long.
pub(crate) fn renamed(mut data: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let whole = [b"\0", from.as_bytes(), b"\0"].concat();
    let places: Vec<usize> =
        data.windows(whole.len()).enumerate().filter(|(_, part)| *part == whole).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "this kernel's BTF has no string {from}");
    for at in places {
        data[at + 1..at + 1 + to.len()].copy_from_slice(to.as_bytes());
    }
    data
}

#[test]
fn absent() {
    if kernel_btf("absent").is_some() {
        watch(Path::new("/nowhere/btf"))
            .refused(4, &["/nowhere/btf", "No such file", "CONFIG_DEBUG_INFO_BTF"]);
    }
}

#[test]
fn a_directory() {
    if kernel_btf("a_directory").is_some() {
        watch(Path::new("/sys/kernel")).refused(4, &["/sys/kernel", "directory"]);
    }
}

#[test]
fn something_else() {
    if kernel_btf("something_else").is_some() {
        for (name, content) in [("empty", &b""[..]), ("text", b"not BTF"), ("magic-only", b"\x9f\xeb")] {
            let file = Scratch::with(name, content);
            watch(&file.0).refused(4, &[file.0.to_str().unwrap(), "BTF"]);
        }
    }
}

#[test]
fn cut_off() {
    let Some(data) = kernel_btf("cut_off") else { return };
    for length in [8, 24, 25, 1000, data.len() / 2, data.len() - 1] {
        let file = Scratch::with("cut-off", &data[..length]);
        watch(&file.0).refused(4, &[file.0.to_str().unwrap(), "truncated"]);
    }
}

#[test]
fn without_a_member_that_nothing_works_without() {
    let Some(data) = kernel_btf("without_a_member_that_nothing_works_without") else { return };
    let file = Scratch::with("essential", &renamed(data, "sk_ack_backlog", "sk_ack_backlox"));
    shown(&file, WATCH).refused(4, &["sock.sk_ack_backlog"]);
}

#[test]
fn without_a_member_that_some_signals_need() {
    let Some(data) = kernel_btf("without_a_member_that_some_signals_need") else { return };
    let file = Scratch::with("some-signals", &renamed(data, "fdt", "fdx"));
    let run = shown(&file, WATCH);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let first: serde_json::Value =
        serde_json::from_str(run.stdout.lines().next().expect("a first line")).unwrap();
    assert!(first["signals"]["accept"].is_null(), "{first}");
    assert!(first["signals"]["enqueue"].is_string(), "{first}");
    let note = first["signal_notes"]["accept"].as_str().unwrap_or_default();
    assert!(note.contains("files_struct.fdt"), "{first}");
}

#[test]
fn of_another_kernel() {
    let Some(data) = kernel_btf("of_another_kernel") else { return };
    let own = Scratch::with("own", &data);
    assert_eq!(watch(&own.0).code, Some(0), "a copy of the kernel's own is as good");
    let file = Scratch::with("another-kernel", &renamed(data, "fdt", "fdx"));
    let says = [file.path(), "another kernel", KERNEL, "offsets", "leave out --btf"];
    watch(&file.0).refused(4, &says);
    run(&["doctor", "--json", "--btf", file.path()]).refused(4, &says);
}

#[test]
fn where_the_kernel_shows_none_a_file_is_believed() {
    let Some(data) = kernel_btf("where_the_kernel_shows_none_a_file_is_believed") else { return };
    without(&[PLACE], || run(WATCH))
        .refused(4, &[KERNEL, "Linux 5.15 or newer", "CONFIG_DEBUG_INFO_BTF", "--btf"]);
    let own = Scratch::with("hidden", &data);
    let run = without(&[PLACE], || watch(&own.0));
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let other = Scratch::with("hidden-another", &renamed(data, "fdt", "fdx"));
    assert_eq!(without(&[PLACE], || watch(&other.0)).code, Some(0), "there is nothing to compare it with");
}

#[test]
fn of_a_kernel_that_is_too_old() {
    let Some(data) = kernel_btf("of_a_kernel_that_is_too_old") else { return };
    let file = Scratch::with("too-old", &renamed(data, "BPF_FUNC_task_pt_regs", "BPF_FUNC_task_pt_rxgs"));
    let recording = format!("{}.recording", file.path());
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    let commands: &[&[&str]] = &[
        WATCH,
        &["record", &recording, "--duration", "10ms"],
        &["doctor", "--json"],
        &["doctor", "--json", "--self-test"],
        &["lab", "backlog-off-by-one", "--check", "--json"],
        &["compare", "--duration", "1s", "--json"],
    ];
    for command in commands {
        let run = shown(&file, command);
        run.refused(4, &["needs Linux 5.15 or newer", release.trim(), KERNEL, "BPF_FUNC_task_pt_regs"]);
        let errors = run.stderr.lines().filter(|line| line.starts_with("observer: "));
        assert_eq!(errors.count(), 1, "{command:?}: {run:?}");
    }
    assert!(!Path::new(&recording).exists(), "there is nothing to record");
    // For people there is, before it, what was found without probes.
    let run = shown(&file, &["doctor"]);
    assert_eq!(run.code, Some(4), "{run:?}");
    assert!(run.stderr.contains("needs Linux 5.15 or newer"), "{run:?}");
}
