//! The programs of tests that cargo built, from its messages.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// Packages whose integration tests load programs into the kernel, and so run as root.
const PRIVILEGED: &[&str] = &["observer"];

/// A program of tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Executable {
    /// Where it is.
    pub(super) path: PathBuf,
    /// The package, whose directory is the working directory of its tests.
    pub(super) package: String,
    /// That directory.
    pub(super) directory: PathBuf,
    /// Name of the target: the library's, the binary's, or the file in `tests/`.
    pub(super) target: String,
    /// It is a file in `tests/`.
    pub(super) integration: bool,
}

impl Executable {
    /// What people call it.
    pub(super) fn name(&self) -> String {
        match self.integration {
            true => format!("{} tests/{}", self.package, self.target),
            false => format!("{} unit tests ({})", self.package, self.target),
        }
    }

    /// It loads programs into the kernel.
    pub(super) fn is_privileged(&self) -> bool {
        self.integration && PRIVILEGED.contains(&self.package.as_str())
    }
}

/// The message that says what was made. Cargo's other messages have other reasons.
#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    target: Target,
    profile: Profile,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

#[derive(Deserialize)]
struct Message {
    reason: String,
}

/// The programs of tests among cargo's messages (`--message-format=json`), unprivileged ones first.
pub(super) fn parse(messages: &str) -> Result<Vec<Executable>> {
    let mut executables = Vec::new();
    // A build script may write lines of its own among them.
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let message: Message = serde_json::from_str(line).with_context(|| format!("cargo wrote `{line}`"))?;
        if message.reason != "compiler-artifact" {
            continue;
        }
        let made: Artifact = serde_json::from_str(line).with_context(|| format!("cargo wrote `{line}`"))?;
        if let (true, Some(path)) = (made.profile.test, made.executable) {
            let directory = made.manifest_path.parent().unwrap_or(Path::new("/")).to_owned();
            let package = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let integration = made.target.kind.iter().any(|kind| kind == "test");
            executables.push(Executable { path, package, directory, target: made.target.name, integration });
        }
    }
    executables.sort_by_key(|executable| (executable.is_privileged(), executable.name()));
    Ok(executables)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = concat!(
        r#"{"reason":"compiler-artifact","manifest_path":"/r/observer/Cargo.toml","target":{"kind":["test"],"name":"queues"},"profile":{"test":true},"executable":"/t/queues-1"}"#,
        "\n",
        r#"{"reason":"compiler-artifact","manifest_path":"/r/observer/Cargo.toml","target":{"kind":["bin"],"name":"observer"},"profile":{"test":false},"executable":"/t/observer"}"#,
        "\nnot a message\n",
        r#"{"reason":"compiler-artifact","manifest_path":"/r/observer/Cargo.toml","target":{"kind":["lib"],"name":"observer"},"profile":{"test":true},"executable":"/t/observer-2"}"#,
        "\n",
        r#"{"reason":"build-finished","success":true}"#,
        "\n"
    );

    #[test]
    fn tests_are_told_from_other_artefacts() {
        let found = parse(MESSAGES).unwrap();
        let names: Vec<_> = found.iter().map(|e| (e.name(), e.is_privileged())).collect();
        assert_eq!(
            names,
            [
                ("observer unit tests (observer)".to_owned(), false),
                ("observer tests/queues".to_owned(), true)
            ]
        );
        assert_eq!(found[1].directory, Path::new("/r/observer"));
    }

    #[test]
    fn a_broken_message_is_shown() {
        assert_eq!(parse("{oops\n").unwrap_err().to_string(), "cargo wrote `{oops`");
    }
}
