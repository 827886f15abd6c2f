//! The columns of the list of listeners, and what stands in each.

use ratatui::style::Style;

use crate::view::figures;
use crate::view::filter::Value;
use crate::view::history::samples::Axis;
use crate::view::listeners::{Figures, Row};
use crate::view::screen::Context;
use crate::view::styles::state_words;
use crate::view::widget::bar::{Bar, bar};
use crate::view::widget::pen::{Pen, columns};
use crate::view::widget::table::{Column, Slot, cell, left, right};

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Id {
    Name,
    State,
    Syn,
    SynQueue,
    AcceptQueue,
    In,
    Out,
    P50,
    P99,
    Drops,
    Unread,
    Cookies,
    Resent,
    Trend,
    Process,
}

/// For 80 columns. Who has it comes before how many wait for the last ACK, which the words below tell where it matters.
const NARROW: &[Column<Id>] = &[
    left(Id::Name, "LISTENER", 0, 0),
    left(Id::Process, "WHO", 12, 0),
    left(Id::State, "  STATE", 13, 0),
    left(Id::AcceptQueue, "ACCEPT QUEUE", 13, 0),
    right(Id::In, "IN/s", 5, 0),
    right(Id::Out, "OUT/s", 5, 0),
    right(Id::P99, "WAIT p99", 8, 0),
    right(Id::Drops, "DROP/s", 6, 0),
];

/// For 100 columns: an address of IPv4 and how many share it stand there whole.
const MEDIUM: &[Column<Id>] = &[
    left(Id::Name, "LISTENER", 0, 0),
    left(Id::Process, "WHO", 13, 0),
    left(Id::State, "  STATE", 13, 0),
    right(Id::Syn, "SYN", 4, 0),
    left(Id::AcceptQueue, "ACCEPT QUEUE", 16, 0),
    right(Id::In, "IN/s", 5, 0),
    right(Id::Out, "OUT/s", 5, 0),
    right(Id::P99, "WAIT p99", 8, 0),
    right(Id::Drops, "DROP/s", 6, 0),
];

/// For 120 columns.
const WIDE: &[Column<Id>] = &[
    left(Id::Name, "LISTENER", 0, 0),
    left(Id::Process, "WHO", 18, 0),
    left(Id::State, "  STATE", 13, 0),
    right(Id::Syn, "SYN", 4, 0),
    left(Id::AcceptQueue, "ACCEPT QUEUE", 20, 0),
    right(Id::In, "IN/s", 6, 0),
    right(Id::Out, "OUT/s", 6, 0),
    right(Id::P99, "WAIT p99", 8, 0),
    right(Id::Drops, "DROPS/s", 7, 0),
    right(Id::Unread, "UNREAD", 6, 0),
];

/// For 200 columns.
const WIDEST: &[Column<Id>] = &[
    left(Id::Name, "LISTENER", 0, 0),
    left(Id::Process, "WHO", 18, 0),
    left(Id::State, "  STATE", 13, 0),
    left(Id::SynQueue, "SYN QUEUE", 14, 0),
    left(Id::AcceptQueue, "ACCEPT QUEUE", 36, 0),
    left(Id::Trend, "LAST MINUTE", 20, 0),
    right(Id::In, "IN/s", 6, 0),
    right(Id::Out, "OUT/s", 6, 0),
    right(Id::P50, "WAIT p50", 8, 0),
    right(Id::P99, "WAIT p99", 8, 0),
    right(Id::Drops, "DROPS/s", 7, 0),
    right(Id::Unread, "UNREAD", 6, 0),
    right(Id::Cookies, "COOKIES", 7, 0),
    right(Id::Resent, "RESENT", 6, 0),
];

/// The columns that fit.
pub(super) fn for_width(width: u16) -> &'static [Column<Id>] {
    match width {
        188.. => WIDEST,
        118.. => WIDE,
        98.. => MEDIUM,
        _ => NARROW,
    }
}

/// Columns of `65/64` beside the bar of the accept queue.
const DEPTH: u16 = 9;
/// Columns of the figure beside the bar of the SYN queue.
const SYN: u16 = 5;

