//! The screen as a file: as text, and as SVG with its colours.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::Modifier;

use super::styles::themes::hex;
use super::widget::pen::columns;
use crate::html;

/// Size of a cell in the picture; a monospaced font is about 0.6 as wide as it is high.
const CELL: (f64, f64) = (8.4, 18.0);
/// Size of the font.
const FONT: f64 = 14.0;
/// Blank around the screen.
const MARGIN: f64 = 8.0;

/// The screen in lines, without blanks at their ends.
pub(crate) fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for line in buffer.content.chunks(usize::from(buffer.area.width).max(1)) {
        let line: String = cells(line).map(|(_, cell)| cell.symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The screen as a picture.
pub(crate) fn svg(buffer: &Buffer) -> String {
    let (width, height) = (f64::from(buffer.area.width) * CELL.0, f64::from(buffer.area.height) * CELL.1);
    let (width, height) = (width + 2.0 * MARGIN, height + 2.0 * MARGIN);
    let back =
        buffer.content.first().map_or_else(|| hex(Default::default(), true), |cell| hex(cell.bg, true));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.1} {height:.1}\" font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, \
         monospace\" font-size=\"{FONT}\" shape-rendering=\"crispEdges\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"{back}\"/>\n"
    );
    for (y, line) in buffer.content.chunks(usize::from(buffer.area.width).max(1)).enumerate() {
        let top = MARGIN + y as f64 * CELL.1;
        let mut cells = cells(line).peekable();
        while let Some((x, first)) = cells.next() {
            let mut run = first.symbol().to_owned();
            let mut end = x + columns(first.symbol()).max(1);
            // Cells that look the same become one text or one shape.
            while let Some((next, cell)) =
                cells.next_if(|(_, cell)| alike(first, cell) && go_on(first.symbol(), cell.symbol()))
            {
                run.push_str(cell.symbol());
                end = next + columns(cell.symbol()).max(1);
            }
            let place = Place { x: MARGIN + x as f64 * CELL.0, y: top, width: (end - x) as f64 * CELL.0 };
            draw(&mut svg, &place, &run, first, &back);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// The cells of a line with their columns, without those that a wide character covers.
fn cells(line: &[Cell]) -> impl Iterator<Item = (usize, &Cell)> {
    let mut covered = 0;
    line.iter().enumerate().filter(move |(x, cell)| {
        let shown = *x >= covered;
        if shown {
            covered = x + columns(cell.symbol()).max(1);
        }
        shown
    })
}

fn alike(one: &Cell, two: &Cell) -> bool {
    (one.fg, one.bg, one.modifier) == (two.fg, two.bg, two.modifier)
}

/// Whether the second symbol can be drawn in one with the first: letters as a text, the same blocks as one if there is
/// nothing between them.
fn go_on(first: &str, next: &str) -> bool {
    match block(first) {
        Some(shape) => shape.width == 1.0 && first == next,
        None => block(next).is_none(),
    }
}

struct Place {
    x: f64,
    y: f64,
    width: f64,
}

fn draw(svg: &mut String, place: &Place, run: &str, look: &Cell, back: &str) {
    let Place { x, y, width } = place;
    let (mut text, mut behind) = (hex(look.fg, false), hex(look.bg, true));
    if look.modifier.contains(Modifier::REVERSED) {
        std::mem::swap(&mut text, &mut behind);
    }
    // A String takes whatever is written to it.
    if behind != back {
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{}\" fill=\"{behind}\"/>",
            CELL.1
        );
    }
    if let Some(Block { top, width: part, height, shade }) = block(look.symbol()) {
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\" fill=\"{text}\" opacity=\"{shade}\"/>",
            y + top * CELL.1,
            part * width,
            height * CELL.1,
        );
        return;
    }
    let mut extra = String::new();
    for (modifier, attribute) in [
        (Modifier::BOLD, " font-weight=\"bold\""),
        (Modifier::DIM, " opacity=\"0.6\""),
        (Modifier::UNDERLINED, " text-decoration=\"underline\""),
    ] {
        if look.modifier.contains(modifier) {
            extra.push_str(attribute);
        }
    }
    let baseline = y + CELL.1 * 0.75;
    for (column, words) in apart(run) {
        let (x, width) = (x + column as f64 * CELL.0, columns(words) as f64 * CELL.0);
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{baseline:.1}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
             fill=\"{text}\"{extra}>{}</text>",
            html::escape(words)
        );
    }
}

/// The pieces of a text between several blanks, with their columns: SVG makes one blank of several.
fn apart(run: &str) -> impl Iterator<Item = (usize, &str)> {
    let pieces = run.split("  ").map(move |piece| {
        let words = piece.trim();
        let offset = words.as_ptr() as usize - run.as_ptr() as usize;
        (columns(&run[..offset]), words)
    });
    pieces.filter(|(_, words)| !words.is_empty())
}

/// What a block element covers of its cell. Drawn as text, there would be gaps between them in most fonts.
struct Block {
    top: f64,
    width: f64,
    height: f64,
    shade: f64,
}

fn block(symbol: &str) -> Option<Block> {
    const FROM_LEFT: [&str; 8] = ["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];
    const FROM_BELOW: [&str; 7] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇"];
    let whole = Block { top: 0.0, width: 1.0, height: 1.0, shade: 1.0 };
    if symbol == "░" {
        return Some(Block { shade: 0.3, ..whole });
    }
    let eighths = |place: usize| (place + 1) as f64 / 8.0;
    if let Some(place) = FROM_LEFT.iter().position(|known| *known == symbol) {
        return Some(Block { width: eighths(place), ..whole });
    }
    let place = FROM_BELOW.iter().position(|known| *known == symbol)?;
    Some(Block { top: 1.0 - eighths(place), height: eighths(place), ..whole })
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn lines_end_with_their_last_letter() {
        assert_eq!(text(&Buffer::with_lines(["a  ", "日本 x  ", ""])), "a\n日本 x\n\n");
        assert_eq!(text(&Buffer::empty(Rect::new(0, 0, 0, 0))), "");
    }

    #[test]
    fn cells_that_look_the_same_are_one_text_and_blocks_are_shapes() {
        let mut buffer = Buffer::with_lines(["a<b ██▌c"]);
        buffer
            .set_style(Rect::new(7, 0, 1, 1), Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD));
        let svg = svg(&buffer);
        assert!(svg.contains(">a&lt;b</text>"), "{svg}");
        // The background, two blocks in one, half a block, and what is behind the reversed letter.
        assert_eq!(svg.matches("<rect").count(), 4, "{svg}");
        assert!(svg.contains("font-weight=\"bold\">c</text>"), "{svg}");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn text_stays_in_its_columns() {
        assert_eq!(apart("  a b   日  c ").collect::<Vec<_>>(), [(2, "a b"), (8, "日"), (12, "c")]);
        assert_eq!(apart("    ").count(), 0);
    }

    #[test]
    fn a_wide_letter_takes_two_cells() {
        let svg = svg(&Buffer::with_lines(["日x"]));
        assert!(svg.contains(&format!("textLength=\"{:.1}\"", 3.0 * CELL.0)), "{svg}");
    }
}
