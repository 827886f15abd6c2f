//! Which row of a list is chosen, and which rows are in sight.

use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::pen::Pen;

/// The chosen row and the first one in sight.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct List {
    /// The chosen row; may lie past the end of a list that has become shorter until the next [`List::show`].
    pub selected: usize,
    first: usize,
    area: Rect,
}

impl List {
    /// Fits itself to `count` rows in `area` (one screen row each) and returns the rows in sight.
    pub(crate) fn show(&mut self, count: usize, area: Rect) -> std::ops::Range<usize> {
        self.area = area;
        let height = usize::from(area.height);
        self.selected = self.selected.min(count.saturating_sub(1));
        // The chosen row is in sight, and no row is wasted at the end.
        self.first = self.first.min(self.selected).max((self.selected + 1).saturating_sub(height));
        self.first = self.first.min(count.saturating_sub(height));
        self.first..(self.first + height).min(count)
    }

    /// Shows in the margin of `pen`, the area of the last [`List::show`], that there are more rows above or below.
    pub(crate) fn edges(&self, pen: &mut Pen<'_>, count: usize, style: Style) {
        let height = pen.height();
        if self.first > 0 && self.first != self.selected {
            pen.text(0, 0, 1, "▴", style);
        }
        let end = self.first + usize::from(height);
        if end < count && end != self.selected + 1 && height > 0 {
            pen.text(0, height - 1, 1, "▾", style);
        }
    }

    /// Moves as the key says; false if the key does not move.
    pub(crate) fn key(&mut self, key: KeyEvent, count: usize) -> bool {
        let page = usize::from(self.area.height).max(1);
        let last = count.saturating_sub(1);
        self.selected = match key.code {
            KeyCode::Up | KeyCode::Char('k') => self.selected.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => (self.selected + 1).min(last),
            KeyCode::PageUp => self.selected.saturating_sub(page),
            KeyCode::PageDown => (self.selected + page).min(last),
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => last,
            _ => return false,
        };
        true
    }

    /// Whether a row of the screen is the one above the list, where its titles are.
    pub(crate) fn is_title(&self, row: u16) -> bool {
        row + 1 == self.area.y
    }

    /// The row at a place on the screen, as of the last [`List::show`].
    pub(crate) fn at(&self, column: u16, row: u16, count: usize) -> Option<usize> {
        let index = self.first + usize::from(row.checked_sub(self.area.y)?);
        (self.area.contains((column, row).into()) && index < count).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_row_stays_in_sight() {
        let mut list = List::default();
        let area = Rect::new(0, 5, 10, 3);
        assert_eq!(list.show(10, area), 0..3);
        assert!(list.key(KeyCode::End.into(), 10));
        assert_eq!(list.show(10, area), 7..10);
        assert_eq!(list.at(0, 6, 10), Some(8));
        assert_eq!(list.at(0, 4, 10), None);
        // The list has become shorter.
        assert_eq!(list.show(2, area), 0..2);
        assert_eq!(list.selected, 1);
        assert_eq!(list.at(0, 7, 2), None);
        assert_eq!(list.show(0, area), 0..0);
    }
}
