//! The command line: what can be typed. What follows from it is decided elsewhere.

mod recording;
mod sizes;

use std::{path::PathBuf, time::Duration};

pub use recording::Recording;
pub use sizes::Sizes;

use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use demo_server::command_line::setting;

use crate::kernel::{
    choice::Chosen,
    plan::{self, SIGNALS},
};
use crate::outputs::stream::line_type::{LINE_TYPES, LineType};
use crate::view::Theme;

/// See every connection's way through the kernel, know which thread did each step, and trust the figures.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; `live` when nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of `live`.
    #[command(flatten)]
    pub live: Live,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The screen: every listener's queues, every connection's journey, and which thread did each step.
    Live(Live),
    /// One JSON object a line on stdout; docs/stream.md describes the lines.
    Stream(Stream),
    /// Take down what happens, for `replay`, `stream --replay` and `report`; docs/recording.md says how large it gets.
    Record(Record),
    /// The screen, fed from a recording: play, pause, seek, step. Needs no privilege.
    Replay(Replay),
    /// A recording as one page with plots, for any browser: no network, no script.
    Report(Report),
    /// What this kernel gives: each signal, the hook in use, and why better ones were refused.
    Doctor(Doctor),
    /// Guided experiments with the kernel's queues; without a name, the list.
    Lab(Lab),
    /// demo-server's patterns under the same loads, and what really differs; docs/compare.md says how to read it.
    Compare(Compare),
}

/// Options of `live`.
#[derive(Debug, Clone, Args)]
pub struct Live {
    /// What is watched.
    #[command(flatten)]
    pub selection: Selection,
    /// Control socket of a demo-server, to switch its pattern, load and faults from the screen.
    #[arg(long, value_name = "SOCKET")]
    pub demo: Option<PathBuf>,
    /// Time between two frames.
    #[arg(long, value_name = "DURATION", default_value = "250ms", value_parser = duration)]
    pub refresh: Duration,
    /// Draw with ASCII characters only.
    #[arg(long)]
    pub ascii: bool,
    /// Colours: terminal, dark, light, contrast or colour-blind; NO_COLOR in the environment asks for none.
    #[arg(long, value_name = "NAME", value_parser = theme)]
    pub theme: Option<Theme>,
    /// A recording beside the screen.
    #[command(flatten)]
    pub recording: Recording,
    /// Sizes and sources that rarely matter.
    #[command(flatten)]
    pub tuning: Tuning,
}

/// Options of `stream`.
#[derive(Debug, Clone, Args)]
pub struct Stream {
    /// What is watched.
    #[command(flatten)]
    pub selection: Selection,
    /// Time between two sets of listener, thread, drop, ledger and loss lines; connections come as they end.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub interval: Duration,
    /// Stop after this long; otherwise at SIGINT, SIGTERM or SIGHUP.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Only lines of these types (`meta` always comes).
    #[arg(long, value_name = "TYPE", value_delimiter = ',', value_parser = line_type())]
    pub only: Vec<LineType>,
    /// At the end, also a line for each connection that is still open.
    #[arg(long)]
    pub open: bool,
    /// A recording beside the lines.
    #[command(flatten)]
    pub recording: Recording,
    /// Lines from this recording (- is stdin) instead of the kernel; needs no privilege.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["record", "interval", "duration", "demo", "ports", "pid", "netns", "cgroup"])]
    pub replay: Option<PathBuf>,
    /// Control socket of a demo-server, for `pattern` lines when it changes.
    #[arg(long, value_name = "SOCKET")]
    pub demo: Option<PathBuf>,
    /// Sizes and sources that rarely matter.
    #[command(flatten)]
    pub tuning: Tuning,
}

/// Options of `record`.
#[derive(Debug, Clone, Args)]
pub struct Record {
    /// Where to.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What is watched.
    #[command(flatten)]
    pub selection: Selection,
    /// Time between two readings of queues, threads and counters; also what a crash can lose.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub interval: Duration,
    /// Stop after this long; otherwise at SIGINT, SIGTERM or SIGHUP.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Count ended connections and do not record each: much smaller when there are many.
    #[arg(long)]
    pub no_connections: bool,
    /// Replace the file if it is there.
    #[arg(long)]
    pub force: bool,
    /// Control socket of a demo-server, to record its changes.
    #[arg(long, value_name = "SOCKET")]
    pub demo: Option<PathBuf>,
    /// Sizes and sources that rarely matter.
    #[command(flatten)]
    pub tuning: Tuning,
}

