//! One connection's own line of time: every instant that was seen, in order, with what is known of it.

use ratatui::text::Span;

use super::screen::Context;
use super::widget::pen::{Pen, columns};
use super::{figures, words};
use crate::model::{mark::Mark, snapshot::Connection};

/// Columns left of the line of time.
const NAME: u16 = 20;
const AT: u16 = 10;
const TOOK: u16 = 9;
/// Changes of the backend that are shown.
const MOST_CHANGES: usize = 2;

struct Instant {
    name: &'static str,
    /// Its name in `unseen`.
    key: &'static str,
    time_ns: Option<u64>,
}

/// Draws it into the whole of `pen`.
pub(crate) fn draw(context: &Context<'_>, pen: &mut Pen<'_>, connection: &Connection) {
    let styles = context.styles;
    pen.spans(
        1,
        0,
        &[
            Span::styled(connection.remote.to_string(), styles.strong),
            Span::styled(" → ", styles.dim),
            Span::styled(words::listener(context.snapshot(), connection.listener), styles.strong),
            Span::styled("    Esc back", styles.dim),
        ],
    );
    let mut seen: Vec<(Instant, u64)> = instants(connection)
        .into_iter()
        .filter_map(|instant| instant.time_ns.map(|time_ns| (instant, time_ns)))
        .collect();
    seen.sort_by_key(|(_, time_ns)| *time_ns);
    let exact = pen.width() >= 110;
    let line_x = 1 + NAME + AT + TOOK + if exact { 20 } else { 0 } + 2;
    pen.text(1, 2, NAME, "INSTANT", styles.heading);
    pen.right(1 + NAME, 2, AT, "AT", styles.heading);
    pen.right(1 + NAME + AT, 2, TOOK, "TOOK", styles.heading);
    if exact {
        pen.right(1 + NAME + AT + TOOK, 2, 20, "MONOTONIC ns", styles.heading);
    }
    let start = seen.first().map_or(0, |(_, time_ns)| *time_ns);
    let whole = seen.last().map_or(0, |(_, time_ns)| *time_ns - start);
    let width = pen.width().saturating_sub(line_x + 1);
    let place = |time_ns: u64| {
        let part = if whole == 0 { 0.0 } else { (time_ns - start) as f64 / whole as f64 };
        line_x + (part * f64::from(width.saturating_sub(1))) as u16
    };
    let mut before = start;
    let mut y = 3;
    for (instant, time_ns) in &seen {
        pen.text(1, y, NAME, instant.name, styles.plain);
        pen.right(1 + NAME, y, AT, &format!("+{}", figures::duration(time_ns - start)), styles.dim);
        pen.right(1 + NAME + AT, y, TOOK, &figures::duration(time_ns - before), styles.strong);
        if exact {
            pen.right(1 + NAME + AT + TOOK, y, 20, &figures::count(*time_ns), styles.dim);
        }
        for x in place(before)..place(*time_ns) {
            pen.text(x, y, 1, "─", styles.bar);
        }
        pen.text(place(*time_ns), y, 1, "●", styles.key);
        before = *time_ns;
        y += 1;
    }
    for instant in instants(connection).iter().filter(|instant| instant.time_ns.is_none()) {
        pen.text(1, y, NAME, instant.name, styles.dim);
        let unseen = connection.unseen.contains(&instant.key);
        let text = if unseen { "not seen" } else { "did not happen" };
        pen.text(1 + NAME + 1, y, AT + TOOK + 10, text, styles.dim);
        y += 1;
    }
    // What changed meanwhile has its mark on this axis, too; the last ones, as there may be no room for more.
    let marks = context.snapshot().marks.iter().rev();
    let meanwhile = |mark: &&Mark| (start..=start + whole).contains(&mark.time_ns);
    for mark in marks.filter(meanwhile).take(MOST_CHANGES) {
        pen.text(1, y, NAME, "changed meanwhile", styles.mark);
        pen.right(1 + NAME, y, AT, &format!("+{}", figures::duration(mark.time_ns - start)), styles.dim);
        let (x, what) = (place(mark.time_ns), mark.short());
        let needed = columns(&what) as u16;
        // The text stands on the side that has room for it.
        let left = x + 1 + needed > pen.width();
        let begin = if left { x.saturating_sub(needed).max(line_x) } else { x + 1 };
        pen.text(begin, y, if left { x.saturating_sub(begin) } else { needed }, &what, styles.mark);
        pen.text(x, y, 1, "▴", styles.mark);
        y += 1;
    }
    facts(context, pen, y + 1, connection);
}

fn instants(connection: &Connection) -> [Instant; 7] {
    let of = |name, key, time_ns| Instant { name, key, time_ns };
    [
        of("SYN received", "syn_ns", connection.syn_ns),
        of("established, queued", "established_ns", connection.established_ns),
        of("accept returned", "accepted_ns", connection.accepted_ns),
        of("first data queued", "first_data_ns", connection.first_data_ns),
        of("first read returned", "first_read_ns", connection.first_read_ns),
        of("first write", "first_write_ns", connection.first_write_ns),
        of("closed", "closed_ns", connection.closed_ns),
    ]
}

fn facts(context: &Context<'_>, pen: &mut Pen<'_>, top: u16, connection: &Connection) {
    let snapshot = context.snapshot();
    let names = |tids: &[u32]| {
        let names: Vec<String> = tids.iter().map(|tid| words::thread(snapshot, *tid)).collect();
        let more = if connection.more_threads { " and others" } else { "" };
        if names.is_empty() { "nobody".to_owned() } else { format!("{}{more}", names.join(", ")) }
    };
    let acceptor = match (&connection.acceptor, &connection.holder) {
        (Some(acceptor), _) => {
            format!("{}/{} of process {}", acceptor.comm, acceptor.tid, acceptor.pid)
        }
        (None, Some(holder)) => {
            format!("somebody before the start; {} (process {}) holds it", holder.comm, holder.pid)
        }
        (None, None) => "nobody, or unseen".to_owned(),
    };
    let met = connection.queue_at_arrival.map_or_else(
        || "an accept queue of unknown length".to_owned(),
        |met| format!("an accept queue of {met}, itself included"),
    );
    let facts = [
        (
            "came by",
            format!("{}; SYN-ACKs sent again: {}", words::via(connection.via), connection.synack_retransmits),
        ),
        ("met", met),
        ("accepted by", acceptor),
        (
            "read by",
            format!(
                "{}: {} in {}, longest wait of data {}",
                names(&connection.readers),
                figures::bytes(connection.bytes_read),
                figures::plural(connection.reads as usize, "read"),
                figures::duration(connection.longest_read_wait_ns),
            ),
        ),
        (
            "written by",
            format!(
                "{}: {} in {}",
                names(&connection.writers),
                figures::bytes(connection.bytes_written),
                figures::plural(connection.writes as usize, "write"),
            ),
        ),
        ("ended", words::end_sentence(connection.end, connection.closed_first, connection.at_exit)),
    ];
    for (index, (name, text)) in facts.iter().enumerate() {
        let y = top + index as u16;
        pen.text(1, y, 13, name, context.styles.dim);
        pen.text(14, y, u16::MAX, text, context.styles.plain);
    }
}
