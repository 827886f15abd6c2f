//! The types of lines.

/// A type of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineType {
    /// `meta`.
    Meta,
    /// `listener`.
    Listener,
    /// `unwatched`.
    Unwatched,
    /// `connection`.
    Connection,
    /// `thread`.
    Thread,
    /// `drop`.
    Drop,
    /// `host`.
    Host,
    /// `ledger`.
    Ledger,
    /// `loss`.
    Loss,
    /// `probe`.
    Probe,
    /// `diagnosis`.
    Diagnosis,
    /// `pattern`.
    Pattern,
}

/// Every type: its name in the lines, and what they tell.
pub const LINE_TYPES: [(LineType, &str, &str); 12] = [
    (LineType::Meta, "meta", "What does not change"),
    (LineType::Listener, "listener", "A listener"),
    (LineType::Unwatched, "unwatched", "A listener that is not watched"),
    (LineType::Connection, "connection", "A connection that ended"),
    (LineType::Thread, "thread", "A thread"),
    (LineType::Drop, "drop", "Refusals"),
    (LineType::Host, "host", "The kernel's own counters of a network namespace"),
    (LineType::Ledger, "ledger", "A check of the books"),
    (LineType::Loss, "loss", "What was lost"),
    (LineType::Probe, "probe", "What the probes cost"),
    (LineType::Diagnosis, "diagnosis", "What is wrong: it begins, changes or ends"),
    (LineType::Pattern, "pattern", "demo-server changed"),
];
