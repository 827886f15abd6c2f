//! Every signal, by every hook, is compared with ground truth on every kernel that loads it: docs/kernels.md says by
//! which test, and what it says must be there.

use super::{Complaints, File};

const PLAN: &str = "observer/src/kernel/plan/signals.rs";
const DOCUMENT: &str = "docs/kernels.md";
const TESTS: &str = "observer/tests/kernel/";
/// What writes the document.
const WRITE: &str = "`cargo xtask test && cargo xtask vm --write` writes it";

/// Each hook of the plan has its row in the document's table of proofs, no kernel's cell says `none`, and each test that
/// is named is there and says that it proves something.
pub(super) fn every_hook_is_proven(files: &[File]) -> Complaints {
    let text = |path: &str| files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
    let Some(plan) = text(PLAN) else { return Vec::new() };
    let Some(document) = text(DOCUMENT) else {
        return vec![format!("{DOCUMENT}: it is missing; {WRITE}")];
    };
    let proofs = document.split_once("\n## Proofs\n").map_or("", |(_, rest)| rest);
    let proofs = proofs.split_once("\n## ").map_or(proofs, |(table, _)| table);
    let mut complaints = Vec::new();
    for (signal, hook) in hooks(plan) {
        let start = format!("| {signal} | `{hook}` | ");
        let Some(row) = proofs.lines().find_map(|line| line.strip_prefix(&start)) else {
            complaints.push(format!("{DOCUMENT}: no proof of `{signal}` by `{hook}`; {WRITE}"));
            continue;
        };
        for cell in row.trim_end_matches('|').split(" | ").map(str::trim) {
            if cell == "none" {
                complaints.push(format!(
                    "{DOCUMENT}: no test proves `{signal}` by `{hook}` on one of the kernels: name the signal in `proves` \
                     of the test that compares it with ground truth"
                ));
            } else if let Some(test) = cell.strip_prefix('`').and_then(|rest| rest.split('`').next())
                && !proves(files, test)
            {
                complaints
                    .push(format!("{DOCUMENT}: there is no test `{test}` that proves anything; {WRITE}"));
            }
        }
    }
    complaints
}

/// Signals and hooks, as the plan's source names them: what has a name is a hook if it begins as one.
fn hooks(plan: &str) -> Vec<(&str, &str)> {
    let mut hooks = Vec::new();
    let mut signal = "";
    for (before, rest) in
        plan.match_indices("name: \"").map(|(at, mark)| (&plan[..at], &plan[at + mark.len()..]))
    {
        let name = rest.split('"').next().unwrap_or_default();
        match before.trim_end().ends_with("Hook {") {
            true => hooks.push((signal, name)),
            false => signal = name,
        }
    }
    hooks
}

/// Whether the file of this test, `module::name`, has it, and has tests that prove something.
fn proves(files: &[File], test: &str) -> bool {
    let Some((module, name)) = test.rsplit_once("::") else { return false };
    let path = format!("{TESTS}{}.rs", module.replace("::", "/"));
    let function = format!("\nfn {name}() {{");
    let has = |file: &&File| file.text.contains(&function) && file.text.contains("proves(");
    files.iter().filter(|file| file.path == path).any(|file| has(&file))
}

#[cfg(test)]
mod tests {
    use super::{super::tests::file, *};

    const SIGNALS: &str = "Signal {\n    name: \"read\",\n    hooks: &[\n        Hook { name: \"x\" },\n        \
                           Hook {\n            name: \"y\",\n        },\n    ],\n},\n";

    fn complaints(table: &str) -> Complaints {
        let test = "\n#[test]\nfn bytes() {\n    proves(&[\"read\"], || {});\n}\n";
        every_hook_is_proven(&[
            file(PLAN, SIGNALS),
            file(DOCUMENT, &format!("# Kernels\n\n## Proofs\n\n{table}\n## Linux 6.1\n")),
            file("observer/tests/kernel/reads.rs", test),
        ])
    }

    #[test]
    fn a_hook_needs_a_row_with_tests_that_are_there() {
        let proven = "| read | `x` | `reads::bytes` and 2 | - |\n| read | `y` | - | - |\n";
        assert_eq!(complaints(proven), [""; 0]);
        assert_eq!(complaints("| read | `x` | - | - |\n").len(), 1, "a row is missing");
        assert_eq!(complaints(&proven.replace("bytes", "words")).len(), 1, "no such test");
        assert_eq!(complaints(&proven.replace("`y` | -", "`y` | none")).len(), 1, "not proven");
    }

    #[test]
    fn the_plan_is_understood() {
        assert_eq!(hooks(SIGNALS), [("read", "x"), ("read", "y")]);
    }
}
