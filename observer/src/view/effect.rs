//! What a key asks of the program around the screen: the screen itself does no I/O.

use demo_server::control::Request;

/// Something that the loop around the screen has to do.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Leave.
    Quit,
    /// Send this to the backend, and tell [`App::demo_reply`](super::App::demo_reply) what came of it.
    Demo(Request),
    /// Ask the terminal for mouse events, or no longer.
    Mouse(bool),
    /// Record from now on, or end the recording, and tell [`App::tell`](super::App::tell) what came of it.
    Record,
    /// Draw everything anew, because something else may have written to the terminal.
    Redraw,
}
