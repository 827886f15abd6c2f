//! The messages of the control protocol, version 1.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::fault::ActiveFault as Fault;
use crate::load::{Mode, Overrides, Report};
pub use crate::service::Totals as Counters;
use crate::settings::Change;
pub use crate::settings::Settings;

/// The version spoken here. Fields are added within a version, and never renamed or given another meaning.
pub const VERSION: u64 = 1;

/// The longest request line in bytes, the line feed not counted.
pub const MAX_LINE: usize = 16 * 1024;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// The state now.
    State {},
    /// A change of pattern or settings: all of it, or, after an error, none of it.
    Set(Change),
    /// A fault on or off.
    Fault {
        /// Its name, see [`crate::fault::FAULTS`].
        name: String,
        /// On or off.
        on: bool,
        /// The number of the thread it concerns, for faults that concern one; 0 if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<u32>,
        /// Its time in milliseconds, for faults that have one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ms: Option<u64>,
    },
    /// Load begins, in place of what may run, or stops.
    Load(LoadRequest),
    /// From now on, a line for every change.
    Subscribe {},
    /// The server ends.
    Stop {},
}

/// Which load; either `stop` or a `profile`, with parameters that replace those of the profile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadRequest {
    /// Stops the load that runs, if one runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stop: bool,
    /// The name of a profile, see [`crate::load::PROFILES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// See [`Overrides::rate`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// See [`Overrides::connections`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// See [`Overrides::requests_per_connection`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_connection: Option<u32>,
    /// See [`Overrides::duration`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// See [`Overrides::total_connections`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_connections: Option<u64>,
    /// See [`Overrides::poisson`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poisson: Option<bool>,
    /// See [`Overrides::seed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// See [`Overrides::sources`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<u32>,
}

impl LoadRequest {
    /// A request to run a profile as it is.
    #[must_use]
    pub fn profile(name: &str) -> Self {
        Self { profile: Some(name.to_owned()), ..Self::default() }
    }

    /// A request to stop.
    #[must_use]
    pub fn stop() -> Self {
        Self { stop: true, ..Self::default() }
    }

    /// The parameters alone.
    #[must_use]
    pub fn overrides(&self) -> Overrides {
        Overrides {
            rate: self.rate,
            connections: self.connections,
            requests_per_connection: self.requests_per_connection,
            duration: self.duration.clone(),
            total_connections: self.total_connections,
            poisson: self.poisson,
            seed: self.seed,
            sources: self.sources,
        }
    }
}

impl Request {
    /// Reads one line. The error is a sentence for the client.
    pub fn from_line(line: &[u8]) -> Result<Self, String> {
        let value: Value =
            serde_json::from_slice(line).map_err(|error| format!("not a JSON object: {error}"))?;
        let Value::Object(mut fields) = value else {
            return Err("not a JSON object".to_owned());
        };
        match fields.remove("v") {
            Some(version) if version == VERSION => {}
            Some(version) => {
                return Err(format!("version {version} is not spoken here; this is version {VERSION}"));
            }
            None => return Err(format!("the field v is missing; this is version {VERSION}")),
        }
        serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())
    }

    /// Writes one line, with its line feed.
    pub fn to_line(&self) -> serde_json::Result<Vec<u8>> {
        versioned_line(self)
    }
}

/// The reply to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Whether the request was carried out.
    pub ok: bool,
    /// The state afterwards, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Box<State>>,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What is worth knowing although it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Reply {
    /// The state afterwards; a refusal is an error.
    pub fn state_or_refusal(self) -> anyhow::Result<State> {
        match (self.state, self.error) {
            (Some(state), _) if self.ok => Ok(*state),
            (_, Some(error)) => anyhow::bail!("demo-server refuses: {error}"),
            _ => anyhow::bail!("demo-server's reply says neither what the state is nor what is wrong"),
        }
    }
}

/// A line that a subscriber gets for a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// What changed, as `pattern acceptor-readers → sharding`.
    pub reason: String,
    /// The state afterwards.
    pub state: State,
}

/// Serialises a message with its version, as a line.
pub(crate) fn versioned_line<T: Serialize>(message: &T) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Versioned<'a, T> {
        v: u64,
        #[serde(flatten)]
        message: &'a T,
    }
    let mut line = serde_json::to_vec(&Versioned { v: VERSION, message })?;
    line.push(b'\n');
    Ok(line)
}

