//! A profile with the parameters of one run, checked before anything is sent.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};

use super::profile::{self, Manner, Mode, Profile, Shape};
use super::syn;
use crate::{descriptors, duration, namespace};

/// Parameters that replace those of the profile; on the wire and on the command line by the same names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// Requests per second of an open loop, bursts per second of bursts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Most connections in flight; of a burst, the connections in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Requests on one connection before the client closes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_connection: Option<u32>,
    /// How long requests are sent, as `10s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Open so many connections in all, then end, even before the duration is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_connections: Option<u64>,
    /// Arrivals of an open loop at random (exponential gaps) instead of at equal distances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poisson: Option<bool>,
    /// Seed of the random arrivals; the same seed gives the same schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// From how many addresses of 127.0.0.0/8 the clients come, in turn; absent: as many as are needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<u32>,
}

/// A run that can be started as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where to.
    pub target: SocketAddr,
    /// Name of the profile.
    pub profile: &'static str,
    /// What drives it.
    pub mode: Mode,
    /// See [`Overrides::rate`]; 0 for a closed loop.
    pub rate: f64,
    /// See [`Overrides::connections`].
    pub connections: u32,
    /// See [`Overrides::requests_per_connection`].
    pub requests_per_connection: u32,
    /// See [`Overrides::duration`].
    pub duration: Duration,
    /// See [`Overrides::total_connections`].
    pub total_connections: Option<u64>,
    /// See [`Overrides::poisson`].
    pub poisson: bool,
    /// See [`Overrides::seed`].
    pub seed: u64,
    /// See [`Overrides::sources`].
    pub sources: Option<u32>,
    /// Whether the run says on standard error how far it has come.
    pub progress: bool,
    /// How the rate changes.
    pub shape: Shape,
    /// What a client does.
    pub manner: Manner,
}

/// How long a run lasts if nobody says.
pub const DEFAULT_DURATION: Duration = Duration::from_secs(10);
/// How long a run may last.
pub const MAX_DURATION: Duration = Duration::from_secs(3600);
/// The highest rate of an open loop, per second; past it one thread could not keep the schedule.
pub const MAX_RATE: f64 = 1e6;
/// Addresses that clients come from, at most: 127.0.0.1 to 127.0.255.254.
pub const MAX_SOURCES: u32 = 65_534;
/// The most connections in flight.
pub const MAX_CONNECTIONS: u32 = 100_000;

impl Plan {
    /// Puts a run together; the error says which parameter is wrong and what is allowed.
    pub fn new(target: SocketAddr, profile: &str, overrides: &Overrides) -> Result<Self, String> {
        let profile = profile::expect(profile)?;
        let plan = Self {
            target,
            profile: profile.name,
            mode: profile.mode,
            rate: rate(profile, overrides)?,
            connections: overrides.connections.unwrap_or(profile.connections),
            requests_per_connection: overrides
                .requests_per_connection
                .unwrap_or(profile.requests_per_connection),
            duration: match &overrides.duration {
                Some(text) => duration::parse(text)?,
                None => DEFAULT_DURATION,
            },
            total_connections: overrides.total_connections,
            poisson: overrides.poisson.unwrap_or(profile.poisson),
            seed: overrides.seed.unwrap_or(1),
            sources: overrides.sources,
            progress: false,
            shape: profile.shape,
            manner: profile.manner,
        };
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), String> {
        if !(1..=MAX_CONNECTIONS).contains(&self.connections) {
            return Err(format!("connections {} is out of range: 1 to {MAX_CONNECTIONS}", self.connections));
        }
        if self.requests_per_connection == 0 {
            return Err("requests_per_connection 0 is out of range: at least 1".to_owned());
        }
        if self.total_connections == Some(0) {
            return Err("total_connections 0 is out of range: at least 1".to_owned());
        }
        if self.duration.is_zero() || self.duration > MAX_DURATION {
            return Err(format!(
                "duration {} is out of range: more than 0s, at most 1h",
                duration::show(self.duration)
            ));
        }
        if self.poisson && self.mode != Mode::Open {
            return Err(format!("poisson is for open loops, and {} is none", self.profile));
        }
        if self.target.port() == 0 {
            return Err(format!("target {} has no port", self.target));
        }
        check_local(self.target)?;
        self.check_sources()?;
        if self.manner == Manner::HalfOpen {
            self.check_isolated()?;
        }
        descriptors::require(u64::from(self.in_flight_limit()) + 32, "this load")
    }

