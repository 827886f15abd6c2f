//! What a program of tests said about itself.

/// Results of one program of tests.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Outcome {
    /// Tests that ran and were content.
    pub(crate) passed: usize,
    /// Tests that ran and were not, by name; and what went wrong with the program itself.
    pub(crate) failures: Vec<String>,
    /// Tests that could not run here, or are marked `ignore`.
    pub(crate) skipped: Vec<Skip>,
    /// Tests that are not for this kernel or these hooks: another run has them.
    pub(crate) left_out: usize,
    /// Tests that failed and were run again, and why.
    pub(crate) again: Vec<Skip>,
    /// Tests that passed, with the signals that each compares with ground truth.
    pub(crate) proofs: Vec<Proof>,
    /// How long each test took, by name.
    pub(crate) took: Vec<(String, f64)>,
    /// How long it took.
    pub(crate) seconds: f64,
    /// Everything that it wrote.
    pub(crate) output: String,
}

/// What a test compares with ground truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    /// Its name.
    pub(crate) test: String,
    /// Names of signals of the probe plan; `signal=hook` for one that the test gets by a hook of its own choice.
    pub(crate) signals: Vec<String>,
}

/// A test that did not run, or not only once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skip {
    /// Its name.
    pub(crate) test: String,
    /// Why.
    pub(crate) reason: String,
}

impl Outcome {
    /// There was no test.
    pub(crate) fn is_empty(&self) -> bool {
        self.passed + self.failed() + self.skipped.len() == 0
    }

    /// How many failed.
    pub(crate) fn failed(&self) -> usize {
        self.failures.len()
    }

    /// What a test that failed said last: its panic, of which a long one is cut.
    pub(crate) fn last_words(&self, test: &str) -> Option<String> {
        let (_, section) = self.output.split_once(&format!("---- {test} stdout ----\n"))?;
        let end =
            ["\n---- ", "\nfailures:\n", "\nsuccesses:\n"].iter().filter_map(|mark| section.find(mark)).min();
        let section = section.get(..end.unwrap_or(section.len()))?;
        let panic = section.get(section.find("panicked at ")?..)?;
        let cut: String = panic.trim_end().chars().take(LAST_WORDS).collect();
        Some(cut)
    }
}

/// Characters of a panic that the summary shows.
const LAST_WORDS: usize = 1500;

/// How a program of tests is to write. With its output, since a test says that it was skipped on one that libtest keeps
/// to itself otherwise; and with times.
pub(crate) const ARGUMENTS: [&str; 5] =
    ["--show-output", "--format=pretty", "--color=never", "-Zunstable-options", "--report-time"];
/// The variable that has a stable libtest take the last two of [`ARGUMENTS`]: nothing else tells how long a test took.
pub(crate) const TIMED: &str = "RUSTC_BOOTSTRAP";

/// Reads the lines of a program of tests, or of several in a row, as doc tests are.
///
/// A test that says it was skipped, or left out, counts as passed in libtest's own account, because it returned; here it
/// does not. `succeeded` is the program's exit status: a program that fails without naming a failed test has crashed.
pub(crate) fn read(output: &str, succeeded: bool) -> Outcome {
    let mut outcome = Outcome { output: output.to_owned(), ..Outcome::default() };
    let mut finished = false;
    let mut started = 0;
    let mut begun = None;
    for line in output.lines() {
        if let Some(rest) = line.strip_prefix("running ").filter(|rest| rest.contains(" test")) {
            started += rest.split(' ').next().and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
        } else if let Some(skip) = said(line, "SKIPPED: ") {
            // A loop may say it more than once.
            if !outcome.skipped.iter().any(|other| other.test == skip.test) {
                outcome.skipped.push(skip);
                outcome.passed = outcome.passed.saturating_sub(1);
            }
        } else if said(line, "LEFT OUT: ").is_some() {
            outcome.left_out += 1;
            outcome.passed = outcome.passed.saturating_sub(1);
        } else if let Some(again) = said(line, "AGAIN: ") {
            outcome.again.push(again);
        } else if let Some(proof) = said(line, "PROVES: ") {
            let signals = proof.reason.split_whitespace().map(str::to_owned).collect();
            outcome.proofs.push(Proof { test: proof.test, signals });
        } else if let Some((name, verdict, seconds)) = verdict(line).or_else(|| late_verdict(begun?, line)) {
            begun = None;
            outcome.took.extend(seconds.map(|seconds| (name.to_owned(), seconds)));
            match verdict {
                "ok" => outcome.passed += 1,
                "FAILED" => outcome.failures.push(name.to_owned()),
                ignored => {
                    let reason =
                        ignored.strip_prefix("ignored, ").unwrap_or("marked `ignore`, with no reason");
                    outcome.skipped.push(Skip { test: name.to_owned(), reason: reason.to_owned() });
                }
            }
        } else if line.starts_with("test result: ") {
            finished = true;
        } else if let Some((name, _)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
            // One at a time, libtest says the name first; what a child of the test says stands between.
            begun = Some(name);
        }
    }
    let known = outcome.passed + outcome.failed() + outcome.skipped.len() + outcome.left_out;
    if !succeeded && outcome.failures.is_empty() {
        outcome.failures.push("the program ended with an error, though no test of its failed".to_owned());
    } else if !finished {
        outcome.failures.push("the program ended before its tests did".to_owned());
    } else if known < started {
        outcome.failures.push(format!("{started} tests began, and only {known} said how they ended"));
    }
    let (failures, skipped) = (&outcome.failures, &outcome.skipped);
    outcome.proofs.retain(|proof| {
        !failures.contains(&proof.test) && !skipped.iter().any(|skip| skip.test == proof.test)
    });
    outcome
}

