//! The overlay that explains the screen behind it, with the kernel's names for what is on it.

use ratatui::text::Span;

use super::hits::{self, Hit};
use super::{screen::Help, styles::Styles, widget::paragraph::wrap, widget::pen::Pen};

/// Keys that every screen has.
const KEYS: &[(&str, &str)] = &[
    ("1 2 3 4 5 6, Tab, Shift-Tab", "another screen"),
    ("arrows, hjkl, g, G, PgUp, PgDn", "move; with the mouse: click, wheel"),
    ("Enter, Esc", "open or go on to what is behind it, back"),
    ("space", "pause: the screen stands still, recording goes on; again: live"),
    ("[ ], { }", "pause and go a moment back or on (a second, unless memory is short), or thirty"),
    (", . < >", "in a replay: a step back or on, slower, faster; space plays, [ ] leap 10 s, { } a minute"),
    ("p 1-5", "switch the backend's pattern (with demo-server)"),
    ("R", "record into a file from now on, or end the recording; observer replay FILE shows it"),
    ("t", "the next theme: terminal, dark, light, contrast, colour-blind (or --theme NAME)"),
    ("x", "save the screen as text and as SVG, into the directory where the observer was started"),
    ("m", "mouse on or off; a click on a key here or below presses it"),
    ("Ctrl-L", "draw everything anew"),
    ("q, Ctrl-C", "quit"),
];

/// Draws the overlay over the whole of `pen`, from line `scroll` on. Returns the furthest that it can scroll, and where
/// a click is a key.
pub(crate) fn draw(
    pen: &mut Pen<'_>,
    title: &str,
    help: &Help,
    scroll: usize,
    styles: &Styles,
) -> (usize, Vec<Hit>) {
    pen.clear();
    let lines = lines(title, help, pen.width().saturating_sub(2), styles);
    let height = usize::from(pen.height());
    let furthest = lines.len().saturating_sub(height);
    let mut hits = Vec::new();
    for (y, line) in lines.iter().skip(scroll.min(furthest)).take(height).enumerate() {
        pen.spans(1, y as u16, line);
        if let Some(label) = line.first().filter(|label| label.style == styles.key) {
            let place = (pen.area().x + 1, pen.area().y + y as u16);
            hits.extend(hits::of_label(label.content.trim_end(), 0, place));
        }
    }
    if scroll < furthest {
        let y = pen.height().saturating_sub(1);
        pen.spans_right(y, &[Span::styled(" ▾ more below ", styles.key)]);
    }
    (furthest, hits)
}

fn lines<'a>(title: &str, help: &Help, width: u16, styles: &Styles) -> Vec<Vec<Span<'a>>> {
    let mut lines = vec![vec![
        Span::styled(title.to_owned(), styles.title),
        Span::styled("   what is on this screen          ?, q or Esc closes", styles.dim),
    ]];
    lines.push(Vec::new());
    for (term, text) in help.terms {
        section(&mut lines, term, text, 16, width, styles.strong);
    }
    lines.push(Vec::new());
    lines.push(vec![Span::styled("Keys", styles.title)]);
    for (key, what) in help.keys.iter().chain(KEYS) {
        section(&mut lines, key, what, 32, width, styles.key);
    }
    lines
}

/// A name, and beside it what it means; below it when there is no room beside.
fn section(
    lines: &mut Vec<Vec<Span<'_>>>,
    name: &'static str,
    text: &str,
    indent: u16,
    width: u16,
    style: ratatui::style::Style,
) {
    let indent = if width >= indent + 24 { indent } else { 2 };
    let blank = " ".repeat(usize::from(indent));
    let beside = super::widget::pen::columns(name) < usize::from(indent);
    if !beside {
        lines.push(vec![Span::styled(name, style)]);
    }
    for (index, part) in wrap(text, width.saturating_sub(indent)).into_iter().enumerate() {
        let lead = if beside && index == 0 {
            Span::styled(format!("{name:<width$}", width = usize::from(indent)), style)
        } else {
            Span::raw(blank.clone())
        };
        lines.push(vec![lead, Span::raw(part)]);
    }
}
