//! Compilers and their companions.

use super::{
    apt,
    requirements::{State, first_line},
    step::{Remedy, Step},
};
use crate::{
    machine::Machine,
    toolchain::{self, BpfToolchain, Core, LINKED},
};

/// Debian's compiler with a prebuilt `core` for BPF.
const DEBIAN_COMPILER: [&str; 2] = ["rustc-web", "libstd-rust-web-dev-bpf"];
/// Its clippy.
const DEBIAN_CLIPPY: &str = "rust-web-clippy";

/// There is a compiler for BPF.
pub(super) fn check_compiler(machine: &dyn Machine) -> State {
    match toolchain::detect(machine) {
        Ok(BpfToolchain { name, core, llvm, version, .. }) => {
            let core = match core {
                Core::Prebuilt => "prebuilt core",
                Core::BuildStd => "core built from rust-src",
            };
            State::Present(format!("toolchain `{name}`: {version}, LLVM {llvm}, {core}"))
        }
        Err(reason) => State::Missing(reason),
    }
}

/// Debian's packages, where apt has them: they are small and signed by the distribution. Else a nightly.
pub(super) fn compiler_remedy(machine: &dyn Machine) -> Remedy {
    if let Some(name) = machine.variable(toolchain::OVERRIDE) {
        return Remedy::ByHand(format!(
            "{} names `{name}`, which will not do; unset it to let set-up choose",
            toolchain::OVERRIDE
        ));
    }
    Remedy::Steps(if apt::offers(machine, &DEBIAN_COMPILER) {
        vec![
            Step::packages(&DEBIAN_COMPILER),
            Step::run_line(&format!("rustup toolchain link {LINKED} /usr")),
        ]
    } else {
        vec![Step::run_line("rustup toolchain install nightly --profile minimal --component rust-src")]
    })
}

/// The host's compiler has a standard library for 64-bit ARM.
pub(super) fn check_arm(machine: &dyn Machine) -> State {
    let arguments = ["--print", "target-libdir", "--target", toolchain::ARM];
    let place = machine.output("rustc", &arguments).unwrap_or_default();
    let place = place.trim();
    match machine.list(place).iter().any(|file| file.starts_with("libstd-")) {
        true => State::Present(place.to_owned()),
        false => State::Missing(format!("the compiler has no standard library for {}", toolchain::ARM)),
    }
}

/// The host's compiler has its companions.
pub(super) fn check_lints(machine: &dyn Machine) -> State {
    match first_line(machine, "cargo", &["fmt", "--version"]) {
        State::Present(_) => first_line(machine, "cargo", &["clippy", "--version"]),
        missing => missing,
    }
}

/// The compiler for BPF has a clippy of its own version.
pub(super) fn check_bpf_clippy(machine: &dyn Machine) -> State {
    match toolchain::detect(machine) {
        Ok(found) => first_line(machine, "rustup", &["run", &found.name, "clippy-driver", "--version"]),
        Err(reason) => State::Missing(reason),
    }
}

/// From where the compiler came.
pub(super) fn bpf_clippy_remedy(machine: &dyn Machine) -> Remedy {
    match toolchain::detect(machine) {
        Ok(found) if found.core == Core::BuildStd => Remedy::Steps(vec![Step::run_line(&format!(
            "rustup component add clippy --toolchain {}",
            found.name
        ))]),
        Ok(_) => Remedy::Steps(vec![Step::packages(&[DEBIAN_CLIPPY])]),
        Err(reason) => Remedy::ByHand(format!("there is no compiler for BPF to find one for: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{machine::scripted::Scripted, toolchain::tests::debian};

    const SIMULATE: &str =
        "apt-get install -y --no-install-recommends --no-remove --simulate rustc-web libstd-rust-web-dev-bpf";

    fn lines(remedy: Remedy) -> String {
        match remedy {
            Remedy::Steps(steps) => steps.iter().map(|step| format!("{step}\n")).collect(),
            Remedy::ByHand(text) => text,
        }
    }

    #[test]
    fn debians_compiler_where_apt_has_it_else_a_nightly() {
        let offered = Scripted::default().command(SIMULATE, "");
        assert_eq!(
            lines(compiler_remedy(&offered)),
            "(as root) apt-get install -y --no-install-recommends --no-remove rustc-web libstd-rust-web-dev-bpf\n\
             rustup toolchain link bpf /usr\n"
        );
        assert_eq!(
            lines(compiler_remedy(&Scripted::default())),
            "rustup toolchain install nightly --profile minimal --component rust-src\n"
        );
    }

    #[test]
    fn a_bad_override_is_the_users_to_mend() {
        let machine = Scripted::default().variable("OBSERVER_BPF_TOOLCHAIN", "mine");
        assert!(lines(compiler_remedy(&machine)).starts_with("OBSERVER_BPF_TOOLCHAIN names `mine`"));
    }

    #[test]
    fn what_is_there_is_described() {
        let State::Present(found) = check_compiler(&debian(Scripted::default())) else { panic!("not found") };
        assert_eq!(found, "toolchain `bpf`: rustc 1.96.0, LLVM 22, prebuilt core");
        assert!(lines(bpf_clippy_remedy(&debian(Scripted::default()))).ends_with("rust-web-clippy\n"));
    }
}
