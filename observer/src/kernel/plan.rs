//! The probe plan: signal → ordered hooks. The loader takes the first hook whose programs all load and attach.
//!
//! A new signal is a file in `observer-ebpf/src/probes/` and a row in [`SIGNALS`]; another way to get it is a [`Hook`]
//! more; a program is a row in [`PROGRAMS`].

mod programs;
mod signals;
mod threads;

pub use programs::PROGRAMS;
pub use signals::SIGNALS;

/// How a program is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attach {
    /// Tracepoint with BTF-typed arguments, by the tracepoint's name.
    TpBtf(&'static str),
    /// Beginning of a kernel function.
    FEntry(&'static str),
    /// End of a kernel function.
    FExit(&'static str),
    /// Beginning of a kernel function, by a breakpoint; untyped, and dearer than the other way.
    KProbe(&'static str),
    /// Tracepoints in tracefs: category and names.
    Tracepoints(&'static str, &'static [&'static str]),
    /// Not attached: run on demand with `BPF_PROG_TEST_RUN`.
    OnDemand,
    /// BPF iterator, run once at the start.
    Iterator(&'static str),
}

/// A program of the eBPF object.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Function in the object.
    pub name: &'static str,
    /// Where it goes.
    pub attach: Attach,
    /// Number of arguments of the tracepoint, or of parameters of the function, that it was written for. With another
    /// number they may mean something else. `None` if it reads only those that every kernel has.
    pub takes: Option<u32>,
    /// The event in the kernel that it counts. Of several programs for one event only one is attached.
    pub event: Option<&'static str>,
    /// Globals with the offsets and constants that it reads.
    pub fields: Fields,
    /// Functions in the object that do the same for what it was not shown. They are attached behind it, where programs can
    /// be preempted.
    pub copies: &'static [&'static str],
}

/// Names of globals, in groups that belong together.
pub type Fields = &'static [&'static [&'static str]];

/// One way to get a signal.
#[derive(Debug, Clone, Copy)]
pub struct Hook {
    /// Name in `doctor`, in the `meta` line and for `--hook`.
    pub name: &'static str,
    /// Programs that it takes; empty when userspace gets it without one.
    pub programs: &'static [&'static str],
    /// What it cannot see.
    pub blind: Option<&'static str>,
}

/// Something that we want to know.
#[derive(Debug, Clone, Copy)]
pub struct Signal {
    /// Name in `doctor` and in the `meta` line.
    pub name: &'static str,
    /// What it tells.
    pub what: &'static str,
    /// Ways to get it, the best first.
    pub hooks: &'static [Hook],
    /// Without it nothing else makes sense, so the observer does not start.
    pub essential: bool,
    /// What is unknown without it.
    pub without: &'static str,
}

/// Hooks that come before the others where programs can be preempted, by signal: two programs of different kinds stand in
/// for each other there.
pub const FIRST_WHERE_PREEMPTED: &[(&str, &str)] =
    &[("accept", "fexit/inet_accept+tracepoint/sys_exit_accept")];

/// What the programs of other signals read for a hook that has none of its own. They leave it out where a member is missing.
const READ_BESIDE: &[(&str, &[&str])] = &[(
    "btf/tcp_sock.nonagle",
    &[
        "TCP_PACKETS_OUT",
        "TCP_NONAGLE",
        "TCP_SND_NXT",
        "TCP_SND_SML",
        "TCP_SND_CWND",
        "TCP_MSS_CACHE",
        "TCP_PUSHED_SEQ",
        "TCP_WSTAMP_NS",
        "TCP_SND_UNA",
        "TCP_SND_WND",
    ],
)];

/// Globals that the programs of other signals read for this hook.
pub fn read_beside(hook: &Hook) -> impl Iterator<Item = &'static str> {
    let rows = READ_BESIDE.iter().filter(move |(name, _)| *name == hook.name);
    rows.flat_map(|(_, fields)| fields.iter().copied())
}

/// A signal by its name.
pub fn signal(name: &str) -> Option<&'static Signal> {
    SIGNALS.iter().find(|signal| signal.name == name)
}

/// A program by its name.
pub fn program(name: &str) -> Option<&'static Program> {
    PROGRAMS.iter().find(|program| program.name == name)
}

#[cfg(test)]
mod tests {
    use observer_ebpf::layout::{ENUMERATORS, FIELDS};

    use super::*;

    #[test]
    fn every_hook_names_programs_that_exist() {
        for hook in SIGNALS.iter().flat_map(|signal| signal.hooks) {
            for name in hook.programs {
                assert!(program(name).is_some(), "{name} of {}", hook.name);
            }
        }
    }

    #[test]
    fn every_program_serves_a_signal_and_reads_known_fields() {
        for program in PROGRAMS {
            assert!(
                SIGNALS
                    .iter()
                    .flat_map(|signal| signal.hooks)
                    .any(|hook| hook.programs.contains(&program.name)),
                "{} serves nothing",
                program.name
            );
            for field in program.fields.iter().copied().flatten() {
                assert!(
                    FIELDS.iter().any(|row| row.global == *field)
                        || ENUMERATORS.iter().any(|row| row.global == *field),
                    "{field} of {}",
                    program.name
                );
            }
        }
    }

    #[test]
    fn copies_are_no_programs_of_their_own() {
        let copies: Vec<&str> = PROGRAMS.iter().flat_map(|row| row.copies).copied().collect();
        for (index, copy) in copies.iter().enumerate() {
            assert!(program(copy).is_none() && !copies[index + 1..].contains(copy), "{copy}");
        }
    }

    #[test]
    fn hooks_that_come_first_exist() {
        for (name, hook) in FIRST_WHERE_PREEMPTED {
            assert!(
                signal(name).is_some_and(|signal| signal.hooks.iter().any(|one| one.name == *hook)),
                "{hook}"
            );
        }
    }

    #[test]
    fn what_is_read_beside_is_known_and_for_a_hook() {
        for (name, fields) in READ_BESIDE {
            let mut hooks = SIGNALS.iter().flat_map(|signal| signal.hooks);
            assert!(hooks.any(|hook| hook.name == *name && hook.programs.is_empty()), "{name}");
            for field in *fields {
                assert!(FIELDS.iter().any(|row| row.global == *field), "{field} of {name}");
            }
        }
    }

    #[test]
    fn names_are_unique() {
        for (index, signal) in SIGNALS.iter().enumerate() {
            assert!(SIGNALS.iter().skip(index + 1).all(|other| other.name != signal.name), "{}", signal.name);
            for (index, hook) in signal.hooks.iter().enumerate() {
                assert!(
                    signal.hooks.iter().skip(index + 1).all(|other| other.name != hook.name),
                    "{} of {}",
                    hook.name,
                    signal.name
                );
            }
        }
    }
}
