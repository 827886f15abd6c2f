//! `cargo xtask bench load`: does the load generator keep up with what others reach against the same server?
//!
//! Against wrk with kept connections, and against the least that a program can do, a loop of connect, write, read and
//! close. All on one thread, for on a machine that is busy more threads get more of it. In turn, in one run: what comes
//! first finds the machine in another state than what comes second, so they change places, and the median of the ratios
//! counts.

use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::host;
use crate::{artifacts::Release, backend::Backend, exec, interrupt::Interrupt, table::Table};

/// Clients of the profile `keepalive`, and so of wrk.
const KEPT: usize = 32;
/// What the generator is to reach of the other.
const GOAL: f64 = 0.9;

/// A pair of generators.
struct Contest {
    name: &'static str,
    profile: &'static str,
    other: fn(u16, Duration) -> Result<f64>,
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
    let mut table = Table::new(["", "theirs", "ours", "ratio", "range", "goal"]);
    for contest in &CONTESTS {
        let backend = Backend::start(&release.demo_server, &["--backlog", "1024"], &interrupt)?;
        let (mut theirs, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for pair in 0..pairs {
            interrupt.check()?;
            let other = || (contest.other)(backend.port(), round);
            let own = || generator(release, contest.profile, backend.port(), round);
            let (other, own) = if pair % 2 == 0 {
                let other = other()?;
                (other, own()?)
            } else {
                let own = own()?;
                (other()?, own)
            };
            eprintln!("bench: {}: pair {} of {pairs}: {other:.0}/s, ours {own:.0}/s", contest.name, pair + 1);
            theirs.push(other);
            ours.push(own);
            ratios.push(own / other);
        }
        let ratio = median(&mut ratios);
        table.row([
            contest.name.to_owned(),
            format!("{:.0} /s", median(&mut theirs)),
            format!("{:.0} /s", median(&mut ours)),
            format!("{ratio:.2}"),
            format!("{:.2} to {:.2}", ratios[0], ratios[ratios.len() - 1]),
            format!("{GOAL} {}", if ratio >= GOAL { "reached" } else { "missed" }),
        ]);
    }
    let how =
        format!("{pairs} interleaved pairs of rounds of {} ms, pattern single-thread", round.as_millis());
    if let Some(path) = write {
        let mut text =
            "# Speed of the load generator\n\nWritten by `cargo xtask bench load --write`. ".to_owned();
        let _ = write!(
            text,
            "Requests per second that `demo-server load` makes\non one thread, and what others make against the same \
             server in turn.\n\nMachine: {}.\n\n{how}; medians.\n\n{}",
            host::describe().line(),
            table.markdown()
        );
        fs::write(path, text).with_context(|| format!("could not write {}", path.display()))?;
    }
    print!("{}\n{how}\n\n{table}", host::describe().line());
    Ok(())
}

fn generator(release: &Release, profile: &str, port: u16, round: Duration) -> Result<f64> {
    let mut load = exec::tied(&release.demo_server);
    load.args(["load", "--json", "--profile", profile, "--target", &format!("127.0.0.1:{port}")]);
    load.args(["--duration", &format!("{}ms", round.as_millis())]);
    let report: Value =
        serde_json::from_str(&exec::capture(&mut load)?).context("the load generator's report")?;
    let field = |name: &str| report[name].as_f64().with_context(|| format!("the report has no {name}"));
    if report["errors"].as_object().is_some_and(|errors| !errors.is_empty()) {
        bail!("the load met errors: {}", report["errors"]);
    }
    Ok(field("responses")? / field("elapsed_s")?)
}

fn wrk(port: u16, round: Duration) -> Result<f64> {
    let mut wrk = exec::command("wrk");
    wrk.args(["-t1", &format!("-c{KEPT}"), &format!("-d{}s", round.as_secs().max(1))]);
    wrk.arg(format!("http://127.0.0.1:{port}/"));
    let text =
        exec::capture(&mut wrk).context("wrk is what kept connections are compared with; install it")?;
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
    rate.with_context(|| format!("wrk says no `Requests/sec`:\n{text}"))
}

/// As many connections as go, one after the other, each with one request.
fn bare_loop(port: u16, round: Duration) -> Result<f64> {
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
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
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
}
