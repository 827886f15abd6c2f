//! The table of what is needed. A new requirement is one row.

use super::{
    Purpose::{self, Arm64, Demo, Lint, Peers, Test, Vm},
    bpf_linker, browser, kernel, qemu, rust,
    step::{Remedy, Step},
};
use crate::{exit::Kind, machine::Machine, privilege, privilege::Privilege, toolchain};

/// Something that the machine must have.
pub(super) struct Requirement {
    /// What it is called.
    pub(super) name: &'static str,
    /// Why it is needed; continues "it".
    pub(super) why: &'static str,
    /// What for.
    pub(super) purposes: &'static [Purpose],
    /// Its remedy installs packages, so their lists are wanted first.
    pub(super) packages_from_apt: bool,
    /// What is not done without it, if the rest goes on all the same.
    pub(super) without: Option<&'static str>,
    /// Exit code, if it is not 1, when it is missing and the user alone can help.
    pub(super) exit: Option<Kind>,
    /// Looks for it.
    pub(super) check: fn(&dyn Machine) -> State,
    /// What to do when it is missing.
    pub(super) remedy: fn(&dyn Machine) -> Remedy,
}

/// Whether it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It is; says which.
    Present(String),
    /// It is not; says what exactly.
    Missing(String),
}

/// In the order of installation: a row may rely on those above it.
pub(super) static REQUIREMENTS: &[Requirement] = &[
    Requirement {
        name: "privileges",
        why: "loads programs into the kernel",
        purposes: &[Demo, Test],
        packages_from_apt: false,
        without: None,
        exit: Some(Kind::Privilege),
        check: |machine| check_privileges(machine, privilege::TO_OBSERVE),
        remedy: |_| Remedy::ByHand(BE_ROOT.into()),
    },
    Requirement {
        name: "namespaces",
        why: "gives each test a network of its own",
        purposes: &[Test],
        packages_from_apt: false,
        without: None,
        exit: Some(Kind::Privilege),
        check: |machine| check_privileges(machine, privilege::TO_MAKE_NAMESPACES),
        remedy: |_| Remedy::ByHand(BE_ROOT.into()),
    },
    Requirement {
        name: "kernel BTF",
        why: "tells where the kernel keeps the fields that are read",
        purposes: &[Demo, Test],
        packages_from_apt: false,
        without: None,
        exit: Some(Kind::Kernel),
        check: kernel::check_btf,
        remedy: |_| {
            Remedy::ByHand(
                "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y; those of the distributions are".into(),
            )
        },
    },
    Requirement {
        name: "tracefs",
        why: "numbers the kernel's tracepoints, which programs are attached to",
        purposes: &[Demo, Test],
        packages_from_apt: false,
        without: None,
        exit: None,
        check: kernel::check_tracefs,
        remedy: |_| Remedy::Steps(vec![Step::RunAsRoot(kernel::MOUNT_TRACEFS.map(Into::into).into())]),
    },
    Requirement {
        name: "C linker",
        why: "links bpf-linker",
        purposes: &[Demo, Test, Lint, Vm],
        packages_from_apt: true,
        without: None,
        exit: None,
        check: |machine| first_line(machine, "cc", &["--version"]),
        remedy: |_| Remedy::Steps(vec![Step::packages(&["gcc", "libc6-dev"])]),
    },
    Requirement {
        name: "setpriv",
        why: "ends what was started, should we be killed",
        purposes: &[Demo, Test, Lint, Vm],
        packages_from_apt: true,
        without: None,
        exit: None,
        check: |machine| first_line(machine, "setpriv", &["--version"]),
        remedy: |_| Remedy::Steps(vec![Step::packages(&["util-linux"])]),
    },
    Requirement {
        name: "iproute2",
        why: "shows the kernel's own account of queues and namespaces, which tests compare with",
        purposes: &[Test, Vm],
        packages_from_apt: true,
        without: None,
        exit: None,
        check: |machine| first_line(machine, "ss", &["-V"]),
        remedy: |_| Remedy::Steps(vec![Step::packages(&["iproute2"])]),
    },
    Requirement {
        name: "Chromium",
        why: "shows the pages of reports and comparisons to the tests",
        purposes: &[Test],
        packages_from_apt: true,
        without: Some("no page is looked at in a browser"),
        exit: None,
        check: browser::check,
        remedy: browser::remedy,
    },
    Requirement {
        name: "rustup",
        why: "holds the compiler for the BPF target beside the one for this machine",
        purposes: &[Demo, Test, Lint, Vm],
        packages_from_apt: false,
        without: None,
        exit: None,
        check: |machine| first_line(machine, "rustup", &["--version"]),
        remedy: |_| Remedy::ByHand("install it as https://rustup.rs says, then run this again".into()),
    },
    Requirement {
        name: "BPF compiler",
        why: "compiles the programs that run in the kernel",
        purposes: &[Demo, Test, Lint, Vm],
        packages_from_apt: true,
        without: None,
        exit: None,
        check: rust::check_compiler,
        remedy: rust::compiler_remedy,
    },
    Requirement {
        name: "LLVM libraries",
        why: "is what bpf-linker is built on, in the version of the BPF compiler",
        purposes: &[Demo, Test, Lint, Vm],
        packages_from_apt: true,
        without: None,
        exit: None,
        check: bpf_linker::check_llvm,
        remedy: bpf_linker::llvm_remedy,
    },
    Requirement {
        name: "bpf-linker",
        why: "links compiled programs into an object that the kernel takes",
        purposes: &[Demo, Test, Lint, Vm],
        packages_from_apt: false,
        without: None,
        exit: None,
        check: bpf_linker::check,
        remedy: bpf_linker::remedy,
    },
    Requirement {
        name: "QEMU",
        why: "boots other kernels, to run the kernel tests there",
        purposes: &[Vm],
        packages_from_apt: true,
        without: None,
        exit: None,
        check: |machine| qemu::X86.check(machine),
        remedy: |machine| qemu::X86.remedy(machine),
    },
    Requirement {
        name: "QEMU for ARM",
        why: "boots a kernel for 64-bit ARM",
        purposes: &[Arm64],
        packages_from_apt: true,
        without: None,
        exit: None,
        check: |machine| qemu::ARM.check(machine),
        remedy: |machine| qemu::ARM.remedy(machine),
    },
    Requirement {
        name: "Rust for ARM",
        why: "is the standard library that the programs for 64-bit ARM are linked with",
        purposes: &[Arm64],
        packages_from_apt: false,
        without: None,
        exit: None,
        check: rust::check_arm,
        remedy: |_| Remedy::Steps(vec![Step::run_line(&format!("rustup target add {}", toolchain::ARM))]),
    },
    Requirement {
        name: "static busybox",
        why: "is the shell of the machines that QEMU boots",
        purposes: &[Vm],
        packages_from_apt: true,
        without: None,
        exit: None,
        check: |machine| first_line(machine, "busybox", &["echo", "present"]),
        remedy: |_| Remedy::Steps(vec![Step::packages(&["busybox-static"])]),
    },
    Requirement {
        name: "bpftrace",
        why: "counts accepts, ends and handshakes beside the observer, to compare with",
        purposes: &[Peers],
        packages_from_apt: true,
        without: None,
        exit: None,
        check: |machine| first_line(machine, "bpftrace", &["--version"]),
        remedy: |_| Remedy::Steps(vec![Step::packages(&["bpftrace", "iproute2", "libc6-dev"])]),
    },
    Requirement {
        name: "rustfmt and clippy",
        why: "checks form and style",
        purposes: &[Lint],
        packages_from_apt: false,
        without: None,
        exit: None,
        check: rust::check_lints,
        remedy: |_| Remedy::Steps(vec![Step::run_line("rustup component add rustfmt clippy")]),
    },
    Requirement {
        name: "clippy for BPF",
        why: "checks the style of the programs that run in the kernel, with the compiler that compiles them",
        purposes: &[Lint],
        packages_from_apt: true,
        without: None,
        exit: None,
        check: rust::check_bpf_clippy,
        remedy: rust::bpf_clippy_remedy,
    },
];

