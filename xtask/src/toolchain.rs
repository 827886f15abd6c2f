//! The compiler for the BPF target: which of the ways to have one is there.
//!
//! rustup ships no `core` for `bpfel-unknown-none`, so a toolchain serves in one of two ways: it has a prebuilt
//! `core` for that target (Debian's `rustc-web` with `libstd-rust-web-dev-bpf`, linked into rustup as `bpf`), or it is
//! a nightly with the component `rust-src`, from which cargo builds `core` (`-Z build-std`). A nightly without
//! `rust-src` is no use.

use crate::machine::Machine;

/// Little-endian BPF, the byte order of every machine that this runs on today.
pub(crate) const TARGET: &str = "bpfel-unknown-none";
/// Programs for 64-bit ARM, static: they bring their C library and need no linker but that of the compiler.
pub(crate) const ARM: &str = "aarch64-unknown-linux-musl";
/// Name under which set-up links Debian's compiler into rustup; observer's build script looks for the same.
pub(crate) const LINKED: &str = "bpf";
/// The variable that overrides the choice, here and in observer's build script.
pub(crate) const OVERRIDE: &str = "OBSERVER_BPF_TOOLCHAIN";

/// Where `core` for the BPF target comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Core {
    /// It comes with the toolchain.
    Prebuilt,
    /// cargo builds it from `rust-src`.
    BuildStd,
}

/// A toolchain that can compile for the BPF target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BpfToolchain {
    /// Its name in rustup.
    pub(crate) name: String,
    /// Where its `core` comes from.
    pub(crate) core: Core,
    /// Major version of its LLVM; bpf-linker must be built on the same or a newer one, or it cannot read the bitcode.
    pub(crate) llvm: u32,
    /// First line of `rustc --version`.
    pub(crate) version: String,
    /// Observer's build script would choose it by itself. Only otherwise is it told, because a variable that comes and
    /// goes would make cargo build the programs anew each time that someone builds without xtask.
    pub(crate) implied: bool,
}

/// Finds the toolchain to use, in the order of observer's build script: the override, `bpf`, `nightly`.
///
/// # Errors
/// Says of each candidate why it will not do.
pub(crate) fn detect(machine: &dyn Machine) -> Result<BpfToolchain, String> {
    let chosen = machine.variable(OVERRIDE);
    let candidates = match &chosen {
        Some(name) => vec![name.as_str()],
        None => vec![LINKED, "nightly"],
    };
    let list = machine.output("rustup", &["toolchain", "list"]).ok_or("rustup is not there")?;
    let mut refusals = Vec::new();
    for name in candidates {
        if !lists(&list, name) {
            refusals.push(format!("no toolchain `{name}`"));
            continue;
        }
        match examine(machine, name) {
            // It does not look whether what is listed can compile for BPF.
            Ok(found) => {
                return Ok(BpfToolchain { implied: refusals.is_empty() || !lists(&list, LINKED), ..found });
            }
            Err(reason) => refusals.push(reason),
        }
    }
    let source = if chosen.is_some() { format!(" (set by {OVERRIDE})") } else { String::new() };
    Err(refusals.join("; ") + &source)
}

/// `name` itself, or followed by the host triple: `nightly-x86_64-unknown-linux-gnu (active)`.
pub(crate) fn lists(list: &str, name: &str) -> bool {
    list.lines().filter_map(|line| line.split_whitespace().next()).any(|listed| {
        let rest = listed.strip_prefix(name);
        // A date would make it another toolchain: nightly-2026-05-20-x86_64-unknown-linux-gnu.
        let is_triple =
            |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic()) && rest.contains("-linux");
        rest.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('-').is_some_and(is_triple))
    })
}

