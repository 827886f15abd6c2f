//! Labs and their runs as JSON objects, one a line.

use serde::Serialize;

use super::Verdict;
use crate::lab::Lab;

/// A run.
#[derive(Debug, Serialize)]
pub struct Run<'a> {
    lab: &'a str,
    kernel: &'a str,
    /// `passed`, `failed` or `skipped`.
    outcome: &'static str,
    /// Why it was skipped, or broke off.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    figures: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    figure: String,
    expected: String,
    /// Why the expectation is no single value.
    band: Option<&'static str>,
    /// Null where this kernel does not tell.
    seen: Option<u64>,
    from: &'static str,
    fine: bool,
}

impl<'a> Run<'a> {
    /// What is said of a run, also of one that broke off.
    pub fn new(lab: &'a Lab, kernel: &'a str, result: &anyhow::Result<Verdict>) -> Self {
        let (figures, why) = match result {
            Ok(Verdict::Ran(figures)) => (figures.as_slice(), None),
            Ok(Verdict::Skipped(why)) => (&[][..], Some(why.clone())),
            Err(error) => (&[][..], Some(format!("{error:#}"))),
        };
        let rows = figures.iter().map(|figure| Row {
            figure: figure.what.clone(),
            expected: figure.expected.to_string(),
            band: figure.expected.why(),
            seen: figure.seen,
            from: figure.from,
            fine: figure.is_fine(),
        });
        Self { lab: lab.name, kernel, outcome: outcome(result), why, figures: rows.collect() }
    }
}

/// In a word.
pub fn outcome(result: &anyhow::Result<Verdict>) -> &'static str {
    match result {
        Ok(Verdict::Skipped(_)) => "skipped",
        Ok(verdict) if verdict.is_fine() => "passed",
        _ => "failed",
    }
}
