//! A closed loop measures a pause once, however many users would have felt it.

use anyhow::Result;
use demo_server::{
    load::{Overrides, Report},
    settings::Settings,
};

use super::Lab;
use crate::{
    arena::watch::listeners,
    trial::{
        Trial,
        figure::{LOAD, OBSERVER},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "coordinated-omission",
    title: "a benchmark that waits for its answers does not see the pause that everybody else feels",
    question: "A server stops for one second out of three. What is the 90th percentile of the latency, measured by one \
               client that asks, waits and asks again, and by clients that come 50 times a second whatever happens?",
    setup: "demo-server with one thread stops for a second (the fault `stall`) while a load of three seconds runs: \
            once a closed loop of one client, once an open loop of 50 requests per second.",
    why: "The client of a closed loop is stopped together with the server: of its thousands of requests one was slow, \
          and the percentiles show none of it. In an open loop requests become due during the pause as well, wait in \
          the accept queue, and a third of all are slow: their time counts from when they were due. The accept queue \
          is the witness: it grows by the rate times the pause, whatever the load generator says.",
    next: "Ask of any benchmark whether it is open or closed. `demo-server load` prints both times, from the actual \
           send and from when it was due, and what it had to drop.",
    needs: &["listener", "queue_depth", "enqueue", "accept"],
    run,
};

const STALL_MS: u64 = 1000;
const MS: u64 = 1_000_000;

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let closed = Overrides { connections: Some(1), ..Overrides::default() };
    let (report, _) = measure(trial, "keepalive", closed)?;
    let slow = "the one request that met the pause";
    trial.at_least("closed loop: longest, ms", STALL_MS / 2, slow, report.service_ns.max / MS, LOAD);
    let quick = "hardly any request met the pause; a fifth of the pause is room for a slow machine";
    trial.within(
        "closed loop: 90th percentile, ms",
        0..=STALL_MS / 5,
        quick,
        report.service_ns.p90 / MS,
        LOAD,
    );

    let open = Overrides { rate: Some(50.0), ..Overrides::default() };
    let (report, peak) = measure(trial, "steady", open)?;
    let third = "a third of the requests were due in the pause, and the last tenth of them waited longest";
    trial.at_least("open loop: 90th percentile, ms", STALL_MS / 2, third, report.response_ns.p90 / MS, LOAD);
    let rate = "50 per second for a second; the machine decides how exactly";
    trial.within("open loop: longest accept queue", 25..=100, rate, peak, OBSERVER);
    Ok(())
}

/// The load's report, and the longest that the accept queue was.
fn measure(trial: &mut Trial<'_>, profile: &str, parameters: Overrides) -> Result<(Report, u64)> {
    let mut backend = trial.arena.serve("single-thread", &Settings { workers: 1, ..Settings::default() })?;
    let here = backend.address().port();
    let parameters = Overrides { duration: Some("3s".into()), ..parameters };
    let load = trial.arena.load(backend.address(), profile, &parameters)?;
    trial.watch.wait_for("the load to begin", |snapshot| {
        Ok(listeners(snapshot, here).any(|listener| listener.accepted > 0))
    })?;
    backend.fault("stall", true, None, Some(STALL_MS))?;
    let mut peak = 0;
    let mut looked_ns = trial.watch.look()?.time_ns;
    let report = trial.run_load(load, |snapshot| {
        let peaks = listeners(snapshot, here).filter_map(|listener| listener.peaks.since(looked_ns));
        peak = peak.max(peaks.max().unwrap_or(0));
        looked_ns = snapshot.time_ns;
    })?;
    Ok((report, peak.into()))
}