/// Options of `replay`.
#[derive(Debug, Clone, Args)]
pub struct Replay {
    /// The recording; - is stdin, and keys come from the terminal then.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Times as fast as it was.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub speed: u16,
    /// Begin paused.
    #[arg(long)]
    pub paused: bool,
    /// Draw with ASCII characters only.
    #[arg(long)]
    pub ascii: bool,
    /// Colours: terminal, dark, light, contrast or colour-blind; NO_COLOR in the environment asks for none.
    #[arg(long, value_name = "NAME", value_parser = theme)]
    pub theme: Option<Theme>,
    /// How much of it is held.
    #[command(flatten)]
    pub sizes: Sizes,
}

/// Options of `report`.
#[derive(Debug, Clone, Args)]
pub struct Report {
    /// The recording; - is stdin.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where to; otherwise to stdout.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace that file if it is there.
    #[arg(long, requires = "output")]
    pub force: bool,
    /// How much of it is held.
    #[command(flatten)]
    pub sizes: Sizes,
}

/// Options of `doctor`.
#[derive(Debug, Clone, Args)]
pub struct Doctor {
    /// Machine-readable.
    #[arg(long)]
    pub json: bool,
    /// Prove each hook with a few connections of our own on loopback; one that stays silent gives way to the next.
    #[arg(long)]
    pub self_test: bool,
    /// Sizes and sources that rarely matter.
    #[command(flatten)]
    pub tuning: Tuning,
}

/// Options of `lab`.
#[derive(Debug, Clone, Args)]
pub struct Lab {
    /// The lab to run.
    pub name: Option<String>,
    /// Ask nothing and explain nothing; fail when a figure is outside its expectation. Without a name, all labs.
    #[arg(long)]
    pub check: bool,
    /// Machine-readable: the list, or the figures of each run, one JSON object a line.
    #[arg(long)]
    pub json: bool,
    /// How long to wait for what should happen soon; more on a slow machine.
    #[arg(long, value_name = "DURATION", default_value = "60s", hide_short_help = true, value_parser = duration)]
    pub patience: Duration,
}

/// Options of `compare`.
#[derive(Debug, Clone, Args)]
pub struct Compare {
    /// A pattern, by name or number; the first is what all others are compared with [default: those of the course].
    #[arg(long = "pattern", value_name = "NAME")]
    pub patterns: Vec<String>,
    /// A load under which each of them is put [default: steady].
    #[arg(long = "profile", value_name = "NAME")]
    pub profiles: Vec<String>,
    /// How often each runs [default: the least with which anything can be told from noise].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(crate::compare::plan::MOST_REPETITIONS)))]
    pub repeat: Option<u32>,
    /// How long the load runs each time.
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = duration)]
    pub duration: Duration,
    /// Machine-readable.
    #[arg(long)]
    pub json: bool,
    /// Also write a page with plots, in one file that needs no other.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Replace that page if it is there.
    #[arg(long, requires = "html")]
    pub force: bool,
    /// Requests per second, in place of the profiles' own; for open loops.
    #[arg(long, value_name = "R")]
    pub rate: Option<f64>,
    /// Threads of the kind that a pattern multiplies [default: 4].
    #[arg(long, value_name = "N", value_parser = setting::<u32>("workers"))]
    pub workers: Option<u32>,
    /// Backlog passed to listen(2) [default: 128].
    #[arg(long, value_name = "N", value_parser = setting::<u32>("backlog"))]
    pub backlog: Option<u32>,
    /// Processor time that the server burns for each request, in microseconds [default: 0].
    #[arg(long, value_name = "US", value_parser = setting::<u64>("work_us"))]
    pub work: Option<u64>,
    /// Time that the server sleeps for each request, in microseconds [default: 0].
    #[arg(long, value_name = "US", value_parser = setting::<u64>("sleep_us"))]
    pub sleep: Option<u64>,
}

