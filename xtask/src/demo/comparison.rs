//! The comparison of patterns: a row for each, from the observer's lines alone, so from what the kernel saw.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use anyhow::{Context as _, Result};
use serde::Deserialize as _;
use serde_json::Value;

use super::line::{Ledger, Line, Listener, Loss, Thread};
use crate::table::Table;

/// Rows, one for each pattern.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    windows: Vec<(String, Window)>,
}

impl Comparison {
    /// Adds a pattern.
    pub(super) fn add(&mut self, pattern: &str, window: Window) {
        self.windows.push((pattern.to_owned(), window));
    }
}

/// What was seen while one pattern ran. Either the stream was started for it, so its totals begin at zero, or it is the
/// [`next`](Self::next) of another window of the same stream.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Totals at its beginning.
    listeners_before: BTreeMap<u64, (u64, u64)>,
    threads_before: BTreeMap<u32, (u64, u64)>,
    listeners: BTreeMap<u64, Listener>,
    threads: BTreeMap<u32, Thread>,
    ledger: BTreeMap<(String, Option<u64>, String), Ledger>,
    causes: BTreeSet<String>,
    /// Accept-queue waits of ended connections. The lines of listeners have quantiles too, but those of several
    /// shards cannot be put together.
    waits: Vec<u64>,
    first_accept: Option<u64>,
    last_accept: u64,
    loss: Loss,
}

impl Window {
    /// The window that begins where this one ends.
    pub(super) fn next(&self) -> Self {
        let mut next = Self {
            listeners_before: self.listeners_before.clone(),
            threads_before: self.threads_before.clone(),
            ..Self::default()
        };
        for (cookie, listener) in &self.listeners {
            let (accepted, drops) = next.listeners_before.entry(*cookie).or_default();
            *accepted += listener.accepted;
            *drops += listener.listen_drops;
        }
        for (tid, thread) in &self.threads {
            let (accepts, reads) = next.threads_before.entry(*tid).or_default();
            *accepts += thread.accepts;
            *reads += thread.reads;
        }
        next
    }

    /// Takes a line.
    pub(super) fn take(&mut self, line: &Value) -> Result<()> {
        match Line::deserialize(line).with_context(|| format!("`observer stream` wrote `{line}`"))? {
            Line::Listener(mut new) => {
                let before = self.listeners.get(&new.cookie).map_or(0, |before| before.accept_queue_peak);
                new.accept_queue_peak = new.accept_queue_peak.max(before);
                let (accepted, drops) = self.listeners_before.get(&new.cookie).copied().unwrap_or_default();
                new.accepted = new.accepted.saturating_sub(accepted);
                new.listen_drops = new.listen_drops.saturating_sub(drops);
                self.listeners.insert(new.cookie, new);
            }
            Line::Connection(connection) => {
                if let Some(accepted) = connection.accepted_ns {
                    self.first_accept = Some(self.first_accept.map_or(accepted, |first| first.min(accepted)));
                    self.last_accept = self.last_accept.max(accepted);
                    let wait =
                        connection.established_ns.map(|established| accepted.saturating_sub(established));
                    self.waits.extend(wait);
                }
            }
            Line::Thread(mut thread) => {
                let (accepts, reads) = self.threads_before.get(&thread.tid).copied().unwrap_or_default();
                thread.accepts = thread.accepts.saturating_sub(accepts);
                thread.reads = thread.reads.saturating_sub(reads);
                self.threads.insert(thread.tid, thread);
            }
            Line::Drop(drop) if drop.count > 0 => {
                self.causes.insert(drop.cause);
            }
            Line::Ledger(check) => {
                self.ledger.insert((check.scope.clone(), check.listener, check.check.clone()), check);
            }
            Line::Loss(loss) => self.loss = loss,
            Line::Drop(_) | Line::Other => {}
        }
        Ok(())
    }

    fn accepted(&self) -> u64 {
        self.listeners.values().map(|listener| listener.accepted).sum()
    }

    /// Between the first accept and the last, so that neither start nor drain counts.
    fn per_second(&self) -> Option<f64> {
        let span = self.last_accept.checked_sub(self.first_accept?).filter(|span| *span > 0)?;
        Some(self.accepted().saturating_sub(1) as f64 * 1e9 / span as f64)
    }

    fn peak(&self) -> u64 {
        self.listeners.values().map(|listener| listener.accept_queue_peak).max().unwrap_or(0)
    }

    fn drops(&self) -> u64 {
        self.listeners.values().map(|listener| listener.listen_drops).sum()
    }

    /// Why connections were refused, in words.
    fn causes(&self) -> String {
        let causes: Vec<_> = self.causes.iter().map(|cause| in_words(cause)).collect();
        causes.join("; ")
    }

