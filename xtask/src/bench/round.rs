//! One round: connections as fast as they go, with the observer or without.

use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{
    figure::{self, Figure},
    process,
};
use crate::{
    artifacts::Release, backend::Backend, exec, interrupt::Interrupt, privilege::Privilege, stream::Stream,
};

/// The lines of a stream that does not write every connection: what a screen or a scrape shows.
pub(super) const AGGREGATES: &[&str] = &["--only", "listener,thread,drop,ledger,loss"];

/// What rounds are run with.
pub(super) struct Bench {
    /// The programs.
    pub(super) release: Release,
    /// How the observer runs as root.
    pub(super) privilege: Privilege,
    /// The backend.
    pub(super) backend: Backend,
    /// Length of a round.
    pub(super) milliseconds: u64,
    /// Tells when to stop.
    pub(super) interrupt: Interrupt,
}

/// What a round with the observer has shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    /// Connections per second, by the load generator's count.
    pub(super) per_second: f64,
    /// From the start of the process to its first line, which says that the probes are attached.
    pub(super) start_ms: f64,
    /// Its processor time while the load ran, for each thousand connections.
    pub(super) cpu_ms_per_1000: f64,
    /// Most memory resident at once.
    pub(super) resident_mib: f64,
    /// Maps and programs in the kernel.
    pub(super) kernel_mib: f64,
}

/// Interleaved rounds.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    without: Vec<f64>,
    with: Vec<Measured>,
}

impl Bench {
    /// A round without the observer: connections per second.
    pub(super) fn without(&mut self) -> Result<f64> {
        self.load().map(|(_, per_second)| per_second)
    }

    /// A round with `observer stream` and these flags.
    pub(super) fn with(&mut self, flags: &[&str]) -> Result<Measured> {
        let start = Instant::now();
        let stream = self.observe(flags)?;
        let start_ms = start.elapsed().as_secs_f64() * 1000.0;
        let before = process::cpu_ms(stream.id())?;
        let (connections, per_second) = self.load()?;
        let cpu = process::cpu_ms(stream.id())? - before;
        let measured = Measured {
            per_second,
            start_ms,
            cpu_ms_per_1000: cpu * 1000.0 / connections,
            resident_mib: process::peak_resident_mib(stream.id())?,
            kernel_mib: process::kernel_memory_mib(stream.id())?,
        };
        stream.stop();
        Ok(measured)
    }

    /// Starts the observer and waits until its probes are attached.
    pub(super) fn observe(&self, flags: &[&str]) -> Result<Stream> {
        let flags = [&["--interval", "500ms"], flags].concat();
        let mut stream =
            Stream::start(&self.release.observer, &self.privilege, Some(self.backend.port()), &flags)?;
        stream.meta(&self.interrupt)?;
        Ok(stream)
    }

    /// Connections as fast as they go: how many, and how many per second.
    pub(super) fn load(&self) -> Result<(f64, f64)> {
        self.interrupt.check()?;
        let mut load = exec::tied(&self.release.demo_server);
        load.args(["load", "--profile", "churn", "--json"]);
        load.args(["--target", &format!("127.0.0.1:{}", self.backend.port())]);
        load.args(["--duration", &format!("{}ms", self.milliseconds)]);
        let report: Value =
            serde_json::from_str(&exec::capture(&mut load)?).context("the load generator's report")?;
        let field =
            |name: &str| report[name].as_f64().with_context(|| format!("the load's report has no {name}"));
        let (responses, seconds) = (field("responses")?, field("elapsed_s")?);
        if responses < 1.0 || seconds <= 0.0 {
            bail!("no connection was served in a round: {report}");
        }
        Ok((responses, responses / seconds))
    }
}

impl Rounds {
    /// Adds a pair.
    pub(super) fn add(&mut self, without: f64, with: Measured) {
        self.without.push(without);
        self.with.push(with);
    }

    /// What the pairs show.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let each = |value: fn(&Measured) -> f64| self.with.iter().map(value).collect::<Vec<_>>();
        let ratios =
            self.with.iter().zip(&self.without).map(|(with, without)| with.per_second / without).collect();
        vec![
            figure::throughput_without(self.without.clone()),
            figure::throughput_with(each(|with| with.per_second)),
            figure::throughput_ratio(ratios),
            figure::cpu(each(|with| with.cpu_ms_per_1000)),
            figure::start(each(|with| with.start_ms)),
            figure::resident(each(|with| with.resident_mib)),
            figure::kernel_memory(each(|with| with.kernel_mib)),
        ]
    }
}
