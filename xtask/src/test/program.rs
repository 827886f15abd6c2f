//! Which programs hold tests, what they are called, and which of them need root.

use crate::artifacts::Program;

/// Packages whose integration tests load programs into the kernel, and so run as root.
const PRIVILEGED: &[&str] = &["observer"];

/// The programs of tests, unprivileged ones first: a mistake in plain code shows before the kernel is troubled.
pub(super) fn of_tests(programs: &[Program]) -> Vec<&Program> {
    let mut tests: Vec<_> = programs.iter().filter(|program| program.test).collect();
    tests.sort_by_key(|program| (is_privileged(program), name(program)));
    tests
}

/// What people call it.
pub(super) fn name(program: &Program) -> String {
    match program.kind.as_str() {
        "test" => format!("{} tests/{}", program.package, program.target),
        "lib" => format!("{} library", program.package),
        kind => format!("{} {kind} {}", program.package, program.target),
    }
}

/// It loads programs into the kernel.
pub(super) fn is_privileged(program: &Program) -> bool {
    program.kind == "test" && PRIVILEGED.contains(&program.package.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::{self, tests::MESSAGES};

    #[test]
    fn privileged_ones_come_last() {
        let programs = artifacts::parse(MESSAGES).unwrap();
        let tests = of_tests(&programs);
        let summary: Vec<_> = tests.iter().map(|program| (name(program), is_privileged(program))).collect();
        let expected = [("observer library".to_owned(), false), ("observer tests/queues".to_owned(), true)];
        assert_eq!(summary, expected);
    }
}
