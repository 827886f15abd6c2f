//! The two rows below every screen: the screens and their keys, then the keys of this one or what there is to say.

use ratatui::text::Span;

use super::hits::{self, Hit};
use super::{VIEWS, screen::Help, styles::Styles, widget::pen::Pen};

/// Rows of the footer.
pub(crate) const ROWS: u16 = 2;

/// What stands in the last row instead of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Something was done.
    Done(String),
    /// Something failed, and why.
    Failed(String),
    /// An answer is expected; the keys for it.
    Prompt(String),
}

/// Draws the footer into the whole of `pen`; `general` are keys that every screen has. Returns the columns
/// at which each tab begins and ends, and where a click is a key.
pub(crate) fn draw(
    pen: &mut Pen<'_>,
    current: usize,
    help: &Help,
    notice: Option<&Notice>,
    general: &[(&'static str, &'static str)],
    styles: &Styles,
) -> (Vec<std::ops::Range<u16>>, Vec<Hit>) {
    let mut tabs = Vec::with_capacity(VIEWS.len());
    let mut x = 0;
    for (index, row) in VIEWS.iter().enumerate() {
        let text = format!(" {} {} ", row.key, row.title);
        let style = if index == current { styles.selected } else { styles.dim };
        let start = x;
        x = pen.spans(x, 0, &[Span::styled(text, style)]);
        tabs.push(start..x);
    }
    let mut hits = Vec::new();
    match notice {
        Some(Notice::Done(text)) => pen.spans(1, 1, &[Span::styled(format!("✓ {text}"), styles.good)]),
        Some(Notice::Failed(text)) => pen.spans(1, 1, &[Span::styled(format!("! {text}"), styles.bad)]),
        Some(Notice::Prompt(text)) => pen.spans(1, 1, &[Span::styled(text.clone(), styles.strong)]),
        None => hints(pen, help, general, styles, &mut hits),
    };
    (tabs, hits)
}

/// Those of the screen as far as they fit; the general ones come last and always have room.
fn hints(
    pen: &mut Pen<'_>,
    help: &Help,
    general: &[(&'static str, &'static str)],
    styles: &Styles,
    hits: &mut Vec<Hit>,
) -> u16 {
    let needed = |(key, what): &(&str, &str)| (key.chars().count() + what.chars().count() + 3) as u16;
    let reserved: u16 = general.iter().map(needed).sum();
    let room = pen.width().saturating_sub(reserved);
    let mut x = 1;
    let fitting = help.keys.iter().scan(x, |end, key| {
        *end += needed(key);
        (*end <= room).then_some(key)
    });
    for (key, what) in fitting.chain(general) {
        let (left, row) = (pen.area().x, pen.area().y + 1);
        hits.extend(hits::of_label(key, what.chars().count() as u16 + 1, (left + x, row)));
        x = hint(pen, x, key, what, styles);
    }
    x
}

fn hint(pen: &mut Pen<'_>, x: u16, key: &str, what: &str, styles: &Styles) -> u16 {
    pen.spans(
        x,
        1,
        &[
            Span::styled(key.to_owned(), styles.key),
            Span::raw(" "),
            Span::styled(what.to_owned(), styles.dim),
            Span::raw("  "),
        ],
    )
}
