//! Writes to the terminal, numbered: a terminal that nobody reads takes nothing once its buffer is full, and whoever
//! writes to it waits, and hears no signal.

use std::sync::atomic::{AtomicU64, Ordering};

/// Begun and ended writes; odd while one goes on.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// Does something that may wait for the terminal. On one thread, and not within itself.
pub fn writing<T>(write: impl FnOnce() -> T) -> T {
    WRITES.fetch_add(1, Ordering::SeqCst);
    let outcome = write();
    WRITES.fetch_add(1, Ordering::SeqCst);
    outcome
}

/// The number of the write that goes on; none if none does.
pub fn in_progress() -> Option<u64> {
    Some(WRITES.load(Ordering::SeqCst)).filter(|number| number % 2 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_writes_are_told_apart() {
        assert_eq!(in_progress(), None);
        let first = writing(in_progress);
        let second = writing(in_progress);
        assert!(first.is_some() && second.is_some() && first != second, "{first:?} {second:?}");
        assert_eq!(in_progress(), None);
    }
}
