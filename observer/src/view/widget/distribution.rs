//! How many took how long: columns over a logarithmic axis of time.

use super::pen::Pen;
use crate::model::histogram::Histogram;
use crate::view::{figures, styles::Styles};

const EIGHTHS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Draws the distribution into the whole of `pen`; the last row is the axis.
///
/// The axis runs from the shortest to the longest duration that there is, so that the shape fills the width.
pub(crate) fn distribution(pen: &mut Pen<'_>, histogram: &Histogram, styles: &Styles) {
    let Some(height) = pen.height().checked_sub(1).filter(|height| *height > 0) else { return };
    let width = usize::from(pen.width());
    let (columns, low, high) = columns(histogram, width);
    if columns.is_empty() {
        pen.text(0, 0, pen.width(), "no durations yet", styles.dim);
        return;
    }
    let most = columns.iter().copied().fold(0.0, f64::max);
    let steps = usize::from(height) * EIGHTHS.len();
    for (x, count) in columns.iter().enumerate() {
        let mut filled = (count / most * steps as f64) as usize;
        if *count > 0.0 {
            filled = filled.max(1);
        }
        for row in 0..height {
            let floor = usize::from(height - 1 - row) * EIGHTHS.len();
            if filled > floor {
                pen.text(x as u16, row, 1, EIGHTHS[(filled - floor).min(EIGHTHS.len()) - 1], styles.bar);
            }
        }
    }
    ticks(pen, height, low, high, styles);
}

/// Counts by column, and the ends of the axis in nanoseconds.
fn columns(histogram: &Histogram, width: usize) -> (Vec<f64>, f64, f64) {
    let mut range: Option<(u64, u64)> = None;
    for (low, high, _) in histogram.buckets() {
        range = Some(range.map_or((low, high), |(least, most)| (least.min(low), most.max(high))));
    }
    let (Some((least, most)), true) = (range, width > 0) else { return (Vec::new(), 0.0, 0.0) };
    // The first bucket begins at zero, which a logarithm has no place for.
    let (low, high) = (least.max(64) as f64, most.max(128) as f64);
    let scale = width as f64 / (high / low).ln();
    let mut columns = vec![0.0; width];
    for (from, to, count) in histogram.buckets() {
        let start = ((from.max(64) as f64 / low).ln() * scale).max(0.0);
        let end = ((to.max(65) as f64 / low).ln() * scale).min(width as f64);
        // A bucket wider than a column is spread over the columns that it covers.
        let first = (start as usize).min(width - 1);
        let last = (end.ceil() as usize).clamp(first + 1, width);
        let span = (end - start).max(f64::MIN_POSITIVE);
        for (index, column) in columns.iter_mut().enumerate().take(last).skip(first) {
            let overlap = (end.min((index + 1) as f64) - start.max(index as f64)).max(0.0);
            *column += count as f64 * (overlap / span);
        }
    }
    (columns, low, high)
}

fn ticks(pen: &mut Pen<'_>, y: u16, low: f64, high: f64, styles: &Styles) {
    let width = pen.width();
    let shown = (width / 16).clamp(1, 8);
    for tick in 0..=shown {
        let part = f64::from(tick) / f64::from(shown);
        let text = figures::duration((low * (high / low).powf(part)) as u64);
        let needed = super::pen::columns(&text) as u16;
        let centre = (f64::from(width) * part) as u16;
        let x = centre.saturating_sub(needed / 2).min(width.saturating_sub(needed));
        pen.text(x, y, needed, &text, styles.dim);
    }
}

#[cfg(test)]
mod tests {
    use observer_ebpf::histogram::bucket;
    use ratatui::{buffer::Buffer, layout::Rect};

    use super::*;
    use crate::view::styles::themes::{Depth, Theme};

    #[test]
    fn every_duration_is_in_a_column() {
        let mut histogram = Histogram::default();
        for (ns, count) in [(0, 3), (5_000, 100), (1_000_000, 7), (90_000_000_000, 1)] {
            histogram.add(bucket(ns), count);
        }
        for width in 1..200 {
            let (columns, _, _) = columns(&histogram, width);
            let sum: f64 = columns.iter().sum();
            assert!((sum - 111.0).abs() < 1e-6, "width {width}: {sum}");
        }
    }

    #[test]
    fn one_bucket_and_none() {
        let styles = Styles::new(Theme::default(), Depth::None);
        let mut buffer = Buffer::empty(Rect::new(0, 0, 20, 2));
        let area = buffer.area;
        distribution(&mut Pen::new(&mut buffer, area), &Histogram::default(), &styles);
        assert_eq!(buffer.content[0].symbol(), "n");
        let mut histogram = Histogram::default();
        histogram.add(0, 1);
        distribution(&mut Pen::new(&mut buffer, area), &histogram, &styles);
        assert_eq!(buffer.content[0].symbol(), "█");
    }
}
