//! The row that a replay has above the footer: where in the recording it is, how fast it goes, and the keys for that.

use ratatui::text::Span;

use super::{figures, styles::Styles, widget::pen::Pen};

/// Where the snapshots come from, if not live from the kernel and no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// Live from the kernel.
    #[default]
    Live,
    /// Live, and recorded: so many bytes by now.
    Recorded(u64),
    /// From a recording.
    Replayed(Playback),
}

/// Where in a recording a replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Playback {
    /// Time since the first snapshot of the recording.
    pub position_ns: u64,
    /// Time from its first snapshot to its last.
    pub length_ns: u64,
    /// Times as fast as it was.
    pub speed: u16,
    /// It plays by itself.
    pub plays: bool,
}

/// What can be pressed, the most needed first.
const KEYS: &[(&str, &str)] =
    &[("space", "play"), (", .", "step"), ("[ ]", "10 s"), ("{ }", "1 min"), ("< >", "speed")];

/// Draws the row into the whole of `pen`.
pub(crate) fn draw(pen: &mut Pen<'_>, playback: &Playback, styles: &Styles) {
    let (glyph, style) = match playback {
        Playback { plays: true, .. } => ("▶", styles.good),
        Playback { position_ns, length_ns, .. } if position_ns >= length_ns => ("■ end", styles.warn),
        _ => ("■", styles.warn),
    };
    let place = format!(
        " {} / {}  ×{}  ",
        figures::clock(playback.position_ns),
        figures::clock(playback.length_ns),
        playback.speed
    );
    let mut x = pen.spans(1, 0, &[Span::styled(glyph, style), Span::styled(place, styles.strong)]);
    let room = pen.width().saturating_sub(x);
    // A third for the bar where there is much room, so that the keys fit as well.
    let width = (room / 3).clamp(10.min(room), 60);
    let parts = u64::from(width.saturating_sub(1));
    let at = (u128::from(playback.position_ns) * u128::from(parts))
        .checked_div(u128::from(playback.length_ns))
        .map_or(0, |at| at.min(u128::from(parts)) as u16);
    for column in 0..width {
        let (symbol, style) = if column <= at { ("█", styles.bar) } else { ("─", styles.dim) };
        pen.text(x + column, 0, 1, symbol, style);
    }
    x += width + 2;
    for (key, what) in KEYS {
        let needed = (key.len() + what.len() + 3) as u16;
        if x + needed > pen.width() {
            break;
        }
        x = pen.spans(
            x,
            0,
            &[
                Span::styled(*key, styles.key),
                Span::raw(" "),
                Span::styled(*what, styles.dim),
                Span::raw("  "),
            ],
        );
    }
}
