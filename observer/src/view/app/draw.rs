//! Puts the parts of the screen together.

use ratatui::Frame;
use ratatui::buffer::Buffer;

use super::{App, Overlay};
use crate::source::Origin;
use crate::view::widget::pen::Pen;
use crate::view::{VIEWS, ascii, demo, footer, header, help, playback, timeline, why};

/// The smallest terminal on which the screens say what they should.
const LEAST: (u16, u16) = (64, 16);
/// The height from which a rule sets the header off.
const RULE_FROM: u16 = 20;

impl App {
    /// Draws everything.
    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        self.paint(frame.buffer_mut());
    }

    pub(super) fn paint(&mut self, buffer: &mut Buffer) {
        let area = buffer.area;
        self.area = area;
        self.hits.clear();
        let mut pen = Pen::new(buffer, area);
        if area.width < LEAST.0 || area.height < LEAST.1 {
            self.too_small(&mut pen);
        } else {
            self.parts(&mut pen);
        }
        self.styles.lay_below(buffer);
        if self.options.ascii {
            ascii::reduce(buffer);
        }
    }

    fn too_small(&self, pen: &mut Pen<'_>) {
        let (width, height) = (pen.width(), pen.height());
        let lines = [
            format!("{width}×{height} is too small;"),
            format!("{}×{} is enough,", LEAST.0, LEAST.1),
            "and 120×40 is good".to_owned(),
        ];
        let top = height.saturating_sub(lines.len() as u16) / 2;
        for (y, line) in lines.iter().enumerate() {
            pen.text(0, top + y as u16, width, line, self.styles.plain);
        }
    }

    fn parts(&mut self, pen: &mut Pen<'_>) {
        let height = pen.height();
        let rule = u16::from(height >= RULE_FROM);
        let top = header::ROWS + rule;
        let playback = match &self.origin {
            Origin::Replayed(playback) => Some(*playback),
            _ => None,
        };
        let body = height - top - footer::ROWS - u16::from(playback.is_some());
        let paused = self.frozen.is_some();
        header::draw(&mut pen.rows(0, header::ROWS), self.shown(), paused, self.origin, &self.styles);
        if rule > 0 {
            pen.rule(header::ROWS, "─", self.styles.dim);
            self.finding(&mut pen.rows(header::ROWS, rule));
        }
        self.body(&mut pen.rows(top, body));
        if let Some(playback) = playback {
            self.hits.extend(playback::draw(&mut pen.rows(top + body, 1), &playback, &self.styles));
        }
        let bottom = height - footer::ROWS;
        self.tabs_row = pen.area().y + bottom;
        let screen = self.views.get(self.current).map(|view| view.help());
        if let Some(screen) = screen {
            let mut below = pen.rows(bottom, footer::ROWS);
            let notice = self.notice.as_ref().map(|(notice, _)| notice);
            let general = self.general_hints();
            let (tabs, hits) = footer::draw(&mut below, self.current, screen, notice, &general, &self.styles);
            self.tabs = tabs;
            self.hits.extend(hits);
        }
    }

    /// What is wrong with the chosen listener; the first screen says it at length.
    fn finding(&self, pen: &mut Pen<'_>) {
        let context = self.context();
        let (Some(target), true) = (context.target, self.current > 0) else { return };
        let listeners: Vec<_> = target.listeners(context.snapshot()).collect();
        if let Some(found) = why::diagnoses(context.snapshot(), &listeners).next() {
            let room = pen.width().saturating_sub(2);
            pen.text(1, 0, room, &format!(" ▴ {} ", found.sentence), self.styles.warn);
        }
    }

    /// Keys that every screen has, as far as they are worth a place in the footer.
    fn general_hints(&self) -> Vec<(&'static str, &'static str)> {
        let demo = self.shown().backends.state().is_some();
        let mut hints = Vec::new();
        if demo && self.frozen.is_none() {
            hints.push(("p", "pattern"));
        }
        match (&self.origin, &self.frozen) {
            // It has a row for that.
            (Origin::Replayed(_), _) => {}
            (_, Some(_)) => hints.extend([("[ ]", "back, on"), ("space", "live")]),
            (_, None) => hints.push(("space", "pause")),
        }
        hints.extend([("?", "help"), ("q", "quit")]);
        hints
    }

    fn body(&mut self, pen: &mut Pen<'_>) {
        let Some(row) = VIEWS.get(self.current) else { return };
        if self.history.is_empty() {
            pen.text(1, 1, pen.width(), "waiting for the first figures", self.styles.dim);
            return;
        }
        match self.open.clone() {
            Some(connection) => timeline::draw(&self.context(), pen, &connection),
            None => self.view(pen),
        }
        if self.overlay == Overlay::ChoosePattern {
            self.patterns(pen);
        }
        if let (Overlay::Help { scroll, .. }, Some(view)) = (self.overlay, self.views.get(self.current)) {
            let (furthest, hits) = help::draw(pen, row.title, view.help(), scroll, &self.styles);
            self.hits = hits;
            self.overlay = Overlay::Help { scroll: scroll.min(furthest), furthest };
        }
    }

    /// What can be chosen, over the end of the screen.
    fn patterns(&self, pen: &mut Pen<'_>) {
        let styles = &self.styles;
        let current = demo::current_pattern(&self.shown().backends).map(|pattern| pattern.id);
        let choices: Vec<_> = demo::numbered().collect();
        let rows = choices.len() as u16 + 1;
        let top = pen.height().saturating_sub(rows);
        let mut pen = pen.rows(top, rows);
        pen.clear();
        pen.rule(0, "─", styles.mark);
        pen.text(1, 0, u16::MAX, " switch the pattern ", styles.mark);
        for (index, (number, pattern)) in choices.into_iter().enumerate() {
            let y = index as u16 + 1;
            let runs = current == Some(pattern.id);
            pen.text(1, y, 1, if runs { "●" } else { " " }, styles.good);
            pen.text(3, y, 1, &number.to_string(), styles.key);
            pen.text(5, y, 17, pattern.id, styles.strong);
            pen.text(23, y, u16::MAX, pattern.line, styles.plain);
        }
    }

    fn view(&mut self, pen: &mut Pen<'_>) {
        // The views are taken out so that they can change while they look at the rest.
        let mut views = std::mem::take(&mut self.views);
        if let Some(view) = views.get_mut(self.current) {
            view.draw(&self.context(), pen);
        }
        self.views = views;
    }
}
