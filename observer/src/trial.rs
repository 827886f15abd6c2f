//! One run of a lab: the arena, the observation of it, and the figures that come out, each beside what was expected.
//!
//! # Layout
//! - [`figure`]: a figure with its expectation
//! - [`text`], [`json`]: how a run is shown

pub mod figure;
pub mod json;
pub mod text;

use std::{fmt, ops::RangeInclusive, time::Instant};

use anyhow::{Context as _, Result};
use demo_server::load::Report;

use crate::{
    arena::{
        self, Arena,
        backend::Load,
        counters::Counters,
        watch::{self, Watch},
    },
    kernel::plan,
    lab::Lab,
    model::snapshot::{Listener, Snapshot},
};
use figure::{Expected, Figure};

/// What a lab has at hand while it runs.
pub struct Trial<'a> {
    /// Where it runs.
    pub arena: &'a Arena,
    /// What the observer sees of it.
    pub watch: Watch,
    figures: Vec<Figure>,
}

/// What became of a run.
#[derive(Debug)]
pub enum Verdict {
    /// It ran, and these came out; it has passed if each is as expected.
    Ran(Vec<Figure>),
    /// It cannot run here, and why.
    Skipped(String),
}

impl Verdict {
    /// Whether no figure is outside its expectation.
    pub fn is_fine(&self) -> bool {
        match self {
            Self::Ran(figures) => figures.iter().all(Figure::is_fine),
            Self::Skipped(_) => true,
        }
    }
}

/// Why a lab cannot run here, as an error that a lab returns.
#[derive(Debug)]
pub struct CannotRun(pub String);

impl fmt::Display for CannotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CannotRun {}

/// Runs a lab in an arena of its own.
///
/// # Errors
/// What keeps it from being run to its end, other than that this machine lacks something that only this lab needs.
pub fn run(lab: &Lab, patience: std::time::Duration) -> Result<Verdict> {
    let ran = arena::run(patience, |arena| {
        let watch = Watch::start(arena)?;
        for signal in lab.needs {
            if watch.meta().signals.get(*signal).is_none_or(Option::is_none) {
                let without = plan::signal(signal).map_or("", |signal| signal.without);
                return Err(CannotRun(format!("this kernel gives no signal `{signal}`: {without}")).into());
            }
        }
        let mut trial = Trial { arena, watch, figures: Vec::new() };
        (lab.run)(&mut trial)?;
        Ok(trial.figures)
    });
    match ran {
        Ok(figures) => Ok(Verdict::Ran(figures)),
        Err(error) => match error.downcast::<CannotRun>() {
            Ok(CannotRun(why)) => Ok(Verdict::Skipped(why)),
            Err(error) => Err(error),
        },
    }
}

impl Trial<'_> {
    /// Notes a figure that the kernel makes exact.
    pub fn exactly(
        &mut self,
        what: impl Into<String>,
        expected: u64,
        seen: impl Into<Option<u64>>,
        from: &'static str,
    ) {
        self.note(what, Expected::Exactly(expected), seen, from);
    }

    /// Notes a figure that lies in a band, and why it is no single value.
    pub fn within(
        &mut self,
        what: impl Into<String>,
        expected: RangeInclusive<u64>,
        why: &'static str,
        seen: impl Into<Option<u64>>,
        from: &'static str,
    ) {
        self.note(what, Expected::Within(expected, why), seen, from);
    }

    /// Notes a figure that has no upper bound, and why.
    pub fn at_least(
        &mut self,
        what: impl Into<String>,
        expected: u64,
        why: &'static str,
        seen: impl Into<Option<u64>>,
        from: &'static str,
    ) {
        self.note(what, Expected::AtLeast(expected, why), seen, from);
    }

    fn note(
        &mut self,
        what: impl Into<String>,
        expected: Expected,
        seen: impl Into<Option<u64>>,
        from: &'static str,
    ) {
        self.figures.push(Figure { what: what.into(), expected, seen: seen.into(), from });
    }

    /// The kernel's counters now, from which the observer's books on new listeners begin as well.
    pub fn begin(&mut self) -> Result<Counters> {
        self.watch.look()?;
        self.arena.counters()
    }

    /// Runs a load to its end, looks at what happens meanwhile, and returns what the load reports.
    pub fn run_load(&mut self, mut load: Load, mut look: impl FnMut(&Snapshot)) -> Result<Report> {
        let mut report = None;
        self.watch.wait_for("the load to end", |snapshot| {
            look(snapshot);
            report = load.poll()?;
            Ok(report.is_some())
        })?;
        report.context("the load has made no report")
    }

    /// What the observer knows of the one listener on a port now.
    pub fn listener(&mut self, port: u16) -> Result<Listener> {
        let snapshot = self.watch.look()?;
        let found = watch::listeners(&snapshot, port).next().cloned();
        found.with_context(|| format!("the observer does not show the listener on port {port}"))
    }

    /// The kernel's counters since an earlier reading, once they are as they should be; after long enough as they
    /// are, so that the figure shows what is wrong.
    pub fn settled(&self, before: &Counters, is_so: impl Fn(&Counters) -> bool) -> Result<Counters> {
        let deadline = Instant::now() + self.arena.patience();
        loop {
            let counted = self.arena.counted_since(before)?;
            if is_so(&counted) || Instant::now() > deadline {
                return Ok(counted);
            }
            std::thread::sleep(arena::LOOK);
        }
    }
}
