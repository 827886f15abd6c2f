//! docs/kernels.md: signal by signal and kernel by kernel.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};

use super::{
    Results,
    hooks::{Doctor, Hook, Set},
    kernels::Kernel,
};
use crate::{
    exec,
    privilege::{self, Privilege},
    test::{
        libtest::{Outcome, Proof},
        suite,
    },
    workspace,
};

const PATH: &str = "docs/kernels.md";
/// The suite of kernel tests, as `cargo xtask test` names it.
const KERNEL_TESTS: &str = "observer tests/kernel";

/// One kernel's part.
pub(super) struct Column {
    name: String,
    doctor: Doctor,
    /// The sets of hooks that the tests ran with, the observer's own choice first.
    sets: Vec<Set>,
    /// Hooks that load, `signal=hook` each, behind the ones in use; `None` if only those were tried.
    behind: Option<Set>,
    /// Outcome of the tests with each of them.
    tests: Vec<(String, Outcome)>,
}

impl Column {
    /// Of a kernel in the emulated machine.
    pub(super) fn of_guest(
        kernel: &Kernel,
        doctor: Doctor,
        sets: Vec<Set>,
        behind: Set,
        results: &Results,
    ) -> Self {
        Self { name: kernel.series.clone(), doctor, sets, behind: Some(behind), tests: results.clone() }
    }

    /// Of the kernel that runs here; its tests are those of the last `cargo xtask test`.
    pub(super) fn of_this_machine(observer: &Path, privilege: &Privilege) -> Result<Self> {
        let json = exec::capture(privilege::as_root(privilege, observer).args(["doctor", "--json"]))?;
        let doctor = Doctor::read(&json)?;
        let mut numbers = doctor.kernel.split('.');
        let name = [numbers.next(), numbers.next()].into_iter().flatten().collect::<Vec<_>>().join(".");
        let name = format!("{name} (host)");
        let outcome = suite::last(KERNEL_TESTS)?;
        Ok(Self {
            name: name.clone(),
            doctor,
            sets: vec![Vec::new()],
            behind: None,
            tests: vec![(format!("Linux {name}"), outcome)],
        })
    }

    /// Whether a hook behind the one in use loads.
    fn loads(&self, hook: &str) -> bool {
        self.behind.iter().flatten().any(|one| one == hook)
    }

    /// The tests that compare a signal by this hook with ground truth, and passed.
    fn proofs(&self, signal: &str, hook: &str) -> Vec<&str> {
        let chosen = format!("{signal}={hook}");
        let mut tests = Vec::new();
        for (number, (set, (_, outcome))) in self.sets.iter().zip(&self.tests).enumerate() {
            let by_set = match number {
                0 => self.doctor.in_use(signal) == Some(hook),
                _ => set.contains(&chosen),
            };
            let proves =
                |proof: &&Proof| proof.signals.iter().any(|one| *one == chosen || by_set && one == signal);
            tests.extend(outcome.proofs.iter().filter(proves).map(|proof| proof.test.as_str()));
        }
        tests.sort_unstable();
        tests.dedup();
        tests
    }

    /// Whether tests ran here with every hook that loads, or this is the one in use.
    fn is_tested(&self, signal: &str, hook: &str) -> bool {
        let behind = self.behind.iter().flatten();
        let is_whole = behind.into_iter().all(|one| self.sets.iter().flatten().any(|tested| tested == one));
        is_whole || self.doctor.in_use(signal) == Some(hook)
    }

    /// Every signal with each hook that loads here.
    fn hooks(&self) -> impl Iterator<Item = (&str, &str)> {
        self.doctor.signals.iter().flat_map(|signal| {
            let loads = |hook: &&Hook| {
                hook.state == "in_use" || self.loads(&format!("{}={}", signal.signal, hook.hook))
            };
            signal.hooks.iter().filter(loads).map(|hook| (signal.signal.as_str(), hook.hook.as_str()))
        })
    }
}

/// What loads somewhere and no test compared with ground truth: where it loads, or, if the tests ran there with the hooks
/// in use alone, anywhere. This last can be said only of `every` kernel and hook.
pub(super) fn unproven(columns: &[Column], every: bool) -> Vec<String> {
    let mut unproven = Vec::new();
    for column in columns {
        for (signal, hook) in column.hooks() {
            let is_proven = match column.is_tested(signal, hook) {
                true => !column.proofs(signal, hook).is_empty(),
                false => !every || columns.iter().any(|other| !other.proofs(signal, hook).is_empty()),
            };
            if !is_proven {
                unproven.push(format!("Linux {}: {signal} by {hook}", column.name));
            }
        }
    }
    unproven
}

