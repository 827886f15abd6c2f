//! A terminal of a size that can be drawn. Any program can claim any size for a terminal (TIOCSWINSZ), and a screen of
//! 65,535 by 65,535 cells would take more memory than there is.

use std::io;

use ratatui::{
    backend::{Backend, ClearType, WindowSize},
    buffer::Cell,
    layout::{Position, Size},
};

/// The most columns that are drawn: more than the smallest font puts on the largest display.
const COLUMNS: u16 = 1024;
/// The most rows.
const ROWS: u16 = 512;

/// A backend whose terminal is never larger than that.
#[derive(Debug)]
pub(super) struct Clamped<B>(pub(super) B);

fn clamp(size: Size) -> Size {
    Size { width: size.width.min(COLUMNS), height: size.height.min(ROWS) }
}

impl<B: Backend<Error = io::Error>> Backend for Clamped<B> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        self.0.draw(content)
    }

    fn append_lines(&mut self, lines: u16) -> io::Result<()> {
        self.0.append_lines(lines)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.0.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.0.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.0.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.0.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.0.clear()
    }

    fn clear_region(&mut self, what: ClearType) -> io::Result<()> {
        self.0.clear_region(what)
    }

    fn size(&self) -> io::Result<Size> {
        self.0.size().map(clamp)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        let WindowSize { columns_rows, pixels } = self.0.window_size()?;
        Ok(WindowSize { columns_rows: clamp(columns_rows), pixels })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_too_large_is_cut() {
        let size = |width, height| Size { width, height };
        assert_eq!(clamp(size(80, 24)), size(80, 24));
        assert_eq!(clamp(size(u16::MAX, 24)), size(COLUMNS, 24));
        assert_eq!(clamp(size(u16::MAX, u16::MAX)), size(COLUMNS, ROWS));
    }
}
