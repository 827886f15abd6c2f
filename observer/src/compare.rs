//! Patterns under the same load, side by side, and what really differs between them.
//!
//! # Layout
//! - [`plan`]: what is run, and in which order
//! - [`measure`]: one run of one pattern under one load
//! - [`outcome`]: what came out; the JSON output
//! - [`figure`]: the figures that are compared, a row each
//! - [`statistics`], [`verdict`]: what differs, and what is noise
//! - `table`, [`page`]: as text, and as a page with plots

pub mod figure;
#[cfg(test)]
mod fixture;
pub mod measure;
pub mod outcome;
pub mod page;
pub mod plan;
pub mod statistics;
mod table;
pub mod verdict;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::UNIX_EPOCH,
};

use anyhow::{Context as _, Result, ensure};

use crate::kernel::origin;
use figure::FIGURES;
use outcome::{Cell, Comparison, Repetition, VERSION};
use plan::{Plan, Run};
use verdict::Verdicts;

/// Carries a plan out. `begins` is told of each run before it begins, with its number. Once `stop` is set, no more is
/// run, and what came out is that of the complete rounds.
///
/// # Errors
/// As [`measure::repetition`]: one that fails makes the rest worthless. And when it was stopped in the first round.
pub fn run(mut plan: Plan, stop: &AtomicBool, mut begins: impl FnMut(usize, &Run)) -> Result<Comparison> {
    let mut unavailable = BTreeMap::new();
    let mut repetitions: BTreeMap<(&str, &str), Vec<Repetition>> = BTreeMap::new();
    for (number, run) in (1..).zip(plan.runs()) {
        begins(number, &run);
        let (pattern, profile) = (run.pattern.id, run.profile.name);
        let measured = measure::repetition(&plan, &run, stop);
        // A signal from the terminal reaches server and load too, so this run is spoilt, whatever became of it.
        if stop.load(Ordering::Relaxed) {
            plan.repetitions = run.round - 1;
            ensure!(plan.repetitions > 0, "interrupted before the first round was complete");
            break;
        }
        let measured = measured.with_context(|| format!("{pattern} under {profile}, round {}", run.round))?;
        unavailable.extend(measured.unavailable);
        repetitions.entry((profile, pattern)).or_default().push(measured.repetition);
    }
    for all in repetitions.values_mut() {
        all.retain(|one| one.round <= plan.repetitions);
    }
    let mut cells = Vec::new();
    for profile in &plan.profiles {
        cells.extend(plan.patterns.iter().map(|pattern| Cell {
            profile: profile.name,
            pattern: pattern.id,
            repetitions: repetitions.remove(&(profile.name, pattern.id)).unwrap_or_default(),
        }));
    }
    let baseline = plan.baseline().map_or("", |pattern| pattern.id);
    Ok(Comparison {
        version: VERSION,
        observer: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: origin::release(),
        processors: thread::available_parallelism().map_or(1, usize::from),
        taken_unix_s: UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()),
        verdicts: Verdicts::of(&cells, baseline),
        plan,
        unavailable,
        figures: FIGURES,
        cells,
    })
}
