//! What a replay has that live has not: a row above the footer that says where in the recording it is and how fast it
//! goes, and the keys for that.

use ratatui::text::Span;

use super::hits::{self, Hit};
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

impl Playback {
    /// Whether nothing comes any more.
    pub(crate) fn is_at_end(&self) -> bool {
        !self.plays && self.position_ns >= self.length_ns
    }
}

/// What a key asks of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Play, or stand still.
    Play,
    /// One snapshot back.
    StepBack,
    /// One snapshot on.
    StepOn,
    /// So many seconds on, or back.
    Move(i64),
    /// Half as fast.
    Slower,
    /// Twice as fast.
    Faster,
}

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
pub(crate) fn draw(pen: &mut Pen<'_>, playback: &Playback, styles: &Styles) -> Vec<Hit> {
    let (glyph, style) = match playback {
        Playback { plays: true, .. } => ("▶", styles.good),
        _ if playback.is_at_end() => ("■ end", styles.warn),
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
    let mut hits = Vec::new();
    let (left, row) = (pen.area().x, pen.area().y);
    for (key, what) in keys(playback.plays) {
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
