//! The figures that are compared: a row each.

use serde::Serialize;

use super::outcome::Repetition;
use crate::figures;

/// One figure of a repetition.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// Its name in JSON.
    pub name: &'static str,
    /// At the head of a column.
    pub head: &'static str,
    /// In a sentence.
    pub title: &'static str,
    /// What it means, in a sentence.
    pub meaning: &'static str,
    /// Who measured it.
    pub by: Witness,
    /// What it is counted in.
    pub unit: Unit,
    /// Which way is better, for the client or the machine.
    pub better: Better,
    /// Its value; none when it is not known.
    #[serde(skip)]
    pub of: fn(&Repetition) -> Option<f64>,
}

/// Who measured a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// The load generator.
    Client,
    /// The observer.
    Kernel,
}

/// What a figure is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Events per second.
    PerSecond,
    /// Nanoseconds.
    Nanoseconds,
    /// A number of things.
    Count,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// More of it.
    More,
    /// Less of it.
    Less,
}

impl Unit {
    /// A value for people.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond if value < 99.95 => figures::rate(value),
            Self::PerSecond => figures::count(value.round() as i64),
            Self::Nanoseconds => figures::duration(value.max(0.0).round() as u64),
            Self::Count if value.fract() == 0.0 => figures::count(value as i64),
            Self::Count if value < 99.95 => format!("{value:.2}"),
            Self::Count => figures::count(value.round() as i64),
        }
    }

    /// A value or, when there is none, a dash.
    pub fn show_or_dash(self, value: Option<f64>) -> String {
        value.map_or_else(|| "-".to_owned(), |value| self.show(value))
    }
}

/// Every figure there is.
pub static FIGURES: &[Figure] = &[
    Figure {
        name: "responses_per_s",
        head: "resp/s",
        title: "responses per second",
        meaning: "whole answers that clients got, per second of the run; an open loop gets at most what it asks for",
        by: Witness::Client,
        unit: Unit::PerSecond,
        better: Better::More,
        of: |one| Some(one.client.achieved_rate),
    },
    Figure {
        name: "service_p50_ns",
        head: "service p50",
        title: "service time p50",
        meaning: "from the actual send of a request to the last byte of its answer, the middle of all",
        by: Witness::Client,
        unit: Unit::Nanoseconds,
        better: Better::Less,
        of: |one| client(one, |client| (client.service_ns.count, client.service_ns.p50)),
    },
    Figure {
        name: "service_p99_ns",
        head: "service p99",
        title: "service time p99",
        meaning: "from the actual send of a request to the last byte of its answer; one of a hundred took longer",
        by: Witness::Client,
        unit: Unit::Nanoseconds,
        better: Better::Less,
        of: |one| client(one, |client| (client.service_ns.count, client.service_ns.p99)),
    },
    Figure {
        name: "response_p99_ns",
        head: "response p99",
        title: "response time p99",
        meaning: "from the moment a request was due to the last byte of its answer: what a user waits who does not \
                  know that the server is busy",
        by: Witness::Client,
        unit: Unit::Nanoseconds,
        better: Better::Less,
        of: |one| client(one, |client| (client.response_ns.count, client.response_ns.p99)),
    },
    Figure {
        name: "accept_wait_p50_ns",
        head: "accept p50",
        title: "accept wait p50",
        meaning: "time of a connection in the accept queue, the middle of all",
        by: Witness::Kernel,
        unit: Unit::Nanoseconds,
        better: Better::Less,
        of: |one| Some(one.kernel.accept_wait_ns.quantiles.p50? as f64),
    },
    Figure {
        name: "accept_wait_p99_ns",
        head: "accept p99",
        title: "accept wait p99",
        meaning: "time of a connection in the accept queue; one of a hundred waited longer",
        by: Witness::Kernel,
        unit: Unit::Nanoseconds,
        better: Better::Less,
        of: |one| Some(one.kernel.accept_wait_ns.quantiles.p99? as f64),
    },
    Figure {
        name: "first_read_wait_p99_ns",
        head: "1st read p99",
        title: "first-read wait p99",
        meaning: "from accept(2) to the first read(2) that returned bytes: the queue inside the program, and the wait \
                  for a client that does not send at once",
        by: Witness::Kernel,
        unit: Unit::Nanoseconds,
        better: Better::Less,
        of: |one| Some(one.kernel.first_read_wait_ns.quantiles.p99? as f64),
    },
    Figure {
        name: "accept_queue_peak",
        head: "peak",
        title: "deepest accept queue",
        meaning: "most connections that ever waited in one accept queue",
        by: Witness::Kernel,
        unit: Unit::Count,
        better: Better::Less,
        of: |one| Some(f64::from(one.kernel.accept_queue_peak)),
    },
    Figure {
        name: "listen_drops",
        head: "drops",
        title: "refused by the listener",
        meaning: "SYNs and last ACKs of handshakes that a listener refused; the client's kernel tries again after a \
                  second, and each try counts",
        by: Witness::Kernel,
        unit: Unit::Count,
        better: Better::Less,
        of: |one| Some(one.kernel.listen_drops as f64),
    },
    Figure {
        name: "wakeups_per_accept",
        head: "wakes/accept",
        title: "wake-ups per accept",
        meaning: "times that any thread of the server slept and was woken, for whatever reason, over connections \
                  accepted; what is woken in vain shows here and nowhere else",
        by: Witness::Kernel,
        unit: Unit::Count,
        better: Better::Less,
        of: |one| per(one.kernel.wakeups?, one.kernel.accepted),
    },
    Figure {
        name: "cpu_per_request_ns",
        head: "CPU/request",
        title: "processor time per request",
        meaning: "processor time of the server and its children over whole answers, the observer's probes in its calls \
                  included; what the kernel does for it in an interrupt is charged to whoever runs, on loopback \
                  mostly to the client",
        by: Witness::Kernel,
        unit: Unit::Nanoseconds,
        better: Better::Less,
        of: |one| per(one.server_cpu_ns?, one.client.responses),
    },
];

