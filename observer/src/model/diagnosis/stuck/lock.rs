//! A thread that waits for a lock on a file, and who has that lock.

use super::does::Does;
use crate::model::snapshot::Thread;

/// What it does.
pub(super) fn on_file(call: &str, since: &str, thread: &Thread) -> Does {
    let holder = thread.looked.as_ref().and_then(|looked| looked.look.lock_holder.as_ref());
    let (held, remedy) = match holder {
        // The lock is of the open file, and stays with those who inherited that (flock(2)).
        Some(holder) if holder.pid == thread.pid => (
            format!(
                " that {}/{} has, which is its own process: another thread of it, or whoever has inherited the open file",
                holder.comm, holder.pid
            ),
            "see which thread took it, and which child or other process has the same file open (lsof)",
        ),
        Some(holder) => (
            format!(" that {}/{} has", holder.comm, holder.pid),
            "see what the process does that has the lock",
        ),
        None => (String::new(), "see who holds that lock (/proc/locks)"),
    };
    Does::new("file_lock", format!("has waited in {call}(2){since} for a lock on a file{held}"), remedy)
}
