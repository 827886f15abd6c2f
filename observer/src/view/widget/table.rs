//! Which columns of a table fit on the screen, and where they stand.
//!
//! Widths are fixed, so that figures stay in place from frame to frame; one column takes what is left.

use ratatui::style::Style;

use super::pen::Pen;

/// One column of a table.
#[derive(Debug)]
pub(crate) struct Column<Id> {
    /// What it shows.
    pub id: Id,
    /// Its title.
    pub title: &'static str,
    /// Columns on the screen; 0 takes what the others leave.
    pub width: u16,
    /// Figures stand at the right edge.
    pub right: bool,
    /// The width of the table from which it is shown.
    pub from: u16,
}

/// A column that has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot<Id> {
    /// What it shows.
    pub id: Id,
    /// Left edge.
    pub x: u16,
    /// Columns on the screen.
    pub width: u16,
    /// Figures stand at the right edge.
    pub right: bool,
}

/// A left-aligned column.
pub(crate) const fn left<Id>(id: Id, title: &'static str, width: u16, from: u16) -> Column<Id> {
    Column { id, title, width, right: false, from }
}

/// A column of figures.
pub(crate) const fn right<Id>(id: Id, title: &'static str, width: u16, from: u16) -> Column<Id> {
    Column { id, title, width, right: true, from }
}

/// Places the columns that are shown at `width`, one blank between them, after a margin for the marker of the chosen
/// row.
pub(crate) fn place<Id: Copy>(columns: &[Column<Id>], width: u16) -> Vec<Slot<Id>> {
    let shown = || columns.iter().filter(|column| column.from <= width);
    let fixed: u16 = shown().map(|column| column.width + 1).sum();
    let flexible = width.saturating_sub(fixed);
    let mut x = 1;
    shown()
        .map(|column| {
            let width = if column.width == 0 { flexible } else { column.width };
            let slot = Slot { id: column.id, x, width, right: column.right };
            x += width + 1;
            slot
        })
        .collect()
}

/// Writes the titles into row `y`.
pub(crate) fn titles<Id>(pen: &mut Pen<'_>, y: u16, columns: &[Column<Id>], slots: &[Slot<Id>], style: Style)
where
    Id: Copy + PartialEq,
{
    for slot in slots {
        if let Some(column) = columns.iter().find(|column| column.id == slot.id) {
            cell(pen, y, slot, column.title, style);
        }
    }
}

/// Writes text into one cell of row `y`.
pub(crate) fn cell<Id>(pen: &mut Pen<'_>, y: u16, slot: &Slot<Id>, text: &str, style: Style) {
    if slot.right {
        pen.right(slot.x, y, slot.width, text, style);
    } else {
        pen.text(slot.x, y, slot.width, text, style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column<char>] =
        &[left('n', "NAME", 0, 0), right('c', "COUNT", 5, 0), right('x', "MORE", 4, 30)];

    #[test]
    fn columns_appear_with_the_width_they_need() {
        let narrow = place(COLUMNS, 20);
        assert_eq!(
            narrow.iter().map(|slot| (slot.id, slot.x, slot.width)).collect::<Vec<_>>(),
            [('n', 1, 13), ('c', 15, 5)]
        );
        let wide = place(COLUMNS, 30);
        assert_eq!(wide.last().map(|slot| slot.x + slot.width), Some(30));
    }

    #[test]
    fn any_width_is_survived() {
        for width in 0..60 {
            assert!(place(COLUMNS, width).len() >= 2);
        }
    }
}