/// What a column is sorted by; none when it is unknown.
pub(super) fn value(id: Id, figures: Figures) -> Option<Value> {
    let count = |count: Option<u64>| count.map(|count| Value::Number(count as f64));
    match id {
        Id::Name => Some(Value::Text(figures.name)),
        Id::State if figures.closed_ns.is_some() => Some(Value::Number(-1.0)),
        Id::State => Some(Value::Number(f64::from(figures.state as u8))),
        Id::Syn | Id::SynQueue => Some(Value::Number(figures.syn_queue.into())),
        Id::AcceptQueue => Some(Value::Number(f64::from(figures.depth) / full(&figures))),
        // The last minute is sorted by the highest of its last second.
        Id::Trend => Some(Value::Number(f64::from(figures.peak) / full(&figures))),
        Id::In => Some(Value::Number(figures.enqueued)),
        Id::Out => Some(Value::Number(figures.accepted)),
        Id::P50 => count(figures.wait_p50_ns),
        Id::P99 => count(figures.wait_p99_ns),
        Id::Drops => Some(Value::Number(figures.dropped)),
        Id::Unread => count(Some(figures.unread)),
        Id::Cookies => count(Some(figures.cookies)),
        Id::Resent => count(Some(figures.retransmits)),
        Id::Process => Some(Value::Text(figures.process)),
    }
}

/// Draws one row.
pub(super) fn draw(
    context: &Context<'_>,
    pen: &mut Pen<'_>,
    y: u16,
    slots: &[Slot<Id>],
    row: &Row,
    figures: &Figures,
    selected: bool,
) {
    let styles = context.styles;
    if selected {
        pen.text(0, y, 1, "▶", styles.key);
    }
    for slot in slots {
        let (text, style) = match slot.id {
            Id::Name => (
                name(context, row, figures, slot.width),
                if selected { styles.selected } else { styles.plain },
            ),
            Id::State => {
                let (glyph, word) = state_words(figures.state, figures.closed_ns.is_some());
                (format!("{glyph} {word}"), styles.state(figures.state))
            }
            Id::Syn => (figures::short(u64::from(figures.syn_queue)), quiet(context, figures.syn_queue > 0)),
            Id::SynQueue => {
                syn_queue(context, pen, y, slot, figures);
                continue;
            }
            Id::AcceptQueue => {
                accept_queue(context, pen, y, slot, figures);
                continue;
            }
            Id::In => (figures::rate(figures.enqueued), quiet(context, figures.enqueued > 0.0)),
            Id::Out => (figures::rate(figures.accepted), quiet(context, figures.accepted > 0.0)),
            Id::P50 => (
                figures::duration_or_dash(figures.wait_p50_ns),
                quiet(context, figures.wait_p50_ns.is_some()),
            ),
            Id::P99 => (
                figures::duration_or_dash(figures.wait_p99_ns),
                quiet(context, figures.wait_p99_ns.is_some()),
            ),
            Id::Drops if figures.dropped > 0.0 => (figures::rate(figures.dropped), styles.bad),
            Id::Drops => ("0".to_owned(), styles.dim),
            Id::Unread => (figures::short(figures.unread), quiet(context, figures.unread > 0)),
            Id::Cookies => (figures::short(figures.cookies), quiet(context, figures.cookies > 0)),
            Id::Resent => (figures::short(figures.retransmits), quiet(context, figures.retransmits > 0)),
            Id::Process => (shortened(&figures.process, '/', slot.width.into()), styles.plain),
            Id::Trend => {
                trend(context, pen, y, slot, row, figures);
                continue;
            }
        };
        cell(pen, y, slot, &text, style);
    }
}

fn name(context: &Context<'_>, row: &Row, figures: &Figures, width: u16) -> String {
    if row.shard {
        let listener = row.members.first().and_then(|index| context.snapshot().listeners.get(*index));
        let shard = listener.and_then(|listener| listener.shard).unwrap_or(0);
        return format!("  └ shard {shard}");
    }
    let suffix = match row.unfolded {
        Some(true) => format!(" ×{}▾", figures.shards),
        Some(false) => format!(" ×{}▸", figures.shards),
        None => String::new(),
    };
    format!("{}{suffix}", shortened(&figures.name, ':', usize::from(width).saturating_sub(columns(&suffix))))
}

