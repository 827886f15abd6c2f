//! The only place where colours are chosen, and where each state gets the glyph and the word that say the same.
//!
//! Unless a theme is chosen, the sixteen colours of the terminal are used and no others, so that the screen follows
//! whatever the reader has made of them. Without colour the same roles are told apart by weight, and never by style
//! alone.
//!
//! # Layout
//! - [`themes`]: the themes, a row each

pub(crate) mod themes;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use crate::model::snapshot::State;
use themes::{Depth, Palette, Theme};

/// A style for each role that text can play.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Styles {
    /// What is below everything: text and background of the theme.
    pub base: Style,
    /// The product's name.
    pub title: Style,
    /// Column titles and names of sections.
    pub heading: Style,
    /// Text that others stand out from.
    pub plain: Style,
    /// Context that is there when looked for.
    pub dim: Style,
    /// A figure that carries the message.
    pub strong: Style,
    /// The chosen one of several.
    pub selected: Style,
    /// As it should be.
    pub good: Style,
    /// Worth a look.
    pub warn: Style,
    /// Something is refused, lost or wrong.
    pub bad: Style,
    /// A bar: what is there now.
    pub bar: Style,
    /// The most there was for a moment.
    pub peak: Style,
    /// A change of pattern, load or fault.
    pub mark: Style,
    /// A key that can be pressed.
    pub key: Style,
}

impl Styles {
    /// Styles of a theme on a terminal with so many colours.
    pub(crate) fn new(theme: Theme, depth: Depth) -> Self {
        if depth == Depth::None {
            return Self::without_colour();
        }
        let palette = theme.palette();
        let of = |own: Color, role: fn(&Palette) -> (u32, Color)| {
            palette.map_or(own, |palette| depth.colour(role(palette)))
        };
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        let accent = of(Color::Cyan, |palette| palette.accent);
        let dim = plain.fg(of(Color::DarkGray, |palette| palette.dim));
        let warn = plain.fg(of(Color::Yellow, |palette| palette.warn));
        let base = palette
            .map_or(plain, |palette| plain.fg(depth.colour(palette.text)).bg(depth.colour(palette.back)));
        Self {
            base,
            title: bold.fg(accent),
            heading: dim,
            plain,
            dim,
            strong: bold,
            selected: bold.add_modifier(Modifier::REVERSED),
            good: plain.fg(of(Color::Green, |palette| palette.good)),
            warn,
            bad: bold.fg(of(Color::Red, |palette| palette.bad)),
            bar: plain.fg(of(Color::Blue, |palette| palette.bar)),
            peak: warn,
            mark: plain.fg(of(Color::Magenta, |palette| palette.mark)),
            key: plain.fg(accent),
        }
    }

    fn without_colour() -> Self {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        Self {
            base: plain,
            title: bold,
            heading: plain.add_modifier(Modifier::UNDERLINED),
            plain,
            dim: plain.add_modifier(Modifier::DIM),
            strong: bold,
            selected: plain.add_modifier(Modifier::REVERSED),
            good: plain,
            warn: bold,
            bad: bold.add_modifier(Modifier::REVERSED),
            bar: plain,
            peak: bold,
            mark: bold,
            key: bold,
        }
    }

    /// Lays the theme's own text and background below whatever was drawn.
    pub(crate) fn lay_below(&self, buffer: &mut Buffer) {
        let Style { fg: Some(text), bg: Some(back), .. } = self.base else { return };
        for cell in &mut buffer.content {
            if cell.fg == Color::Reset {
                cell.fg = text;
            }
            if cell.bg == Color::Reset {
                cell.bg = back;
            }
        }
    }

    /// The style of a listener's state; that of a closed one is idle.
    pub(crate) fn state(&self, state: State) -> Style {
        match state {
            State::Idle => self.dim,
            State::Healthy => self.good,
            State::Filling | State::Waiting | State::Unread | State::TurningAway | State::Saturated => {
                self.warn
            }
            State::Stranded | State::Overflowing => self.bad,
        }
    }

    /// The style of a bar of a listener in this state.
    pub(crate) fn bar_of(&self, state: State) -> Style {
        match state {
            State::Idle | State::Healthy => self.bar,
            worse => self.state(worse),
        }
    }
}

/// A state as a glyph and a word; those that need somebody to act are in capitals.
pub(crate) fn state_words(state: State, closed: bool) -> (&'static str, &'static str) {
    match state {
        _ if closed => ("✗", "closed"),
        State::Idle => ("·", "idle"),
        State::Healthy => ("✓", "healthy"),
        State::Filling => ("▴", "filling"),
        State::Waiting => ("▴", "waiting"),
        State::Unread => ("▴", "unread"),
        State::TurningAway => ("!", "TURNS AWAY"),
        State::Saturated => ("■", "saturated"),
        State::Stranded => ("?", "STRANDED"),
        State::Overflowing => ("!", "OVERFLOWING"),
    }
}