fn client(one: &Repetition, of: fn(&demo_server::load::Report) -> (u64, u64)) -> Option<f64> {
    let (count, value) = of(&one.client);
    (count > 0).then_some(value as f64)
}

fn per(sum: u64, count: u64) -> Option<f64> {
    (count > 0).then(|| sum as f64 / count as f64)
}

/// Change against a baseline in per cent, or as a multiple where per cent would be hard to read.
pub fn change(from: f64, to: f64) -> String {
    match to / from {
        _ if from == 0.0 => "from nothing".to_owned(),
        _ if to == 0.0 => "to nothing".to_owned(),
        factor if factor >= 10.0 => format!("×{factor:.0}"),
        factor if factor >= 3.0 => format!("×{factor:.1}"),
        factor if factor <= 0.1 => format!("÷{:.0}", 1.0 / factor),
        factor => format!("{:+.1} %", (factor - 1.0) * 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_well() {
        assert_eq!(Unit::Count.show(5.0), "5");
        assert_eq!(Unit::Count.show(1.013), "1.01");
        assert_eq!(Unit::Count.show(1234.5), "1,235");
        assert_eq!(Unit::Nanoseconds.show(1_234.0), "1.23 µs");
        assert_eq!(Unit::PerSecond.show(1492.0), "1,492");
        assert_eq!(Unit::Count.show_or_dash(None), "-");
    }

    #[test]
    fn changes_read_well() {
        assert_eq!(change(100.0, 97.5), "-2.5 %");
        assert_eq!(change(100.0, 250.0), "+150.0 %");
        assert_eq!(change(100.0, 420.0), "×4.2");
        assert_eq!(change(1.0, 128.0), "×128");
        assert_eq!(change(1280.0, 10.0), "÷128");
        assert_eq!(change(0.0, 3.0), "from nothing");
        assert_eq!(change(3.0, 0.0), "to nothing");
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = FIGURES.iter().map(|figure| figure.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FIGURES.len());
    }
}
