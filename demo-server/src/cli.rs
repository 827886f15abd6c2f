//! The command line: what can be typed, and nothing that is done about it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use demo_server::command_line::setting;
use demo_server::load::{Overrides, PROFILES};
use demo_server::pattern::{self, PATTERNS, Pattern};
use demo_server::settings::{Change, Settings};

/// A backend that runs one service under the classic execution patterns, and the load to throw at it.
#[derive(Debug, Parser)]
#[command(name = "demo-server", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service until SIGINT or SIGTERM.
    Serve(Serve),
    /// Send load to a server on this machine and report what it felt like.
    Load(Load),
    /// List the execution patterns.
    Patterns(Patterns),
    /// Serve as a process of a pattern that has processes; the server starts it.
    #[command(hide = true)]
    Worker(Worker),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[arg(
        long,
        value_name = "NAME",
        default_value = "single-thread",
        value_parser = pattern::expect,
        help = pattern_help()
    )]
    pub(crate) pattern: &'static Pattern,
    /// Address to listen on; port 0 lets the kernel choose.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Backlog passed to listen(2); the kernel clamps it to net.core.somaxconn [default: 128].
    #[arg(long, value_name = "N", value_parser = setting::<u32>("backlog"))]
    pub(crate) backlog: Option<u32>,
    /// Threads of the kind that the pattern multiplies: readers, workers, acceptors or shards [default: 4].
    #[arg(long, value_name = "N", value_parser = setting::<u32>("workers"))]
    pub(crate) workers: Option<u32>,
    /// Processor time burnt for each request, in microseconds [default: 0].
    #[arg(long, value_name = "US", value_parser = setting::<u64>("work_us"))]
    pub(crate) work: Option<u64>,
    /// Time slept for each request, in microseconds [default: 0].
    #[arg(long, value_name = "US", value_parser = setting::<u64>("sleep_us"))]
    pub(crate) sleep: Option<u64>,
    /// Length of a response's body [default: 64].
    #[arg(long, value_name = "N", value_parser = setting::<u32>("response_bytes"))]
    pub(crate) response_bytes: Option<u32>,
    /// Open a control socket here (JSON lines; see docs/control.md).
    #[arg(long, value_name = "SOCKET")]
    pub(crate) control: Option<PathBuf>,
    /// Write one JSON line for each connection that has ended.
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// Run in a network namespace of its own that holds nothing but loopback, where `half-open` and `flood` may run.
    #[arg(long)]
    pub(crate) isolated: bool,
    /// Start with this load, for the time given in the parameters: `steady` or `steady,rate=500,duration=1m`.
    #[arg(long, value_name = "PROFILE[,KEY=VALUE]...")]
    pub(crate) load: Option<String>,
}

impl Serve {
    /// The settings: what was typed, and defaults for the rest.
    pub(crate) fn settings(&self) -> Settings {
        Settings::default().with(&Change {
            pattern: None,
            workers: self.workers,
            backlog: self.backlog,
            work_us: self.work,
            sleep_us: self.sleep,
            response_bytes: self.response_bytes,
            ..Change::default()
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct Load {
    /// Where to; an address of this machine.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) target: SocketAddr,
    #[arg(long, value_name = "NAME", default_value = "steady", help = profile_help())]
    pub(crate) profile: String,
    /// Requests per second of an open loop; bursts per second of bursts.
    #[arg(long, value_name = "R")]
    pub(crate) rate: Option<f64>,
    /// Most connections in flight; of a burst, the connections in one.
    #[arg(long, value_name = "N")]
    pub(crate) connections: Option<u32>,
    /// Requests on one connection before the client closes it.
    #[arg(long, value_name = "K")]
    pub(crate) requests_per_connection: Option<u32>,
    /// How long to send, at most 1h [default: 10s].
    #[arg(long, value_name = "DURATION")]
    pub(crate) duration: Option<String>,
    /// Open so many connections in all, then end.
    #[arg(long, value_name = "N")]
    pub(crate) total_connections: Option<u64>,
    /// Arrivals of an open loop at random instead of at equal distances.
    #[arg(long)]
    pub(crate) poisson: bool,
    /// Seed of the random arrivals [default: 1].
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// Come from so many addresses of 127.0.0.0/8 in turn, so that ports do not run out [default: 1, or 64 where the
    /// profile needs them].
    #[arg(long, value_name = "N")]
    pub(crate) sources: Option<u32>,
    /// Say on standard error how far the run has come, also where that is no terminal.
    #[arg(long)]
    pub(crate) progress: bool,
    /// Print the report as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// End when the process with this id, which has started this one, ends.
    #[arg(long, value_name = "PID", hide = true)]
    pub(crate) die_with: Option<i32>,
}

impl Load {
    /// The parameters that were typed.
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides {
            rate: self.rate,
            connections: self.connections,
            requests_per_connection: self.requests_per_connection,
            duration: self.duration.clone(),
            total_connections: self.total_connections,
            poisson: self.poisson.then_some(true),
            seed: self.seed,
            sources: self.sources,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Patterns {
    /// Print everything the table holds, as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// End when the process with this id, which has started this one, ends.
    #[arg(long, value_name = "PID")]
    pub(crate) die_with: i32,
}

fn pattern_help() -> String {
    let names: Vec<_> = PATTERNS.iter().map(|pattern| pattern.id).collect();
    format!("Execution pattern, by name or course number: {}", names.join(", "))
}

fn profile_help() -> String {
    let names: Vec<_> = PROFILES.iter().map(|profile| profile.name).collect();
    format!("Named load: {}; docs/load.md describes them", names.join(", "))
}
