//! `cargo xtask lint`: form, style, documentation, and the rules of the repository.

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    exec,
    setup::{self, Purpose},
    tidy,
    toolchain::{self, BpfToolchain, Core},
    workspace,
};

/// Flags of `cargo xtask lint`.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Only the rules of the repository, which need nothing but its files
    #[arg(long)]
    tidy: bool,
}

/// Runs every check, also those after a failure, so that one run shows all there is to mend.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.tidy {
        return tidy::run();
    }
    let toolchain = setup::ensure(&[Purpose::Lint])?.toolchain;
    let checks: [(&str, &dyn Fn() -> Result<()>); 5] = [
        ("tidy", &tidy::run),
        ("fmt", &fmt),
        ("clippy", &|| clippy(&toolchain)),
        ("clippy for BPF", &|| bpf_clippy(&toolchain)),
        ("rustdoc", &|| rustdoc(&toolchain)),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        eprintln!("lint: {name}");
        if let Err(error) = check() {
            eprintln!("lint: {name}: {error:#}");
            failed.push(name);
        }
    }
    println!("lint: {} passed, {} failed", checks.len() - failed.len(), failed.len());
    match failed.as_slice() {
        [] => Ok(()),
        _ => bail!("{} failed", failed.join(", ")),
    }
}

fn fmt() -> Result<()> {
    exec::run(workspace::cargo().args(["fmt", "--all", "--", "--check"]))
}

fn clippy(toolchain: &BpfToolchain) -> Result<()> {
    let mut cargo = workspace::cargo_with_bpf(toolchain);
    exec::run(cargo.args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

/// The programs as they are compiled for the kernel. On the host most of that crate is not even parsed.
fn bpf_clippy(toolchain: &BpfToolchain) -> Result<()> {
    let mut cargo = exec::command("rustup");
    cargo.current_dir(workspace::root()).args([
        "run",
        &toolchain.name,
        "cargo",
        "clippy",
        "--quiet",
        "--release",
    ]);
    cargo.args(["--package", "observer-ebpf", "--target", toolchain::TARGET]);
    // A directory of its own: another compiler's artefacts would push out the host's.
    cargo.arg("--target-dir").arg(workspace::target_dir().join("bpf-clippy"));
    if toolchain.core == Core::BuildStd {
        cargo.args(["-Z", "build-std=core"]);
    }
    // What aya-build passes, without which aya-ebpf does not know whose registers it reads.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH));
    // rustup picks the compiler; these would override it when we run under cargo.
    for variable in ["RUSTC", "RUSTC_WORKSPACE_WRAPPER", "RUSTUP_TOOLCHAIN"] {
        cargo.env_remove(variable);
    }
    exec::run(cargo.args(["--", "-D", "warnings"]))
}

fn rustdoc(toolchain: &BpfToolchain) -> Result<()> {
    let mut cargo = workspace::cargo_with_bpf(toolchain);
    cargo.env("RUSTDOCFLAGS", "-D warnings");
    exec::run(cargo.args(["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"]))
}
