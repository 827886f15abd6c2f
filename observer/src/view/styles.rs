//! The only place where colours are chosen, and where each state gets the glyph and the word that say the same.
//!
//! The sixteen colours of the terminal are used and no others, so that the screen follows whatever theme the reader
//! has made of them. Without colour the same roles are told apart by weight, and never by style alone.

use ratatui::style::{Color, Modifier, Style};

use crate::model::snapshot::State;

/// A style for each role that text can play.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Styles {
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
    /// Styles with the terminal's colours, or with none.
    pub(crate) fn new(colour: bool) -> Self {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let plain = Style::new();
        if !colour {
            let dim = Style::new().add_modifier(Modifier::DIM);
            return Self {
                title: bold,
                heading: Style::new().add_modifier(Modifier::UNDERLINED),
                plain,
                dim,
                strong: bold,
                selected: Style::new().add_modifier(Modifier::REVERSED),
                good: plain,
                warn: bold,
                bad: bold.add_modifier(Modifier::REVERSED),
                bar: plain,
                peak: bold,
                mark: bold,
                key: bold,
            };
        }
        Self {
            title: bold.fg(Color::Cyan),
            heading: plain.fg(Color::DarkGray),
            plain,
            dim: plain.fg(Color::DarkGray),
            strong: bold,
            selected: bold.add_modifier(Modifier::REVERSED),
            good: plain.fg(Color::Green),
            warn: plain.fg(Color::Yellow),
            bad: bold.fg(Color::Red),
            bar: plain.fg(Color::Blue),
            peak: plain.fg(Color::Yellow),
            mark: plain.fg(Color::Magenta),
            key: plain.fg(Color::Cyan),
        }
    }

    /// The style of a listener's state; that of a closed one is idle.
    pub(crate) fn state(&self, state: State) -> Style {
        match state {
            State::Idle => self.dim,
            State::Healthy => self.good,
            State::Filling | State::Saturated => self.warn,
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
        State::Saturated => ("■", "saturated"),
        State::Stranded => ("?", "STRANDED"),
        State::Overflowing => ("!", "OVERFLOWING"),
    }
}
