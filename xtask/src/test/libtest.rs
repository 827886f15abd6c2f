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
    /// How long it took.
    pub(crate) seconds: f64,
    /// Everything that it wrote.
    pub(crate) output: String,
}

/// A test that did not run.
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

/// Reads the lines of a program of tests, or of several in a row, as doc tests are.
///
/// A test that says it was skipped counts as passed in libtest's own account, because it returned; here it does not.
/// `succeeded` is the program's exit status: a program that fails without naming a failed test has crashed.
pub(crate) fn read(output: &str, succeeded: bool) -> Outcome {
    let mut outcome = Outcome { output: output.to_owned(), ..Outcome::default() };
    let mut finished = false;
    let mut started = 0;
    for line in output.lines() {
        if let Some(rest) = line.strip_prefix("running ").filter(|rest| rest.contains(" test")) {
            started += rest.split(' ').next().and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
        } else if let Some(rest) = line.strip_prefix("SKIPPED: ") {
            let (test, reason) = rest.split_once(": ").unwrap_or((rest, "it does not say why"));
            // A loop may say it more than once.
            if !outcome.skipped.iter().any(|skip| skip.test == test) {
                outcome.skipped.push(Skip { test: test.to_owned(), reason: reason.to_owned() });
                outcome.passed = outcome.passed.saturating_sub(1);
            }
        } else if let Some((name, verdict)) = verdict(line) {
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
        }
    }
    let known = outcome.passed + outcome.failed() + outcome.skipped.len();
    if !succeeded && outcome.failures.is_empty() {
        outcome.failures.push("the program ended with an error, though no test of its failed".to_owned());
    } else if !finished {
        outcome.failures.push("the program ended before its tests did".to_owned());
    } else if known < started {
        outcome.failures.push(format!("{started} tests began, and only {known} said how they ended"));
    }
    outcome
}

/// `test a::b ... ok`, also with `- should panic` or a place after the name; None for any other line.
fn verdict(line: &str) -> Option<(&str, &str)> {
    let (name, verdict) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let known = matches!(verdict, "ok" | "FAILED" | "ignored") || verdict.starts_with("ignored, ");
    known.then_some((name, verdict))
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
    fn results_of_several_libraries_add_up() {
        let text = "running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed\n".repeat(2);
        let outcome = read(&text, true);
        assert_eq!((outcome.passed, outcome.failed()), (2, 0));
    }
}