/// Everything there is to know about the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Version of the program.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Id of the pattern that runs.
    pub pattern: String,
    /// The settings.
    pub settings: Settings,
    /// The backlog after the kernel has clamped it to `net.core.somaxconn`; the queue is full at one more.
    pub backlog_effective: u32,
    /// The faults that are on.
    pub faults: Vec<Fault>,
    /// The load that runs.
    pub load: Option<ActiveLoad>,
    /// What the last load that ended has shown.
    pub last_load: Option<Report>,
    /// The threads of the pattern.
    pub threads: Vec<ThreadState>,
    /// The listeners.
    pub listeners: Vec<ListenerState>,
    /// Totals since the start.
    pub counters: Counters,
    /// How many changes there have been; two states with the same number differ in counters only.
    pub changes: u64,
}

/// The load that runs, with all its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveLoad {
    /// Name of the profile.
    pub profile: String,
    /// What drives it.
    pub mode: Mode,
    /// Process id of the generator.
    pub pid: u32,
    /// See [`Overrides::rate`]; null for a closed loop.
    pub rate: Option<f64>,
    /// See [`Overrides::connections`].
    pub connections: u32,
    /// See [`Overrides::requests_per_connection`].
    pub requests_per_connection: u32,
    /// See [`Overrides::duration`].
    pub duration: String,
    /// See [`Overrides::total_connections`].
    pub total_connections: Option<u64>,
    /// See [`Overrides::poisson`].
    pub poisson: bool,
    /// See [`Overrides::seed`].
    pub seed: u64,
}

/// One thread of the pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadState {
    /// The kernel's thread id, in the server's pid namespace.
    pub tid: i32,
    /// Its name, as `rd-1`; the kernel calls it comm.
    pub name: String,
    /// What kind it is, as `reader`.
    pub role: String,
    /// What it does with a connection, out of accept, read, work and write.
    pub duties: Vec<String>,
}

/// One listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerState {
    /// Its number; 0 unless the pattern shards.
    pub shard: u32,
    /// `SO_COOKIE`, by which the kernel's tools name the socket.
    pub cookie: u64,
    /// Where it listens.
    pub local: SocketAddr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_the_wire() {
        let set = Change { pattern: Some("5".to_owned()), workers: Some(3), ..Change::default() };
        for request in [
            Request::State {},
            Request::Set(set),
            Request::Fault { name: "stall".to_owned(), on: true, index: None, ms: Some(5) },
            Request::Load(LoadRequest { rate: Some(12.5), ..LoadRequest::profile("steady") }),
            Request::Load(LoadRequest::stop()),
            Request::Subscribe {},
            Request::Stop {},
        ] {
            let line = request.to_line().unwrap();
            assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
            assert_eq!(Request::from_line(&line), Ok(request));
        }
    }

    #[test]
    fn bad_lines_are_refused_with_the_reason() {
        for (line, expected) in [
            ("", "not a JSON object"),
            ("nonsense", "not a JSON object"),
            ("[1]", "not a JSON object"),
            ("{}", "the field v is missing"),
            (r#"{"v":2,"cmd":"state"}"#, "version 2 is not spoken here"),
            (r#"{"v":"1","cmd":"state"}"#, "version \"1\" is not spoken"),
            (r#"{"v":1}"#, "cmd"),
            (r#"{"v":1,"cmd":"dance"}"#, "dance"),
            (r#"{"v":1,"cmd":"state","more":1}"#, "more"),
            (r#"{"v":1,"cmd":"set","colour":"red"}"#, "colour"),
            (r#"{"v":1,"cmd":"set","workers":-1}"#, "-1"),
            (r#"{"v":1,"cmd":"set","workers":1.5}"#, "1.5"),
            (r#"{"v":1,"cmd":"set","workers":"4"}"#, "\"4\""),
            (r#"{"v":1,"cmd":"set","workers":99999999999}"#, "99999999999"),
            (r#"{"v":1,"cmd":"fault","name":"stall"}"#, "on"),
            (r#"{"v":1,"cmd":"fault","name":"stall","on":true,"for":1}"#, "for"),
            (r#"{"v":1,"cmd":"load","speed":1}"#, "speed"),
        ] {
            let error = Request::from_line(line.as_bytes()).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
