//! What is said to people beside the output.

use std::{
    fmt::Display,
    io::{Write as _, stderr},
};

/// Says a line on stderr. Nobody may be there to hear it, as when the window is closed; `eprintln!` panics then.
pub fn say(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}
