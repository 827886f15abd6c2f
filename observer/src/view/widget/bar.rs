//! One quantity against its limit, in one row.

use ratatui::style::Style;

use super::pen::Pen;

/// Parts of a block from one eighth on.
const EIGHTHS: [&str; 8] = ["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];

/// What a bar shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bar {
    /// What is there.
    pub value: f64,
    /// The most there was for a moment.
    pub peak: f64,
    /// The value that fills the bar.
    pub full: f64,
    /// Style of the bar.
    pub style: Style,
    /// Style of the tick that marks the peak.
    pub peak_style: Style,
}

/// Draws a bar of `width` columns. Anything above zero is visible, and only what is full looks full.
pub(crate) fn bar(pen: &mut Pen<'_>, x: u16, y: u16, width: u16, bar: &Bar) {
    let cells = usize::from(width);
    let steps = cells * EIGHTHS.len();
    let mut filled = (part(bar.value, bar.full) * steps as f64) as usize;
    if bar.value > 0.0 {
        filled = filled.max(1);
    }
    if bar.value < bar.full {
        filled = filled.min(steps.saturating_sub(1));
    }
    for (index, start) in (0..filled).step_by(EIGHTHS.len()).enumerate() {
        let eighths = (filled - start).min(EIGHTHS.len());
        pen.text(x + index as u16, y, 1, EIGHTHS[eighths - 1], bar.style);
    }
    let tick = ((part(bar.peak, bar.full) * cells as f64) as usize).min(cells.saturating_sub(1));
    if bar.peak > bar.value && tick >= filled.div_ceil(EIGHTHS.len()) && cells > 0 {
        pen.text(x + tick as u16, y, 1, "╵", bar.peak_style);
    }
}

fn part(value: f64, full: f64) -> f64 {
    if full > 0.0 { (value / full).clamp(0.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use ratatui::{buffer::Buffer, layout::Rect};

    use super::*;

    #[track_caller]
    fn check(value: f64, peak: f64, full: f64, expected: &str) {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 4, 1));
        let area = buffer.area;
        let shown = Bar { value, peak, full, style: Style::new(), peak_style: Style::new() };
        bar(&mut Pen::new(&mut buffer, area), 0, 0, 4, &shown);
        assert_eq!(buffer, Buffer::with_lines([expected]));
    }

    #[test]
    fn full_and_empty_are_exact() {
        check(0.0, 0.0, 65.0, "    ");
        check(1.0, 1.0, 65.0, "▏   ");
        check(64.0, 64.0, 65.0, "███▉");
        check(65.0, 65.0, 65.0, "████");
        check(90.0, 90.0, 65.0, "████");
        check(0.0, 0.0, 0.0, "    ");
    }

    #[test]
    fn the_peak_is_a_tick() {
        check(0.0, 65.0, 65.0, "   ╵");
        check(1.0, 20.0, 65.0, "▏╵  ");
        check(40.0, 41.0, 65.0, "██▍ ");
    }
}
