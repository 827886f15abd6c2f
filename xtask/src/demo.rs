//! `cargo xtask demo`: the backend under load, with the observer on it.
//!
//! With a terminal that is the TUI; without one, each pattern in turn under the same load, and a table of what the
//! kernel saw. Whatever was started is stopped on every way out. Where the kernel gives no eBPF, a bundled recording of
//! the same takes its place.

mod comparison;
mod line;
mod recorded;

use std::{
    io::{IsTerminal as _, stdin, stdout},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    artifacts::{self, Release},
    backend::Backend,
    child::Running,
    exec, exit,
    interrupt::Interrupt,
    privilege::{self, Privilege},
    setup::{self, Purpose},
    stream::Stream,
};
use comparison::{Comparison, Window};

/// Flags of `cargo xtask demo`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Begin with this pattern, or in a comparison run only this one; name or number, repeatable
    #[arg(long)]
    pattern: Vec<String>,
    /// In a comparison, how many seconds each pattern runs
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Compare the patterns although there is a terminal
    #[arg(long)]
    compare: bool,
    /// Show the bundled recording although it could be live
    #[arg(long)]
    recorded: bool,
    /// Make the bundled recording anew, and show nothing
    #[arg(long, conflicts_with_all = ["recorded", "compare", "pattern"])]
    record: bool,
}

/// What the server does for each request, and with how many threads, in every pattern.
///
/// A request sleeps for a millisecond, as one that asks a database would. So a single thread serves fewer than a
/// thousand a second on any machine, four serve almost four thousand, and neither needs much of the processor, which
/// the load and the observer want too.
const SERVER: &[&str] = &["--workers", "4", "--backlog", "128", "--work", "20", "--sleep", "1000"];

/// Connections a second: more than one such thread can serve, and less than half of what four can.
const RATE: u32 = 1500;

/// Runs it.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.recorded {
        return recorded::show(&anyhow::anyhow!("--recorded asks for it"));
    }
    let ready = match setup::ensure(&[Purpose::Demo]) {
        Err(error) if recorded::is_needed(&error) => return recorded::show(&error),
        ready => ready?,
    };
    let release = artifacts::build_release(&ready.toolchain)?;
    match recorded::live_is_possible(&release, &ready.privilege) {
        Err(error) if recorded::is_needed(&error) => return recorded::show(&error),
        possible => possible?,
    }
    let patterns = patterns(&release.demo_server, &options.pattern)?;
    if options.record {
        return recorded::make(&release, &ready.privilege, &patterns);
    }
    let interrupt = Interrupt::catch()?;
    let first = patterns.first().context("demo-server knows no pattern")?;
    let mut flags = vec!["--pattern", first.as_str()];
    flags.extend(SERVER);
    let mut backend = Backend::start(&release.demo_server, &flags, &interrupt)?;
    if stdin().is_terminal() && stdout().is_terminal() && !options.compare {
        live(&release, &ready.privilege, &mut backend, &interrupt)
    } else {
        compare(&release, &ready.privilege, &mut backend, &patterns, options.seconds, &interrupt)
    }
}

/// The TUI, until the user leaves it.
fn live(
    release: &Release,
    privilege: &Privilege,
    backend: &mut Backend,
    interrupt: &Interrupt,
) -> Result<()> {
    backend.request(load("1h"))?;
    let mut command = privilege::tied_as_root(privilege, &release.observer);
    command.args(["live", "--port", &backend.port().to_string(), "--demo"]).arg(backend.socket());
    let mut observer = Running::start(&mut command, "observer live")?;
    exit::of_child("`observer live`", observer.wait(interrupt)?)
}

fn compare(
    release: &Release,
    privilege: &Privilege,
    backend: &mut Backend,
    patterns: &[String],
    seconds: u64,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut comparison = Comparison::default();
    for pattern in patterns {
        eprintln!("demo: {pattern} for {seconds} s at {RATE} connections/s");
        backend.request(json!({"cmd": "set", "pattern": pattern}))?;
        // A second more than the load, so that its last lines show the queues after the load.
        let duration = format!("{}s", seconds + 1);
        let flags = ["--interval", "1s", "--duration", &duration];
        let mut stream = Stream::start(&release.observer, privilege, Some(backend.port()), &flags)?;
        stream.meta(interrupt)?;
        backend.request(load(&format!("{seconds}s")))?;
        let mut window = Window::default();
        while let Some(line) = stream.next(Duration::from_secs(30), interrupt)? {
            window.take(&line)?;
        }
        stream.finish(interrupt)?;
        let report = backend.load_report(Duration::from_secs(60), interrupt)?;
        for warning in report["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            eprintln!("demo: load: {warning}");
        }
        comparison.add(pattern, window);
    }
    print!("{comparison}");
    Ok(())
}

/// The same arrivals for every pattern: an open loop does not slow down because the server does.
fn load(duration: &str) -> Value {
    json!({"cmd": "load", "profile": "steady", "rate": RATE, "duration": duration})
}

/// The patterns that were asked for, or those of the course in its order.
fn patterns(demo_server: &Path, chosen: &[String]) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Pattern {
        id: String,
        number: Option<u8>,
    }
    let text = exec::capture(exec::command(demo_server).args(["patterns", "--json"]))?;
    let mut known: Vec<Pattern> = serde_json::from_str(&text).context("demo-server's list of patterns")?;
    if chosen.is_empty() {
        known.retain(|pattern| pattern.number.is_some());
        known.sort_by_key(|pattern| pattern.number);
        return Ok(known.into_iter().map(|pattern| pattern.id).collect());
    }
    let find = |name: &String| {
        let is_it =
            |p: &&Pattern| p.id == *name || p.number.is_some_and(|number| number.to_string() == *name);
        known.iter().find(is_it).map(|pattern| pattern.id.clone()).with_context(|| {
            let ids: Vec<_> = known.iter().map(|pattern| pattern.id.as_str()).collect();
            format!("there is no pattern `{name}`; there are {}", ids.join(", "))
        })
    };
    chosen.iter().map(find).collect()
}
