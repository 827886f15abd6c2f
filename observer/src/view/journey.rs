//! Screen 2, Journey: where the time of the chosen listener's connections goes, stage by stage.

mod stages;

use std::sync::Arc;

use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::text::Span;

use super::connection_list::ConnectionList;
use super::history::durations::Stages;
use super::listeners::Figures;
use super::screen::{Answer, Context, Help, View};
use super::widget::{distribution::distribution, pen::Pen};
use super::{figures, words};
use crate::model::snapshot::{Connection, stage};

/// Rows of the waterfall with its titles.
const WATERFALL: u16 = 1 + stage::STAGES as u16;

/// The screen.
#[derive(Debug)]
pub(crate) struct Journey {
    stage: usize,
    since_start: bool,
    recent: bool,
    list: ConnectionList,
    /// The row of the first stage on the terminal.
    stages_row: u16,
}

impl Default for Journey {
    fn default() -> Self {
        Self {
            stage: stage::ACCEPT_WAIT,
            since_start: false,
            recent: false,
            list: ConnectionList::default(),
            stages_row: u16::MAX,
        }
    }
}

impl Journey {
    /// The histograms to show, and the time that they cover; none is all time.
    fn stages(&self, context: &Context<'_>) -> (Option<u64>, Box<Stages>) {
        let snapshot = context.snapshot();
        let cookies = context.target.map(|target| target.cookies(snapshot)).unwrap_or_default();
        let (span, window) = context.history.frames.stages(&cookies, snapshot.time_ns);
        // Of an earlier moment, all stages since the start are not kept.
        if span > 0 && (!self.since_start || context.history.ago_ns().is_some()) {
            return (Some(span), window);
        }
        let mut sum: Box<Stages> = Box::default();
        if let Some(target) = context.target {
            for listener in target.listeners(context.snapshot()) {
                sum.iter_mut().zip(listener.stages.iter()).for_each(|(sum, stage)| sum.merge(stage));
            }
        }
        (None, sum)
    }

    fn connections<'a>(&self, context: &Context<'a>) -> Vec<&'a Arc<Connection>> {
        let snapshot = context.snapshot();
        let cookies = context.target.map(|target| target.cookies(snapshot)).unwrap_or_default();
        let own = |connection: &&'a Arc<Connection>| {
            connection.listener.is_some_and(|cookie| cookies.contains(&cookie))
        };
        if self.recent {
            snapshot.recent.iter().rev().filter(own).collect()
        } else {
            snapshot.slowest.iter().filter(own).collect()
        }
    }
}

impl View for Journey {
    fn draw(&mut self, context: &Context<'_>, pen: &mut Pen<'_>) {
        let styles = context.styles;
        let Some(target) = context.target else {
            pen.text(1, 1, u16::MAX, "no listener yet, so no journey", styles.dim);
            return;
        };
        let row = Figures::of(target.listeners(context.snapshot()), &context.history.samples);
        let (span, stages) = self.stages(context);
        let count = figures::count(stages[stage::ACCEPT_WAIT].total());
        let covered = match span {
            Some(span) if context.history.ago_ns().is_some() => {
                format!("   the {} before this moment: {count} accepted", figures::span(span))
            }
            Some(span) => format!("   the last {}: {count} accepted", figures::span(span)),
            None => format!("   since the start: {count} accepted"),
        };
        pen.spans(1, 0, &[Span::styled(row.name, styles.strong), Span::styled(covered, styles.dim)]);
        self.stages_row = pen.area().y + 2;
        stages::draw(context, &mut pen.rows(1, WATERFALL), &stages, self.stage);

        let rest = pen.height().saturating_sub(1 + WATERFALL);
        // The histogram grows with the screen, the list has the larger part.
        let shape = (rest / 3).clamp(3, 10);
        let top = 1 + WATERFALL;
        let title = format!(
            "{}: {} in the histogram",
            words::STAGES[self.stage],
            figures::count(stages[self.stage].total())
        );
        pen.rule(top, "─", styles.dim);
        pen.text(1, top, u16::MAX, &format!(" {title} "), styles.strong);
        let width = pen.width().saturating_sub(2);
        distribution(&mut pen.part(1, top + 1, width, shape), &stages[self.stage], styles);
        let list_top = top + 1 + shape;
        let which =
            if self.recent { " most recent " } else { " slowest of the last minutes, by accept queue wait " };
        pen.rule(list_top, "─", styles.dim);
        pen.text(1, list_top, u16::MAX, which, styles.strong);
        let connections = self.connections(context);
        let height = pen.height().saturating_sub(list_top + 1);
        self.list.draw(context, &mut pen.rows(list_top + 1, height), &connections);
    }

    fn key(&mut self, context: &Context<'_>, key: KeyEvent) -> Answer {
        match key.code {
            KeyCode::Left | KeyCode::Char('h') => self.stage = self.stage.saturating_sub(1),
            KeyCode::Right | KeyCode::Char('l') => self.stage = (self.stage + 1).min(stage::STAGES - 1),
            KeyCode::Char('w') => self.since_start = !self.since_start,
            KeyCode::Char('o') => {
                self.recent = !self.recent;
                self.list.rewind();
            }
            _ => return self.list.key(key, &self.connections(context)),
        }
        Answer::Done
    }

    fn click(&mut self, context: &Context<'_>, column: u16, row: u16) -> Answer {
        // A row of the waterfall is a stage.
        if let Some(stage) =
            row.checked_sub(self.stages_row).map(usize::from).filter(|row| *row < stage::STAGES)
        {
            self.stage = stage;
            return Answer::Done;
        }
        self.list.click(column, row, &self.connections(context))
    }

    fn help(&self) -> &'static Help {
        &HELP
    }
}

const HELP: Help = Help {
    keys: &[("← →", "stage"), ("Enter", "line of time"), ("w", "10 s or all"), ("o", "slow or new")],
    terms: &[
        (
            "the stages",
            "Filled: the median. Tick: the 99th percentile. All bars but that of the lifetime share one scale. \
          Quantiles are off by at most 6.25 %, the maximum is exact.",
        ),
        ("SYN queue", "SYN received to handshake complete: a round trip, and more if a SYN-ACK was lost."),
        (
            "accept queue",
            "Handshake complete (inet_csk_reqsk_queue_add) to the return of accept (inet_csk_accept). The \
          client believes that it is connected, and the program does not know of it yet.",
        ),
        ("accept to read", "accept to the first read that returned bytes."),
        (
            "data to read",
            "Data queued on the socket (sk_data_ready) to the read that took it. Data that came before the \
          accept has waited through the accept queue, too.",
        ),
        ("read to write", "First read to first write: the work, as seen from outside."),
        ("accept to write", "accept to the first write, where the server speaks first (SSH, SMTP, MySQL)."),
        ("lifetime", "Handshake complete to the end of the socket."),
        ("SHARE", "Of the sum of the medians of the stages that follow one another."),
    ],
};
