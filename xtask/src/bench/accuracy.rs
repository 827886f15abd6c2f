//! `cargo xtask bench accuracy N`: are N connections all accounted for?
//!
//! In a network namespace of its own, the load generator makes short connections until there were N, the observer
//! writes a line for each, and then the books must balance: lines and counted losses against what the kernel
//! counted as opened passively, and every check of the ledger at zero.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::{
    process::{Pid, Signal, kill_process},
    thread::UnshareFlags,
};
use serde_json::Value;

use super::round::Bench;
use crate::{
    artifacts::Release, backend::Backend, exec, interrupt::Interrupt, privilege::Privilege, stream::Stream,
};

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// Connections that the kernel opened passively.
    opened: i64,
    /// Responses that the load generator counted.
    responses: i64,
    /// Lines of type `connection`.
    lines: i64,
    /// What the kernel half says it produced, and what arrived.
    produced: i64,
    delivered: i64,
    /// Losses that are not zero.
    lost: BTreeMap<String, i64>,
    /// Checks of the ledger that do not come out at zero, in the last set of lines.
    open_checks: Vec<String>,
    /// How long the load ran.
    seconds: f64,
}

/// Runs until there were so many connections.
pub(super) fn run(release: Release, connections: u64, pattern: &str) -> Result<()> {
    own_namespace()?;
    let interrupt = Interrupt::catch()?;
    let backend = Backend::start(&release.demo_server, &["--pattern", pattern], &interrupt)?;
    let bench = Bench { backend, release, privilege: Privilege::Root, milliseconds: 5000, interrupt };
    let before = passive_opens()?;
    // Other namespaces' connections are in none of these counters.
    let flags = ["--interval", "1s", "--netns", "/proc/self/ns/net"];
    let mut stream = Stream::start(&bench.release.observer, &Privilege::Root, None, &flags)?;
    stream.meta(&bench.interrupt)?;
    let mut accounts = Accounts::default();
    let start = Instant::now();
    while passive_opens()? - before < connections as i64 {
        let (responses, per_second) = bench.load()?;
        accounts.responses += responses as i64;
        // The stream's own thread takes its lines out of the pipe; they are read when the load has ended.
        eprintln!("accuracy: {} connections, {per_second:.0}/s", passive_opens()? - before);
        stream.skim(&mut |line| accounts.take(&line))?;
    }
    accounts.seconds = start.elapsed().as_secs_f64();
    accounts.opened = passive_opens()? - before;
    // All of the backend's sockets are closed when it has ended.
    drop(bench.backend);
    let id = i32::try_from(stream.id()).ok().and_then(Pid::from_raw).context("the observer's process id")?;
    kill_process(id, Signal::INT).context("could not end the observer")?;
    while let Some(line) = stream.next(Duration::from_secs(60), &bench.interrupt)? {
        accounts.take(&line);
    }
    stream.finish(&bench.interrupt)?;
    print!("{accounts}");
    accounts.verdict()
}

impl Accounts {
    fn take(&mut self, line: &Value) {
        match line["type"].as_str() {
            Some("connection") => self.lines += 1,
            // A set of lines begins with those of listeners and namespaces, and its ledger replaces that before.
            Some("host") => self.open_checks.clear(),
            Some("ledger") if line["difference"] != 0 => self.open_checks.push(line.to_string()),
            Some("loss") => {
                let count = |name: &str| line[name].as_i64().unwrap_or(-1);
                (self.produced, self.delivered) = (count("produced"), count("delivered"));
                let counters = line["counters"].as_object().into_iter().flatten();
                let counters = counters.map(|(name, count)| (name.clone(), count.as_i64().unwrap_or(-1)));
                self.lost = counters.filter(|(_, count)| *count != 0).collect();
            }
            _ => {}
        }
    }

    fn lost(&self, name: &str) -> i64 {
        self.lost.get(name).copied().unwrap_or(0)
    }

    /// Connections without a record, by their losses.
    fn without_record(&self) -> i64 {
        ["ring_connection", "connections_full", "end_missed"].iter().map(|name| self.lost(name)).sum()
    }

    fn verdict(&self) -> Result<()> {
        if self.lines != self.delivered {
            bail!("{} lines were written, and {} records delivered", self.lines, self.delivered);
        }
        let accounted = self.delivered + self.without_record();
        if accounted != self.opened {
            bail!("{accounted} connections are accounted for, and the kernel opened {}", self.opened);
        }
        if !self.open_checks.is_empty() {
            bail!("the ledger does not balance: {}", self.open_checks.join("; "));
        }
        Ok(())
    }
}

impl fmt::Display for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "passive opens (kernel)        {:>10}", self.opened)?;
        writeln!(f, "responses (load generator)    {:>10}", self.responses)?;
        writeln!(f, "records produced              {:>10}", self.produced)?;
        writeln!(f, "records delivered             {:>10}", self.delivered)?;
        writeln!(f, "lines written                 {:>10}", self.lines)?;
        writeln!(f, "connections without a record  {:>10}", self.without_record())?;
        for (name, count) in &self.lost {
            writeln!(f, "  lost: {name:<22}{count:>10}")?;
        }
        writeln!(f, "ledger checks not at zero     {:>10}", self.open_checks.len())?;
        writeln!(f, "seconds                       {:>10.1}", self.seconds)
    }
}

/// From here on this thread, and what it starts, is in a network namespace of its own.
fn own_namespace() -> Result<()> {
    // SAFETY: only the network namespace is left; the table of descriptors stays shared with the other threads.
    #[expect(unsafe_code, reason = "rustix marks all of unshare(2) so, for the sake of CLONE_FILES")]
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
        .context("could not make a network namespace")?;
    exec::run(exec::command("ip").args(["link", "set", "lo", "up"]))
}

/// `PassiveOpens` of this thread's namespace.
fn passive_opens() -> Result<i64> {
    let text =
        std::fs::read_to_string("/proc/thread-self/net/snmp").context("could not read /proc/net/snmp")?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp:"));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    names
        .split_whitespace()
        .zip(values.split_whitespace())
        .find_map(|(name, value)| (name == "PassiveOpens").then(|| value.parse().ok())?)
        .context("/proc/net/snmp has no PassiveOpens")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_connection_is_a_line_or_a_loss() {
        let mut accounts = Accounts { opened: 3, ..Accounts::default() };
        for _ in 0..2 {
            accounts.take(&json!({"type": "connection"}));
        }
        accounts.take(&json!({"type": "ledger", "difference": 1}));
        accounts.take(&json!({"type": "host"}));
        let loss = |ring: i64| json!({"type": "loss", "produced": 3, "delivered": 2, "counters": {"ring_connection": ring}});
        accounts.take(&loss(0));
        assert!(accounts.verdict().is_err(), "one is missing");
        accounts.take(&loss(1));
        assert!(accounts.verdict().is_ok(), "{accounts}");
        accounts.take(&json!({"type": "ledger", "difference": 1}));
        assert!(accounts.verdict().is_err(), "the ledger does not balance");
    }

    #[test]
    fn this_namespace_has_opened_something_or_nothing() {
        assert!(passive_opens().unwrap() >= 0);
    }
}
