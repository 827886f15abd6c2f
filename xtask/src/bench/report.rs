//! The report: for machines as JSON, for people as tables, for the documentation as Markdown.

use std::fmt;

use serde::Serialize;

use super::{bpf_time::Program, figure::Figure, host::Host};
use crate::table::Table;

/// Everything that one run has shown.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The machine.
    pub(super) host: Host,
    /// The pattern that the backend ran.
    pub(super) pattern: String,
    /// Pairs of rounds.
    pub(super) pairs: u32,
    /// Length of a round in milliseconds.
    pub(super) round_ms: u64,
    /// The figures.
    pub(super) figures: Vec<Figure>,
    /// What each program of the observer's costs.
    pub(super) programs: Vec<Program>,
}

impl Report {
    fn how(&self) -> String {
        format!(
            "{} interleaved pairs of rounds of {} ms; each connection asks once and closes; pattern {}",
            self.pairs, self.round_ms, self.pattern
        )
    }

    fn figures(&self) -> Table {
        let mut table = Table::new(["figure", "median", "unit", "range", "budget", ""]);
        for figure in &self.figures {
            table.row(figure.cells());
        }
        table
    }

    fn programs(&self) -> Table {
        let mut table = Table::new(["program", "runs/connection", "ns/run", "ns/connection"]);
        for program in &self.programs {
            table.row([
                program.name.clone(),
                format!("{:.2}", program.runs_per_connection),
                format!("{:.0}", program.ns_per_run),
                format!("{:.0}", program.ns_per_connection),
            ]);
        }
        table
    }

    /// A page of documentation.
    pub(super) fn markdown(&self) -> String {
        format!(
            "# Performance\n\n\
             Written by `cargo xtask bench --write`. Machines differ, and one machine swings by a factor of two from\n\
             minute to minute: compare only figures of one run. Throughput is compared by interleaved pairs of rounds,\n\
             with the observer and without, on one machine that runs load, server and observer at once.\n\
             The screen has a page of its own, [performance-screen.md](performance-screen.md).\n\n\
             Machine: {}.\n\n{}.\n\n\
             {}\n\
             What the load was: as many short connections as the machine can make, the dearest case there is for an\n\
             observer of connections. The budget for BPF time is a share of what another tool needs in the same run;\n\
             no other tool is measured yet, so that budget is open.\n\n\
             ## What each program costs\n\n\
             From `kernel.bpf_stats_enabled`, in rounds of their own, because the statistic costs two reads of the\n\
             clock for each run; part of that is in these figures.\n\n\
             {}",
            self.host.line(),
            self.how(),
            self.figures().markdown(),
            self.programs().markdown()
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n", self.host.line(), self.how())?;
        write!(f, "{}\n{}", self.figures(), self.programs())
    }
}
