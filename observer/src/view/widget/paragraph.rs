//! Text broken into lines at blanks.

use super::pen::columns;

/// Units that stay with the figure before them.
const UNITS: [&str; 5] = ["ns", "µs", "ms", "s", "%"];

/// Breaks `text` so that no line is wider than `width`, as long as no single word is.
pub(crate) fn wrap(text: &str, width: u16) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let unit = words.next_if(|next| UNITS.contains(&next.trim_end_matches(['.', ',', ';', ':'])));
        let needed = columns(word) + unit.map_or(0, |unit| 1 + columns(unit));
        if !line.is_empty() && columns(&line) + 1 + needed > usize::from(width) {
            lines.push(std::mem::take(&mut line));
        }
        for part in [Some(word), unit].into_iter().flatten() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(part);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_at_blanks() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("unbreakable a", 4), ["unbreakable", "a"]);
        assert!(wrap("  ", 4).is_empty());
        assert_eq!(wrap("a b", 0), ["a", "b"]);
    }

    #[test]
    fn a_unit_stays_with_its_figure() {
        assert_eq!(wrap("it buys 203 ms.", 11), ["it buys", "203 ms."]);
    }
}
