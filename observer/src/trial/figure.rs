//! A figure with what it should be, and where it comes from.

use std::{fmt, ops::RangeInclusive};

/// The kernel's counters.
pub const NETSTAT: &str = "/proc/net/netstat";
/// The kernel's sockets.
pub const SOCKETS: &str = "/proc/net/tcp";
/// What the lab's own clients and servers were told by their system calls.
pub const CALLS: &str = "system calls";
/// The observer's snapshot.
pub const OBSERVER: &str = "observer";
/// demo-server's account of its load.
pub const LOAD: &str = "load generator";
/// demo-server's account of itself.
pub const BACKEND: &str = "demo-server";
/// Threads in /proc.
pub const TASKS: &str = "/proc/PID/task";

/// What a figure should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// This and nothing else.
    Exactly(u64),
    /// Something in a band, and why it is no single value.
    Within(RangeInclusive<u64>, &'static str),
    /// This or more, and why there is no upper bound.
    AtLeast(u64, &'static str),
}

/// One row of what a lab brings out.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What it is, with its unit if it is no count.
    pub what: String,
    /// What it should be.
    pub expected: Expected,
    /// What it is; none where this kernel does not tell.
    pub seen: Option<u64>,
    /// Who says so.
    pub from: &'static str,
}

impl Figure {
    /// Whether it is as expected; what is not told contradicts nothing.
    pub fn is_fine(&self) -> bool {
        self.seen.is_none_or(|seen| match &self.expected {
            Expected::Exactly(expected) => seen == *expected,
            Expected::Within(expected, _) => expected.contains(&seen),
            Expected::AtLeast(expected, _) => seen >= *expected,
        })
    }

    /// What was seen, as text.
    pub fn seen_text(&self) -> String {
        self.seen.map_or_else(|| "not told here".to_owned(), |seen| seen.to_string())
    }
}

impl Expected {
    /// Why it is no single value.
    pub fn why(&self) -> Option<&'static str> {
        match self {
            Self::Exactly(_) => None,
            Self::Within(_, why) | Self::AtLeast(_, why) => Some(why),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(value) => write!(f, "{value}"),
            Self::Within(band, _) => write!(f, "{} to {}", band.start(), band.end()),
            Self::AtLeast(value, _) => write!(f, "at least {value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive_and_the_unknown_is_no_failure() {
        let figure = |expected: &Expected, seen| {
            Figure { what: String::new(), expected: expected.clone(), seen, from: OBSERVER }.is_fine()
        };
        for (expected, fine, wrong) in [
            (Expected::Exactly(9), vec![9], vec![8, 10]),
            (Expected::Within(64..=65, ""), vec![64, 65], vec![63, 66]),
            (Expected::AtLeast(7, ""), vec![7, u64::MAX], vec![6, 0]),
        ] {
            assert!(fine.into_iter().all(|seen| figure(&expected, Some(seen))), "{expected}");
            assert!(!wrong.into_iter().any(|seen| figure(&expected, Some(seen))), "{expected}");
            assert!(figure(&expected, None));
        }
    }
}
