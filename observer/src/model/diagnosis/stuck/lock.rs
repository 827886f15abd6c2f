//! A thread that waits for a lock on a file, and who has that lock.

use super::does::Does;
use crate::model::look::Look;

/// What it does.
pub(super) fn on_file(call: &str, since: &str, look: Option<&Look>) -> Does {
    let holder = look.and_then(|look| look.lock_holder.as_ref());
    let (held, remedy) = match holder {
        Some(holder) => (
            format!(" that {}/{} has", holder.comm, holder.pid),
            "see what the process does that has the lock",
        ),
        None => (String::new(), "see who holds that lock (/proc/locks)"),
    };
    Does::new("file_lock", format!("has waited in {call}(2){since} for a lock on a file{held}"), remedy)
}
