//! Failures that have an exit code of their own.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | ok |
//! | 1 | failed: anything that is none of the following |
//! | 2 | usage |
//! | 3 | lacking privilege |
//! | 4 | the kernel lacks a required feature |

use std::{fmt, process::ExitCode};

/// A failure whose kind the caller's script may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The command line asks for something that makes no sense, or that is not there.
    Usage(String),
    /// A capability is missing.
    Privilege(String),
    /// This kernel cannot do it.
    Kernel(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(text) | Self::Privilege(text) | Self::Kernel(text)) = self;
        f.write_str(text)
    }
}

impl std::error::Error for Failure {}

/// The exit code of an error, by the first [`Failure`] in its chain.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let failure = error.chain().find_map(|cause| cause.downcast_ref::<Failure>());
    ExitCode::from(match failure {
        None => 1,
        Some(Failure::Usage(_)) => 2,
        Some(Failure::Privilege(_)) => 3,
        Some(Failure::Kernel(_)) => 4,
    })
}

/// Whether the reader of our output went away, which is no failure: `observer stream | head`.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