fn examine(machine: &dyn Machine, name: &str) -> Result<BpfToolchain, String> {
    let rustc = |args: &[&str]| machine.output("rustup", &[&["run", name, "rustc"], args].concat());
    let verbose = rustc(&["-vV"]).ok_or_else(|| format!("toolchain `{name}`: its rustc does not run"))?;
    let field = |key: &str| verbose.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let llvm = field("LLVM version:").and_then(major).ok_or_else(|| {
        format!(
            "toolchain `{name}`: `rustc -vV` names no LLVM version, so it is not a compiler that BPF needs"
        )
    })?;
    let sysroot = rustc(&["--print", "sysroot"]).unwrap_or_default();
    let sysroot = sysroot.trim();
    // The channel decides, because aya-build passes `-Z build-std` to a nightly and to nothing else.
    let core = if field("release:").is_some_and(|release| release.contains("nightly")) {
        let source = format!("{sysroot}/lib/rustlib/src/rust/library/core/src/lib.rs");
        machine.read(&source).ok_or_else(|| format!("toolchain `{name}` lacks the component rust-src"))?;
        Core::BuildStd
    } else {
        let libdir = rustc(&["--print", "target-libdir", "--target", TARGET]).unwrap_or_default();
        let prebuilt = |file: &String| file.starts_with("libcore-") && file.ends_with(".rlib");
        if !machine.list(libdir.trim()).iter().any(prebuilt) {
            return Err(format!("toolchain `{name}` has no core library for {TARGET}"));
        }
        // A linked toolchain has no cargo; rustup lends it that of an installed nightly, beta or stable.
        if !machine.runs("rustup", &["run", name, "cargo", "--version"]) {
            return Err(format!(
                "toolchain `{name}` has no cargo, and rustup has no stable toolchain to lend it one"
            ));
        }
        Core::Prebuilt
    };
    let version = verbose.lines().next().unwrap_or_default().to_owned();
    Ok(BpfToolchain { name: name.to_owned(), core, llvm, version, implied: false })
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::machine::scripted::Scripted;

    const LIST: &str = "stable-x86_64-unknown-linux-gnu (active, default)\n";
    const NIGHTLY_SOURCE: &str = "/n/lib/rustlib/src/rust/library/core/src/lib.rs";

    fn nightly(machine: Scripted) -> Scripted {
        machine
            .command("rustup toolchain list", &format!("{LIST}nightly-x86_64-unknown-linux-gnu\n"))
            .command(
                "rustup run nightly rustc -vV",
                "rustc 1.97.0-nightly\nrelease: 1.97.0-nightly\nLLVM version: 22.1.4\n",
            )
            .command("rustup run nightly rustc --print sysroot", "/n\n")
    }

    pub(crate) fn debian(machine: Scripted) -> Scripted {
        machine
            .command("rustup toolchain list", &format!("{LIST}bpf\n"))
            .command("rustup run bpf rustc -vV", "rustc 1.96.0\nrelease: 1.96.0\nLLVM version: 22.1.8\n")
            .command("rustup run bpf rustc --print sysroot", "/usr\n")
            .command(
                "rustup run bpf rustc --print target-libdir --target bpfel-unknown-none",
                "/usr/lib/bpf\n",
            )
            .command("rustup run bpf cargo --version", "cargo 1.95.0\n")
            .file("/usr/lib/bpf/libcore-80.rlib", "")
    }

    #[test]
    fn a_nightly_serves_only_with_its_sources() {
        let without = nightly(Scripted::default());
        let reason = detect(&without).unwrap_err();
        assert_eq!(reason, "no toolchain `bpf`; toolchain `nightly` lacks the component rust-src");
        let with = detect(&without.file(NIGHTLY_SOURCE, "")).unwrap();
        assert_eq!((with.name.as_str(), with.core, with.llvm), ("nightly", Core::BuildStd, 22));
        assert!(with.implied, "it is what the build script falls back to");
    }

    #[test]
    fn debians_compiler_serves_with_its_core_library() {
        let there = debian(Scripted::default());
        let found = detect(&there).unwrap();
        assert_eq!((found.name.as_str(), found.core), ("bpf", Core::Prebuilt));
        let empty = there
            .command("rustup run bpf rustc --print target-libdir --target bpfel-unknown-none", "/none\n");
        assert!(detect(&empty).unwrap_err().contains("no core library for bpfel-unknown-none"));
    }

    #[test]
    fn a_choice_that_the_build_script_would_not_make_is_told() {
        let both = format!("{LIST}bpf\nnightly-x86_64-unknown-linux-gnu\n");
        let broken =
            nightly(Scripted::default()).command("rustup toolchain list", &both).file(NIGHTLY_SOURCE, "");
        let found = detect(&broken).unwrap();
        assert_eq!((found.name.as_str(), found.implied), ("nightly", false));
    }

    #[test]
    fn the_override_is_the_only_candidate() {
        let machine = debian(Scripted::default()).variable(OVERRIDE, "mine");
        assert_eq!(detect(&machine).unwrap_err(), "no toolchain `mine` (set by OBSERVER_BPF_TOOLCHAIN)");
    }

    #[test]
    fn names_are_matched_whole() {
        let list = "nightly-2026-05-20-x86_64-unknown-linux-gnu\nbpf-old2\n";
        assert!(!lists(list, "nightly") && !lists(list, "bpf"));
        assert!(lists(list, "nightly-2026-05-20"));
        assert!(lists("nightly-x86_64-unknown-linux-gnu (default)\n", "nightly"));
        assert!(!lists("stable-x86_64-unknown-linux-gnu\n", "bpf"));
    }

    #[test]
    fn without_rustup_it_says_so() {
        assert_eq!(detect(&Scripted::default()).unwrap_err(), "rustup is not there");
    }
}
