//! What a replay has that live has not: a row above the footer that says where in the recording it is and how fast it
//! goes, and the keys for that.

use ratatui::text::Span;

use super::hits::{self, Hit};
use super::{figures, styles::Styles, widget::pen::Pen};
use crate::source::{Control, Position};

/// What a key asks of a replay, if it is one of those that only a replay has or that mean something else there.
pub(crate) fn control(key: char) -> Option<Control> {
    Some(match key {
        ' ' => Control::Play,
        ',' => Control::StepBack,
        '.' => Control::StepOn,
        '[' => Control::Move(-10),
        ']' => Control::Move(10),
        '{' => Control::Move(-60),
        '}' => Control::Move(60),
        '<' => Control::Slower,
        '>' => Control::Faster,
        _ => return None,
    })
}

/// What can be pressed, the most needed first.
fn keys(plays: bool) -> [(&'static str, &'static str); 5] {
    let toggle = if plays { "stop" } else { "play" };
    [("space", toggle), (", .", "step"), ("[ ]", "10 s"), ("{ }", "1 min"), ("< >", "speed")]
}

/// Draws the row into the whole of `pen`. Returns where a click is a key.
pub(crate) fn draw(pen: &mut Pen<'_>, position: &Position, styles: &Styles) -> Vec<Hit> {
    let (glyph, style) = match position {
        Position { plays: true, .. } => ("▶", styles.good),
        _ if position.is_at_end() => ("■ end", styles.warn),
        _ => ("■", styles.warn),
    };
    let place = format!(
        " {} / {}  ×{}  ",
        figures::clock(position.position_ns),
        figures::clock(position.length_ns),
        position.speed
    );
    let mut x = pen.spans(1, 0, &[Span::styled(glyph, style), Span::styled(place, styles.strong)]);
    let room = pen.width().saturating_sub(x);
    // A third for the bar where there is much room, so that the keys fit as well.
    let width = (room / 3).clamp(10.min(room), 60);
    let parts = u64::from(width.saturating_sub(1));
    let at = (u128::from(position.position_ns) * u128::from(parts))
        .checked_div(u128::from(position.length_ns))
        .map_or(0, |at| at.min(u128::from(parts)) as u16);
    for column in 0..width {
        let (symbol, style) = if column <= at { ("█", styles.bar) } else { ("─", styles.dim) };
        pen.text(x + column, 0, 1, symbol, style);
    }
    x += width + 2;
    let mut hits = Vec::new();
    let (left, row) = (pen.area().x, pen.area().y);
    for (key, what) in keys(position.plays) {
        let needed = (key.len() + what.len() + 3) as u16;
        if x + needed > pen.width() {
            break;
        }
        hits.extend(hits::of_label(key, what.len() as u16 + 1, (left + x, row)));
        x = pen.spans(
            x,
            0,
            &[Span::styled(key, styles.key), Span::raw(" "), Span::styled(what, styles.dim), Span::raw("  ")],
        );
    }
    hits
}
