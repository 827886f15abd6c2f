//! A network namespace for each test: its own loopback, its own ports, its own counters.

use std::{
    any::type_name,
    cell::Cell,
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    sync::{Mutex, OnceLock},
    thread,
};

use crate::{
    lines::LEFT_OUT,
    waiting::{is_emulated, now_ns},
};

/// Times that a test is run at most.
const RUNS: usize = 3;

/// Why a test runs natively only: what it tests is the same whatever the kernel is.
pub(crate) const THE_SAME: &str = "no kernel changes what it tests";
/// Why a test runs natively only: it stays silent by figures of which other tests show that they are right.
pub(crate) const SILENT: &str = "a rule that stays silent does so by the same figures on every kernel";
/// Why a test runs natively only: it needs events that come when they should.
pub(crate) const LATE: &str = "in an emulated machine timers and bursts come late";
/// Why a test runs natively only: it needs two processors at one instant, and an emulated machine has one.
pub(crate) const AT_ONCE: &str = "an emulated machine has one processor, and nothing happens on two at once";
/// Why a test runs natively only: one like it, of which the kernel takes the same way, runs everywhere.
pub(crate) const ALIKE: &str = "a test of which the kernel takes the same way runs everywhere";

/// Runs a test on a thread of its own in a network namespace of its own, with loopback up. The threads and processes
/// that it starts are in there too; the namespace goes with the last of them.
///
/// It runs once on each kernel, with the hooks that the observer chooses there: see [`proves`] for other hooks and
/// [`natively`] for what no kernel changes.
///
/// The kernel leaves out a run of a program that would interrupt itself, which the observer counts as a loss
/// (`recursion_misses`). Tests ask for no loss at all, and one that failed with such a loss is run again: it has to pass
/// without. `cargo xtask test` counts and shows the tests that were run again.
///
/// Without the privileges it says that the test is skipped.
#[track_caller]
pub(crate) fn isolated<T: Fn() + Sync>(test: T) {
    let name = name(&test);
    match hooks() {
        "" => run(&name, test),
        _ => println!("LEFT OUT: {name}: it runs with the hooks that the observer chooses"),
    }
}

/// Like [`isolated`], for a test that compares these signals with ground truth. It runs once more for each set of other
/// hooks in which one of them has another hook. `signal=hook` stands for one that the test gets by a hook of its own
/// choice, which no set changes.
#[track_caller]
pub(crate) fn proves<T: Fn() + Sync>(signals: &[&str], test: T) {
    let name = name(&test);
    let others: Vec<&str> = hooks().split(',').filter_map(|hook| hook.split('=').next()).collect();
    if hooks().is_empty() || signals.iter().any(|signal| others.contains(signal)) {
        println!("PROVES: {name}: {}", signals.join(" "));
        run(&name, test);
    } else {
        println!("LEFT OUT: {name}: its signals have the hooks that the observer chooses");
    }
}

/// Like [`isolated`], for a test of what no kernel changes, or of what an emulated machine cannot show: it does not run
/// in a guest, and `why` says so.
#[track_caller]
pub(crate) fn natively<T: Fn() + Sync>(why: &str, test: T) {
    match is_emulated() {
        true => println!("LEFT OUT: {}: {why}", name(&test)),
        false => isolated(test),
    }
}

/// The hooks that all tests shall run with, but for those that choose their own: `signal=name,signal=name`, or nothing
/// for those that the observer chooses. `OBSERVER_TEST_HOOKS` says so.
pub(crate) fn hooks() -> &'static str {
    static HOOKS: OnceLock<String> = OnceLock::new();
    HOOKS.get_or_init(|| std::env::var("OBSERVER_TEST_HOOKS").unwrap_or_default())
}

/// The test's name: that of the thread on which the harness runs it, or with one thread for all that of the function.
fn name<T>(_: &T) -> String {
    match thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => {
            let name = type_name::<T>();
            name.split("::").skip(1).take_while(|part| !part.starts_with('{')).collect::<Vec<_>>().join("::")
        }
    }
}

fn run<T: Fn() + Sync>(name: &str, test: T) {
    if let Some(why) = missing() {
        println!("SKIPPED: {name}: {why}");
        return;
    }
    let run = || {
        enter();
        keep();
        let result = catch_unwind(AssertUnwindSafe(&test));
        (result, LEFT_OUT.get())
    };
    for left in (0..RUNS).rev() {
        let (result, left_out) = thread::scope(|scope| {
            let thread = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, run);
            thread.expect("cannot start the test's thread").join().expect("panics are caught")
        });
        match result {
            Ok(()) => return,
            Err(_) if left_out && left > 0 => println!("AGAIN: {name}: the kernel left out runs of programs"),
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// Keeps the calling thread's namespace until the last test ends. While it is there, its inode number is not given to
/// that of another test, whose lines the shared observer's would be taken for.
fn keep() {
    static NAMESPACES: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let here = File::open("/proc/thread-self/ns/net").expect("this thread's network namespace");
    NAMESPACES.lock().expect("nobody panics with it").push(here);
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
    // Before it: nothing of it is older.
    MADE_NS.set(now_ns());
    demo_server::namespace::enter().expect("cannot make a network namespace");
}

thread_local! {
    static MADE_NS: Cell<u64> = const { Cell::new(0) };
}

/// When the namespace of the calling thread was made. Its inode number may have been another's until a moment ago.
pub(crate) fn made_ns() -> u64 {
    MADE_NS.get()
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
