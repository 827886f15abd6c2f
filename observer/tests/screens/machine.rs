//! The machine on which the scenes play: a kernel that gives every signal and loses nothing.

use observer::kernel::plan::{SIGNALS, Signal};
use observer::model::snapshot::{Loss, Meta, ProbeCost};

pub(crate) fn meta() -> Meta {
    let best =
        |signal: &Signal| (signal.name.to_owned(), signal.hooks.first().map(|hook| hook.name.to_owned()));
    Meta {
        schema: 1,
        version: "0.1.0".to_owned(),
        kernel: "6.18.0".to_owned(),
        boot_time_unix_ns: 1_700_000_000_000_000_000,
        signals: SIGNALS.iter().map(best).collect(),
        quantile_error: 0.0625,
        ..Meta::default()
    }
}

pub(crate) fn loss() -> Loss {
    let names = ["connections_full", "ring_full", "threads_full"];
    Loss { counters: names.iter().map(|name| ((*name).to_owned(), 0)).collect(), ..Loss::default() }
}

pub(crate) fn probes() -> Vec<ProbeCost> {
    [("accept", 120_000_u64, 210_u64), ("accept_queue", 120_000, 180), ("read", 121_000, 320)]
        .into_iter()
        .map(|(program, runs, each)| ProbeCost {
            program: program.to_owned(),
            runs: Some(runs),
            run_time_ns: Some(runs * each),
            recursion_misses: 0,
        })
        .collect()
}
