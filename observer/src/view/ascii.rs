//! The screen for terminals that know nothing but ASCII: one pass over what was drawn.
//!
//! Every view draws as if Unicode were there. This keeps the fallback in one place, and complete: whatever has no
//! row below becomes a question mark, also in names that programs gave themselves.

use ratatui::buffer::Buffer;

/// What stands for what, one column each.
const SUBSTITUTES: &[(&str, &str)] = &[
    ("─┄╌┈", "-"),
    ("│┊▏▎▍▌", "|"),
    ("├└┤┴┬┼┌┐┘╵╷", "+"),
    ("█▉▊▋", "#"),
    ("■", "%"),
    ("░", ":"),
    ("▁", "_"),
    ("▂", "."),
    ("▃▄", "-"),
    ("▅▆▇", "="),
    ("▶▸→", ">"),
    ("◀◂←", "<"),
    ("▴↑", "^"),
    ("▾↓", "v"),
    ("✓", "+"),
    ("✗", "x"),
    ("●", "*"),
    ("·", "."),
    ("µ", "u"),
    ("×", "x"),
    ("±≈", "~"),
    ("≠", "!"),
    ("…", "~"),
    ("−", "-"),
    ("≤", "<"),
    ("≥", ">"),
];

/// Replaces all that is not ASCII.
pub(crate) fn reduce(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if cell.symbol().is_ascii() {
            continue;
        }
        let substitute = SUBSTITUTES
            .iter()
            .find(|(symbols, _)| symbols.contains(cell.symbol()))
            .map_or("?", |(_, substitute)| substitute);
        cell.set_symbol(substitute);
    }
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::Buffer;

    use super::*;

    #[test]
    fn nothing_but_ascii_is_left() {
        let mut buffer = Buffer::with_lines(["▶ 1.23 µs ±2 ✓ naïve █▍ ×4"]);
        reduce(&mut buffer);
        assert_eq!(buffer, Buffer::with_lines(["> 1.23 us ~2 + na?ve #| x4"]));
    }
}