/// What is too long loses its middle: what stands from this sign on, a port or the number of a process, tells more than the
/// rest. Without the sign it stays whole.
fn shortened(text: &str, sign: char, width: usize) -> String {
    let end = text.rfind(sign).map_or("", |from| &text[from..]);
    if columns(text) <= width || end.is_empty() {
        return text.to_owned();
    }
    let room = width.saturating_sub(columns(end) + 1);
    format!("{}…{end}", text.chars().take(room).collect::<String>())
}

/// Zeros step back, so that what is not zero stands out.
fn quiet(context: &Context<'_>, something: bool) -> Style {
    if something { context.styles.plain } else { context.styles.dim }
}

fn syn_queue(context: &Context<'_>, pen: &mut Pen<'_>, y: u16, slot: &Slot<Id>, figures: &Figures) {
    let styles = context.styles;
    let value = f64::from(figures.syn_queue);
    // The SYN queue obeys the same limit: inet_csk_reqsk_queue_is_full compares qlen with sk_max_ack_backlog.
    let shown = Bar { value, peak: value, full: full(figures), style: styles.bar, peak_style: styles.peak };
    let width = slot.width.saturating_sub(SYN + 1);
    bar(pen, slot.x, y, width, &shown);
    let text = figures::short(u64::from(figures.syn_queue));
    pen.right(slot.x + width, y, SYN + 1, &text, quiet(context, figures.syn_queue > 0));
}

fn accept_queue(context: &Context<'_>, pen: &mut Pen<'_>, y: u16, slot: &Slot<Id>, figures: &Figures) {
    let styles = context.styles;
    let shown = Bar {
        value: f64::from(figures.depth),
        peak: f64::from(figures.peak),
        full: full(figures),
        style: styles.bar_of(figures.state),
        peak_style: styles.peak,
    };
    let width = slot.width.saturating_sub(DEPTH + 1);
    bar(pen, slot.x, y, width, &shown);
    let is_full = figures.depth > figures.limit;
    let style = if is_full { styles.bad } else { quiet(context, figures.depth > 0) };
    let text = format!("{}/{}", figures.depth, figures.limit);
    pen.right(slot.x + width, y, DEPTH + 1, &text, style);
}

/// The value at which a queue is full.
fn full(figures: &Figures) -> f64 {
    f64::from(figures.limit) + 1.0
}

fn trend(context: &Context<'_>, pen: &mut Pen<'_>, y: u16, slot: &Slot<Id>, row: &Row, figures: &Figures) {
    const EIGHTHS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    let snapshot = context.snapshot();
    let cookies: Vec<u64> = row
        .members
        .iter()
        .filter_map(|index| snapshot.listeners.get(*index))
        .map(|listener| listener.cookie)
        .collect();
    let width = usize::from(slot.width);
    const SPAN_NS: u64 = 60_000_000_000;
    let axis = Axis::new(snapshot.time_ns, SPAN_NS, width);
    for column in snapshot.marks.iter().filter_map(|mark| axis.column(mark.time_ns)) {
        pen.text(slot.x + column as u16, y, 1, "┊", context.styles.mark);
    }
    let points = context.history.samples.points(&cookies, snapshot.time_ns, SPAN_NS, width);
    for (x, point) in points.into_iter().enumerate() {
        let Some(peak) = point.map(|point| point.peak).filter(|peak| *peak > 0) else { continue };
        let eighths = (f64::from(peak) / full(figures) * EIGHTHS.len() as f64) as usize;
        let symbol = EIGHTHS[eighths.clamp(1, EIGHTHS.len()) - 1];
        pen.text(slot.x + x as u16, y, 1, symbol, context.styles.bar_of(figures.state));
    }
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn the_number_of_a_process_stays() {
        assert_eq!(shortened("nginx/812", '/', 12), "nginx/812");
        assert_eq!(shortened("demo-server/4127", '/', 12), "demo-s…/4127");
        assert_eq!(shortened("4 processes", '/', 5), "4 processes");
    }

    #[test]
    fn the_port_stays() {
        assert_eq!(shortened("127.0.0.1:8080", ':', 14), "127.0.0.1:8080");
        assert_eq!(shortened("127.0.0.1:8080", ':', 12), "127.0.…:8080");
        assert_eq!(shortened("[2001:db8::1]:443", ':', 9), "[200…:443");
        assert_eq!(shortened("[2001:db8::1]:443", ':', 2), "…:443");
    }
}
