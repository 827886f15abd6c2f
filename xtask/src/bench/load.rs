//! `cargo xtask bench load`: does the load generator keep up with what others reach against the same server?
//!
//! Against wrk with kept connections, and against the least that a program can do, a loop of connect, write, read and
//! close. All on one thread, for on a machine that is busy more threads get more of it. In turn, in one run: what comes
//! first finds the machine in another state than what comes second, so they change places, and the median of the ratios
//! counts. Beside it stands the processor time that a request costs its generator, which depends least on who else runs.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{host, process};
use crate::{artifacts::Release, backend::Backend, exec, interrupt::Interrupt, table::Table};

/// Clients of the profile `keepalive`, and so of wrk.
const KEPT: usize = 32;
/// What the generator is to reach of the other.
const GOAL: f64 = 0.9;

/// A pair of generators.
struct Contest {
    name: &'static str,
    profile: &'static str,
    other: fn(u16, Duration) -> Result<Reached>,
}

/// What a generator has reached in one round.
struct Reached {
    requests: f64,
    per_second: f64,
}

/// One side of a contest: its rate in each round, and what all rounds cost.
#[derive(Default)]
struct Side {
    rates: Vec<f64>,
    requests: f64,
    cpu_ms: f64,
}

impl Side {
    /// Runs a round.
    fn add(&mut self, round: impl FnOnce() -> Result<Reached>) -> Result<f64> {
        let before = process::cpu_ms_with_children()?;
        let reached = round()?;
        self.cpu_ms += process::cpu_ms_with_children()? - before;
        self.requests += reached.requests;
        self.rates.push(reached.per_second);
        Ok(reached.per_second)
    }

    fn cells(&mut self) -> [String; 2] {
        let each = self.cpu_ms * 1000.0 / self.requests;
        [format!("{:.0} /s", median(&mut self.rates)), format!("{each:.1} µs")]
    }
}

const CONTESTS: [Contest; 2] = [
    Contest { name: "kept connections, against wrk", profile: "keepalive", other: wrk },
    Contest {
        name: "a connection for each request, against a bare loop",
        profile: "churn",
        other: bare_loop,
    },
];

/// Runs every contest so many times, and writes the outcome into `write` too, as Markdown.
pub(super) fn run(release: &Release, pairs: u32, round: Duration, write: Option<&Path>) -> Result<()> {
    let interrupt = Interrupt::catch()?;
    let head = ["", "theirs", "their CPU", "ours", "our CPU", "ratio", "range", "goal"];
    let mut table = Table::new(head);
    for contest in &CONTESTS {
        let backend = Backend::start(&release.demo_server, &["--backlog", "1024"], &interrupt)?;
        let other = || (contest.other)(backend.port(), round);
        let own = || generator(release, contest.profile, backend.port(), round);
        let (mut theirs, mut ours, mut ratios) = (Side::default(), Side::default(), Vec::new());
        for pair in 0..pairs {
            interrupt.check()?;
            let (other, own) = if pair % 2 == 0 {
                let other = theirs.add(other)?;
                (other, ours.add(own)?)
            } else {
                let own = ours.add(own)?;
                (theirs.add(other)?, own)
            };
            eprintln!("bench: {}: pair {} of {pairs}: {other:.0}/s, ours {own:.0}/s", contest.name, pair + 1);
            ratios.push(own / other);
        }
        let ratio = median(&mut ratios);
        let mut row = vec![contest.name.to_owned()];
        row.extend(theirs.cells().into_iter().chain(ours.cells()));
        row.extend([
            format!("{ratio:.2}"),
            format!("{:.2} to {:.2}", ratios[0], ratios[ratios.len() - 1]),
            format!("{GOAL} {}", if ratio >= GOAL { "reached" } else { "missed" }),
        ]);
        table.row(row);
    }
    let how =
        format!("{pairs} interleaved pairs of rounds of {} ms, pattern single-thread", round.as_millis());
    if let Some(path) = write {
        let text = format!(
            "# Speed of the load generator\n\n\
             Written by `cargo xtask bench load --write`. What `demo-server load` ([load.md](load.md)) reaches on one\n\
             thread, and what others reach against the same server in turn: wrk with one thread, and a loop that connects,\n\
             writes, reads and closes. Rates are medians, `ratio` is the median of the pairs. `CPU` is the processor time that\n\
             one request costs its generator, the kernel's part included: where other programs want the processors too, it is\n\
             the figure to trust. `churn` keeps 16 connections under way where the loop has one, which is how it gets further.\n\n\
             Machine: {}.\n\n{how}.\n\n{}",
            host::describe().line(),
            table.markdown()
        );
        fs::write(path, text).with_context(|| format!("could not write {}", path.display()))?;
    }
    print!("{}\n{how}\n\n{table}", host::describe().line());
    Ok(())
}

