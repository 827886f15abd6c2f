//! One quantity over time: filled columns up to what it was, shaded up to its peak, with the limit and marks.

use ratatui::style::Style;

use super::pen::{Pen, columns};
use crate::view::{figures, styles::Styles};

/// Parts of a block from one eighth on, from below.
const EIGHTHS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
/// Columns of the axis on the left.
pub(crate) const AXIS: u16 = 7;

/// The least columns in which the text of a mark says something.
const LEAST_TEXT: u16 = 12;

/// One column of the plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    /// The value at the end of the column's time.
    pub value: u32,
    /// The most in the column's time.
    pub peak: u32,
}

/// What a plot shows.
#[derive(Debug)]
pub(crate) struct Plot<'a> {
    /// One for each column, oldest first; `None` where nothing is known.
    pub points: &'a [Option<Point>],
    /// Column and text of each mark, oldest first.
    pub marks: &'a [(usize, String)],
    /// The value that is full.
    pub full: u32,
    /// What stands at the left end of the axis of time.
    pub oldest: &'a str,
    /// Style of the columns.
    pub style: Style,
}

/// Draws a plot into the whole of `pen`: the last two rows are the axis of time and the texts of the marks.
pub(crate) fn plot(pen: &mut Pen<'_>, plot: &Plot<'_>, styles: &Styles) {
    let Some(height) = pen.height().checked_sub(2).filter(|height| *height > 0) else { return };
    let top = top(plot);
    axis(pen, plot, height, top, styles);
    let marked = |column: usize| plot.marks.iter().any(|(mark, _)| *mark == column);
    for (column, point) in plot.points.iter().enumerate() {
        let Some(x) = u16::try_from(column).ok().and_then(|column| column.checked_add(AXIS)) else { return };
        let point = point.unwrap_or(Point { value: 0, peak: 0 });
        let value = eighths(point.value, top, height);
        let peak = eighths(point.peak, top, height);
        for row in 0..height {
            let floor = usize::from(height - 1 - row) * EIGHTHS.len();
            if value > floor {
                pen.text(x, row, 1, EIGHTHS[(value - floor).min(EIGHTHS.len()) - 1], plot.style);
            } else if peak > floor {
                pen.text(x, row, 1, "░", styles.dim);
            } else if marked(column) {
                pen.text(x, row, 1, "┊", styles.mark);
            }
        }
    }
    labels(pen, plot, height, styles);
}

/// The value at the upper edge: what is full when it comes into sight, otherwise a round figure above the peak.
fn top(plot: &Plot<'_>) -> u32 {
    let highest = plot.points.iter().flatten().map(|point| point.peak.max(point.value)).max().unwrap_or(0);
    if highest >= plot.full / 2 {
        return highest.max(plot.full).max(1);
    }
    let mut round: u32 = 4;
    while round < highest {
        round = round.saturating_mul(2);
    }
    round.min(plot.full.max(1))
}

fn eighths(value: u32, top: u32, height: u16) -> usize {
    if value == 0 {
        return 0;
    }
    let steps = u64::from(height) * EIGHTHS.len() as u64;
    // Anything above zero is visible, and only the top reaches the top.
    ((u64::from(value.min(top)) * steps / u64::from(top)).max(1)) as usize
}

fn axis(pen: &mut Pen<'_>, plot: &Plot<'_>, height: u16, top: u32, styles: &Styles) {
    for row in 0..height {
        let label = match row {
            0 => figures::short(u64::from(top)),
            row if height >= 5 && row == height / 2 => {
                // The value at the upper edge of this row.
                figures::short(u64::from(top) * u64::from(height - row) / u64::from(height))
            }
            _ => String::new(),
        };
        pen.right(0, row, AXIS - 2, &label, styles.dim);
        pen.text(AXIS - 1, row, 1, if label.is_empty() { "│" } else { "┤" }, styles.dim);
    }
    if top >= plot.full && plot.full > 0 {
        // The upper edge of the plot is the value at which the queue is full.
        for x in AXIS..pen.width() {
            pen.text(x, 0, 1, "╌", styles.dim);
        }
    }
    pen.right(0, height, AXIS - 2, "0", styles.dim);
    pen.text(AXIS - 1, height, 1, "└", styles.dim);
    for x in AXIS..pen.width() {
        pen.text(x, height, 1, "─", styles.dim);
    }
}

fn labels(pen: &mut Pen<'_>, plot: &Plot<'_>, height: u16, styles: &Styles) {
    let width = pen.width();
    let y = height + 1;
    for (column, _) in plot.marks {
        if let Ok(column) = u16::try_from(*column) {
            pen.text(AXIS.saturating_add(column), height, 1, "┴", styles.mark);
        }
    }
    let needed = |text: &str| (columns(text).min(usize::from(u16::MAX)) as u16).saturating_add(2);
    let left = |column: &usize| u16::try_from(*column).map_or(u16::MAX, |column| AXIS.saturating_add(column));
    // `now` gives way to the text of a mark.
    let newest = plot.marks.last().map_or(0, |(column, text)| left(column).saturating_add(needed(text)));
    let ends_with_now = width > AXIS + 20 && newest < width - 4;
    let edge = if ends_with_now { width - 4 } else { width };
    // From the newest on, each text up to the one after it; one that has no room is left to the others.
    let mut end = edge;
    for (column, text) in plot.marks.iter().rev() {
        // A text near the right edge moves left so that it can be read.
        let x = left(column).min(edge.saturating_sub(needed(text))).max(AXIS);
        let room = end.saturating_sub(x + 1);
        if room >= needed(text).min(LEAST_TEXT) {
            let used = pen.text(x, y, 1, "▴", styles.mark);
            pen.text(x + used, y, room - used, text, styles.mark);
            end = x;
        }
    }
    if end > AXIS + plot.oldest.len() as u16 + 1 {
        pen.text(AXIS - 1, y, end - AXIS, plot.oldest, styles.dim);
    }
    if ends_with_now {
        pen.right(0, y, width, "now", styles.dim);
    }
}
