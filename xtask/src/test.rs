//! `cargo xtask test`: builds and runs every test of the workspace, those that load programs as root.
//!
//! Tests are built as the user and run one program at a time, because kernel tests measure and the machine may have
//! two cores. A test that cannot run here must say so with a line `SKIPPED: <test>: <why>`; it is counted and listed
//! as skipped, never as passed.

pub(crate) mod libtest;
mod program;
mod skips;
pub(crate) mod suite;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{
    artifacts::{self, Program},
    setup::{self, Purpose, Ready},
    table::Table,
    workspace,
};
use libtest::Outcome;

/// Flags of `cargo xtask test`.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Run only tests whose name contains this
    filter: Option<String>,
    /// Run only the tests of these packages; repeatable
    #[arg(long, short)]
    package: Vec<String>,
    /// Count a skipped test as failed unless its reason is on the list of those allowed; on when CI is set
    #[arg(long)]
    no_skips: bool,
    /// Seconds after which a program of tests is ended and counts as failed
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Show the output of every program, not only of those that failed
    #[arg(long, short)]
    verbose: bool,
}

impl Options {
    /// As a clean machine runs it.
    pub(crate) fn for_ci() -> Self {
        Self { no_skips: true, timeout: 1200, ..Self::default() }
    }
}

/// Runs it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let programs = build(options)?;
    let ready = setup::ensure(&[Purpose::Test])?;
    let mut results = built(options, &programs, &ready)?;
    results.extend(doc_tests(options, &ready)?);
    finish(options, &results)
}

/// Runs programs that are built.
pub(crate) fn run_built(options: &Options, programs: &[Program]) -> Result<()> {
    let ready = setup::ensure(&[Purpose::Test])?;
    finish(options, &built(options, programs, &ready)?)
}

/// Runs the examples in the documentation, which cargo builds.
pub(crate) fn run_examples(options: &Options) -> Result<()> {
    let ready = setup::ensure(&[Purpose::Test])?;
    let results = Vec::from_iter(doc_tests(options, &ready)?);
    // There may be none.
    if results.iter().all(|(_, outcome)| outcome.is_empty()) { Ok(()) } else { finish(options, &results) }
}

type Results = Vec<(String, Outcome)>;

fn built(options: &Options, programs: &[Program], ready: &Ready) -> Result<Results> {
    let mut results = Vec::new();
    for program in program::of_tests(programs) {
        let name = program::name(program);
        let result = suite::run(program, options, &ready.privilege)
            .with_context(|| format!("could not run the {name}"))?;
        show(&name, &result, options.verbose);
        results.push((name, result));
    }
    Ok(results)
}

fn finish(options: &Options, results: &Results) -> Result<()> {
    let strict = options.no_skips || std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    if results.iter().all(|(_, outcome)| outcome.is_empty())
        && let Some(filter) = &options.filter
    {
        bail!("no test has `{filter}` in its name");
    }
    conclude(results, strict)
}

/// Builds the programs of tests, and what they start.
pub(crate) fn build(options: &Options) -> Result<Vec<Program>> {
    let ready = setup::ensure(&[Purpose::Test])?;
    let programs = artifacts::build_tests(&ready.toolchain, &options.package)?;
    match programs.iter().any(|program| program.test) {
        true => Ok(programs),
        false => bail!("cargo built no tests"),
    }
}

/// Examples in documentation are compiled by rustdoc, so cargo runs them. A package without a library has none.
fn doc_tests(options: &Options, ready: &Ready) -> Result<Option<(String, Outcome)>> {
    if !options.package.is_empty() {
        return Ok(None);
    }
    let mut cargo = workspace::cargo_with_bpf(&ready.toolchain);
    cargo.args(["test", "--doc", "--workspace", "--quiet", "--", "--format=pretty", "--color=never"]);
    cargo.args(&options.filter);
    let result = suite::supervise(&mut cargo, "doc-tests", options.timeout)?;
    show("doc tests", &result, options.verbose);
    Ok(Some(("doc tests".to_owned(), result)))
}

/// Says how a program of tests went; its output only if it is wanted, or if a test failed.
pub(crate) fn show(name: &str, outcome: &Outcome, verbose: bool) {
    let word = if outcome.failed() == 0 { "ok" } else { "FAILED" };
    eprintln!(
        "test: {name}: {word}: {} passed, {} failed, {} skipped in {:.1} s",
        outcome.passed,
        outcome.failed(),
        outcome.skipped.len(),
        outcome.seconds
    );
    if verbose || outcome.failed() > 0 {
        eprintln!("{}", outcome.output.trim_end());
    }
}

/// The summary. With `strict`, a test that is skipped without an allowed reason is an error.
pub(crate) fn conclude(results: &[(String, Outcome)], strict: bool) -> Result<()> {
    let mut table = Table::new(["suite", "passed", "failed", "skipped", "again", "seconds"]);
    let mut failures = Vec::new();
    let mut refused = Vec::new();
    let (mut passed, mut failed, mut skipped, mut again) = (0, 0, 0, 0);
    for (name, outcome) in results {
        let counts = [outcome.passed, outcome.failed(), outcome.skipped.len(), outcome.again.len()];
        let counts = counts.map(|count| count.to_string());
        table.row([name.clone()].into_iter().chain(counts).chain([format!("{:.1}", outcome.seconds)]));
        passed += outcome.passed;
        failed += outcome.failed();
        skipped += outcome.skipped.len();
        again += outcome.again.len();
        for test in &outcome.again {
            println!("run again: {name}: {}: {}", test.test, test.reason);
        }
        failures.extend(outcome.failures.iter().map(|failure| {
            let words = outcome.last_words(failure);
            let why =
                words.map_or_else(String::new, |words| format!("\n    {}", words.replace('\n', "\n    ")));
            format!("{name}: {failure}{why}")
        }));
        for skip in &outcome.skipped {
            let allowed = skips::allowed(skip);
            let note = allowed.map_or_else(String::new, |why| format!(" (allowed: {why})"));
            println!("skipped: {name}: {}: {}{note}", skip.test, skip.reason);
            if strict && allowed.is_none() {
                refused.push(format!("{name}: {}", skip.test));
            }
        }
    }
    print!("{table}");
    print!("{}", slowest(results));
    for failure in &failures {
        println!("failed: {failure}");
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped, {again} run again");
    if passed + failed + skipped == 0 {
        bail!("there are no tests");
    }
    if failed > 0 {
        bail!("{failed} tests failed; their output is above and below {}", suite::log_dir().display());
    }
    if !refused.is_empty() {
        bail!("{} tests were skipped that must run here: {}", refused.len(), refused.join(", "));
    }
    Ok(())
}

/// How many of the slowest tests the summary names.
const SLOWEST: usize = 10;

/// The slowest tests of all.
fn slowest(results: &[(String, Outcome)]) -> Table {
    let mut all: Vec<(f64, &str, &str)> = Vec::new();
    for (name, outcome) in results {
        all.extend(outcome.took.iter().map(|(test, seconds)| (*seconds, name.as_str(), test.as_str())));
    }
    all.sort_by(|one, other| other.0.total_cmp(&one.0));
    let mut table = Table::new(["slowest tests", "seconds", "suite"]);
    for (seconds, suite, test) in all.into_iter().take(SLOWEST) {
        table.row([test.to_owned(), format!("{seconds:.1}"), suite.to_owned()]);
    }
    table
}
