//! Named loads.

use serde::{Deserialize, Serialize};

/// What decides when the next request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A schedule fixed in advance, as independent users would be; it does not wait for answers.
    Open,
    /// Every client sends when it has its answer, as a benchmark would; a slow server slows the clients down.
    Closed,
    /// A schedule of bursts: all connections of one are started before any is completed.
    Burst,
}

/// How the rate of an open loop changes over the run; its mean is the rate that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// The same throughout.
    Flat,
    /// From nothing to twice the rate, in a straight line.
    Ramp,
    /// Half the rate for the first half of the run, half as much again for the second.
    Step,
}

/// What a client does with its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manner {
    /// Asks and waits for the answer.
    Ask,
    /// Asks and resets the connection at once.
    Abort,
    /// Asks one byte at a time, with a pause after each.
    SendSlowly,
    /// Reads a few bytes at a time, with a pause after each, through a small receive buffer.
    ReadSlowly,
    /// Says nothing and keeps the connection open to the end of the run.
    Hold,
    /// Begins a handshake and never completes it, from an address that does not answer.
    HalfOpen,
}

/// One named load. Every figure can be overridden for a run.
#[derive(Debug, Serialize)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// What it is good for, in one line.
    pub line: &'static str,
    /// What drives it.
    pub mode: Mode,
    /// Requests per second of an open loop, bursts per second of bursts; a closed loop has none.
    pub rate: Option<f64>,
    /// Most connections in flight; of a burst, the connections in one.
    pub connections: u32,
    /// Requests on one connection before the client closes it.
    pub requests_per_connection: u32,
    /// How the rate changes.
    pub shape: Shape,
    /// Whether arrivals are at random unless a run says otherwise.
    pub poisson: bool,
    /// What a client does.
    pub manner: Manner,
}

/// What most profiles have in common.
const PLAIN: Profile = Profile {
    name: "",
    line: "",
    mode: Mode::Open,
    rate: Some(200.0),
    connections: 512,
    requests_per_connection: 1,
    shape: Shape::Flat,
    poisson: false,
    manner: Manner::Ask,
};

/// Every profile there is.
pub static PROFILES: &[Profile] = &[
    Profile {
        name: "steady",
        line: "open loop, 200 requests a second, each on a connection of its own",
        mode: Mode::Open,
        rate: Some(200.0),
        connections: 512,
        requests_per_connection: 1,
        ..PLAIN
    },
    Profile {
        name: "churn",
        line: "closed loop, 16 clients connect, ask once and close, as fast as they can",
        mode: Mode::Closed,
        rate: None,
        connections: 16,
        requests_per_connection: 1,
        ..PLAIN
    },
    Profile {
        name: "keepalive",
        line: "closed loop, 32 clients, 100 requests on each connection",
        mode: Mode::Closed,
        rate: None,
        connections: 32,
        requests_per_connection: 100,
        ..PLAIN
    },
    Profile {
        name: "burst",
        line: "every two seconds 200 connections at once, one request each",
        mode: Mode::Burst,
        rate: Some(0.5),
        connections: 200,
        requests_per_connection: 1,
        ..PLAIN
    },
    Profile {
        name: "poisson",
        line: "open loop, 200 requests a second on average, at random as independent users come",
        poisson: true,
        ..PLAIN
    },
    Profile {
        name: "ramp",
        line: "open loop, from nothing to 400 requests a second in a straight line: where does the queue begin?",
        shape: Shape::Ramp,
        ..PLAIN
    },
    Profile {
        name: "step",
        line: "open loop, 100 requests a second for the first half and 300 for the second",
        shape: Shape::Step,
        ..PLAIN
    },
    Profile {
        name: "aborts",
        line: "open loop, 100 clients a second ask and reset the connection at once",
        rate: Some(100.0),
        manner: Manner::Abort,
        ..PLAIN
    },
    Profile {
        name: "slow-senders",
        line: "open loop, 50 clients a second, each of which sends its request one byte every 10 ms",
        rate: Some(50.0),
        manner: Manner::SendSlowly,
        ..PLAIN
    },
    Profile {
        name: "slow-readers",
        line: "open loop, 50 clients a second, each of which reads 512 bytes every 10 ms; needs a long response",
        rate: Some(50.0),
        manner: Manner::ReadSlowly,
        ..PLAIN
    },
    Profile {
        name: "holders",
        line: "100 clients connect, say nothing and stay to the end",
        mode: Mode::Closed,
        rate: None,
        connections: 100,
        manner: Manner::Hold,
        ..PLAIN
    },
    Profile {
        name: "half-open",
        line: "20 SYNs a second from addresses that never answer; only in a network namespace of its own",
        rate: Some(20.0),
        manner: Manner::HalfOpen,
        ..PLAIN
    },
    Profile {
        name: "flood",
        line: "a SYN flood of 5000 a second; only in a network namespace of its own (serve --isolated)",
        rate: Some(5000.0),
        manner: Manner::HalfOpen,
        ..PLAIN
    },
];

/// Finds a profile, or says which there are.
pub fn expect(name: &str) -> Result<&'static Profile, String> {
    PROFILES.iter().find(|profile| profile.name == name).ok_or_else(|| {
        let names: Vec<_> = PROFILES.iter().map(|profile| profile.name).collect();
        format!("unknown profile '{name}'; there are {}", names.join(", "))
    })
}
