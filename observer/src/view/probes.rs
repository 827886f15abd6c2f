//! Screen 6, Probes: what the observer sees by, what that costs, what was lost, and the whole of the books.

use std::collections::HashMap;

use ratatui::crossterm::event::KeyEvent;
use ratatui::text::Span;

use observer_ebpf::loss;

use super::screen::{Answer, Context, Help, View};
use super::widget::{list::List, paragraph::wrap, pen::Pen};
use super::{
    figures,
    header::{lasts_ns, signed},
    words,
};
use crate::model::{diagnosis::RULES, snapshot::Listener};

type Line = Vec<Span<'static>>;
type Section = fn(&Context<'_>, &mut Vec<Line>, u16);

/// The screen: lines in sections, which scroll.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    list: List,
    lines: usize,
}

impl View for Probes {
    fn draw(&mut self, context: &Context<'_>, pen: &mut Pen<'_>) {
        let snapshot = context.snapshot();
        // What is wrong comes first, and of that what the header tells in capitals.
        const LAST: u8 = 3;
        let wrong = |is_wrong: bool, place: u8| if is_wrong { place } else { LAST };
        let mut sections: [(u8, Section); 5] = [
            (wrong(snapshot.meta.signals.values().any(Option::is_none), 2), signals),
            (LAST, rules),
            (wrong(snapshot.loss.total > 0, 0), loss),
            (wrong(snapshot.ledger.iter().any(|check| check.difference != 0), 1), ledger),
            (LAST, cost),
        ];
        sections.sort_by_key(|(place, _)| *place);
        let mut lines = Vec::new();
        for (_, section) in sections {
            section(context, &mut lines, pen.width());
        }
        self.lines = lines.len();
        for (y, index) in self.list.show(lines.len(), pen.area()).enumerate() {
            let Some(line) = lines.get(index) else { break };
            pen.spans(1, y as u16, line);
            if index == self.list.selected {
                pen.text(0, y as u16, 1, "▶", context.styles.key);
            }
        }
        self.list.edges(pen, lines.len(), context.styles.key);
    }

    fn key(&mut self, _context: &Context<'_>, key: KeyEvent) -> Answer {
        if self.list.key(key, self.lines) { Answer::Done } else { Answer::NotMine }
    }

    fn help(&self) -> &'static Help {
        &HELP
    }
}

/// What the kernel counts, not the programs.
const SKIPPED: &str = "times a program was not run because an interrupt met it running on that processor: what happened then is not \
                       in the figures of its signal, unless another program saw it too";

fn section(context: &Context<'_>, lines: &mut Vec<Line>, title: &str, detail: String) {
    if !lines.is_empty() {
        lines.push(Vec::new());
    }
    let styles = context.styles;
    lines.push(vec![
        Span::styled(title.to_owned(), styles.title),
        Span::styled(format!("   {detail}"), styles.dim),
    ]);
}

fn signals(context: &Context<'_>, lines: &mut Vec<Line>, width: u16) {
    let styles = context.styles;
    let meta = &context.snapshot().meta;
    let missing = meta.signals.values().filter(|hook| hook.is_none()).count();
    section(
        context,
        lines,
        "Signals",
        format!("{} of {} on kernel {}", meta.signals.len() - missing, meta.signals.len(), meta.kernel),
    );
    let mut signals: Vec<_> = meta.signals.iter().collect();
    signals.sort_by_key(|(_, hook)| hook.is_some());
    for (signal, hook) in signals {
        let note = meta.signal_notes.get(signal);
        let (glyph, style) = match (hook, note) {
            (None, _) => ("!", styles.bad),
            (Some(_), Some(_)) => ("·", styles.good),
            (Some(_), None) => ("✓", styles.good),
        };
        lines.push(vec![
            Span::styled(format!("{glyph} "), style),
            Span::styled(format!("{signal:<22}"), styles.plain),
            match hook {
                Some(hook) => Span::styled(hook.clone(), styles.dim),
                None => Span::styled("not available", styles.bad),
            },
        ]);
        text(context, lines, note.map_or("", String::as_str), 24, width);
    }
}

/// Lines of text below a line, indented.
fn text(context: &Context<'_>, lines: &mut Vec<Line>, text: &str, indent: u16, width: u16) {
    for part in wrap(text, width.saturating_sub(indent + 4)) {
        lines
            .push(vec![Span::raw(" ".repeat(usize::from(indent))), Span::styled(part, context.styles.plain)]);
    }
}

/// Which diagnoses this kernel gives the figures for.
fn rules(context: &Context<'_>, lines: &mut Vec<Line>, _width: u16) {
    let styles = context.styles;
    let meta = &context.snapshot().meta;
    let blind: Vec<_> = RULES.iter().filter_map(|rule| Some((rule.name, rule.cannot_tell(meta)?))).collect();
    let detail = format!("{} of {} rules can tell", RULES.len() - blind.len(), RULES.len());
    section(context, lines, "Diagnoses", detail);
    for (name, reason) in blind {
        lines.push(vec![
            Span::styled("! ", styles.bad),
            Span::styled(format!("{name:<22}"), styles.plain),
            Span::styled(format!("cannot tell: {reason}"), styles.plain),
        ]);
    }
}

