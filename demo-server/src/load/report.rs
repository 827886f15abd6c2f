//! What a run has shown, as one JSON object and as a table.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::measure::Measure;
use super::plan::Plan;
use super::profile::{Manner, Mode};
use crate::duration::show_nanos;

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the profile.
    pub profile: String,
    /// What drove it.
    pub mode: Mode,
    /// Where to.
    pub target: String,
    /// Requests per second that were wanted; null for a closed loop.
    pub wanted_rate: Option<f64>,
    /// Responses per second that came.
    pub achieved_rate: f64,
    /// From the start to the last answer, in seconds.
    pub elapsed_s: f64,
    /// Calls of connect(2) that began.
    pub connections_opened: u64,
    /// Connections established, as the client sees it.
    pub connections_established: u64,
    /// Requests sent to their last byte.
    pub requests_sent: u64,
    /// Whole responses with status 200.
    pub responses: u64,
    /// Bytes that write(2) took.
    pub bytes_sent: u64,
    /// Bytes that read(2) returned.
    pub bytes_received: u64,
    /// Requests that were due and not sent, because too many were in flight.
    pub dropped: u64,
    /// Connections that the client has reset on purpose.
    #[serde(default)]
    pub aborted: u64,
    /// What went wrong, and how often.
    pub errors: BTreeMap<String, u64>,
    /// From connect(2) to established.
    pub connect_ns: Quantiles,
    /// From the actual send to the first byte of the response.
    pub first_byte_ns: Quantiles,
    /// From the actual send to the last byte of the response.
    pub service_ns: Quantiles,
    /// From the moment at which the request was due to the last byte of the response.
    pub response_ns: Quantiles,
    /// Processor time of the generator over elapsed time; 1 is one processor.
    pub cpu_share: f64,
    /// What makes the figures doubtful, in sentences.
    pub warnings: Vec<String>,
}

/// A distribution of times in nanoseconds; all 0 if nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantiles {
    /// How many were measured.
    pub count: u64,
    /// Half of them took no longer.
    pub p50: u64,
    /// 90 % took no longer.
    pub p90: u64,
    /// 99 % took no longer.
    pub p99: u64,
    /// 99.9 % took no longer.
    pub p999: u64,
    /// 99.99 % took no longer.
    #[serde(default)]
    pub p9999: u64,
    /// The longest.
    pub max: u64,
}

/// What the run took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) elapsed: Duration,
    pub(super) processor: Duration,
}

/// From this share of one processor on, the generator rather than the server may set the pace.
const BUSY: f64 = 0.8;

impl Report {
    pub(super) fn new(plan: &Plan, measure: &Measure, usage: Usage) -> Self {
        let elapsed = usage.elapsed.as_secs_f64().max(f64::EPSILON);
        #[expect(clippy::cast_precision_loss, reason = "a rate is shown with few digits")]
        let achieved_rate = measure.responses as f64 / elapsed;
        let mut report = Self {
            profile: plan.profile.to_owned(),
            mode: plan.mode,
            target: plan.target.to_string(),
            wanted_rate: match plan.mode {
                Mode::Closed => None,
                Mode::Open => Some(plan.rate),
                Mode::Burst => {
                    Some(plan.rate * f64::from(plan.connections) * f64::from(plan.requests_per_connection))
                }
            },
            achieved_rate,
            elapsed_s: elapsed,
            connections_opened: measure.opened,
            connections_established: measure.established,
            requests_sent: measure.sent,
            responses: measure.responses,
            bytes_sent: measure.bytes_sent,
            bytes_received: measure.bytes_received,
            dropped: measure.dropped,
            aborted: measure.aborted,
            errors: measure.errors.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect(),
            connect_ns: measure.connect.quantiles(),
            first_byte_ns: measure.first_byte.quantiles(),
            service_ns: measure.service.quantiles(),
            response_ns: measure.response.quantiles(),
            cpu_share: usage.processor.as_secs_f64() / elapsed,
            warnings: Vec::new(),
        };
        report.doubt(plan.manner);
        report
    }

    /// From how many addresses all of the run's connections could have come, for a minute's worth of them.
    fn sources_needed(&self, refused: u64) -> u64 {
        let minutes = (self.elapsed_s / 60.0).max(1.0);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate, and never negative"
        )]
        let wanted = ((self.connections_opened + refused) as f64 / minutes) as u64;
        (wanted / ports_of_an_address().unwrap_or(10_000).max(1) + 1).max(2)
    }

    fn doubt(&mut self, manner: Manner) {
        if self.cpu_share > BUSY {
            let percent = self.cpu_share * 100.0;
            self.warnings.push(format!(
                "the generator used {percent:.0} % of a processor: it may be the bottleneck, not the server"
            ));
        }
        if let Some(count) = self.errors.get(NO_PORT) {
            self.warnings.push(format!(
                "{count} connections found no free port: an address has {}, and each stays in TIME-WAIT for a minute \
                 after its connection; come from more addresses with --sources {}",
                ports_of_an_address().map_or_else(|| "few".to_owned(), |ports| ports.to_string()),
                self.sources_needed(*count)
            ));
        }
        if self.dropped > 0 {
            self.warnings.push(format!(
                "{} requests were due while too many were in flight, and were not sent: the latencies say nothing \
                 of them",
                self.dropped
            ));
        }
        if self.responses == 0 && !matches!(manner, Manner::Abort | Manner::Hold | Manner::HalfOpen) {
            self.warnings.push("not one request was answered".to_owned());
        }
    }
}

/// What is counted when connect(2) finds none.
pub(super) const NO_PORT: &str = "no free port";

/// Ports that the kernel gives away itself, of each address.
fn ports_of_an_address() -> Option<u64> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let (low, high) = range.trim().split_once(char::is_whitespace)?;
    high.trim().parse::<u64>().ok()?.checked_sub(low.parse().ok()?).map(|ports| ports + 1)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.wanted_rate.map(|rate| format!(", {rate:.0} wanted")).unwrap_or_default();
        writeln!(f, "{} → {}, {:.1} s", self.profile, self.target, self.elapsed_s)?;
        writeln!(f, "  {} responses, {:.1} a second{wanted}", self.responses, self.achieved_rate)?;
        writeln!(
            f,
            "  {} connections opened, {} established; {} requests sent, {} dropped",
            self.connections_opened, self.connections_established, self.requests_sent, self.dropped
        )?;
        writeln!(
            f,
            "  {} bytes sent, {} received; generator at {:.0} % of a processor",
            self.bytes_sent,
            self.bytes_received,
            self.cpu_share * 100.0
        )?;
        writeln!(
            f,
            "\n  {:<32}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}",
            "", "p50", "p90", "p99", "p99.9", "p99.99", "max"
        )?;
        for (name, times) in [
            ("connect", &self.connect_ns),
            ("first byte, from actual send", &self.first_byte_ns),
            ("service, from actual send", &self.service_ns),
            ("response, from when it was due", &self.response_ns),
        ] {
            write!(f, "  {name:<32}")?;
            for value in [times.p50, times.p90, times.p99, times.p999, times.p9999, times.max] {
                let shown = if times.count == 0 { "-".to_owned() } else { show_nanos(value) };
                write!(f, "{shown:>8}")?;
            }
            writeln!(f)?;
        }
        if self.aborted > 0 {
            writeln!(f, "  {} connections reset by the client, as it was told to", self.aborted)?;
        }
        for (kind, count) in &self.errors {
            writeln!(f, "  error: {kind}: {count}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "  warning: {warning}")?;
        }
        Ok(())
    }
}
