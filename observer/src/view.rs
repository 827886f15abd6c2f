//! The screen: draws a [`Snapshot`](crate::model::snapshot::Snapshot) and turns keys into wishes.
//!
//! Nothing here does I/O or reads a clock: [`App`] is fed with snapshots and keys, draws into whatever frame it is
//! given, and returns an [`Effect`] for what it cannot do itself. So tests need no terminal, and replay looks like
//! live.
//!
//! # Layout
//! - [`App`]: what is shown and what was chosen; [`Options`], [`Effect`]
//! - `VIEWS`: the screens, a row each; `screen` says what a screen is
//! - `queues`, `journey`, `workers`, `connections`, `pattern`, `probes`: the screens
//! - `header`, `footer`, `playback`, `help`, `timeline`: what stands around and over them
//! - `filter`, `order`: what of a list is shown, and in which order
//! - `history`: what is remembered of earlier snapshots
//! - `listeners`, `why`, `hand_offs`, `demo`: what is read out of a snapshot
//! - `hits`, `picture`: where a click is a key; the screen as a file
//! - `widget`, `styles`, `ascii`: how it is put on the screen

mod app;
mod ascii;
mod connection_list;
mod connections;
mod demo;
mod effect;
mod filter;
mod footer;
mod hand_offs;
mod header;
mod help;
mod history;
mod hits;
mod journey;
mod listeners;
mod options;
mod order;
mod pattern;
mod picture;
mod playback;
mod probes;
mod queues;
mod screen;
mod styles;
mod timeline;
mod why;
mod widget;
mod words;
mod workers;

use crate::figures;

pub use app::App;
pub use effect::{Effect, Picture};
pub use options::Options;
pub use styles::themes::{Depth, Theme};

/// One row of the table of screens.
struct Screen {
    /// The key that shows it.
    key: char,
    /// Its name on the tab.
    title: &'static str,
    /// Makes it.
    new: fn() -> Box<dyn screen::View + Send>,
}

/// The screens, in the order of their tabs.
const VIEWS: &[Screen] = &[
    Screen { key: '1', title: "Queues", new: || Box::new(queues::Queues::default()) },
    Screen { key: '2', title: "Journey", new: || Box::new(journey::Journey::default()) },
    Screen { key: '3', title: "Workers", new: || Box::new(workers::Workers::default()) },
    Screen { key: '4', title: "Connections", new: || Box::new(connections::Connections::default()) },
    Screen { key: '5', title: "Pattern", new: || Box::new(pattern::PatternLab::default()) },
    Screen { key: '6', title: "Probes", new: || Box::new(probes::Probes::default()) },
];
