//! What a change has done: the time since the last one beside the times before it, in the same units.

use crate::figures;
use crate::view::history::eras::Era;
use crate::view::screen::Context;
use crate::view::widget::pen::Pen;
use crate::view::widget::table::{Column, cell, left, place, right, titles};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Id {
    When,
    Running,
    Load,
    Change,
    For,
    In,
    Out,
    P50,
    P99,
    Peak,
    Drops,
}

const COLUMNS: &[Column<Id>] = &[
    left(Id::When, "", 6, 80),
    left(Id::Running, "", 0, 0),
    left(Id::Load, "LOAD", 14, 80),
    left(Id::Change, "BEGAN WITH", 30, 150),
    right(Id::For, "FOR", 5, 80),
    right(Id::In, "IN/s", 5, 0),
    right(Id::Out, "OUT/s", 5, 80),
    right(Id::P50, "p50", 7, 80),
    right(Id::P99, "p99", 7, 0),
    right(Id::Peak, "PEAK", 5, 0),
    right(Id::Drops, "DROP/s", 6, 0),
];

/// Rows that it takes of `height`.
pub(super) fn rows(height: u16) -> u16 {
    (height / 3).clamp(4, 16)
}

/// Draws it into the whole of `pen`.
pub(super) fn draw(context: &Context<'_>, pen: &mut Pen<'_>) {
    let styles = context.styles;
    if pen.height() < 3 {
        return;
    }
    pen.rule(0, "─", styles.dim);
    pen.text(0, 0, u16::MAX, "now, and before each change ", styles.strong);
    let slots = place(COLUMNS, pen.width());
    titles(pen, 1, COLUMNS, &slots, styles.heading);
    let shown = usize::from(pen.height()) - 2;
    for (index, era) in context.history.eras.newest_first().take(shown).enumerate() {
        let y = index as u16 + 2;
        let wait = era.wait.quantiles();
        let style = if index == 0 { styles.strong } else { styles.plain };
        if index == 0 {
            pen.text(0, y, 1, "▶", styles.key);
        }
        for slot in &slots {
            let text = match slot.id {
                Id::When => (if index == 0 { "now" } else { "before" }).to_owned(),
                Id::Running => era.running.pattern_label(),
                Id::Load => load(era),
                Id::Change => era.change.clone().unwrap_or_else(|| "the observer".to_owned()),
                Id::For => figures::span(era.span_ns()),
                Id::In => figures::rate(era.per_second(era.enqueued)),
                Id::Out => figures::rate(era.per_second(era.accepted)),
                Id::P50 => figures::duration_or_dash(wait.p50),
                Id::P99 => figures::duration_or_dash(wait.p99),
                Id::Peak => era.peak.to_string(),
                Id::Drops => figures::rate(era.per_second(era.dropped)),
            };
            let refused = slot.id == Id::Drops && era.dropped > 0;
            cell(pen, y, slot, &text, if refused { styles.bad } else { style });
        }
    }
}

fn load(era: &Era) -> String {
    let fault = if era.running.faults.is_empty() { "" } else { " !" };
    format!("{}{fault}", era.running.load.as_deref().unwrap_or("none"))
}
