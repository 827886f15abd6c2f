//! Draws text into an area of the screen, and never outside it: no size of terminal can make it fail.

use std::borrow::Cow;

use ratatui::{buffer::Buffer, layout::Rect, style::Style, text::Span};

use crate::visible::{is_obeyed, visible};

/// An area of a buffer. Coordinates are relative to it; what falls outside is left away.
#[derive(Debug)]
pub(crate) struct Pen<'b> {
    buffer: &'b mut Buffer,
    area: Rect,
}

impl<'b> Pen<'b> {
    /// The part of `area` that `buffer` has.
    pub(crate) fn new(buffer: &'b mut Buffer, area: Rect) -> Self {
        let area = area.intersection(buffer.area);
        Self { buffer, area }
    }

    /// Columns.
    pub(crate) fn width(&self) -> u16 {
        self.area.width
    }

    /// Rows.
    pub(crate) fn height(&self) -> u16 {
        self.area.height
    }

    /// Where it is on the screen.
    pub(crate) fn area(&self) -> Rect {
        self.area
    }

    /// `height` rows from row `y` on.
    pub(crate) fn rows(&mut self, y: u16, height: u16) -> Pen<'_> {
        let width = self.area.width;
        self.part(0, y, width, height)
    }

    /// A part of it.
    pub(crate) fn part(&mut self, x: u16, y: u16, width: u16, height: u16) -> Pen<'_> {
        let x = x.min(self.area.width);
        let y = y.min(self.area.height);
        let area = Rect {
            x: self.area.x + x,
            y: self.area.y + y,
            width: width.min(self.area.width - x),
            height: height.min(self.area.height - y),
        };
        Pen { buffer: self.buffer, area }
    }

    /// Writes text at most `width` columns wide, with an ellipsis when it is longer. Returns the columns used.
    pub(crate) fn text(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        if x >= self.area.width || y >= self.area.height {
            return 0;
        }
        let room = width.min(self.area.width - x);
        let (left, top) = (self.area.x + x, self.area.y + y);
        let text = &*shown(text);
        let needed = width_of(text);
        if needed <= usize::from(room) {
            self.buffer.set_stringn(left, top, text, usize::from(room), style);
            return needed as u16;
        }
        let Some(last) = room.checked_sub(1) else { return 0 };
        let (end, _) = self.buffer.set_stringn(left, top, text, usize::from(last), style);
        self.buffer.set_stringn(end, top, "…", 1, style);
        room
    }

    /// Writes text so that it ends at the right edge of a field.
    pub(crate) fn right(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) {
        let needed = columns(text).min(usize::from(width)) as u16;
        self.text(x + width - needed, y, needed, text, style);
    }

    /// Writes pieces of text one after another. Returns the column after the last.
    pub(crate) fn spans(&mut self, x: u16, y: u16, spans: &[Span<'_>]) -> u16 {
        let mut x = x;
        for span in spans {
            let room = self.area.width.saturating_sub(x);
            x += self.text(x, y, room, &span.content, span.style);
        }
        x
    }

    /// Writes pieces of text that end at the right edge.
    pub(crate) fn spans_right(&mut self, y: u16, spans: &[Span<'_>]) {
        let needed: usize = spans.iter().map(|span| columns(&span.content)).sum();
        let x = usize::from(self.area.width).saturating_sub(needed) as u16;
        self.spans(x, y, spans);
    }

    /// One row filled with one symbol.
    pub(crate) fn rule(&mut self, y: u16, symbol: &str, style: Style) {
        for x in 0..self.area.width {
            self.text(x, y, 1, symbol, style);
        }
    }

    /// Blanks everything.
    pub(crate) fn clear(&mut self) {
        for y in self.area.top()..self.area.bottom() {
            for x in self.area.left()..self.area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                }
            }
        }
    }
}

/// Text as it is drawn: names and paths may hold what the terminal would obey.
fn shown(text: &str) -> Cow<'_, str> {
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.chars().any(is_obeyed);
    if plain { text.into() } else { visible(text).into() }
}

/// Columns that text takes on a terminal.
pub(crate) fn columns(text: &str) -> usize {
    width_of(&shown(text))
}

fn width_of(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { Span::raw(text).width() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_ends_with_an_ellipsis() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 1));
        Pen::new(&mut buffer, Rect::new(1, 0, 6, 1)).text(0, 0, 99, "listener", Style::new());
        assert_eq!(buffer, Buffer::with_lines([" liste… "]));
    }

    #[test]
    fn wide_characters_are_cut_whole() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 6, 1));
        Pen::new(&mut buffer, Rect::new(0, 0, 4, 1)).text(0, 0, 4, "日本語", Style::new());
        assert_eq!(buffer, Buffer::with_lines(["日…   "]));
    }

    #[test]
    fn nothing_is_obeyed() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 20, 1));
        let text = "a\u{1b}[2J\u{202e}b";
        let used = Pen::new(&mut buffer, Rect::new(0, 0, 20, 1)).text(0, 0, 20, text, Style::new());
        assert_eq!((usize::from(used), columns(text)), (17, 17));
        assert_eq!(buffer, Buffer::with_lines([r"a\x1b[2J\u{202e}b   "]));
    }

    #[test]
    fn outside_is_left_away() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 3, 1));
        let mut pen = Pen::new(&mut buffer, Rect::new(0, 0, 9, 9));
        pen.text(5, 0, 3, "a", Style::new());
        pen.text(0, 5, 3, "b", Style::new());
        pen.right(0, 0, 60, "c", Style::new());
        pen.part(7, 7, 7, 7).text(0, 0, 1, "d", Style::new());
        assert_eq!(buffer, Buffer::with_lines(["   "]));
    }
}
