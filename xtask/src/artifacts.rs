//! The programs that cargo built, from its messages.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::{exec, toolchain::BpfToolchain, workspace};

/// A program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Name of the package.
    pub(crate) package: String,
    /// The package's directory.
    pub(crate) directory: PathBuf,
    /// Name of the target: the library's, the binary's, or that of the file in `tests/`.
    pub(crate) target: String,
    /// Kind of the target, as cargo calls it: `lib`, `bin`, `test` for a file in `tests/`.
    pub(crate) kind: String,
    /// It is a program of tests.
    pub(crate) test: bool,
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

/// The programs among cargo's messages (`--message-format=json`).
pub(crate) fn parse(messages: &str) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    // A build script may write lines of its own among them.
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let context = || format!("cargo wrote `{line}`");
        let message: Message = serde_json::from_str(line).with_context(context)?;
        if message.reason != "compiler-artifact" {
            continue;
        }
        let made: Artifact = serde_json::from_str(line).with_context(context)?;
        if let Some(path) = made.executable {
            let directory = made.manifest_path.parent().unwrap_or(Path::new("/")).to_owned();
            // In this workspace a package has the name of its directory.
            let package = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let kind = made.target.kind.into_iter().next().unwrap_or_default();
            let (target, test) = (made.target.name, made.profile.test);
            programs.push(Program { path, package, directory, target, kind, test });
        }
    }
    Ok(programs)
}

/// Builds the programs of tests of these packages, or of all, and the programs that they start.
pub(crate) fn build_tests(toolchain: &BpfToolchain, packages: &[String]) -> Result<Vec<Program>> {
    eprintln!("xtask: building the tests");
    let mut cargo = workspace::cargo_with_bpf(toolchain);
    cargo.args(["test", "--no-run", "--message-format=json-render-diagnostics"]);
    match packages {
        [] => cargo.arg("--workspace"),
        packages => cargo.args(packages.iter().flat_map(|package| ["--package", package])),
    };
    parse(&exec::capture_without(&mut cargo, is_of_bpf)?)
}

/// How far the build of the eBPF programs is, which cargo calls warnings because a build script said it.
fn is_of_bpf(line: &str) -> bool {
    line.starts_with("warning: observer@")
}

/// What `demo` and `bench` run.
pub(crate) struct Release {
    /// The observer.
    pub(crate) observer: PathBuf,
    /// The backend.
    pub(crate) demo_server: PathBuf,
}

/// Builds both in release.
pub(crate) fn build_release(toolchain: &BpfToolchain) -> Result<Release> {
    eprintln!("xtask: building observer and demo-server");
    let mut cargo = workspace::cargo_with_bpf(toolchain);
    cargo.args(["build", "--release", "--message-format=json-render-diagnostics"]);
    cargo.args(["--package", "observer", "--package", "demo-server"]);
    let programs = parse(&exec::capture_without(&mut cargo, is_of_bpf)?)?;
    let find = |name: &str| match programs.iter().find(|program| program.target == name && !program.test) {
        Some(program) => Ok(program.path.clone()),
        None => bail!("cargo built no program `{name}`"),
    };
    Ok(Release { observer: find("observer")?, demo_server: find("demo-server")? })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const MESSAGES: &str = concat!(
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
    fn programs_are_told_from_other_messages() {
        let found = parse(MESSAGES).unwrap();
        let summary: Vec<_> = found.iter().map(|p| (p.kind.as_str(), p.target.as_str(), p.test)).collect();
        assert_eq!(
            summary,
            [("test", "queues", true), ("bin", "observer", false), ("lib", "observer", true)]
        );
        assert_eq!(found[0].directory, Path::new("/r/observer"));
        assert_eq!(found[0].package, "observer");
    }

    #[test]
    fn a_broken_message_is_shown() {
        assert_eq!(parse("{oops\n").unwrap_err().to_string(), "cargo wrote `{oops`");
    }
}
