//! Where the repository is, and cargo in it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    exec,
    toolchain::{self, BpfToolchain},
};

/// The repository's root: cargo says where this crate is, and it lies directly below.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Cargo, in the root of the repository: the one that runs us, so that the versions agree. A build ends when we do.
pub(crate) fn cargo() -> Command {
    let mut cargo = exec::tied(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// Cargo, told which toolchain builds the eBPF programs where observer's build script would choose another.
pub(crate) fn cargo_with_bpf(toolchain: &BpfToolchain) -> Command {
    let mut cargo = cargo();
    if !toolchain.implied {
        cargo.env(toolchain::OVERRIDE, &toolchain.name);
    }
    cargo
}