fn generator(release: &Release, profile: &str, port: u16, round: Duration) -> Result<Reached> {
    let mut load = exec::tied(&release.demo_server);
    load.args(["load", "--json", "--profile", profile, "--target", &format!("127.0.0.1:{port}")]);
    load.args(["--duration", &format!("{}ms", round.as_millis())]);
    let report: Value =
        serde_json::from_str(&exec::capture(&mut load)?).context("the load generator's report")?;
    let field = |name: &str| report[name].as_f64().with_context(|| format!("the report has no {name}"));
    if report["errors"].as_object().is_some_and(|errors| !errors.is_empty()) {
        bail!("the load met errors: {}", report["errors"]);
    }
    let requests = field("responses")?;
    Ok(Reached { requests, per_second: requests / field("elapsed_s")? })
}

fn wrk(port: u16, round: Duration) -> Result<Reached> {
    let mut wrk = exec::tied("wrk");
    wrk.args(["-t1", &format!("-c{KEPT}"), &format!("-d{}s", round.as_secs().max(1))]);
    wrk.arg(format!("http://127.0.0.1:{port}/"));
    let text =
        exec::capture(&mut wrk).context("wrk is what kept connections are compared with; install it")?;
    understood(&text).with_context(|| format!("wrk does not say what it has reached:\n{text}"))
}

/// `  64852 requests in 1.00s, 7.79MB read` and `Requests/sec:  64822.11`.
fn understood(text: &str) -> Option<Reached> {
    let mut lines = text.lines().map(str::trim);
    let requests = lines.find_map(|line| line.split_once(" requests in ")?.0.parse().ok())?;
    let per_second = lines.find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok())?;
    Some(Reached { requests, per_second })
}

/// As many connections as go, one after the other, each with one request.
fn bare_loop(port: u16, round: Duration) -> Result<Reached> {
    let (start, mut count, mut buffer) = (Instant::now(), 0_u32, [0; 4096]);
    while start.elapsed() < round {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .context("the bare loop cannot connect; are all ports in TIME-WAIT?")?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n")?;
        if stream.read(&mut buffer)? == 0 {
            bail!("the server closed before it answered");
        }
        count += 1;
    }
    let requests = f64::from(count);
    Ok(Reached { requests, per_second: requests / start.elapsed().as_secs_f64() })
}

/// Sorts them and takes the one in the middle.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let mut values = [3.0, 1.0, 2.0];
        assert_eq!(median(&mut values), 2.0);
        assert_eq!(values, [1.0, 2.0, 3.0]);
        assert_eq!(median(&mut []), 0.0);
    }

    #[test]
    fn what_wrk_says_is_understood() {
        let text = "  1 threads and 32 connections\n  64852 requests in 1.00s, 7.79MB read\nRequests/sec:  64822.11\n";
        let reached = understood(text).unwrap();
        assert_eq!((reached.requests, reached.per_second), (64852.0, 64822.11));
        assert!(understood("unable to connect").is_none());
    }
}
