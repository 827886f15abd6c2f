//! `observer doctor`: what this kernel gives.

use std::{collections::BTreeMap, io::Write};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::{
    kernel::{choice::Outcome, plan::Hook},
    model::{diagnosis::RULES, snapshot::Meta},
};

/// The report.
#[derive(Serialize)]
pub struct Report<'a> {
    /// Kernel release.
    pub kernel: &'a str,
    /// Version of observer.
    pub version: &'a str,
    /// One for each signal of the plan.
    pub signals: Vec<Row>,
    /// One for each rule.
    pub diagnoses: Vec<RuleRow>,
}

/// Whether a rule can tell here.
#[derive(Serialize)]
pub struct RuleRow {
    /// Name of the rule.
    pub rule: &'static str,
    /// What it finds.
    pub what: &'static str,
    /// Why it cannot tell; null when it can.
    pub cannot_tell: Option<String>,
}

/// What became of one signal.
#[derive(Serialize)]
pub struct Row {
    /// Name of the signal.
    pub signal: &'static str,
    /// What it tells.
    pub what: &'static str,
    /// The hook in use; null when there is none.
    pub hook: Option<&'static str>,
    /// What that hook cannot see, or what is unknown without one.
    pub blind: Option<&'static str>,
    /// Whether the hook fired in the self-test; null without one, and when what it needs is switched off here.
    pub fired: Option<bool>,
    /// Hooks that were tried before, with reason and remedy.
    pub refused: Vec<RefusedRow>,
    /// All its hooks, the best first.
    pub hooks: Vec<HookRow>,
}

/// One hook of a signal.
#[derive(Serialize)]
pub struct HookRow {
    /// Name of the hook.
    pub hook: &'static str,
    /// `in_use`, `refused`, or `untried`: a better one works.
    pub state: &'static str,
    /// Why it was refused.
    pub reason: Option<String>,
}

/// A hook that does not work here.
#[derive(Serialize)]
pub struct RefusedRow {
    /// Name of the hook.
    pub hook: &'static str,
    /// Why.
    pub reason: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Makes the report; `fired` says of which signals a self-test has shown that they fire, or that they do not.
pub fn report<'a>(meta: &'a Meta, outcomes: &[Outcome], fired: Option<&BTreeMap<&str, bool>>) -> Report<'a> {
    let signals = outcomes
        .iter()
        .map(|outcome| Row {
            signal: outcome.signal.name,
            what: outcome.signal.what,
            hook: outcome.hook.map(|hook| hook.name),
            blind: outcome.hook.map_or(Some(outcome.signal.without), |hook| hook.blind),
            fired: fired.and_then(|fired| fired.get(outcome.signal.name).copied()),
            refused: outcome
                .refused
                .iter()
                .map(|(hook, refusal)| RefusedRow {
                    hook: hook.name,
                    reason: refusal.to_string(),
                    remedy: refusal.remedy(),
                })
                .collect(),
            hooks: outcome.signal.hooks.iter().map(|hook| hook_row(outcome, hook)).collect(),
        })
        .collect();
    let diagnoses = RULES
        .iter()
        .map(|rule| RuleRow { rule: rule.name, what: rule.what, cannot_tell: rule.cannot_tell(meta) })
        .collect();
    Report { kernel: &meta.kernel, version: env!("CARGO_PKG_VERSION"), signals, diagnoses }
}

fn hook_row(outcome: &Outcome, hook: &Hook) -> HookRow {
    let refusal = outcome.refused.iter().find(|(refused, _)| refused.name == hook.name);
    let state = match (outcome.hook.is_some_and(|used| used.name == hook.name), refusal) {
        (true, _) => "in_use",
        (false, Some(_)) => "refused",
        (false, None) => "untried",
    };
    HookRow { hook: hook.name, state, reason: refusal.map(|(_, refusal)| refusal.to_string()) }
}

/// Writes the report as a table for people, or as JSON.
pub fn write(out: &mut impl Write, report: &Report<'_>, json: bool) -> Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, report).map_err(std::io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    table(out, report).context("cannot write to stdout")
}

fn table(out: &mut impl Write, report: &Report<'_>) -> std::io::Result<()> {
    writeln!(out, "observer {} on Linux {}\n", report.version, report.kernel)?;
    let width = |cells: &mut dyn Iterator<Item = usize>| cells.max().unwrap_or(0);
    let signals = width(&mut report.signals.iter().map(|row| row.signal.len()));
    let hooks = width(&mut report.signals.iter().map(|row| row.hook.unwrap_or(UNAVAILABLE).len()));
    let tested = report.signals.iter().any(|row| row.fired.is_some());
    let head = if tested { "PROVED  " } else { "" };
    writeln!(out, "{:<signals$}  {:<hooks$}  {head}CANNOT SEE", "SIGNAL", "HOOK")?;
    for row in &report.signals {
        let proof = match row.fired {
            Some(true) => "fired   ",
            Some(false) => "SILENT  ",
            None if tested && row.hook.is_some() => "off     ",
            None if tested => "-       ",
            None => "",
        };
        let hook = row.hook.unwrap_or(UNAVAILABLE);
        writeln!(out, "{:<signals$}  {hook:<hooks$}  {proof}{}", row.signal, row.blind.unwrap_or("-"))?;
        for refused in &row.refused {
            writeln!(out, "{:signals$}    not {}: {}", "", refused.hook, refused.reason)?;
            writeln!(out, "{:signals$}    do: {}", "", refused.remedy)?;
        }
    }
    let blind = || report.diagnoses.iter().filter_map(|row| Some((row.rule, row.cannot_tell.as_ref()?)));
    let all = report.diagnoses.len();
    writeln!(out, "\nDIAGNOSES: {} of {all} rules can tell here", all - blind().count())?;
    for (rule, reason) in blind() {
        writeln!(out, "  {rule}: cannot tell: {reason}")?;
    }
    Ok(())
}

const UNAVAILABLE: &str = "UNAVAILABLE";

/// What can be told where no program could be loaded.
///
/// # Errors
/// It cannot be written.
pub fn write_ground(out: &mut impl Write, kernel: &str, seen: &[(&str, String)]) -> Result<()> {
    let lines: String = seen.iter().map(|(what, found)| format!("{what:<10}{found}\n")).collect();
    let text = format!(
        "observer {} on Linux {kernel}\n\n{lines}\nWhich hooks this kernel takes shows only when programs are loaded.\n",
        env!("CARGO_PKG_VERSION")
    );
    out.write_all(text.as_bytes()).context("cannot write to stdout")
}
