//! The story of the chosen listener: its accept queue over time, why it is so, what to try, and its books.

use ratatui::text::Span;

use crate::model::snapshot::Listener;
use crate::view::history::samples::Axis;
use crate::view::listeners::Figures;
use crate::view::screen::Context;
use crate::view::widget::paragraph::wrap;
use crate::view::widget::pen::Pen;
use crate::view::widget::plot::{AXIS, Plot, plot};
use crate::view::{demo, figures, header, why};

/// Columns of `WHY` and `TRY`.
const LABEL: u16 = 7;
/// Rows of the plot with its axis and marks, at least and at most.
const PLOT: (u16, u16) = (4, 20);

/// Rows that the story takes of `height`, of which the list would like to have `list`.
pub(super) fn height(_context: &Context<'_>, width: u16, height: u16, list: u16) -> u16 {
    let text = 1 + why_rows(width) + 2;
    // The list has what it needs as far as the plot keeps its least; the plot takes the rest up to its most.
    let least = text + PLOT.0;
    let most = text + PLOT.1;
    height.saturating_sub(list).clamp(least, most).max(height / 2).min(most).min(height.saturating_sub(4))
}

fn why_rows(width: u16) -> u16 {
    if width < 118 { 3 } else { 2 }
}

/// Draws it into the whole of `pen`.
pub(super) fn draw(context: &Context<'_>, pen: &mut Pen<'_>, span_ns: u64) {
    let Some(target) = context.target else { return };
    let snapshot = context.snapshot();
    let listeners: Vec<&Listener> = target.listeners(snapshot).collect();
    let row = Figures::of(listeners.iter().copied(), &context.history.samples);
    let (height, width) = (pen.height(), pen.width());
    let why_rows = why_rows(width);
    title(context, pen, &row);
    let plot_height = height.saturating_sub(1 + why_rows + 2);
    over_time(context, &mut pen.rows(1, plot_height), &listeners, &row, span_ns);

    let styles = context.styles;
    let top = 1 + plot_height;
    pen.text(1, top, LABEL, "WHY", styles.state(row.state));
    let lines = wrap(&why::why(snapshot, &listeners, &row), width.saturating_sub(LABEL + 1));
    for (index, line) in lines.iter().take(usize::from(why_rows)).enumerate() {
        pen.text(LABEL, top + index as u16, width, line, styles.plain);
    }
    if let Some(remedy) = why::remedy(snapshot, &row) {
        pen.text(1, height.saturating_sub(2), LABEL, "TRY", styles.key);
        pen.text(LABEL, height.saturating_sub(2), width, &remedy, styles.plain);
    }
    books(context, &mut pen.rows(height.saturating_sub(1), 1), &listeners);
}

fn title(context: &Context<'_>, pen: &mut Pen<'_>, row: &Figures) {
    let styles = context.styles;
    pen.rule(0, "─", styles.dim);
    let which = if row.shards > 1 { format!(", fullest of {} shards", row.shards) } else { String::new() };
    let text = format!(" accept queue of {}{which} ", row.name);
    pen.spans(1, 0, &[Span::styled(text, styles.strong)]);
    let limit = format!(" limit {} (full at {}) ", row.limit, u64::from(row.limit) + 1);
    pen.spans_right(0, &[Span::styled(limit, styles.dim), Span::styled("─", styles.dim)]);
}

fn over_time(context: &Context<'_>, pen: &mut Pen<'_>, listeners: &[&Listener], row: &Figures, span_ns: u64) {
    let columns = usize::from(pen.width().saturating_sub(AXIS));
    let now = context.snapshot().time_ns;
    let cookies: Vec<u64> = listeners.iter().map(|listener| listener.cookie).collect();
    let points = context.history.samples.points(&cookies, now, span_ns, columns);
    let axis = Axis::new(now, span_ns, columns);
    let marks: Vec<(usize, &str)> = demo::changes(context.snapshot())
        .iter()
        .filter_map(|(time_ns, what)| Some((axis.column(*time_ns)?, what.as_str())))
        .collect();
    let oldest = format!("{} ago", figures::span(span_ns));
    let shown = Plot {
        points: &points,
        marks: &marks,
        full: row.limit.saturating_add(1),
        oldest: &oldest,
        style: context.styles.bar_of(row.state),
    };
    plot(pen, &shown, context.styles);
}

/// `48,213 enqueued + 0 at start = 47,650 accepted + 498 dropped + 65 queued`, and whether the kernel agrees.
fn books(context: &Context<'_>, pen: &mut Pen<'_>, listeners: &[&Listener]) {
    let styles = context.styles;
    let sum = |count: fn(&Listener) -> u64| {
        figures::count(listeners.iter().map(|listener| count(listener)).sum::<u64>())
    };
    let text = format!(
        "{} enqueued + {} at start = {} accepted + {} dropped in it + {} queued",
        sum(|listener| listener.enqueued),
        sum(|listener| u64::from(listener.queued_at_start)),
        sum(|listener| listener.accepted),
        sum(|listener| listener.dropped_queued),
        sum(|listener| u64::from(listener.accept_queue)),
    );
    let checks = || {
        let own = |cookie: Option<u64>| listeners.iter().any(|listener| Some(listener.cookie) == cookie);
        context.snapshot().ledger.iter().filter(move |check| own(check.listener))
    };
    let verdict = match checks().find(|check| check.difference != 0) {
        None if checks().next().is_none() => Span::styled("  · not checked yet", styles.dim),
        None => Span::styled("  ✓", styles.good),
        Some(check) => {
            let reason = check.reason.as_deref().unwrap_or("reason unknown");
            let text = format!("  ≠ {} by {}: {reason}", check.check, header::signed(check.difference));
            Span::styled(text, if check.reason.is_some() { styles.warn } else { styles.bad })
        }
    };
    pen.text(1, 0, LABEL, "BOOKS", styles.dim);
    pen.spans(LABEL, 0, &[Span::styled(text, styles.dim), verdict]);
}