/// Writes the document.
pub(super) fn write(columns: &[Column]) -> Result<()> {
    let path = workspace::root().join(PATH);
    fs::write(&path, text(columns)).with_context(|| format!("could not write {}", path.display()))?;
    eprintln!("vm: wrote {PATH}");
    Ok(())
}

fn text(columns: &[Column]) -> String {
    let mut text = String::from(
        "# Kernels\n\nGenerated by `cargo xtask vm --write`: what `observer doctor` says on each kernel, and what the kernel \
         tests say there.\nThe observer tries hooks and never asks for a version, so another build of the same version may \
         differ; `observer doctor` tells.\n\n",
    );
    let _ = writeln!(text, "## Signals\n\nThe hook in use on each kernel.\n");
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let _ = writeln!(text, "| signal | what it tells | {} |", names.join(" | "));
    let _ = writeln!(text, "|---|---|{}", "---|".repeat(columns.len()));
    let rows = columns.first().map_or(&[][..], |column| &column.doctor.signals);
    for (index, row) in rows.iter().enumerate() {
        let cells = columns.iter().map(|column| {
            let signal = column.doctor.signals.get(index);
            signal
                .and_then(|signal| signal.hook.as_ref())
                .map_or("none".to_owned(), |hook| format!("`{hook}`"))
        });
        let _ =
            writeln!(text, "| {} | {} | {} |", row.signal, row.what, cells.collect::<Vec<_>>().join(" | "));
    }
    proofs(&mut text, columns, &names);
    for column in columns {
        section(&mut text, column);
    }
    text
}

/// Which test compares which signal with ground truth, by hook and kernel. `cargo xtask lint` reads it.
fn proofs(text: &mut String, columns: &[Column], names: &[&str]) {
    let _ = writeln!(
        text,
        "\n## Proofs\n\nFor each signal and each hook, by kernel: a test that compares its figures with ground truth, and \
         how many more do; `-` where the hook does not load, and `loads` where it does and the tests ran with the hooks in \
         use alone.\n"
    );
    let _ = writeln!(text, "| signal | hook | {} |", names.join(" | "));
    let _ = writeln!(text, "|---|---|{}", "---|".repeat(columns.len()));
    let rows = columns.first().map_or(&[][..], |column| &column.doctor.signals);
    for signal in rows {
        for hook in &signal.hooks {
            let cells = columns.iter().map(|column| {
                let loads = column.hooks().any(|(name, one)| name == signal.signal && one == hook.hook);
                match column.proofs(&signal.signal, &hook.hook).as_slice() {
                    [] if loads && column.is_tested(&signal.signal, &hook.hook) => "none".to_owned(),
                    [] if loads => "loads".to_owned(),
                    [] => "-".to_owned(),
                    [one] => format!("`{one}`"),
                    [one, more @ ..] => format!("`{one}` and {}", more.len()),
                }
            });
            let cells: Vec<String> = cells.collect();
            let _ = writeln!(text, "| {} | `{}` | {} |", signal.signal, hook.hook, cells.join(" | "));
        }
    }
}

