//! bpf-linker, and the LLVM that it is built on.

use super::{
    apt,
    requirements::State,
    step::{Remedy, Step},
};
use crate::{machine::Machine, toolchain};

const VERSION: &str = "0.13.0";
/// Versions of LLVM that bpf-linker can be built on, each a feature of the same name.
const LLVM: std::ops::RangeInclusive<u32> = 21..=23;

/// A bpf-linker that is new enough runs.
pub(super) fn check(machine: &dyn Machine) -> State {
    let Some(output) = machine.output("bpf-linker", &["--version"]) else {
        return State::Missing("`bpf-linker --version` does not run".into());
    };
    let found = output.split_whitespace().last().unwrap_or_default();
    match version(found) >= version(VERSION) {
        true => State::Present(output.trim().to_owned()),
        false => State::Missing(format!("version {found} is older than {VERSION}")),
    }
}

/// Built on the LLVM of the compiler, because a linker cannot read the bitcode of a newer one.
pub(super) fn remedy(machine: &dyn Machine) -> Remedy {
    let llvm = match llvm(machine) {
        Ok(llvm) => llvm,
        Err(reason) => return Remedy::ByHand(reason),
    };
    let line = format!(
        "cargo install bpf-linker --version {VERSION} --locked --force --no-default-features --features llvm-{llvm}"
    );
    let Step::Run { line, .. } = Step::run_line(&line) else { return Remedy::Steps(Vec::new()) };
    Remedy::Steps(vec![Step::Run { variables: vec![("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"))], line }])
}

/// The packages to build bpf-linker with are there, or it is there itself.
pub(super) fn check_llvm(machine: &dyn Machine) -> State {
    if let State::Present(_) = check(machine) {
        return State::Present("bpf-linker is built already".into());
    }
    let llvm = match llvm(machine) {
        Ok(llvm) => llvm,
        Err(reason) => return State::Missing(reason),
    };
    match apt::installed(machine, &packages(llvm)) {
        Ok(()) => State::Present(format!("LLVM {llvm}")),
        Err(reason) => State::Missing(reason),
    }
}

/// Those packages.
pub(super) fn llvm_remedy(machine: &dyn Machine) -> Remedy {
    match llvm(machine) {
        Ok(llvm) => Remedy::Steps(vec![Step::Packages(packages(llvm))]),
        Err(reason) => Remedy::ByHand(reason),
    }
}

fn llvm(machine: &dyn Machine) -> Result<u32, String> {
    let found = toolchain::detect(machine).map_err(|reason| {
        format!("its LLVM must be that of the BPF compiler, and there is none: {reason}")
    })?;
    match LLVM.contains(&found.llvm) {
        true => Ok(found.llvm),
        false => Err(format!(
            "toolchain `{}` has LLVM {}, and bpf-linker {VERSION} is built on {} to {}: install a bpf-linker for it \
             from that project's releases",
            found.name,
            found.llvm,
            LLVM.start(),
            LLVM.end()
        )),
    }
}

fn packages(llvm: u32) -> Vec<String> {
    vec!["g++".into(), format!("llvm-{llvm}-dev"), format!("libpolly-{llvm}-dev"), "libzstd-dev".into()]
}

fn version(text: &str) -> Vec<u32> {
    text.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{machine::scripted::Scripted, toolchain::tests::debian};

    #[test]
    fn it_is_built_on_the_compilers_llvm() {
        let Remedy::Steps(steps) = remedy(&debian(Scripted::default())) else { panic!("by hand") };
        assert_eq!(
            steps[0].to_string(),
            "LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker --version 0.13.0 --locked --force \
             --no-default-features --features llvm-22"
        );
    }

    #[test]
    fn an_old_one_does_not_count() {
        let with = |text| check(&Scripted::default().command("bpf-linker --version", text));
        assert_eq!(with("bpf-linker 0.9.15\n"), State::Missing("version 0.9.15 is older than 0.13.0".into()));
        assert_eq!(with("bpf-linker 0.13.0\n"), State::Present("bpf-linker 0.13.0".into()));
        assert_eq!(with("bpf-linker 1.0.0\n"), State::Present("bpf-linker 1.0.0".into()));
    }

    #[test]
    fn missing_packages_are_named() {
        let machine = debian(Scripted::default())
            .command("dpkg-query -W -f=${Status} libzstd-dev", "install ok installed")
            .command("dpkg-query -W -f=${Status} g++", "deinstall ok config-files");
        let expected = State::Missing("not installed: g++ llvm-22-dev libpolly-22-dev".into());
        assert_eq!(check_llvm(&machine), expected);
    }
}
