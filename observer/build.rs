//! Builds the eBPF object that the binary embeds.

use std::{env, process::Command};

use anyhow::{Context as _, Result};
use aya_build::{Package, Toolchain, build_ebpf};

/// Name that a distribution's rustc with a prebuilt `core` for BPF is linked under: `rustup toolchain link bpf /usr`.
const LINKED: &str = "bpf";
/// Overrides the choice.
const OVERRIDE: &str = "OBSERVER_BPF_TOOLCHAIN";

fn main() -> Result<()> {
    println!("cargo:rerun-if-env-changed={OVERRIDE}");
    let chosen = env::var(OVERRIDE).ok().or_else(|| linked().then(|| LINKED.to_owned()));
    let toolchain = match chosen.as_deref() {
        None | Some("nightly") => Toolchain::Nightly,
        Some(name) => Toolchain::Custom(name),
    };
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../observer-ebpf");
    let package = Package { name: "observer-ebpf", root_dir: root, ..Package::default() };
    build_ebpf([package], toolchain)
        .context("cannot build the eBPF programs: `cargo xtask setup` installs what they need")
}

fn linked() -> bool {
    Command::new("rustup").args(["toolchain", "list"]).output().is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .any(|line| line.split_whitespace().next() == Some(LINKED))
    })
}