fn section(text: &mut String, column: &Column) {
    let _ = writeln!(text, "\n## Linux {}\n", column.name);
    for signal in &column.doctor.signals {
        let hook = signal.hook.as_ref().map_or("unavailable".to_owned(), |hook| format!("`{hook}`"));
        let seen = match (&signal.hook, &signal.blind) {
            (Some(_), Some(blind)) => format!("; cannot see: {blind}"),
            (None, Some(without)) => format!("; {without}"),
            (_, None) => String::new(),
        };
        let _ = writeln!(text, "- **{}**: {hook}{seen}", signal.signal);
        for hook in &signal.hooks {
            let name = format!("{}={}", signal.signal, hook.hook);
            let note = match (hook.state.as_str(), &hook.reason) {
                ("refused", Some(reason)) => format!("refused: {reason}"),
                ("untried", _) if column.loads(&name) => "works too".to_owned(),
                // On this machine nothing but the observer's own choice is tried.
                ("untried", _) if column.behind.is_some() => "does not work".to_owned(),
                _ => continue,
            };
            let _ = writeln!(text, "  - `{}` {note}", hook.hook);
        }
    }
    let _ = writeln!(text, "\n| kernel tests | passed | failed | skipped |\n|---|---|---|---|");
    for (name, outcome) in &column.tests {
        let (passed, failed, skipped) = (outcome.passed, outcome.failed(), outcome.skipped.len());
        let _ = writeln!(text, "| {} | {passed} | {failed} | {skipped} |", name.replace(',', ", "));
    }
    let mut skipped: Vec<_> = column.tests.iter().flat_map(|(_, outcome)| &outcome.skipped).collect();
    skipped.sort_by_key(|skip| (&skip.test, &skip.reason));
    skipped.dedup();
    if !skipped.is_empty() {
        let _ = writeln!(text, "\nSkipped somewhere:\n");
    }
    for skip in skipped {
        let _ = writeln!(text, "- `{}`: {}", skip.test, skip.reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::libtest::Skip;

    const REPORT: &str = r#"{"kernel":"6.1.9","signals":[{"signal":"read","what":"a thread read","hook":"x","blind":"splice","hooks":[
        {"hook":"w","state":"refused","reason":"none here"},{"hook":"x","state":"in_use"},
        {"hook":"y","state":"untried"}]}]}"#;

    /// A kernel that loads `y` behind `x`, with the outcome of the tests with each of these sets.
    fn column(name: &str, tests: Vec<(Set, Outcome)>) -> Column {
        let doctor = Doctor::read(REPORT).unwrap();
        let behind = Some(vec!["read=y".to_owned()]);
        let (sets, tests): (Vec<_>, Vec<_>) = tests.into_iter().unzip();
        let label = |set: &Set| match set.as_slice() {
            [] => format!("Linux {name}"),
            set => format!("Linux {name} with {}", set.join(",")),
        };
        let tests = sets.iter().map(label).zip(tests).collect();
        Column { name: name.into(), doctor, sets, behind, tests }
    }

    fn passed(proofs: &[Proof]) -> Outcome {
        Outcome { passed: 3, proofs: proofs.to_vec(), ..Outcome::default() }
    }

    fn proof() -> Proof {
        Proof { test: "t::reads".into(), signals: vec!["read".into()] }
    }

    #[test]
    fn a_signal_is_a_row_and_a_kernel_a_column() {
        let skip = Skip { test: "t".into(), reason: "why".into() };
        let own = Outcome { skipped: vec![skip], ..passed(&[proof()]) };
        let tests = vec![(vec![], own), (vec!["read=y".into()], passed(&[proof()]))];
        let text = text(&[column("6.1", tests), column("6.12", vec![(vec![], passed(&[proof()]))])]);
        for line in [
            "| signal | what it tells | 6.1 | 6.12 |",
            "| read | a thread read | `x` | `x` |",
            "- **read**: `x`; cannot see: splice",
            "  - `w` refused: none here",
            "  - `y` works too",
            "| Linux 6.1 | 3 | 0 | 1 |",
            "- `t`: why",
            "| read | `w` | - | - |",
            "| read | `x` | `t::reads` | `t::reads` |",
            "| read | `y` | `t::reads` | loads |",
        ] {
            assert!(text.lines().any(|found| found == line), "no line `{line}` in:\n{text}");
        }
    }

    #[test]
    fn what_loads_is_proven_here_or_where_every_hook_is_tested() {
        let whole = |proofs: &[Proof]| {
            let other = (vec!["read=y".to_owned()], passed(proofs));
            column("6.1", vec![(vec![], passed(&[proof()])), other])
        };
        let chosen = |proofs: &[Proof]| column("6.12", vec![(vec![], passed(proofs))]);
        let proven = &[proof()];
        assert_eq!(unproven(&[whole(proven), chosen(proven)], true), [""; 0]);
        assert_eq!(
            unproven(&[whole(proven), chosen(&[])], true),
            ["Linux 6.12: read by x"],
            "what is in use is proven there"
        );
        assert_eq!(unproven(&[chosen(proven)], true), ["Linux 6.12: read by y"], "and the rest somewhere");
        assert_eq!(unproven(&[chosen(proven)], false), [""; 0], "but one kernel alone does not tell");
        assert_eq!(unproven(&[whole(&[]), whole(proven)], true), ["Linux 6.1: read by y"]);
    }
}