fn loss(context: &Context<'_>, lines: &mut Vec<Line>, width: u16) {
    let styles = context.styles;
    let lost = &context.snapshot().loss;
    let detail = format!(
        "records of ended connections: {} produced, {} delivered",
        figures::count(lost.produced),
        figures::count(lost.delivered)
    );
    section(context, lines, "Loss", detail);
    let mut counters: Vec<_> = lost.counters.iter().collect();
    counters.sort_by_key(|(_, count)| **count == 0);
    for (name, count) in counters {
        let (glyph, style) = if *count > 0 { ("!", styles.bad) } else { ("✓", styles.good) };
        lines.push(vec![
            Span::styled(format!("{glyph} "), style),
            Span::styled(format!("{name:<30}"), styles.plain),
            Span::styled(
                format!("{:>12}", figures::count(*count)),
                if *count > 0 { styles.bad } else { styles.dim },
            ),
        ]);
        if *count > 0 {
            let known = loss::TABLE.iter().find(|loss| loss.name == name);
            text(context, lines, known.map_or(SKIPPED, |loss| loss.meaning), 4, width);
        }
    }
    if lost.taken_over > 0 {
        let text_of = format!(
            "{} events that a program was not shown were taken over by a copy of it: nothing of them is missing",
            figures::count(lost.taken_over)
        );
        text(context, lines, &text_of, 2, width);
    }
}

fn ledger(context: &Context<'_>, lines: &mut Vec<Line>, width: u16) {
    let styles = context.styles;
    let snapshot = context.snapshot();
    section(context, lines, "Ledger", "ours - kernel = difference".to_owned());
    if snapshot.ledger.is_empty() {
        lines.push(vec![Span::styled("  nothing has been checked yet", styles.dim)]);
    }
    // A check for each of many listeners: looked up one by one they would take most of a frame.
    let known: HashMap<u64, &Listener> =
        snapshot.listeners.iter().map(|listener| (listener.cookie, listener)).collect();
    let mut checks: Vec<_> = snapshot.ledger.iter().collect();
    checks.sort_by_key(|check| check.difference == 0);
    for check in checks {
        let (glyph, style) = match (check.difference, &check.reason) {
            (0, _) => ("✓", styles.good),
            (_, Some(_)) => ("≠", styles.warn),
            (_, None) => ("≠", styles.bad),
        };
        let of = match check.listener {
            Some(cookie) => match known.get(&cookie) {
                Some(listener) => words::place(listener),
                None => words::listener(snapshot, Some(cookie)),
            },
            None if check.scope == "ring" => "event ring".to_owned(),
            None => format!("netns {}", check.netns),
        };
        lines.push(vec![
            Span::styled(format!("{glyph} "), style),
            Span::styled(format!("{:<14}{of:<26}", check.check), styles.plain),
            Span::styled(
                format!(
                    "{} - {} = {}",
                    figures::count(check.ours),
                    figures::count(check.kernel),
                    signed(check.difference)
                ),
                if check.difference == 0 { styles.dim } else { style },
            ),
        ]);
        if check.difference != 0 {
            let reason = check.reason.as_deref().unwrap_or("reason unknown");
            let lasts = lasts_ns(check, snapshot.time_ns).map(figures::span);
            let lasts = lasts.map_or_else(|| "now".to_owned(), |lasts| format!("for {lasts}"));
            text(context, lines, &format!("{lasts}: {reason}"), 4, width);
        } else if let Some(note) = &check.reason {
            text(context, lines, note, 4, width);
        }
    }
}

fn cost(context: &Context<'_>, lines: &mut Vec<Line>, _width: u16) {
    let styles = context.styles;
    let probes = &context.snapshot().probes;
    let counted = probes.iter().any(|probe| probe.runs.is_some());
    let detail = if counted || probes.is_empty() {
        "runs, nanoseconds a run, time in all".to_owned()
    } else {
        "not counted; sysctl kernel.bpf_stats_enabled=1 counts it, at some cost of its own".to_owned()
    };
    section(context, lines, "Cost", detail);
    for probe in probes {
        let each = match (probe.run_time_ns, probe.runs) {
            (Some(time), Some(runs)) if runs > 0 => (time / runs).to_string(),
            _ => "-".to_owned(),
        };
        let mut line = vec![
            Span::styled(format!("  {:<30}", probe.program), styles.plain),
            Span::raw(format!("{:>14}", probe.runs.map_or_else(|| "-".to_owned(), figures::count))),
            Span::raw(format!("{:>8} ns", each)),
            Span::styled(format!("{:>10}", figures::duration_or_dash(probe.run_time_ns)), styles.dim),
        ];
        if probe.recursion_misses > 0 {
            let text = format!("  ! skipped {} times", figures::count(probe.recursion_misses));
            line.push(Span::styled(text, styles.bad));
        }
        lines.push(line);
    }
}

const HELP: Help = Help {
    keys: &[("arrows", "scroll")],
    terms: &[
        (
            "Signals",
            "What the observer wants to know, and the hook by which it learns it here. ·: the hook cannot see \
          everything, the note says what. !: this kernel gives none; figures that need it are shown as -.",
        ),
        (
            "Loss",
            "What could not be recorded, by where it was lost, and what is missing for it. Counters and histograms are kept in the kernel and \
          stay exact when records are lost.",
        ),
        (
            "Ledger",
            "The observer's figures against the kernel's own. accept_queue: enqueued + at start - accepted - \
          dropped, against sk_ack_backlog. listen_drops: against LINUX_MIB_LISTENDROPS. passive_opens: against \
          TCP_MIB_PASSIVEOPENS.",
        ),
        (
            "Cost",
            "Time spent in each eBPF program, if kernel.bpf_stats_enabled is on. skipped: the program was already \
          running on that processor (recursion_misses), so an event was missed.",
        ),
    ],
};
