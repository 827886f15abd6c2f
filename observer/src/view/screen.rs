//! What one screen is: the trait, what it may look at, and how it answers to keys.

use ratatui::crossterm::event::KeyEvent;

use super::{
    demo::Backends,
    effect::Effect,
    footer::Notice,
    history::History,
    listeners::{Row, Target},
    styles::Styles,
    widget::pen::Pen,
};
use crate::model::snapshot::{Connection, Snapshot};

/// What a screen may look at while it draws or answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// The past, and the snapshot that is shown.
    pub history: &'a History,
    /// Listeners and groups, the worst first.
    pub rows: &'a [Row],
    /// The listener or group that is chosen on all screens.
    pub target: Option<&'a Target>,
    /// Styles.
    pub styles: &'a Styles,
}

impl<'a> Context<'a> {
    /// The snapshot that is shown.
    pub(crate) fn snapshot(&self) -> &'a Snapshot {
        &self.history.snapshot
    }

    /// What backends said by then.
    pub(crate) fn backends(&self) -> &'a Backends {
        &self.history.backends
    }
}

/// How a screen answers to a key or a click.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It is not for this screen.
    NotMine,
    /// Done, nothing else to do.
    Done,
    /// Done, and this is to be said of it.
    Say(Notice),
    /// The program has to do something.
    Effect(Effect),
    /// This listener or group is now the chosen one.
    Choose(Target),
    /// Show the worst again, whichever it is.
    FollowWorst,
    /// Unfold this group, or fold it.
    Unfold(Target),
    /// Open the line of time of this connection.
    Open(std::sync::Arc<Connection>),
    /// Go on to the screen of this title, with this filter; Esc comes back.
    Drill(&'static str, String),
}

/// What a screen explains of itself.
#[derive(Debug)]
pub(crate) struct Help {
    /// Keys that only this screen has, and what they do. The first ones also stand in the footer.
    pub keys: &'static [(&'static str, &'static str)],
    /// What is on it: the name on the screen, and what it means with the kernel's names.
    pub terms: &'static [(&'static str, &'static str)],
}

/// One screen.
pub(crate) trait View {
    /// Draws itself into the whole of `pen`.
    fn draw(&mut self, context: &Context<'_>, pen: &mut Pen<'_>);

    /// Answers to a key.
    fn key(&mut self, _context: &Context<'_>, _key: KeyEvent) -> Answer {
        Answer::NotMine
    }

    /// Answers to a click, in columns and rows of the terminal.
    fn click(&mut self, _context: &Context<'_>, _column: u16, _row: u16) -> Answer {
        Answer::NotMine
    }

    /// Takes rows away that are not to be listed, on any screen, and puts the others in order.
    fn arrange(&self, _history: &History, _rows: &mut Vec<Row>) {}

    /// Filters by this text.
    fn look_for(&mut self, _filter: &str) {}

    /// Whether it is taking in text, so that every key goes to it.
    fn is_typing(&self) -> bool {
        false
    }

    /// Explains itself.
    fn help(&self) -> &'static Help;
}
