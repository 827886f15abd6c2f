//! demo-server and its load as children of an arena: in its namespace, and gone with it.

use std::{
    env,
    ffi::OsString,
    io::{self, Read as _},
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, anyhow, bail};
use demo_server::{
    control::{Client, Request, State},
    load::{Overrides, Report},
    private::PrivateDirectory,
    settings::{Change, Settings},
};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use super::Arena;
use crate::failure::Failure;

/// More than any report is long.
const MOST_OUTPUT: u64 = 1 << 20;

/// A child that ends when this is dropped, and when the thread that started it ends.
#[derive(Debug)]
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Kept {
    fn start(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let program = program()?;
        let mut command = Command::new(&program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let parent = rustix::process::getpid();
        let follow = move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // It may have died in between.
            if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
        };
        // SAFETY: the closure makes two system calls and allocates nothing.
        #[expect(unsafe_code, reason = "std marks all that runs between fork and exec so")]
        unsafe {
            command.pre_exec(follow);
        }
        Ok(Self(command.spawn().with_context(|| format!("cannot start {}", program.display()))?))
    }

    /// What it said of its failure; it must have ended.
    fn last_words(&mut self) -> String {
        let mut text = String::new();
        if let Some(stderr) = self.0.stderr.take() {
            // What cannot be read is not said.
            let _ = stderr.take(MOST_OUTPUT).read_to_string(&mut text);
        }
        text.trim().to_owned()
    }
}

/// demo-server is built and installed beside the observer, and is of the same version.
pub fn program() -> Result<PathBuf> {
    let mut own = env::current_exe().context("cannot find out which program this is")?;
    // Cargo puts a test into a directory below the programs.
    if own.parent().is_some_and(|directory| directory.ends_with("deps")) {
        own.pop();
    }
    let beside = own.with_file_name("demo-server");
    if beside.exists() {
        return Ok(beside);
    }
    let missing = format!("there is no {}; build it with `cargo build -p demo-server`", beside.display());
    Err(Failure::Usage(missing).into())
}

/// A running demo-server.
#[derive(Debug)]
pub struct Backend {
    child: Kept,
    control: Client,
    address: SocketAddr,
}

impl Arena {
    /// Starts demo-server under a pattern; when this returns, it listens. Settings without a flag of `serve` are set
    /// over the control socket.
    pub fn serve(&self, pattern: &str, settings: &Settings) -> Result<Backend> {
        let directory = PrivateDirectory::new().context("cannot make a directory for the control socket")?;
        let socket = directory.join("control");
        let mut arguments: Vec<OsString> =
            ["serve", "--listen", "127.0.0.1:0", "--pattern", pattern, "--control"].map(Into::into).into();
        arguments.push(socket.clone().into());
        for (flag, value) in [
            ("--backlog", u64::from(settings.backlog)),
            ("--workers", u64::from(settings.workers)),
            ("--work", settings.work_us),
            ("--sleep", settings.sleep_us),
            ("--response-bytes", u64::from(settings.response_bytes)),
        ] {
            arguments.extend([flag.into(), value.to_string().into()]);
        }
        let mut child = Kept::start(arguments)?;
        let mut control = None;
        self.until("demo-server's control socket", || {
            if let Some(status) = child.0.try_wait().context("cannot wait for demo-server")? {
                bail!("demo-server ended with {status}: {}", child.last_words());
            }
            control = Client::connect(&socket).ok();
            Ok(control.is_some())
        })?;
        let mut control = control.ok_or_else(|| anyhow!("demo-server's control socket is gone"))?;
        // The one client it will have is connected, and nothing is left of it if this process is killed.
        drop(directory);
        let state = control.state()?;
        let rest = Change {
            nodelay: differs(settings.nodelay, state.settings.nodelay),
            keep_alive: differs(settings.keep_alive, state.settings.keep_alive),
            defer_accept_s: differs(settings.defer_accept_s, state.settings.defer_accept_s),
            fast_open: differs(settings.fast_open, state.settings.fast_open),
            ..Change::default()
        };
        if rest != Change::default() {
            control.command(&Request::Set(rest))?;
        }
        Ok(Backend { child, control, address: state.listen })
    }

    /// Starts `demo-server load` against an address of this namespace.
    pub fn load(&self, target: SocketAddr, profile: &str, parameters: &Overrides) -> Result<Load> {
        let target = target.to_string();
        let mut arguments: Vec<OsString> =
            ["load", "--json", "--target", &target, "--profile", profile].map(Into::into).into();
        let Overrides {
            rate,
            connections,
            requests_per_connection,
            duration,
            total_connections,
            poisson,
            seed,
            sources,
        } = parameters;
        let flags = [
            ("--rate", rate.map(|value| value.to_string())),
            ("--connections", connections.map(|value| value.to_string())),
            ("--requests-per-connection", requests_per_connection.map(|value| value.to_string())),
            ("--duration", duration.clone()),
            ("--total-connections", total_connections.map(|value| value.to_string())),
            ("--seed", seed.map(|value| value.to_string())),
            ("--sources", sources.map(|value| value.to_string())),
        ];
        for (flag, value) in flags {
            if let Some(value) = value {
                arguments.extend([flag.into(), value.into()]);
            }
        }
        if *poisson == Some(true) {
            arguments.push("--poisson".into());
        }
        Ok(Load { child: Kept::start(arguments)? })
    }
}

fn differs<T: PartialEq>(wanted: T, now: T) -> Option<T> {
    (wanted != now).then_some(wanted)
}

impl Backend {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Sends a request over the control socket and returns the state afterwards; a refusal is an error.
    pub fn command(&mut self, request: &Request) -> Result<State> {
        self.control.command(request)
    }

    /// Its own account of itself.
    pub fn state(&mut self) -> Result<State> {
        self.control.state()
    }

    /// Breaks something, or mends it.
    pub fn fault(&mut self, name: &str, on: bool, index: Option<u32>, ms: Option<u64>) -> Result<State> {
        self.command(&Request::Fault { name: name.into(), on, index, ms })
    }
}

/// A running load.
#[derive(Debug)]
pub struct Load {
    child: Kept,
}

impl Load {
    /// Its report once it has ended.
    pub fn poll(&mut self) -> Result<Option<Report>> {
        match self.child.0.try_wait().context("cannot wait for the load")? {
            None => Ok(None),
            Some(_) => self.report().map(Some),
        }
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Result<Report> {
        self.child.0.wait().context("cannot wait for the load")?;
        self.report()
    }

    fn report(&mut self) -> Result<Report> {
        let mut text = String::new();
        // A report is shorter than a pipe holds, so it is all there at the end.
        if let Some(stdout) = self.child.0.stdout.take() {
            stdout.take(MOST_OUTPUT).read_to_string(&mut text).context("cannot read the load's report")?;
        }
        // Without one answered request it fails, and reports all the same.
        serde_json::from_str(&text)
            .map_err(|_| anyhow!("the load made no report: {}", self.child.last_words()))
    }
}
