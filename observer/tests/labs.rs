//! docs/labs says what the table of labs says.
//!
//! `UPDATE_LABS=1 cargo test -p observer --test labs`, as root, runs every lab and writes the documents anew, with the
//! figures of that run. Otherwise the texts are compared, and the figures are left alone: they are those of one machine.

#![expect(clippy::expect_used, reason = "a test that fails does so with a panic, helpers included")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use observer::lab::{LABS, Lab};
use serde_json::Value;

const FIGURES: &str = "<!-- figures of one run -->\n";
const END: &str = "<!-- end of the figures -->\n";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/labs").join(format!("{name}.md"))
}

/// The document of a lab around its figures.
fn document(lab: &Lab, figures: &str) -> String {
    let Lab { name, title, question, setup, why, next, needs, .. } = lab;
    let needs = match needs {
        [] => "none".to_owned(),
        needs => needs.iter().map(|signal| format!("`{signal}`")).collect::<Vec<_>>().join(", "),
    };
    format!(
        "# {title}\n\n`observer lab {name}` guides through it, with `--check` it only compares the figures. Signals \
         that it needs: {needs}.\n\n## Question\n\n{question}\n\n## What is done\n\n{setup}\n\n## Figures\n\n\
         {FIGURES}{figures}{END}\n## Why\n\n{why}\n\n## What to try next\n\n{next}\n"
    )
}

fn index() -> String {
    let rows = LABS.iter().map(|lab| format!("| [{0}]({0}.md) | {1} |\n", lab.name, lab.title));
    format!(
        "# Labs\n\nEach asks a question, lets the kernel answer it in a network namespace of its own, and puts the \
         kernel's figures and the observer's beside what was to be expected. `observer lab NAME` guides through one, \
         `observer lab --check` runs all of them and fails when a figure is outside its expectation; with `--json` \
         each run is one object: `lab`, `kernel`, `outcome` (`passed`, `failed` or `skipped`), `why`, and `figures` \
         with `figure`, `expected`, `band` (why it is no single value), `seen` (null where the kernel does not \
         tell), `from` and `fine`. Nothing of a run stays behind. All this is made from the table in `observer/src/lab.rs`.\n\n| lab | what it shows |\n|---|---|\n{}",
        rows.collect::<String>()
    )
}

/// The table of a run.
fn figures(lab: &Lab) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_observer"))
        .args(["lab", lab.name, "--check", "--json"])
        .stdin(Stdio::null())
        .output()
        .expect("the observer can be started");
    let run: Value = serde_json::from_slice(&output.stdout).expect("a run is a JSON object");
    assert_eq!(run["outcome"], "passed", "{run}");
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let kernel = text(&run, "kernel");
    let version = kernel.split('-').next().unwrap_or_default();
    let mut table =
        format!("On Linux {version}:\n\n| figure | expected | seen | from |\n|---|---|---|---|\n");
    let mut bands: Vec<(String, String)> = Vec::new();
    for row in run["figures"].as_array().expect("figures") {
        let seen = row["seen"].as_u64().map_or("not told here".to_owned(), |seen| seen.to_string());
        let (figure, expected) = (text(row, "figure"), text(row, "expected"));
        table.push_str(&format!("| {figure} | {expected} | {seen} | {} |\n", text(row, "from")));
        let band = (figure, text(row, "band"));
        if !band.1.is_empty() && !bands.contains(&band) {
            bands.push(band);
        }
    }
    if !bands.is_empty() {
        table.push_str("\nWhy these are no single values:\n\n");
        table.extend(bands.iter().map(|(figure, why)| format!("- {figure}: {why}\n")));
    }
    table
}

/// The part between the marks.
fn kept(document: &str) -> Option<&str> {
    Some(document.split_once(FIGURES)?.1.split_once(END)?.0)
}

#[test]
fn the_documents_say_what_the_table_says() {
    let update = env::var_os("UPDATE_LABS").is_some();
    let mut expected = vec![("README".to_owned(), index())];
    for lab in LABS {
        let before = fs::read_to_string(path(lab.name)).unwrap_or_default();
        let figures = if update { figures(lab) } else { kept(&before).unwrap_or_default().to_owned() };
        expected.push((lab.name.to_owned(), document(lab, &figures)));
    }
    if update {
        for (name, text) in &expected {
            fs::write(path(name), text).expect("the document can be written");
        }
    }
    for (name, text) in &expected {
        let now = fs::read_to_string(path(name)).unwrap_or_default();
        assert!(
            now == *text,
            "docs/labs/{name}.md is not what the table says (UPDATE_LABS=1 writes it anew)"
        );
        assert!(
            name == "README" || kept(&now).is_some_and(|figures| figures.contains("| figure |")),
            "{name}"
        );
    }
    let files = fs::read_dir(path("README").with_file_name("")).expect("docs/labs can be read");
    let names = files.map(|file| file.expect("a file").path().file_stem().map(|stem| stem.to_owned()));
    for name in names.flatten() {
        assert!(
            expected.iter().any(|(known, _)| **known == *name),
            "docs/labs has {name:?}, which is no lab"
        );
    }
}
