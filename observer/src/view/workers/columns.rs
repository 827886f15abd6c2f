//! The columns of the list of threads, and what stands in each.

use super::chance::Shares;
use crate::figures;
use crate::model::snapshot::Thread;
use crate::view::screen::Context;
use crate::view::widget::bar::{Bar, bar};
use crate::view::widget::pen::Pen;
use crate::view::widget::table::{Column, Slot, cell, left, right};

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Id {
    Thread,
    Process,
    Role,
    Now,
    Running,
    Accepts,
    Share,
    ShareBar,
    Chance,
    Reads,
    Writes,
    BytesIn,
    BytesOut,
    WakeUps,
    Total,
}

/// All of them. What a thread does comes before what its part in the accepts would be by chance.
pub(super) const COLUMNS: &[Column<Id>] = &[
    left(Id::Thread, "THREAD", 0, 0),
    left(Id::Process, "PROCESS", 8, 120),
    left(Id::Role, "ROLE", 14, 0),
    left(Id::Now, "NOW", 12, 0),
    right(Id::Running, "RUNS", 6, 0),
    right(Id::Accepts, "ACC/s", 6, 0),
    right(Id::Share, "SHARE", 6, 0),
    left(Id::ShareBar, "", 16, 165),
    right(Id::Chance, "CHANCE", 8, 100),
    right(Id::Reads, "READ/s", 6, 0),
    right(Id::Writes, "WRITE/s", 7, 0),
    right(Id::BytesIn, "BYTES IN", 9, 135),
    right(Id::BytesOut, "BYTES OUT", 9, 135),
    right(Id::WakeUps, "WK/ACC", 6, 100),
    right(Id::Total, "ACCEPTS", 9, 145),
];

/// Draws one row.
pub(super) fn draw(
    context: &Context<'_>,
    pen: &mut Pen<'_>,
    y: u16,
    slots: &[Slot<Id>],
    thread: &Thread,
    shares: &Shares,
    chosen: bool,
) {
    let styles = context.styles;
    let done = context.history.eras.since_change(thread);
    let share = shares.share(thread.pid, done.accepts);
    // A thread that never accepts has no part in what chance deals out.
    let band = shares.band(thread.pid).filter(|_| done.accepts > 0 || thread.role.starts_with("acceptor"));
    if chosen {
        pen.text(0, y, 1, "▶", styles.key);
    }
    for slot in slots {
        let quiet = |something: bool| if something { styles.plain } else { styles.dim };
        let (text, style) = match slot.id {
            Id::Thread => {
                let gone = if thread.exited { " (gone)" } else { "" };
                let text = format!("{}/{}{gone}", thread.comm, thread.tid);
                (text, if chosen { styles.selected } else { quiet(!thread.exited) })
            }
            Id::Process => (thread.pid.to_string(), styles.dim),
            Id::Role => (short_role(&thread.role), quiet(thread.role != "idle")),
            Id::Now => (thread.doing.clone().unwrap_or_else(|| "-".to_owned()), styles.dim),
            Id::Running => match thread.rates.running {
                Some(part) => (figures::percent(part), quiet(part >= 0.005)),
                None => ("-".to_owned(), styles.dim),
            },
            Id::Accepts => (figures::rate(thread.rates.accepts), quiet(thread.rates.accepts > 0.0)),
            Id::Share => match share {
                Some(share) => (figures::percent(share), quiet(share > 0.0)),
                None => ("-".to_owned(), styles.dim),
            },
            Id::ShareBar => {
                let value = share.unwrap_or(0.0);
                let shown = Bar { value, peak: value, full: 1.0, style: styles.bar, peak_style: styles.peak };
                bar(pen, slot.x, y, slot.width, &shown);
                continue;
            }
            Id::Chance => match (band, share) {
                (Some(band), Some(share)) => {
                    let (glyph, style) =
                        if band.holds(share) { ("≈", styles.dim) } else { ("!", styles.warn) };
                    (format!("{:.0}±{:.1} {glyph}", band.even * 100.0, band.two_sd * 100.0), style)
                }
                _ => (String::new(), styles.dim),
            },
            Id::Reads => (figures::rate(thread.rates.reads), quiet(thread.rates.reads > 0.0)),
            Id::Writes => (figures::rate(thread.rates.writes), quiet(thread.rates.writes > 0.0)),
            Id::BytesIn => (figures::bytes(thread.bytes_read), quiet(thread.bytes_read > 0)),
            Id::BytesOut => (figures::bytes(thread.bytes_written), quiet(thread.bytes_written > 0)),
            Id::WakeUps => match (thread.wakeups, done.accepts) {
                (Some(_), accepts) if accepts > 0 => {
                    let per_accept = done.wakeups as f64 / accepts as f64;
                    (format!("{per_accept:.1}"), if per_accept > 2.0 { styles.warn } else { styles.plain })
                }
                _ => ("-".to_owned(), styles.dim),
            },
            Id::Total => (figures::count(thread.accepts), quiet(thread.accepts > 0)),
        };
        cell(pen, y, slot, &text, style);
    }
}

/// `acceptor+reader+writer` as `acc+read+write`.
fn short_role(role: &str) -> String {
    let parts: Vec<&str> = role
        .split('+')
        .map(|part| match part {
            "acceptor" => "acc",
            "reader" => "read",
            "writer" => "write",
            other => other,
        })
        .collect();
    // Of one word there is room for the whole.
    if parts.len() == 1 { role.to_owned() } else { parts.join("+") }
}
