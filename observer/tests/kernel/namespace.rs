//! A network namespace for each test: its own loopback, its own ports, its own counters.

use std::{
    any::type_name,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    thread,
};

use crate::lines::LEFT_OUT;

/// Times that a test is run at most.
const RUNS: usize = 3;

/// Runs a test on a thread of its own in a network namespace of its own, with loopback up. The threads and processes
/// that it starts are in there too; the namespace goes with the last of them.
///
/// The kernel leaves out a run of a program that would interrupt itself, which the observer counts as a loss
/// (`recursion_misses`). Tests ask for no loss at all, and one that failed with such a loss is run again: it has to pass
/// without.
///
/// Without the privileges it says that the test is skipped.
#[track_caller]
pub(crate) fn isolated<T: Fn() + Sync>(test: T) {
    let name = type_name::<T>();
    let name =
        name.split("::").skip(1).take_while(|part| !part.starts_with('{')).collect::<Vec<_>>().join("::");
    if let Some(why) = missing() {
        println!("SKIPPED: {name}: {why}");
        return;
    }
    let run = || {
        enter();
        let result = catch_unwind(AssertUnwindSafe(&test));
        (result, LEFT_OUT.get())
    };
    for left in (0..RUNS).rev() {
        let (result, left_out) = thread::scope(|scope| {
            let thread = thread::Builder::new().name(name.clone()).spawn_scoped(scope, run);
            thread.expect("cannot start the test's thread").join().expect("panics are caught")
        });
        match result {
            Ok(()) => return,
            Err(_) if left_out && left > 0 => println!("again: the kernel left out runs of programs"),
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// Why tests of the kernel cannot run here.
fn missing() -> Option<String> {
    let btf = Path::new("/sys/kernel/btf/vmlinux");
    if !btf.exists() {
        return Some(format!("this kernel shows no BTF at {}", btf.display()));
    }
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc/self/status is readable");
    let capabilities = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .expect("/proc/self/status has CapEff");
    const CAP_SYS_ADMIN: u32 = 21;
    (capabilities & (1 << CAP_SYS_ADMIN) == 0)
        .then(|| "it needs CAP_SYS_ADMIN, for a network namespace and for probes; run it as root".to_owned())
}

/// Leaves the calling thread's network namespace for a new one, with loopback up.
pub(crate) fn enter() {
    demo_server::namespace::enter().expect("cannot make a network namespace");
}

/// Inode number of the namespace that the calling thread is in.
pub(crate) fn inode() -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata("/proc/thread-self/ns/net").expect("/proc/thread-self/ns/net");
    metadata.ino().try_into().expect("inode numbers of namespaces have 32 bits")
}

/// Sets `net.<name>` (dots or slashes) in the calling thread's namespace.
pub(crate) fn sysctl(name: &str, value: &str) {
    let path = format!("/proc/sys/net/{}", name.replace('.', "/"));
    std::fs::write(&path, value).unwrap_or_else(|error| panic!("cannot write {value} to {path}: {error}"));
}
