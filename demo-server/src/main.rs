//! The program: reads the command line, composes, and turns the outcome into an exit code.
//!
//! Exit codes: 0 ok, 1 failed, 2 usage, 3 lacking privilege, 4 the kernel lacks something. Output for machines goes to
//! standard output, everything else to standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use demo_server::command_line;
use demo_server::control::{self, LoadRequest};
use demo_server::descriptors;
use demo_server::load::{self, Manner, Plan, Report};
use demo_server::namespace;
use demo_server::pattern::PATTERNS;
use demo_server::process;
use demo_server::server::{Config, Server};
use demo_server::signals::StopSignals;
use demo_server::visible::say;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

mod cli;

use cli::{Cli, Command};

/// How a command can fail.
enum Failure {
    /// What was asked for makes no sense: exit code 2.
    Usage(String),
    /// It did not work: exit code 1.
    Failed(anyhow::Error),
    /// It is not allowed: exit code 3.
    Privilege(String),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

fn main() -> ExitCode {
    let cli: Cli = command_line::read();
    let done = match cli.command {
        Command::Serve(arguments) => serve(&arguments),
        Command::Load(arguments) => load(&arguments),
        Command::Patterns(arguments) => patterns(arguments.json),
        Command::Worker(arguments) => worker(arguments.die_with),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            say(format_args!("demo-server: {message}"));
            ExitCode::from(2)
        }
        Err(Failure::Privilege(message)) => {
            say(format_args!("demo-server: {message}"));
            ExitCode::from(3)
        }
        Err(Failure::Failed(error)) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure::Failed(error)) => {
            say(format_args!("demo-server: {error:#}"));
            if is_lacking(&error) { ExitCode::from(4) } else { ExitCode::FAILURE }
        }
    }
}

fn serve(arguments: &cli::Serve) -> Result<(), Failure> {
    let load = arguments.load.as_deref().map(parse_load).transpose().map_err(Failure::Usage)?;
    if arguments.isolated {
        isolate()?;
    }
    // Before any thread exists: they inherit the blocked signals.
    let signals = StopSignals::take().context("cannot take over SIGINT and SIGTERM")?;
    descriptors::raise_limit();
    let config = Config {
        listen: arguments.listen,
        pattern: arguments.pattern,
        settings: arguments.settings(),
        journal: arguments.journal.clone(),
        ..Config::default()
    };
    config.check().map_err(Failure::Usage)?;
    if let Some(load) = &load {
        config.check_load(load).map_err(Failure::Usage)?;
    }
    let server = Server::start(&config)?;
    let _control = arguments.control.as_deref().map(|path| control::serve(&server, path)).transpose()?;
    if let Some(load) = load {
        server.load(&load).map_err(|error| anyhow!("cannot start the load: {error}"))?;
    }
    let (address, pid) = (server.local(), std::process::id());
    eprintln!("demo-server: listening on {address}, pattern {}, pid {pid}", config.pattern.id);
    let mut fds = [PollFd::new(&signals, PollFlags::IN), PollFd::new(&*server, PollFlags::IN)];
    poll(&mut fds, None).context("cannot wait for signals")?;
    server.end()?;
    Ok(())
}

/// Enters a network namespace of its own, and says how others get in.
fn isolate() -> Result<(), Failure> {
    namespace::enter_alone().map_err(|error| {
        let what = format!("cannot make a network namespace: {error}");
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                Failure::Privilege(format!("{what}; it needs CAP_SYS_ADMIN, so run it as root"))
            }
            _ => Failure::Failed(anyhow!(what)),
        }
    })?;
    eprintln!(
        "demo-server: in a network namespace of its own; enter it with `nsenter --net -t {}`",
        std::process::id()
    );
    Ok(())
}

/// Reads `PROFILE[,KEY=VALUE]...`; the keys are those of the control protocol.
fn parse_load(text: &str) -> Result<LoadRequest, String> {
    let mut parts = text.split(',');
    let profile = parts.next().unwrap_or_default();
    load::profile::expect(profile)?;
    let mut fields = serde_json::Map::new();
    fields.insert("profile".to_owned(), profile.into());
    for part in parts {
        let (key, value) = part.split_once('=').ok_or_else(|| format!("'{part}' is not KEY=VALUE"))?;
        // A number or true where it is one, text where it is not, as 1m.
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        fields.insert(key.to_owned(), value);
    }
    serde_json::from_value(fields.into()).map_err(|error| format!("--load {text}: {error}"))
}

fn load(arguments: &cli::Load) -> Result<(), Failure> {
    if let Some(parent) = arguments.die_with {
        die_with(parent)?;
    }
    let mut plan =
        Plan::new(arguments.target, &arguments.profile, &arguments.overrides()).map_err(Failure::Usage)?;
    let long = plan.duration > Duration::from_secs(2);
    plan.progress = arguments.progress || (long && io::stderr().is_terminal());
    let signals = StopSignals::take().context("cannot take over SIGINT and SIGTERM")?;
    let report = match load::run(&plan, Some(signals.as_fd())) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(Failure::Privilege(format!("the load cannot be sent: {error}")));
        }
        other => other.context("the load broke off")?,
    };
    print_report(&report, arguments.json)?;
    let reached = match plan.manner {
        Manner::Abort | Manner::Hold => report.connections_established,
        Manner::HalfOpen => report.connections_opened,
        _ => report.responses,
    };
    if reached == 0 {
        return Err(anyhow!("not one request to {} was answered", plan.target).into());
    }
    Ok(())
}

fn worker(parent: i32) -> Result<(), Failure> {
    die_with(parent)?;
    Ok(process::run()?)
}

/// Asks the kernel to kill this process when its parent ends, and looks whether it has ended already.
fn die_with(parent: i32) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("cannot follow the parent process")?;
    if getppid() == Pid::from_raw(parent) { Ok(()) } else { Err(anyhow!("process {parent} has ended")) }
}

fn print_report(report: &Report, json: bool) -> Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(out.flush()?)
}

fn patterns(json: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, PATTERNS)?;
        writeln!(out)?;
    } else {
        for pattern in PATTERNS {
            let number = pattern.number.map_or_else(|| " ".to_owned(), |number| number.to_string());
            writeln!(out, "{number} {:<21} {}", pattern.id, pattern.line)?;
        }
    }
    out.flush()?;
    Ok(())
}

/// Whether the kernel does not know what it was asked for.
fn is_lacking(error: &anyhow::Error) -> bool {
    let mut kinds = error.chain().filter_map(|cause| Some(cause.downcast_ref::<io::Error>()?.kind()));
    kinds.any(|kind| kind == io::ErrorKind::Unsupported)
}

/// Whoever read the output has seen enough: `demo-server patterns | head -1` is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json = cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        io.or(json) == Some(io::ErrorKind::BrokenPipe)
    })
}
