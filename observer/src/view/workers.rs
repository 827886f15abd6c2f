//! Screen 3, Workers: which thread accepts, reads and writes, what its share is, and who hands to whom.

mod chance;
mod columns;

use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::text::Span;

use super::hand_offs::{self, HandOff};
use super::screen::{Answer, Context, Help, View};
use super::widget::{list::List, pen::Pen, table};
use super::{figures, words};
use crate::model::snapshot::Thread;

/// The screen.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    list: List,
    /// Threads that do nothing are left away.
    without_idle: bool,
}

impl Workers {
    /// Threads in the order of the list: the process of the chosen listener first, then by what they do.
    fn threads<'a>(&self, context: &Context<'a>) -> Vec<&'a Thread> {
        let snapshot = context.snapshot();
        let chosen: Vec<u32> = context
            .target
            .map(|target| target.listeners(snapshot).map(|listener| listener.pid).collect())
            .unwrap_or_default();
        let shown = |thread: &&Thread| {
            let done = context.history.eras.since_change(thread);
            let active = done.accepts + done.reads + done.writes > 0;
            active || !(thread.exited || self.without_idle && rank(thread) == IDLE)
        };
        let mut threads: Vec<&Thread> = snapshot.threads.iter().filter(shown).collect();
        threads.sort_by_key(|thread| {
            (!chosen.contains(&thread.pid), thread.pid, thread.exited, rank(thread), thread.tid)
        });
        threads
    }
}

/// The rank of a thread that does nothing.
const IDLE: u8 = 3;

/// Acceptors first, idle threads last.
fn rank(thread: &Thread) -> u8 {
    let has = |role: &str| thread.role.split('+').any(|part| part == role);
    match () {
        () if has("acceptor") => 0,
        () if has("reader") => 1,
        () if has("writer") || has("worker") => 2,
        () => IDLE,
    }
}

impl View for Workers {
    fn draw(&mut self, context: &Context<'_>, pen: &mut Pen<'_>) {
        let styles = context.styles;
        let threads = self.threads(context);
        if threads.is_empty() {
            pen.text(
                1,
                1,
                u16::MAX,
                "no thread has accepted, read or written a watched connection yet",
                styles.dim,
            );
            return;
        }
        let ways = ways(context, pen.width());
        let below = (ways.len() as u16).min(pen.height() / 3) + 1;
        let slots = table::place(columns::COLUMNS, pen.width());
        table::titles(pen, 0, columns::COLUMNS, &slots, styles.heading);
        let height = pen.height().saturating_sub(1 + below);
        let shares = chance::Shares::of(context, &threads);
        let mut body = pen.rows(1, height);
        for (y, index) in self.list.show(threads.len(), body.area()).enumerate() {
            let Some(thread) = threads.get(index) else { break };
            columns::draw(context, &mut body, y as u16, &slots, thread, &shares, index == self.list.selected);
        }
        self.list.edges(&mut body, threads.len(), styles.key);
        let top = 1 + height;
        pen.rule(top, "─", styles.dim);
        let title =
            format!(" from thread to thread, the last {} connections ", context.snapshot().recent.len());
        pen.text(1, top, u16::MAX, &title, styles.strong);
        for (index, way) in ways.iter().take(usize::from(below) - 1).enumerate() {
            pen.spans(1, top + 1 + index as u16, way);
        }
    }

    fn key(&mut self, context: &Context<'_>, key: KeyEvent) -> Answer {
        if key.code == KeyCode::Char('i') {
            self.without_idle = !self.without_idle;
            return Answer::Done;
        }
        let threads = self.threads(context);
        if key.code == KeyCode::Enter {
            return threads.get(self.list.selected).map_or(Answer::Done, |thread| connections_of(thread));
        }
        if self.list.key(key, threads.len()) { Answer::Done } else { Answer::NotMine }
    }

    fn click(&mut self, context: &Context<'_>, column: u16, row: u16) -> Answer {
        let threads = self.threads(context);
        let Some(index) = self.list.at(column, row, threads.len()) else { return Answer::NotMine };
        if index == self.list.selected {
            return threads.get(index).map_or(Answer::Done, |thread| connections_of(thread));
        }
        self.list.selected = index;
        Answer::Done
    }

