//! The stages one below the other, with their quantiles and bars on one scale.

use crate::model::snapshot::stage;
use crate::view::history::durations::Stages;
use crate::view::screen::Context;
use crate::view::widget::bar::{Bar, bar};
use crate::view::widget::pen::Pen;
use crate::view::widget::table::{Column, cell, left, place, right, titles};
use crate::view::{figures, words};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Id {
    Name,
    Bar,
    P50,
    P90,
    P99,
    Max,
    Share,
    Count,
}

const COLUMNS: &[Column<Id>] = &[
    left(Id::Name, "STAGE", 15, 0),
    left(Id::Bar, "", 0, 0),
    right(Id::P50, "p50", 8, 0),
    right(Id::P90, "p90", 8, 110),
    right(Id::P99, "p99", 8, 0),
    right(Id::Max, "max", 8, 0),
    right(Id::Share, "SHARE", 7, 80),
    right(Id::Count, "COUNT", 8, 110),
];

/// Stages that follow one another from the SYN to the first write. Data waits for its read while other stages run.
const WAY: &[usize] = &[stage::SYN_WAIT, stage::ACCEPT_WAIT, stage::ACCEPT_TO_READ, stage::READ_TO_WRITE];
/// The same where the server speaks first.
const WAY_OF_SPEAKER: &[usize] = &[stage::SYN_WAIT, stage::ACCEPT_WAIT, stage::ACCEPT_TO_WRITE];

/// Draws them into the whole of `pen`.
pub(super) fn draw(context: &Context<'_>, pen: &mut Pen<'_>, stages: &Stages, chosen: usize) {
    let styles = context.styles;
    let slots = place(COLUMNS, pen.width());
    titles(pen, 0, COLUMNS, &slots, styles.heading);
    let quantiles = stages.each_ref().map(|stage| stage.quantiles());
    // The lifetime contains idle time of any length; it would make all others invisible.
    let scale =
        quantiles.iter().take(stage::LIFETIME).filter_map(|stage| stage.p99).max().unwrap_or(1) as f64;
    let speaks = quantiles[stage::ACCEPT_TO_WRITE].count > quantiles[stage::READ_TO_WRITE].count;
    let stages_of_way = if speaks { WAY_OF_SPEAKER } else { WAY };
    let way: u64 = stages_of_way.iter().filter_map(|index| quantiles[*index].p50).sum();
    for (index, quantiles) in quantiles.iter().enumerate() {
        let y = index as u16 + 1;
        let style = if quantiles.count > 0 { styles.plain } else { styles.dim };
        if index == chosen {
            pen.text(0, y, 1, "▶", styles.key);
        }
        for slot in &slots {
            let text = match slot.id {
                Id::Name => {
                    let style = if index == chosen { styles.selected } else { styles.plain };
                    cell(pen, y, slot, words::STAGES[index], style);
                    continue;
                }
                Id::Bar => {
                    let shown = Bar {
                        value: quantiles.p50.unwrap_or(0) as f64,
                        peak: quantiles.p99.unwrap_or(0) as f64,
                        full: scale,
                        style: if index == stage::LIFETIME { styles.dim } else { styles.bar },
                        peak_style: styles.peak,
                    };
                    bar(pen, slot.x, y, slot.width, &shown);
                    continue;
                }
                Id::P50 => figures::duration_or_dash(quantiles.p50),
                Id::P90 => figures::duration_or_dash(quantiles.p90),
                Id::P99 => figures::duration_or_dash(quantiles.p99),
                Id::Max => figures::duration_or_dash(quantiles.max),
                Id::Share => match quantiles.p50 {
                    Some(p50) if stages_of_way.contains(&index) && way > 0 => {
                        figures::percent(p50 as f64 / way as f64)
                    }
                    _ => String::new(),
                },
                Id::Count => figures::short(quantiles.count),
            };
            cell(pen, y, slot, &text, style);
        }
    }
}
