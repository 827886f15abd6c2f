//! Exit codes: 0 ok, 1 failed, 2 usage (clap's own), 3 lacking privilege, 4 the kernel lacks a feature.

use std::{
    error::Error,
    fmt,
    process::{ExitCode, ExitStatus},
};

/// An error that ends the command with a code other than 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exit {
    kind: Kind,
    message: String,
}

/// What kind of refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Neither root nor a way to become it.
    Privilege,
    /// The kernel lacks something that observer cannot do without.
    Kernel,
    /// SIGINT or SIGTERM, whose number it carries; the shell's convention is 128 + number.
    Signal(u8),
}

impl Exit {
    /// An error of this kind.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    fn code(&self) -> u8 {
        match self.kind {
            Kind::Privilege => 3,
            Kind::Kernel => 4,
            Kind::Signal(number) => 128u8.saturating_add(number),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Exit {}

/// An error for a child that failed, with the kind that its exit code has by the same contract.
pub(crate) fn of_child(name: &str, status: ExitStatus) -> anyhow::Result<()> {
    let message = format!("{name} failed: {status}; its message is above");
    match status.code() {
        Some(0) => Ok(()),
        Some(3) => Err(Exit::new(Kind::Privilege, message).into()),
        Some(4) => Err(Exit::new(Kind::Kernel, message).into()),
        _ => anyhow::bail!(message),
    }
}

/// The kind of an error, if it is an [`Exit`].
pub(crate) fn kind(error: &anyhow::Error) -> Option<Kind> {
    error.chain().find_map(|cause| cause.downcast_ref::<Exit>()).map(|exit| exit.kind)
}

/// The code for an error: that of the [`Exit`] in its chain, else 1.
pub(crate) fn code(error: &anyhow::Error) -> ExitCode {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Exit>())
        .map_or(ExitCode::FAILURE, |exit| exit.code().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn the_code_is_found_below_context() {
        let error = Err::<(), _>(Exit::new(Kind::Privilege, "no")).context("outer").unwrap_err();
        assert_eq!(code(&error), ExitCode::from(3));
        assert_eq!(code(&anyhow::anyhow!("plain")), ExitCode::FAILURE);
        assert_eq!(Exit::new(Kind::Signal(15), "").code(), 143);
    }

    #[test]
    fn a_childs_code_is_passed_on() {
        use std::os::unix::process::ExitStatusExt as _;
        let of = |status| of_child("x", ExitStatus::from_raw(status)).map_err(|error| code(&error));
        assert_eq!(of(0), Ok(()));
        assert_eq!(of(3 << 8), Err(ExitCode::from(3)));
        assert_eq!(of(9), Err(ExitCode::FAILURE));
    }
}
