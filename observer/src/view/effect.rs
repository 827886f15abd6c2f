//! What a key asks of the program around the screen: the screen itself does no I/O.

use crate::backend::Request;

use crate::source::Control;

/// Something that the loop around the screen has to do.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Leave.
    Quit,
    /// Send this to the backend, and tell [`App::demo_reply`](super::App::demo_reply) what came of it.
    Demo(Request),
    /// Ask the terminal for mouse events, or no longer.
    Mouse(bool),
    /// Save this picture, and tell [`App::tell`](super::App::tell) what came of it.
    Save(Box<Picture>),
    /// Record from now on, or end the recording, and tell [`App::tell`](super::App::tell) what came of it.
    Record,
    /// Play the recording otherwise, or another part of it; only a replay is asked for it.
    Replay(Control),
    /// Draw everything anew, because something else may have written to the terminal.
    Redraw,
}

/// The screen, to be saved.
#[derive(Debug, Clone)]
pub struct Picture {
    /// What the files are to be called, without an ending.
    pub name: String,
    /// It as text.
    pub text: String,
    /// It as SVG.
    pub svg: String,
}
