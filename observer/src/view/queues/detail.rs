//! The story of the chosen listener: its accept queue over time, why it is so, what to try, and its books.

use ratatui::text::Span;

use crate::model::snapshot::Listener;
use crate::view::history::closed::KEPT_NS;
use crate::view::history::samples::Axis;
use crate::view::listeners::Figures;
use crate::view::screen::Context;
use crate::view::widget::paragraph::wrap;
use crate::view::widget::pen::{Pen, columns};
use crate::view::widget::plot::{AXIS, Plot, plot};
use crate::view::{figures, header, why};

/// Columns of `WHY` and `TRY`.
const LABEL: u16 = 7;
/// Rows of `DROPS` and `BOOKS`.
const ACCOUNTS: u16 = 2;
/// Rows of the plot with its axis and marks, at least and at most.
const PLOT: (u16, u16) = (4, 20);

/// Rows that the story takes of `height`, of which the list would like to have `list`.
pub(super) fn height(width: u16, height: u16, list: u16) -> u16 {
    let text = 1 + advice_rows(width) + ACCOUNTS;
    let (least, most) = (text + PLOT.0, text + PLOT.1);
    // The list has what it needs, but half at most; the plot takes what the list leaves, up to its most.
    height.saturating_sub(list).max(height / 2).clamp(least, most).min(height.saturating_sub(4))
}

/// Rows of WHY and TRY together; always the same, so that the plot stays where it is.
fn advice_rows(width: u16) -> u16 {
    if width < 118 { 5 } else { 3 }
}

/// Draws it into the whole of `pen`.
pub(super) fn draw(context: &Context<'_>, pen: &mut Pen<'_>, span_ns: u64) {
    let Some(target) = context.target else { return };
    let snapshot = context.snapshot();
    let listeners: Vec<&Listener> = target.listeners(snapshot).collect();
    let row = Figures::of(listeners.iter().copied(), &context.history.samples);
    let advice_rows = advice_rows(pen.width());
    let plot_rows = pen.height().saturating_sub(1 + advice_rows + ACCOUNTS);
    title(context, pen, &row);
    over_time(context, &mut pen.rows(1, plot_rows), &listeners, &row, span_ns);
    advice(context, &mut pen.rows(1 + plot_rows, advice_rows), &listeners, &row);
    refusals(context, &mut pen.rows(1 + plot_rows + advice_rows, 1), &listeners);
    books(context, &mut pen.rows(2 + plot_rows + advice_rows, 1), &listeners);
}

/// The same without the plot, for what the rows above have no room for: all that was found, and all of each reason.
pub(super) fn whole(context: &Context<'_>, pen: &mut Pen<'_>) {
    let Some(target) = context.target else { return };
    let (snapshot, styles) = (context.snapshot(), context.styles);
    let listeners: Vec<&Listener> = target.listeners(snapshot).collect();
    let row = Figures::of(listeners.iter().copied(), &context.history.samples);
    title(context, pen, &row);
    let pairs = match row.closed_ns {
        Some(closed_ns) => vec![(closed(context, closed_ns), None)],
        None => why::pairs(snapshot, context.backends(), &listeners, &row),
    };
    let (refused, _) = refused(&listeners);
    let books =
        listeners.iter().flat_map(|listener| differences(context, listener)).collect::<Vec<_>>().join("; ");
    let books = if books.is_empty() {
        format!("{}{}", account(&listeners, usize::MAX), verdict(context, &listeners).content)
    } else {
        books
    };
    let found = pairs.into_iter().flat_map(|(reason, remedy)| {
        let reason = ("WHY", reason, styles.state(row.state));
        [Some(reason), remedy.map(|remedy| ("TRY", remedy, styles.key))].into_iter().flatten()
    });
    let figures = [("DROPS", refused, styles.dim), ("BOOKS", books, styles.dim)];
    let parts: Vec<_> = found.chain(figures).collect();
    let width = pen.width().saturating_sub(LABEL + 1);
    let lines: Vec<_> = parts
        .iter()
        .flat_map(|(label, text, style)| {
            wrap(text, width)
                .into_iter()
                .enumerate()
                .map(move |(index, line)| (if index == 0 { *label } else { "" }, line, *style))
        })
        .collect();
    let rows = pen.height().saturating_sub(1);
    for (y, (label, line, style)) in (1..=rows).zip(&lines) {
        pen.text(1, y, LABEL, label, *style);
        pen.text(LABEL, y, u16::MAX, line, styles.plain);
    }
    if lines.len() > usize::from(rows) {
        pen.right(0, rows, pen.width(), " …", styles.key);
    }
}

