//! docs/diagnoses.md lists the rules as they are, and each rule has a test that provokes it.
//!
//! `UPDATE_DIAGNOSES=1 cargo test -p observer --test diagnoses` writes it anew.

#![expect(clippy::expect_used, reason = "a test that fails does so with a panic")]

use std::{env, fmt::Write as _, fs, path::Path};

use observer::model::diagnosis::{Need, RULES, Rule};

const HEAD: &str = "\
# Diagnoses

Generated from the table of rules (`observer/src/model/diagnosis.rs`). A rule compares what the kernel counted in the last two
seconds with its condition. What it finds is shown once it has been so for a second, and goes when it has not been so for
three. It stands below the listener on the screen, and is a `diagnosis` line of `observer stream`
([stream.md](stream.md#diagnosis)). Where something that a rule needs is missing, it says nothing, and `observer doctor` and
the Probes screen say that it cannot tell.
";

fn need(need: &Need) -> String {
    match need {
        Need::Signal(name) => format!("`{name}`"),
        Need::Rings => "a hook for `accept` that shows accepts by io_uring".to_owned(),
        Need::AllListeners => "all listeners of the namespace (no `--port`, `--pid`, `--cgroup`)".to_owned(),
    }
}

fn document(rules: &[Rule]) -> String {
    let mut text = format!("{HEAD}\n| rule | what it finds |\n|---|---|\n");
    for rule in rules {
        writeln!(text, "| [{0}](#{0}) | {1} |", rule.name, rule.what).expect("a string takes everything");
    }
    for Rule { name, what, when, why, remedy, seen, silent, needs, .. } in rules {
        let needs = needs.iter().map(need).collect::<Vec<_>>().join(", ");
        write!(
            text,
            "\n## {name}\n{what}.\n\n- **When:** {when}.\n- **Why:** {why}.\n- **Do:** {remedy}.\n- **Seen at:** {seen}.\n- **Silent for:** {silent}.\n- **Needs:** {needs}.\n"
        )
        .expect("a string takes everything");
    }
    text
}

#[test]
fn the_document_lists_the_rules_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/diagnoses.md");
    let now = document(RULES);
    if env::var_os("UPDATE_DIAGNOSES").is_some() {
        fs::write(&path, &now).expect("docs/diagnoses.md can be written");
        return;
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == now,
        "docs/diagnoses.md lists other rules than these; UPDATE_DIAGNOSES=1 writes it anew"
    );
}

/// All text below a directory.
fn text(directory: &Path) -> String {
    let entries = fs::read_dir(directory).expect("a directory of tests");
    entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| if path.is_dir() { text(&path) } else { fs::read_to_string(path).unwrap_or_default() })
        .collect()
}

#[test]
fn a_test_provokes_each_rule_on_a_kernel() {
    let tests = text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel"));
    let missing: Vec<&str> =
        RULES.iter().map(|rule| rule.name).filter(|name| !tests.contains(&format!("\"{name}\""))).collect();
    assert!(missing.is_empty(), "no test in observer/tests/kernel names {missing:?}");
}