    fn check_sources(&self) -> Result<(), String> {
        let Some(sources) = self.sources else { return Ok(()) };
        if !(1..=MAX_SOURCES).contains(&sources) {
            return Err(format!("sources {sources} is out of range: 1 to {MAX_SOURCES}"));
        }
        match self.target.ip() {
            IpAddr::V4(address) if address.is_loopback() => Ok(()),
            _ => Err(format!(
                "sources are addresses of 127.0.0.0/8, from which {} is not reached",
                self.target
            )),
        }
    }

    /// SYNs that nobody answers are sent only where nothing can leave.
    fn check_isolated(&self) -> Result<(), String> {
        let lower_half = |address: Ipv4Addr| address.octets()[0] == 127 && address.octets()[1] < 128;
        if !matches!(self.target.ip(), IpAddr::V4(address) if lower_half(address)) {
            return Err(format!(
                "{} goes to an address in 127.0.0.0/9 only, and not to {}",
                self.profile, self.target
            ));
        }
        if self.total_connections.is_some_and(|total| total > syn::MOST) {
            return Err(format!("{} begins {} connections at most", self.profile, syn::MOST));
        }
        let others = namespace::other_interfaces()
            .map_err(|error| format!("cannot tell which interfaces this network namespace has: {error}"))?;
        match others.as_slice() {
            [] => Ok(()),
            [first, ..] => Err(format!(
                "{} runs only in a network namespace that holds nothing but loopback, and this one has {first}; start \
                 the server with `demo-server serve --isolated --load {}`",
                self.profile, self.profile
            )),
        }
    }

    /// Requests that may be on their way at once; what is due beyond is dropped and counted.
    #[must_use]
    pub fn in_flight_limit(&self) -> u32 {
        match self.mode {
            Mode::Open | Mode::Closed => self.connections,
            // The next burst does not wait for the last one, up to a point.
            Mode::Burst => self.connections.saturating_mul(10).min(MAX_CONNECTIONS),
        }
    }

    /// Addresses to connect from, in turn; empty: the kernel's choice.
    ///
    /// Who closes first keeps the port for a minute in TIME-WAIT, and that is the client here. One address has about
    /// 28,000 ports; 127.0.0.0/8 has addresses enough.
    #[must_use]
    pub fn source_addresses(&self) -> Vec<Ipv4Addr> {
        if let Some(count) = self.sources {
            let first = u32::from(Ipv4Addr::LOCALHOST);
            return (0..count).map(|number| Ipv4Addr::from(first + number)).collect();
        }
        let many = match self.mode {
            Mode::Closed => self.requests_per_connection < 10,
            Mode::Open | Mode::Burst => {
                let per_second = match self.mode {
                    Mode::Burst => self.rate * f64::from(self.connections),
                    _ => self.rate / f64::from(self.requests_per_connection),
                };
                per_second * self.duration.as_secs_f64().min(60.0) > 20_000.0
            }
        };
        let few = self.total_connections.is_some_and(|total| total < 20_000);
        match self.target.ip() {
            IpAddr::V4(address) if address.is_loopback() && many && !few => {
                (1..=64).map(|last| Ipv4Addr::new(127, 0, 0, last)).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn rate(profile: &Profile, overrides: &Overrides) -> Result<f64, String> {
    match (profile.rate, overrides.rate) {
        (None, Some(_)) => Err(format!(
            "{} is a closed loop and has no rate: the server's answers set the pace",
            profile.name
        )),
        (default, wanted) => {
            let rate = wanted.or(default).unwrap_or(0.0);
            if default.is_some() && !(rate > 0.0 && rate <= MAX_RATE) {
                return Err(format!("rate {rate} is out of range: more than 0, at most {MAX_RATE}"));
            }
            Ok(rate)
        }
    }
}

/// Load goes to this machine only. An address is local if a socket can be bound to it.
fn check_local(target: SocketAddr) -> Result<(), String> {
    let refuse = || format!("target {target} is not an address of this machine; load is only made locally");
    if target.ip().is_unspecified() || target.ip().is_multicast() {
        return Err(refuse());
    }
    let bound = Socket::new(Domain::for_address(target), Type::DGRAM, None)
        .and_then(|socket| socket.bind(&SocketAddr::new(target.ip(), 0).into()));
    bound.map_err(|_| refuse())
}