    fn differences(&self) -> Vec<&Ledger> {
        self.ledger.values().filter(|check| check.difference != 0).collect()
    }

    fn books(&self) -> String {
        let balance = match (self.ledger.len(), self.differences().len()) {
            (0, _) => "no books".to_owned(),
            (_, 0) => "books balance".to_owned(),
            (checks, wrong) => format!("{wrong} of {checks} differ"),
        };
        match self.loss.total {
            0 => balance,
            lost => format!("{balance}, {lost} lost"),
        }
    }
}

/// A cause as the stream names it, in words.
fn in_words(cause: &str) -> String {
    let named = |part: &str| match part {
        "accept_queue_full_syn" => "a full accept queue (SYN)".to_owned(),
        "accept_queue_full_ack" | "ack" => "a full accept queue (last ACK)".to_owned(),
        "syn_queue_full" => "a full SYN queue".to_owned(),
        other => other.replace('_', " "),
    };
    cause.split("_or_").map(named).collect::<Vec<_>>().join(" or ")
}

/// `acc-0` for one thread that did it all, else how many did it and between which shares.
fn shares<'a>(threads: impl Iterator<Item = &'a Thread>, count: fn(&Thread) -> u64) -> String {
    let active: Vec<_> = threads.filter(|thread| count(thread) > 0).collect();
    let total: u64 = active.iter().map(|thread| count(thread)).sum();
    let share = |thread: &&&Thread| count(thread) * 100 / total.max(1);
    match active.as_slice() {
        [] => "none".to_owned(),
        [one] => format!("{} 100%", one.comm),
        several => {
            let least = several.iter().map(|thread| share(&thread)).min().unwrap_or(0);
            let most = several.iter().map(|thread| share(&thread)).max().unwrap_or(0);
            format!("{} threads {least}-{most}%", several.len())
        }
    }
}

/// The value below which so many per thousand of them lie.
fn quantile(sorted: &[u64], per_mille: usize) -> Option<u64> {
    let index = (sorted.len() * per_mille).div_ceil(1000).saturating_sub(1);
    sorted.get(index).copied()
}