    fn help(&self) -> &'static Help {
        &HELP
    }
}

/// On to the connections that a thread had to do with.
fn connections_of(thread: &Thread) -> Answer {
    Answer::Drill("Connections", format!("tid:{}", thread.tid))
}

/// The hand-offs in lines: `accept acc-0/4127 ─▶ read rd-0 50.4 %  rd-1 49.6 %`.
fn ways<'a>(context: &Context<'_>, width: u16) -> Vec<Vec<Span<'a>>> {
    let snapshot = context.snapshot();
    let accepts = hand_offs::accept_to_read(snapshot);
    let reads = hand_offs::read_to_write(snapshot);
    if !accepts.is_empty() && accepts.iter().chain(&reads).all(HandOff::stays) {
        let text = "every thread reads and writes what it accepted itself";
        return vec![vec![Span::styled(text, context.styles.dim)]];
    }
    let mut lines: Vec<_> =
        accepts.iter().map(|step| way(context, width, step, ["accept", "read"])).collect();
    // That a reader answers what it read goes without saying.
    let passed_on = reads.iter().filter(|step| !step.stays());
    lines.extend(passed_on.map(|step| way(context, width, step, ["read", "write"])));
    lines
}

/// One hand-off in a line, with as many receivers as fit.
fn way<'a>(context: &Context<'_>, width: u16, step: &HandOff, [from, to]: [&str; 2]) -> Vec<Span<'a>> {
    let (snapshot, styles) = (context.snapshot(), context.styles);
    let mut line = vec![
        Span::styled(format!("{from} "), styles.dim),
        Span::styled(words::thread(snapshot, step.from), styles.strong),
    ];
    line.push(Span::styled(" ─▶ ", styles.key));
    line.push(Span::styled(format!("{to} "), styles.dim));
    if step.stays() {
        line.push(Span::raw("itself"));
        return line;
    }
    let used = |line: &[Span<'_>]| line.iter().map(Span::width).sum::<usize>();
    for (index, (tid, count)) in step.to.iter().enumerate() {
        let share = figures::percent(*count as f64 / step.total().max(1) as f64);
        let receiver = Span::raw(format!("{} {share}  ", words::short_thread(snapshot, *tid)));
        let rest = step.to.len() - index;
        // The last one needs no room for how many more there are.
        let reserved = if rest > 1 { " and 99 more".len() } else { 0 };
        if index > 0 && used(&line) + receiver.width() + reserved > usize::from(width) {
            line.push(Span::styled(format!("and {rest} more"), styles.dim));
            break;
        }
        line.push(receiver);
    }
    line
}

const HELP: Help = Help {
    keys: &[("arrows", "choose"), ("Enter", "its connections"), ("i", "idle threads")],
    terms: &[
        (
            "ROLE",
            "What the kernel saw the thread do: acceptor (accept), reader (read), writer (write), worker (writes \
          what another thread read). Names of threads do not count.",
        ),
        (
            "ACC/s READ/s WRITE/s",
            "Accepts, reads that returned bytes and writes that took bytes, over the last second.",
        ),
        (
            "SHARE",
            "Of all accepts of its process, whichever listener they came from, since the last change of pattern, load or \
          fault. Processes that accept from one listener (prefork) count as one.",
        ),
        (
            "CHANCE",
            "With SO_REUSEPORT the kernel deals by hash: an even share, and the band of two standard deviations \
          that chance alone explains. ≈ inside it: noise, do not chase it. ! outside: look.",
        ),
        (
            "NOW, RUNS",
            "The system call that it waited in when last looked at, once a second, and the part of the last second in which it \
          ran. A thread that waits in accept4 or epoll_wait is free; one that runs, or waits in write, is not.",
        ),
        (
            "WK/ACC",
            "Wake-ups per accept since the last change: how often the thread slept and was woken (voluntary \
          context switches). Far above 1 is a thundering herd: woken to find that another was faster.",
        ),
        (
            "─▶",
            "From the thread that accepted to the one that read first, and from the reader to the writer.",
        ),
    ],
};
