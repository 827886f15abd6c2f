//! tracefs, by which tracepoints of system calls are found, where it is not mounted: `ip netns exec` and containers
//! come with a /sys of their own that has none.

use std::{path::Path, thread};

use rustix::{
    io,
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::{UnshareFlags, unshare_unsafe},
};

/// Where it is, or used to be; aya looks there, and remembers for ever what it found first.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Does something where tracefs is mounted: here; or else in a thread that mounts it for itself, in a mount namespace
/// that ends with the thread. Nobody else sees that mount. If it may not be made, it is done without.
pub(super) fn visible<T: Send>(action: impl FnOnce() -> T + Send) -> T {
    if PLACES.iter().any(|place| Path::new(place).join("events").exists()) {
        return action();
    }
    thread::scope(|scope| {
        let there = scope.spawn(|| {
            // If it fails, what aya says of it tells why, and what to do.
            let _ = mount_for_this_thread();
            action()
        });
        there.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn mount_for_this_thread() -> io::Result<()> {
    // SAFETY: only the mounts are left, and with them what threads share of the file system's root.
    #[expect(unsafe_code, reason = "rustix marks all of unshare(2) so, for the sake of CLONE_FILES")]
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount("tracefs", PLACES[0], "tracefs", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)
}