/// `PREFIX: test: reason`, as tests say things about themselves.
fn said(line: &str, prefix: &str) -> Option<Skip> {
    let rest = line.strip_prefix(prefix)?;
    let (test, reason) = rest.split_once(": ").unwrap_or((rest, "it does not say why"));
    Some(Skip { test: test.to_owned(), reason: reason.to_owned() })
}

/// `test a::b ... ok <0.123s>`, also with `- should panic` or a place after the name, and without the time; `None` for
/// any other line.
fn verdict(line: &str) -> Option<(&str, &str, Option<f64>)> {
    let (name, verdict) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    late_verdict(name, verdict)
}

/// `ok <0.123s>` of the test whose name stands on a line before.
fn late_verdict<'a>(name: &'a str, verdict: &'a str) -> Option<(&'a str, &'a str, Option<f64>)> {
    let timed = || {
        let (verdict, time) = verdict.strip_suffix("s>")?.rsplit_once(" <")?;
        Some((verdict, time.parse().ok()?))
    };
    let (verdict, seconds) = timed().map_or((verdict, None), |(verdict, seconds)| (verdict, Some(seconds)));
    let known = matches!(verdict, "ok" | "FAILED" | "ignored") || verdict.starts_with("ignored, ");
    known.then_some((name, verdict, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = "
running 5 tests
test a ... ok
test b::c - should panic ... ok
test d ... ignored, needs a flood
test e ... FAILED
test f ... ok

successes:

---- f stdout ----
SKIPPED: f: no BTF here: none
SKIPPED: f: no BTF here: none

failures:
    e

test result: FAILED. 3 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn what_is_left_out_is_neither_passed_nor_skipped() {
        let text = "running 3 tests\ntest a ... ok <0.001s>\ntest b ... ok <1.500s>\ntest c ... FAILED <0.100s>\n\
                    LEFT OUT: a: its signals are as before\nPROVES: b: accept read\nPROVES: c: accept\n\
                    AGAIN: b: the kernel left out runs of programs\ntest result: FAILED.\n";
        let outcome = read(text, false);
        assert_eq!((outcome.passed, outcome.failed(), outcome.left_out), (1, 1, 1));
        let signals = vec!["accept".to_owned(), "read".to_owned()];
        assert_eq!(outcome.proofs, [Proof { test: "b".to_owned(), signals }]);
        assert_eq!(outcome.again, [skip("b", "the kernel left out runs of programs")]);
        let took = [("a", 0.001), ("b", 1.5), ("c", 0.1)];
        assert_eq!(outcome.took, took.map(|(name, seconds)| (name.to_owned(), seconds)));
    }

    fn skip(test: &str, reason: &str) -> Skip {
        Skip { test: test.into(), reason: reason.into() }
    }

    #[test]
    fn skipped_is_not_passed() {
        let outcome = read(MIXED, false);
        assert_eq!(outcome.passed, 2);
        assert_eq!(outcome.failures, ["e"]);
        assert_eq!(outcome.skipped, [skip("d", "needs a flood"), skip("f", "no BTF here: none")]);
    }

    #[test]
    fn the_last_words_of_a_test_are_its_panic() {
        let text = "---- e stdout ----\nmuch\n\nthread 'e' panicked at src/e.rs:1:2:\nleft: 1\n\n---- f stdout ----\nno\n";
        let outcome = read(text, false);
        assert_eq!(outcome.last_words("e").as_deref(), Some("panicked at src/e.rs:1:2:\nleft: 1"));
        assert_eq!(outcome.last_words("f"), None);
        assert_eq!(read(MIXED, false).last_words("e"), None);
    }

    #[test]
    fn a_crash_is_a_failure() {
        let outcome = read("\nrunning 2 tests\ntest a ... ok\n", false);
        assert_eq!(outcome.failures, ["the program ended with an error, though no test of its failed"]);
        let outcome = read("", true);
        assert_eq!(outcome.failures, ["the program ended before its tests did"]);
    }

    #[test]
    fn a_test_without_a_verdict_is_a_failure() {
        let text = "running 2 tests\ntest a ... ok\nx test b ... ok\ntest result: ok. 2 passed\n";
        assert_eq!(read(text, true).failures, ["2 tests began, and only 1 said how they ended"]);
    }

    #[test]
    fn what_children_say_stands_between_a_name_and_its_verdict() {
        let text = "running 3 tests\ntest a ... worker: it has panicked\nand is gone\nok <2.032s>\n\
                    test b ... ok <0.100s>\nok\ntest c ... worker: gone\nFAILED <1.000s>\ntest result: FAILED.\n";
        let outcome = read(text, false);
        assert_eq!((outcome.passed, &*outcome.failures), (2, &["c".to_owned()][..]));
        assert_eq!(outcome.took.len(), 3);
    }

    #[test]
    fn results_of_several_libraries_add_up() {
        let text = "running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed\n".repeat(2);
        let outcome = read(&text, true);
        assert_eq!((outcome.passed, outcome.failed()), (2, 0));
    }
}
