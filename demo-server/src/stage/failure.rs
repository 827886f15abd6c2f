//! Why a run has ended, or never began.

use std::fmt;
use std::io;

/// An error that can be given to several who ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    kind: io::ErrorKind,
    text: String,
}

impl Failure {
    /// One that is no error of the operating system.
    pub fn new(text: impl Into<String>) -> Self {
        Self { kind: io::ErrorKind::Other, text: text.into() }
    }

    /// An error, and where it came up.
    pub fn of(place: &str, error: &io::Error) -> Self {
        Self { kind: error.kind(), text: format!("{place}: {error}") }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { kind: error.kind(), text: error.to_string() }
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        Self::new(failure.kind, failure.text)
    }
}