/// What differs of a listener's books, with its reason.
fn differences(context: &Context<'_>, listener: &Listener) -> Vec<String> {
    let ledger = context.snapshot().ledger.iter();
    let own = ledger.filter(|check| check.listener == Some(listener.cookie) && check.difference != 0);
    own.map(|check| {
        let reason = check.reason.as_deref().unwrap_or("reason unknown");
        format!("{} by {}: {reason}", check.check, header::signed(check.difference))
    })
    .collect()
}

/// WHY from above, TRY from below.
fn advice(context: &Context<'_>, pen: &mut Pen<'_>, listeners: &[&Listener], row: &Figures) {
    let styles = context.styles;
    let width = pen.width().saturating_sub(LABEL + 1);
    let rows = usize::from(pen.height());
    let remedy = why::remedy(context.snapshot(), context.backends(), listeners, row)
        .filter(|_| row.closed_ns.is_none())
        .map(|remedy| wrap(&remedy, width))
        .unwrap_or_default();
    let most = rows.saturating_sub(remedy.len().min(1));
    let fits = |text: &str| wrap(text, width).len() <= most;
    let reason = match row.closed_ns {
        Some(closed_ns) => closed(context, closed_ns),
        None => why::why(context.snapshot(), listeners, row, fits),
    };
    let reason = wrap(&reason, width);
    let reason_rows = reason.len().min(most);
    pen.text(1, 0, LABEL, "WHY", styles.state(row.state));
    for (y, line) in reason.iter().take(reason_rows).enumerate() {
        pen.text(LABEL, y as u16, u16::MAX, line, styles.plain);
    }
    let remedy_rows = remedy.len().min(rows - reason_rows);
    let is_cut = reason.len() > reason_rows || remedy.len() > remedy_rows;
    for (index, line) in remedy.iter().take(remedy_rows).enumerate() {
        let y = (rows - remedy_rows + index) as u16;
        if index == 0 {
            pen.text(1, y, LABEL, "TRY", styles.key);
        }
        pen.text(LABEL, y, u16::MAX, line, styles.plain);
    }
    if is_cut {
        pen.right(0, pen.height().saturating_sub(1), pen.width(), " … w: all", styles.key);
    }
}