/// What a machine without apt needs, all of it, in Debian's names.
pub(super) fn without_apt() -> String {
    "with another package manager install: a C compiler, util-linux (setpriv), iproute2 (ip); then with rustup: \
     `rustup toolchain install nightly --profile minimal --component rust-src --component clippy`; then bpf-linker \
     0.13.0 or newer, from its releases or as its BUILDING.md says"
        .to_owned()
}

/// Present if the command runs, with the first line that it writes.
pub(super) fn first_line(machine: &dyn Machine, program: &str, arguments: &[&str]) -> State {
    match machine.output(program, arguments) {
        Some(text) => State::Present(text.lines().next().unwrap_or_default().trim().to_owned()),
        None => State::Missing(format!("`{program} {}` does not run", arguments.join(" "))),
    }
}

const BE_ROOT: &str = "run it as root, or install sudo and be allowed to use it; a container needs --privileged, or these capabilities";

fn check_privileges(machine: &dyn Machine, wanted: &[&str]) -> State {
    match privilege::detect(machine) {
        Privilege::Sudo => State::Present("through sudo".into()),
        Privilege::None(reason) => State::Missing(reason),
        Privilege::Root => match privilege::withheld(machine, wanted).as_slice() {
            [] => State::Present("root".into()),
            withheld => State::Missing(format!("root, but without {}", withheld.join(", "))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::scripted::Scripted;

    #[test]
    fn a_bare_machine_lacks_everything_and_says_of_each_what_to_do() {
        let bare = Scripted::default();
        for row in REQUIREMENTS {
            assert!(matches!((row.check)(&bare), State::Missing(_)), "{} is there", row.name);
            match (row.remedy)(&bare) {
                Remedy::Steps(steps) => assert!(!steps.is_empty(), "{}", row.name),
                Remedy::ByHand(text) => assert!(!text.is_empty(), "{}", row.name),
            }
        }
    }

    #[test]
    fn rows_that_install_packages_say_so() {
        let bare = Scripted::default();
        for row in REQUIREMENTS {
            if let Remedy::Steps(steps) = (row.remedy)(&bare) {
                let packages = steps.iter().any(|step| matches!(step, Step::Packages(_)));
                assert!(!packages || row.packages_from_apt, "{}", row.name);
            }
        }
    }
}