/// What is watched. Nothing said: every listener on the host. The selection is made in the kernel.
#[derive(Debug, Clone, Default, Args)]
pub struct Selection {
    /// Only listeners on this port; can be repeated.
    #[arg(long = "port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub ports: Vec<u16>,
    /// Only listeners that this process opens or holds.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
    /// Only listeners in this network namespace: a path such as /run/netns/NAME, or the PID of a process in it.
    #[arg(long, value_name = "PATH|PID")]
    pub netns: Option<String>,
    /// Only sockets created in this cgroup (a directory of the cgroup2 file system).
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,
}

/// Sizes and sources that rarely matter.
#[derive(Debug, Clone, Args)]
pub struct Tuning {
    /// Read this kernel's BTF from a file, where /sys/kernel/btf is hidden.
    #[arg(long, value_name = "FILE", default_value = crate::kernel::probes::KERNEL_BTF, hide_short_help = true)]
    pub btf: PathBuf,
    /// How much is followed at one time.
    #[command(flatten)]
    pub sizes: Sizes,
    /// Size of the event ring in KiB, a power of two.
    #[arg(long, value_name = "KIB", default_value_t = 4096, hide_short_help = true, value_parser = ring_kib)]
    pub ring_kib: u32,
    /// Get this signal by this hook and no other; can be repeated. `observer doctor` lists signals and hooks.
    #[arg(long = "hook", value_name = "SIGNAL=HOOK", hide_short_help = true, value_parser = hook)]
    pub hooks: Vec<Chosen>,
    /// Print what the probes log to stderr.
    #[arg(long, hide_short_help = true)]
    pub log_probes: bool,
}

/// `200ms`, `5s`, `2m`.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 =
        number.parse().map_err(|_| format!("`{text}` is no duration; write 200ms, 5s or 2m"))?;
    let millis = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        _ => return Err(format!("`{text}` has no unit ms, s or m")),
    };
    match millis {
        None => Err(format!("`{text}` is too long")),
        Some(millis) if millis < 10 => Err(format!("`{text}` is shorter than 10ms")),
        Some(millis) => Ok(Duration::from_millis(millis)),
    }
}

/// A type of lines by its name.
fn line_type() -> impl TypedValueParser<Value = LineType> {
    let names = LINE_TYPES.map(|(_, name, what)| PossibleValue::new(name).help(what));
    PossibleValuesParser::new(names).try_map(|name| {
        let row = LINE_TYPES.iter().find(|(_, known, _)| *known == name);
        row.map(|(line, _, _)| *line).ok_or("no such type")
    })
}

/// A signal and a hook of the plan.
fn hook(text: &str) -> Result<Chosen, String> {
    let (signal, hook) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not SIGNAL=HOOK, as in read=fexit/tcp_recvmsg"))?;
    let signal = plan::signal(signal).ok_or_else(|| {
        let names: Vec<&str> = SIGNALS.iter().map(|signal| signal.name).collect();
        format!("there is no signal `{signal}`; there are {}", names.join(", "))
    })?;
    let hook = signal.hooks.iter().find(|known| known.name == hook).ok_or_else(|| {
        let names: Vec<&str> = signal.hooks.iter().map(|hook| hook.name).collect();
        format!("the signal `{}` has no hook `{hook}`; it has {}", signal.name, names.join(", "))
    })?;
    Ok((signal, hook))
}

/// A theme by its name.
fn theme(text: &str) -> Result<Theme, String> {
    Theme::named(text).ok_or_else(|| {
        let names: Vec<&str> = Theme::all().map(Theme::name).collect();
        format!("there is no theme `{text}`; there are {}", names.join(", "))
    })
}

/// The kernel wants a power of two, at least a page.
fn ring_kib(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(kib) if kib.is_power_of_two() && (4..=1 << 20).contains(&kib) => Ok(kib),
        _ => Err(format!("`{text}` is no power of two from 4 to 1048576")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn themes() {
        assert_eq!(theme("light"), Ok(Theme::named("light").unwrap()));
        assert!(
            theme("blue").is_err_and(|error| error.contains("terminal, dark, light, contrast, colour-blind"))
        );
    }

    #[test]
    fn durations() {
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in
            ["", "5", "s", "5h", "-1s", "1.5s", "0s", "9ms", "99999999999999999999s", "18446744073709551615m"]
        {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
