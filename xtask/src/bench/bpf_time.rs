//! Nanoseconds that the kernel spent in the observer's programs, per connection.
//!
//! The kernel counts them while `kernel.bpf_stats_enabled` is on, which itself costs two reads of the clock a run;
//! so these rounds are not those that compare throughput.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::Value;

use super::{round::Bench, sysctl::Sysctl};

/// What several rounds have shown.
#[derive(Debug)]
pub(super) struct BpfTime {
    /// Of each round.
    pub(super) ns_per_connection: Vec<f64>,
    /// Of the last round, the most expensive first.
    pub(super) programs: Vec<Program>,
}

/// One program's part.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Program {
    /// Its name.
    pub(super) name: String,
    /// How often it ran for one connection.
    pub(super) runs_per_connection: f64,
    /// How long a run took.
    pub(super) ns_per_run: f64,
    /// How long all its runs for one connection took.
    pub(super) ns_per_connection: f64,
}

/// Runs so often and so long: name → totals.
type Totals = BTreeMap<String, (u64, u64)>;

/// Runs rounds with the kernel's statistics on.
pub(super) fn measure(bench: &mut Bench, rounds: usize) -> Result<BpfTime> {
    let _statistics = Sysctl::set("kernel.bpf_stats_enabled", "1")?;
    let mut measured = BpfTime { ns_per_connection: Vec::new(), programs: Vec::new() };
    for _ in 0..rounds {
        // It ends by itself with its last lines, some time after the load.
        let duration = format!("{}ms", bench.milliseconds + 1500);
        let mut stream = bench.observe(&["--only", "probe", "--duration", &duration])?;
        let (connections, _) = bench.load()?;
        let mut totals = Totals::new();
        while let Some(line) = stream.next(Duration::from_secs(60), &bench.interrupt)? {
            take(&mut totals, &line);
        }
        stream.finish(&bench.interrupt)?;
        measured.programs = programs(&totals, connections);
        if measured.programs.is_empty() {
            bail!("`observer stream` wrote no `probe` line with the time that its programs ran");
        }
        measured
            .ns_per_connection
            .push(measured.programs.iter().map(|program| program.ns_per_connection).sum());
    }
    Ok(measured)
}

/// Keeps the last totals of each program. They begin at zero, because the programs were loaded for this stream; what
/// other connections of the machine cost before the load is counted too, and is little.
fn take(totals: &mut Totals, line: &Value) {
    let field = |name: &str| line[name].as_u64();
    if let (Some(name), Some(runs), Some(ns)) =
        (line["program"].as_str(), field("runs"), field("run_time_ns"))
    {
        totals.insert(name.to_owned(), (runs, ns));
    }
}

fn programs(totals: &Totals, connections: f64) -> Vec<Program> {
    let ran = totals.iter().filter(|(_, (runs, _))| *runs > 0);
    let mut programs: Vec<_> = ran
        .map(|(name, (runs, ns))| Program {
            name: name.clone(),
            runs_per_connection: *runs as f64 / connections,
            ns_per_run: *ns as f64 / *runs as f64,
            ns_per_connection: *ns as f64 / connections,
        })
        .collect();
    programs.sort_by(|a, b| b.ns_per_connection.total_cmp(&a.ns_per_connection));
    programs
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_totals_count() {
        let mut totals = Totals::new();
        for line in [
            json!({"type": "probe", "program": "accept", "runs": 10, "run_time_ns": 1000}),
            json!({"type": "probe", "program": "accept", "runs": 20, "run_time_ns": 3000}),
            json!({"type": "probe", "program": "read", "runs": 40, "run_time_ns": 8000}),
            json!({"type": "probe", "program": "off", "runs": null, "run_time_ns": null}),
        ] {
            take(&mut totals, &line);
        }
        let found = programs(&totals, 10.0);
        let summary: Vec<_> =
            found.iter().map(|p| (p.name.as_str(), p.runs_per_connection, p.ns_per_run)).collect();
        assert_eq!(summary, [("read", 4.0, 200.0), ("accept", 2.0, 150.0)]);
        assert_eq!(found[0].ns_per_connection, 800.0);
    }
}