fn closed(context: &Context<'_>, closed_ns: u64) -> String {
    let ago = context.snapshot().time_ns.saturating_sub(closed_ns);
    let (ago, kept) = (ago / 1_000_000_000, KEPT_NS / 1_000_000_000);
    format!("It stopped listening {ago} s ago. These are its last figures; they stay for {kept} s.")
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
    let width = usize::from(pen.width().saturating_sub(AXIS));
    let now = context.snapshot().time_ns;
    let cookies: Vec<u64> = listeners.iter().map(|listener| listener.cookie).collect();
    let points = context.history.samples.points(&cookies, now, span_ns, width);
    let axis = Axis::new(now, span_ns, width);
    let marks = context.snapshot().marks.iter();
    let marks: Vec<(usize, String)> =
        marks.filter_map(|mark| Some((axis.column(mark.time_ns)?, mark.short()))).collect();
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

/// The refusals of these listeners, and whether there are any.
fn refusals(context: &Context<'_>, pen: &mut Pen<'_>, listeners: &[&Listener]) {
    let styles = context.styles;
    let (text, any) = refused(listeners);
    pen.text(1, 0, LABEL, "DROPS", styles.dim);
    pen.text(LABEL, 0, u16::MAX, &text, if any { styles.plain } else { styles.dim });
}

/// `1,240 accept queue full (SYN) + 3 accept queue full (last ACK); 5 reset by their client while queued`, and whether
/// any was refused.
fn refused(listeners: &[&Listener]) -> (String, bool) {
    let mut sums: Vec<(&str, u64)> = Vec::new();
    for drop in listeners.iter().flat_map(|listener| &listener.drops) {
        match sums.iter_mut().find(|(cause, _)| *cause == drop.cause) {
            Some((_, sum)) => *sum += drop.count,
            None => sums.push((drop.cause, drop.count)),
        }
    }
    let terms: Vec<String> = sums
        .iter()
        .map(|(cause, count)| format!("{} {}", figures::count(*count), figures::cause(cause)))
        .collect();
    let refused = if terms.is_empty() { "none refused".to_owned() } else { terms.join(" + ") };
    let aborted: u64 = listeners.iter().map(|listener| listener.aborted_queued).sum();
    let aborted = match aborted {
        0 => String::new(),
        count => format!("; {} reset by their client while queued", figures::count(count)),
    };
    (format!("{refused}{aborted}"), !sums.is_empty())
}

/// `48,213 enqueued + 0 at start = 47,650 accepted + 498 dropped + 65 queued`, and whether the kernel agrees.
fn books(context: &Context<'_>, pen: &mut Pen<'_>, listeners: &[&Listener]) {
    let styles = context.styles;
    let verdict = verdict(context, listeners);
    let room = usize::from(pen.width()).saturating_sub(usize::from(LABEL) + columns(&verdict.content));
    pen.text(1, 0, LABEL, "BOOKS", styles.dim);
    pen.spans(LABEL, 0, &[Span::styled(account(listeners, room), styles.dim), verdict]);
}

/// The account of the accept queue, in `room` columns if it can be.
fn account(listeners: &[&Listener], room: usize) -> String {
    let sum = |count: fn(&Listener) -> u64| listeners.iter().map(|listener| count(listener)).sum::<u64>();
    let left = [
        (sum(|listener| listener.enqueued), "enqueued"),
        (sum(|listener| u64::from(listener.queued_at_start)), "at start"),
    ];
    let right = [
        (sum(|listener| listener.accepted), "accepted"),
        (sum(|listener| listener.dropped_queued), "dropped"),
        (sum(|listener| u64::from(listener.accept_queue)), "queued"),
        (sum(|listener| listener.migrated_away), "moved to other shards"),
    ];
    // The last only where there are any.
    let right = if right[3].0 > 0 { &right[..] } else { &right[..3] };
    let whole = format!("{} = {}", terms(&left, false), terms(right, false));
    // Zeros are left away when there is no room for them.
    if columns(&whole) <= room { whole } else { format!("{} = {}", terms(&left, true), terms(right, true)) }
}

/// The sum in words; without its zeros, as long as something is left.
fn terms(terms: &[(u64, &str)], short: bool) -> String {
    let all_zero = terms.iter().all(|(count, _)| *count == 0);
    let shown: Vec<String> = terms
        .iter()
        .enumerate()
        .filter(|(index, (count, _))| !short || *count > 0 || (all_zero && *index == 0))
        .map(|(_, (count, name))| format!("{} {name}", figures::count(*count)))
        .collect();
    shown.join(" + ")
}

/// What the kernel says to it.
fn verdict<'a>(context: &Context<'_>, listeners: &[&Listener]) -> Span<'a> {
    let styles = context.styles;
    let own = |cookie: Option<u64>| listeners.iter().any(|listener| Some(listener.cookie) == cookie);
    let checks: Vec<_> = context.snapshot().ledger.iter().filter(|check| own(check.listener)).collect();
    match checks.iter().find(|check| check.difference != 0) {
        None if listeners.iter().all(|listener| listener.closed_ns.is_some()) => {
            Span::styled("  · closed", styles.dim)
        }
        None if checks.is_empty() => Span::styled("  · not checked yet", styles.dim),
        None => Span::styled("  ✓", styles.good),
        Some(check) => {
            let text = format!("  ≠ {} by {} (w: why)", check.check, header::signed(check.difference));
            Span::styled(text, if check.reason.is_some() { styles.warn } else { styles.bad })
        }
    }
}
