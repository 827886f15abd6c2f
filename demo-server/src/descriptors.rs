//! The limit of open descriptors: raised to what the system allows, and checked before it is run into.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one and returns it.
pub fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Raising up to the hard limit needs no privilege; should it fail, what there was is what there is.
    let effective = if setrlimit(Resource::Nofile, raised).is_ok() { raised } else { limit };
    effective.current.unwrap_or(u64::MAX)
}

/// Checks that `needed` descriptors may be open at once; `what` says what for.
pub fn require(needed: u64, what: &str) -> Result<(), String> {
    let limit = raise_limit();
    if needed <= limit {
        return Ok(());
    }
    Err(format!(
        "{what} needs {needed} open files and the limit is {limit}; raise it with `ulimit -n {needed}`"
    ))
}
