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
}

/// Every profile there is.
pub static PROFILES: &[Profile] = &[
    Profile {
        name: "steady",
        line: "open loop, 200 requests a second, each on a connection of its own",
        mode: Mode::Open,
        rate: Some(200.0),
        connections: 512,
        requests_per_connection: 1,
    },
    Profile {
        name: "churn",
        line: "closed loop, 16 clients connect, ask once and close, as fast as they can",
        mode: Mode::Closed,
        rate: None,
        connections: 16,
        requests_per_connection: 1,
    },
    Profile {
        name: "keepalive",
        line: "closed loop, 32 clients, 100 requests on each connection",
        mode: Mode::Closed,
        rate: None,
        connections: 32,
        requests_per_connection: 100,
    },
    Profile {
        name: "burst",
        line: "every two seconds 200 connections at once, one request each",
        mode: Mode::Burst,
        rate: Some(0.5),
        connections: 200,
        requests_per_connection: 1,
    },
];

/// Finds a profile, or says which there are.
pub fn expect(name: &str) -> Result<&'static Profile, String> {
    PROFILES.iter().find(|profile| profile.name == name).ok_or_else(|| {
        let names: Vec<_> = PROFILES.iter().map(|profile| profile.name).collect();
        format!("unknown profile '{name}'; there are {}", names.join(", "))
    })
}
