//! Reasons for which a test may be skipped even where none should be.

use super::libtest::Skip;

/// Part of a reason, and why it is no defect of the machine that runs the tests. Keep it short: every row is a thing
/// that is not proven there.
const ALLOWED: &[(&str, &str)] = &[
    ("runs only as the child of another test", "the test that starts it runs"),
    (
        "cannot see",
        "the hook that was asked for says so itself; the signal's other hooks see it, and are tested",
    ),
];

/// Why this one may be skipped, if it may.
pub(super) fn allowed(skip: &Skip) -> Option<&'static str> {
    ALLOWED.iter().find(|(part, _)| skip.reason.contains(part)).map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_reasons_pass() {
        let skip = |reason: &str| Skip { test: "t".into(), reason: reason.into() };
        assert_eq!(allowed(&skip("not root")), None);
        assert!(allowed(&skip("runs only as the child of another test")).is_some());
    }
}
