//! Where a filter is typed: one row while it filters, two while somebody types, none otherwise.

use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::text::Span;

use super::{Field, Filter, Wrong, complete, hint, last_start};
use crate::view::history::History;
use crate::view::styles::Styles;
use crate::view::widget::pen::{Pen, columns};

/// Characters that a filter can have.
const MOST: usize = 200;

/// The text, and the filter that it stands for.
#[derive(Debug)]
pub(crate) struct FilterBar<T: 'static> {
    fields: &'static [Field<T>],
    text: String,
    /// The text before somebody began to type, for Esc.
    before: String,
    typing: bool,
    /// What of the text is finished and can be read; none when that is nothing.
    filter: Option<Filter<T>>,
    wrong: Option<Wrong>,
}

impl<T> FilterBar<T> {
    /// A bar over these fields that lets everything through.
    pub(crate) fn new(fields: &'static [Field<T>]) -> Self {
        Self { fields, text: String::new(), before: String::new(), typing: false, filter: None, wrong: None }
    }

    /// Whether somebody types, so that every key goes here.
    pub(crate) fn is_typing(&self) -> bool {
        self.typing
    }

    /// Whether anything is left away.
    pub(crate) fn is_active(&self) -> bool {
        self.filter.is_some()
    }

    /// Whether this is shown.
    pub(crate) fn holds(&self, thing: &T, history: &History) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.holds(thing, history))
    }

    /// What was typed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Puts a text in place of the one that is there.
    pub(crate) fn set(&mut self, text: &str) {
        self.text = text.chars().take(MOST).collect();
        self.typing = false;
        self.read();
    }

    /// Takes a key; false if it is not for the filter.
    pub(crate) fn key(&mut self, key: KeyEvent) -> bool {
        if !self.typing {
            match key.code {
                KeyCode::Char('/') => {
                    self.before.clone_from(&self.text);
                    self.typing = true;
                }
                KeyCode::Esc if self.is_active() => self.set(""),
                _ => return false,
            }
            return true;
        }
        match key.code {
            // What cannot be read stays where it is, with its error beside it.
            KeyCode::Enter => self.typing = self.wrong.is_some(),
            KeyCode::Esc => {
                let before = std::mem::take(&mut self.before);
                self.set(&before);
            }
            KeyCode::Tab => {
                if let Some(text) = complete(&self.text, self.fields) {
                    self.text = text;
                }
            }
            KeyCode::Backspace => drop(self.text.pop()),
            KeyCode::Char(letter) if self.text.chars().count() < MOST => self.text.push(letter),
            _ => {}
        }
        self.read();
        true
    }

    fn read(&mut self) {
        self.wrong = Filter::parse(&self.text, self.fields).err();
        // What is wrong or not finished does not filter yet: `wai` is on its way to `wait>10ms`.
        let unfinished = self.typing && complete(&self.text, self.fields).is_some();
        let end = match &self.wrong {
            Some(wrong) => self.text.char_indices().nth(wrong.at).map_or(0, |(end, _)| end),
            None if unfinished => last_start(&self.text, self.fields),
            None => self.text.len(),
        };
        let filter = Filter::parse(&self.text[..end], self.fields).ok();
        self.filter = filter.filter(|filter| !filter.is_empty());
    }

    /// Rows that it needs.
    pub(crate) fn rows(&self) -> u16 {
        match (self.typing, self.is_active()) {
            (true, _) => 2,
            (false, true) => 1,
            (false, false) => 0,
        }
    }

    /// Draws it into the whole of `pen`: how many of how many are shown, and what is wrong or can follow.
    pub(crate) fn draw(&self, pen: &mut Pen<'_>, (shown, all): (usize, usize), styles: &Styles) {
        if self.rows() == 0 {
            return;
        }
        let count = format!(" {shown} of {all} ");
        let keys = if self.typing { "Enter keeps, Esc undoes " } else { "Esc shows all " };
        let right = [Span::styled(count, styles.strong), Span::styled(keys, styles.dim)];
        let needed: usize = right.iter().map(Span::width).sum();
        let room = pen.width().saturating_sub(needed as u16 + 1);
        // Of a long text the end is in sight, where it is typed.
        let typed: String = {
            let skipped = (columns(&self.text) + 2).saturating_sub(usize::from(room.saturating_sub(2)));
            self.text.chars().skip(skipped).collect()
        };
        let cursor = if self.typing { "▏" } else { "" };
        let style = if self.wrong.is_some() { styles.bad } else { styles.plain };
        pen.part(0, 0, room, 1).spans(
            1,
            0,
            &[Span::styled("/ ", styles.key), Span::styled(typed, style), Span::styled(cursor, styles.key)],
        );
        pen.spans_right(0, &right);
        if !self.typing {
            return;
        }
        match &self.wrong {
            Some(wrong) => {
                let under = (wrong.at as u16).min(room.saturating_sub(3)) + 3;
                // The caret stands under the word, if the text after it has room.
                let x = if columns(&wrong.why) + usize::from(under) + 2 < usize::from(pen.width()) {
                    under
                } else {
                    3
                };
                pen.spans(x, 1, &[Span::styled(format!("↑ {}", wrong.why), styles.bad)]);
            }
            None => {
                let hint = hint(&self.text, self.fields);
                pen.text(3, 1, pen.width().saturating_sub(4), &hint, styles.dim);
            }
        }
    }
}
