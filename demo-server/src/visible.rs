//! Text that others chose, made safe to look at: what a terminal or a browser would obey becomes an escape.

use std::fmt::{self, Display, Write};
use std::path::Path;

/// Returns text in which every character that is obeyed rather than shown is an escape: `\n`, `\x1b`, `\u{202e}`.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    text.chars().for_each(|c| push(&mut shown, c));
    shown
}

/// Appends a character, or its escape.
pub fn push(text: &mut String, c: char) {
    // Writing into a string cannot fail.
    let _ = match c {
        '\n' => text.write_str(r"\n"),
        '\t' => text.write_str(r"\t"),
        c if c.is_ascii_control() => write!(text, r"\x{:02x}", u32::from(c)),
        c if is_obeyed(c) => write!(text, r"\u{{{:x}}}", u32::from(c)),
        c => text.write_char(c),
    };
}

/// Whether a character changes what stands around it, or is not to be seen at all. Joiners are left: scripts and emoji
/// need them.
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Direction: marks, embeddings, overrides, isolates (Unicode Standard Annex 9).
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Separators of lines, which some readers of JSON take for ends of a line.
            | '\u{2028}' | '\u{2029}'
            // Without any width, deprecated formats, annotations, tags.
            | '\u{ad}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// A path for people: on one line, and nothing of it obeyed.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a Path);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&visible(&self.0.to_string_lossy()))
    }
}

/// Returns text as [`visible`] does, but for the ends of its lines.
pub fn lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(visible).collect();
    lines.join("\n")
}

/// Says something on stderr. Whoever made the text, the terminal obeys nothing of it but the ends of its lines. Nobody
/// may be there to read it, as when the window is closed; `eprintln!` panics then.
pub fn say(text: impl Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{}", lines(&text.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_obeyed_is_shown() {
        assert_eq!(visible("a\u{1b}[2J\u{7f}\t\n"), r"a\x1b[2J\x7f\t\n");
        assert_eq!(visible("\u{202e}txt\u{2066}\u{85}\u{200b}"), r"\u{202e}txt\u{2066}\u{85}\u{200b}");
        assert_eq!(visible("é日🦀\\ 👩‍💻"), "é日🦀\\ 👩‍💻");
    }

    #[test]
    fn lines_end_where_they_did() {
        assert_eq!(lines("a\r\nb\u{1b}\n"), "a\\x0d\nb\\x1b\n");
    }

    #[test]
    fn a_path_is_one_line() {
        assert_eq!(Shown(Path::new("a\nb\u{9b}2J")).to_string(), r"a\nb\u{9b}2J");
    }
}
