//! Places on the screen that stand for a key: a click there presses it. So the mouse can do whatever a key can.

use std::ops::Range;

use ratatui::crossterm::event::KeyCode;

use super::widget::pen::columns;

/// A place that stands for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    columns: Range<u16>,
    row: u16,
    /// The key.
    pub key: KeyCode,
}

impl Hit {
    /// Whether it is at this place of the terminal.
    pub(crate) fn is_at(&self, column: u16, row: u16) -> bool {
        self.row == row && self.columns.contains(&column)
    }
}

/// The keys that a label names, such as `[ ], { }` or `Enter`, each where it stands. `tail` columns of explanation
/// after the label belong to a label that names one key only.
pub(crate) fn of_label(label: &str, tail: u16, (column, row): (u16, u16)) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut x = column;
    for token in label.split(' ') {
        let width = columns(token) as u16;
        let name = if token.len() > 1 { token.trim_end_matches(',') } else { token };
        if let Some(key) = named(name) {
            hits.push(Hit { columns: x..x + width, row, key });
        }
        x += width + 1;
    }
    if let [only] = hits.as_mut_slice() {
        only.columns.end = only.columns.end.saturating_add(tail);
    }
    hits
}

/// The key of a name as it stands on the screen.
fn named(name: &str) -> Option<KeyCode> {
    Some(match name {
        "space" => KeyCode::Char(' '),
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "Shift-Tab" => KeyCode::BackTab,
        "PgUp" => KeyCode::PageUp,
        "PgDn" => KeyCode::PageDown,
        "←" => KeyCode::Left,
        "→" => KeyCode::Right,
        "↑" => KeyCode::Up,
        "↓" => KeyCode::Down,
        _ => {
            let mut letters = name.chars();
            match (letters.next(), letters.next()) {
                (Some(letter), None) => KeyCode::Char(letter),
                _ => return None,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(label: &str) -> Vec<KeyCode> {
        of_label(label, 0, (0, 0)).into_iter().map(|hit| hit.key).collect()
    }

    #[test]
    fn labels_name_keys() {
        assert_eq!(keys("[ ], { }"), ['[', ']', '{', '}'].map(KeyCode::Char));
        assert_eq!(keys("Enter, Esc"), [KeyCode::Enter, KeyCode::Esc]);
        assert_eq!(keys("+ -"), ['+', '-'].map(KeyCode::Char));
        assert_eq!(keys("arrows"), []);
        assert_eq!(keys("/"), [KeyCode::Char('/')]);
    }

    #[test]
    fn a_single_key_takes_its_explanation_along() {
        let hits = of_label("space", 6, (10, 3));
        assert!(
            hits[0].is_at(10, 3) && hits[0].is_at(20, 3) && !hits[0].is_at(21, 3) && !hits[0].is_at(10, 4)
        );
        let two = of_label("+ -", 6, (10, 3));
        assert!(two[0].is_at(10, 3) && two[1].is_at(12, 3) && !two[1].is_at(13, 3));
    }
}
