//! A comparison out of thin air, for tests of what is made of it.

use std::{collections::BTreeMap, time::Duration};

use demo_server::{
    load::{Mode, Overrides, Quantiles, Report, profile},
    pattern,
    settings::Settings,
};

use super::{
    figure::FIGURES,
    outcome::{Cell, Comparison, Depth, Distribution, Kernel, Repetition, VERSION, Worker},
    plan::Plan,
    verdict::Verdicts,
};
use crate::model::histogram::Histogram;

/// One thread against sharding under one load. The accept waits are apart, the rates are not, nobody knows the
/// processor time, and a thread has a name that is markup.
pub(super) fn comparison(repetitions: u32) -> Comparison {
    let cell = |pattern, one: fn(u32) -> Repetition| Cell {
        profile: "steady",
        pattern,
        repetitions: (1..=repetitions).map(one).collect(),
    };
    let cells = vec![cell("single-thread", alone), cell("sharding", sharded)];
    let plan = Plan {
        patterns: ["single-thread", "sharding"].map(|id| pattern::find(id).unwrap()).into(),
        profiles: vec![profile::expect("steady").unwrap()],
        repetitions,
        duration: Duration::from_secs(3),
        settings: Settings::default(),
        overrides: Overrides::default(),
    };
    Comparison {
        version: VERSION,
        observer: "0.0.0".into(),
        kernel: "6.18.0-test".into(),
        processors: 2,
        taken_unix_s: 951_782_400,
        verdicts: Verdicts::of(&cells, "single-thread"),
        plan,
        figures: FIGURES,
        unavailable: BTreeMap::from([("drop".into(), "no hook <works> here".into())]),
        cells,
    }
}

fn alone(round: u32) -> Repetition {
    let worker = |comm: &str, accepts| Worker {
        comm: comm.into(),
        threads: 1,
        accepts,
        reads: accepts,
        writes: accepts,
    };
    let kernel = Kernel {
        listeners: 1,
        workers: vec![worker("<main>-0", 997)],
        wakeups: Some(997),
        ..kernel(round, 50_000_000)
    };
    repetition(round, kernel, 700.0)
}

fn sharded(round: u32) -> Repetition {
    let worker = |(number, accepts): (u32, u64)| Worker {
        comm: format!("shard-{number}"),
        threads: 1,
        accepts,
        reads: accepts,
        writes: accepts,
    };
    let shares = [(0, 250), (1, 263), (2, 232), (3, 252)];
    let kernel = Kernel {
        listeners: 4,
        workers: shares.map(worker).into(),
        wakeups: Some(1009),
        ..kernel(round, 40_000)
    };
    repetition(round, kernel, 699.5)
}

fn repetition(round: u32, kernel: Kernel, rate: f64) -> Repetition {
    let times =
        Quantiles { count: 997, p50: 1_000_000, p90: 2_000_000, p99: 9_000_000, ..Quantiles::default() };
    let client = Report {
        profile: "steady".into(),
        mode: Mode::Open,
        target: "127.0.0.1:1".into(),
        wanted_rate: Some(700.0),
        achieved_rate: rate + f64::from(round % 4),
        elapsed_s: 3.0,
        connections_opened: 997,
        connections_established: 997,
        requests_sent: 997,
        responses: 997,
        bytes_sent: 1,
        bytes_received: 1,
        dropped: 0,
        aborted: 0,
        errors: BTreeMap::new(),
        connect_ns: times,
        first_byte_ns: times,
        service_ns: times,
        response_ns: Quantiles { p999: 10_000_000, max: 12_000_000, ..times },
        cpu_share: 0.2,
        warnings: vec!["the generator was <busy>".into()],
    };
    Repetition { round, place: 1, client, kernel, server_cpu_ns: None, figures: BTreeMap::new() }.figured()
}

fn kernel(round: u32, wait: u64) -> Kernel {
    let wait = |times: u64| Distribution::from(&histogram(wait * times + u64::from(round) * 128));
    let depth = |tick: u32| Depth { time_ms: u64::from(tick) * 100, peak: tick % 7 + round };
    Kernel {
        backlog_limit: 128,
        enqueued: 997,
        accepted: 997,
        accept_queue_peak: 7 + round,
        accept_wait_ns: wait(1),
        first_read_wait_ns: wait(2),
        queue: (1..=30).map(depth).collect(),
        checks: 5,
        ..Kernel::default()
    }
}

/// Durations around one.
fn histogram(middle: u64) -> Histogram {
    let mut histogram = Histogram::default();
    for part in 1..=20 {
        let ns = middle * part / 10;
        histogram.add(observer_ebpf::histogram::bucket(ns), 50 - part);
        histogram.raise_longest(ns);
    }
    histogram
}