/// Nanoseconds for people, three digits.
fn time(ns: Option<u64>) -> String {
    let Some(ns) = ns else { return "-".to_owned() };
    let (value, unit) = match ns {
        0..1_000_000 => (ns as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    // Just below ten rounds to ten.
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$} {unit}")
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head =
            ["pattern", "conn/s", "peak", "wait p50", "wait p99", "acceptors", "readers", "drops", "ledger"];
        let mut table = Table::new(head);
        let mut notes = String::new();
        for (pattern, window) in &self.windows {
            let mut waits = window.waits.clone();
            waits.sort_unstable();
            table.row([
                pattern.clone(),
                window.per_second().map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}")),
                window.peak().to_string(),
                time(quantile(&waits, 500)),
                time(quantile(&waits, 990)),
                shares(window.threads.values(), |thread| thread.accepts),
                shares(window.threads.values(), |thread| thread.reads),
                window.drops().to_string(),
                window.books(),
            ]);
            if window.drops() > 0 && !window.causes.is_empty() {
                notes += &format!("{pattern}: refused because of {}\n", window.causes());
            }
            for check in window.differences() {
                let reason = check.reason.as_deref().unwrap_or("the reason is not known");
                notes += &format!(
                    "{pattern}: {} {}: ours {}, the kernel's {}: {reason}\n",
                    check.scope, check.check, check.ours, check.kernel
                );
            }
            for (what, count) in window.loss.counters.iter().filter(|(_, count)| **count > 0) {
                notes += &format!("{pattern}: lost: {what}: {count}\n");
            }
        }
        write!(f, "{table}")?;
        writeln!(f, "peak: most connections in one accept queue; wait: time in it")?;
        f.write_str(&notes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(lines: &[&str]) -> Window {
        let mut window = Window::default();
        for line in lines {
            window.take(&serde_json::from_str(line).unwrap()).unwrap();
        }
        window
    }

    const SHARDED: &[&str] = &[
        r#"{"type":"meta","time_ns":1,"version":"0.1.0"}"#,
        r#"{"type":"listener","time_ns":2,"cookie":1,"accept_queue_peak":9,"accepted":1,"listen_drops":0}"#,
        r#"{"type":"listener","time_ns":3,"cookie":1,"accept_queue_peak":4,"accepted":2,"listen_drops":0}"#,
        r#"{"type":"listener","time_ns":3,"cookie":2,"accept_queue_peak":5,"accepted":1,"listen_drops":7}"#,
        r#"{"type":"connection","time_ns":3,"established_ns":1000000000,"accepted_ns":1000002000}"#,
        r#"{"type":"connection","time_ns":3,"established_ns":1000000000,"accepted_ns":1500000000}"#,
        r#"{"type":"connection","time_ns":3,"established_ns":1999000000,"accepted_ns":2000002000}"#,
        r#"{"type":"connection","time_ns":3,"established_ns":1999000000,"accepted_ns":null}"#,
        r#"{"type":"thread","time_ns":3,"tid":5,"comm":"shard-0","accepts":2,"reads":3}"#,
        r#"{"type":"thread","time_ns":3,"tid":6,"comm":"shard-1","accepts":1,"reads":0}"#,
        r#"{"type":"drop","time_ns":3,"listener":2,"cause":"accept_queue_full_syn","count":7}"#,
        r#"{"type":"ledger","time_ns":2,"scope":"listener","listener":1,"netns":1,"check":"accept_queue","ours":1,"kernel":2,"difference":-1,"reason":null}"#,
        r#"{"type":"ledger","time_ns":3,"scope":"listener","listener":1,"netns":1,"check":"accept_queue","ours":2,"kernel":2,"difference":0,"reason":null}"#,
        r#"{"type":"loss","time_ns":3,"produced":3,"delivered":3,"counters":{"ring_full":0},"total":0}"#,
        r#"{"type":"something new","time_ns":3}"#,
    ];

    #[test]
    fn the_next_window_begins_at_zero() {
        let before = window(SHARDED);
        let mut next = before.next();
        for line in [
            r#"{"type":"listener","time_ns":4,"cookie":1,"accept_queue_peak":3,"accepted":7,"listen_drops":0}"#,
            r#"{"type":"listener","time_ns":4,"cookie":2,"accept_queue_peak":1,"accepted":1,"listen_drops":9}"#,
            r#"{"type":"thread","time_ns":4,"tid":5,"comm":"shard-0","accepts":7,"reads":4}"#,
        ] {
            next.take(&serde_json::from_str(line).unwrap()).unwrap();
        }
        assert_eq!((next.accepted(), next.peak(), next.drops()), (5, 3, 2));
        assert_eq!(
            next.threads.values().map(|thread| (thread.accepts, thread.reads)).collect::<Vec<_>>(),
            [(5, 1)]
        );
        assert_eq!(next.next().listeners_before, [(1, (7, 0)), (2, (1, 9))].into());
    }

    #[test]
    fn shards_are_put_together() {
        let mut comparison = Comparison::default();
        comparison.add("sharding", window(SHARDED));
        assert_eq!(
            comparison.to_string(),
            "pattern   conn/s  peak  wait p50  wait p99  acceptors         readers       drops  ledger\n\
             sharding       2     9   1.00 ms    500 ms  2 threads 33-66%  shard-0 100%      7  books balance\n\
             peak: most connections in one accept queue; wait: time in it\n\
             sharding: refused because of a full accept queue (SYN)\n"
        );
    }

    #[test]
    fn a_difference_is_explained_below() {
        let line = r#"{"type":"ledger","scope":"host","listener":null,"check":"passive_opens","ours":1,"kernel":3,"difference":-2,"reason":"joined late"}"#;
        let mut comparison = Comparison::default();
        comparison.add("x", window(&[line]));
        let text = comparison.to_string();
        assert!(text.contains("1 of 1 differ"), "{text}");
        assert!(text.ends_with("x: host passive_opens: ours 1, the kernel's 3: joined late\n"), "{text}");
    }

    #[test]
    fn what_was_lost_is_named() {
        let line = r#"{"type":"loss","counters":{"ring_full":2,"threads_full":0},"total":2}"#;
        let mut comparison = Comparison::default();
        comparison.add("x", window(&[line]));
        let text = comparison.to_string();
        assert!(text.contains("no books, 2 lost\n") && text.ends_with("x: lost: ring_full: 2\n"), "{text}");
    }

    #[test]
    fn nothing_seen_is_no_zero() {
        let mut comparison = Comparison::default();
        comparison.add("x", Window::default());
        let text = comparison.to_string();
        assert!(text.contains("\nx             -     0         -         -  none "), "{text}");
    }

    #[test]
    fn times_have_three_digits() {
        let text = |ns| time(Some(ns));
        assert_eq!(
            [text(950), text(12_340), text(1_234_000), text(2_500_000_000), text(9_996)],
            ["0.95 us", "12.3 us", "1.23 ms", "2.50 s", "10.0 us"]
        );
    }

    #[test]
    fn a_line_without_its_fields_is_shown() {
        let error = Window::default().take(&serde_json::json!({"type": "listener"})).unwrap_err();
        assert!(error.to_string().contains(r#"{"type":"listener"}"#), "{error}");
    }
}
