//! Screen 5, Pattern: what the bundled backend runs, what else it could run, and what a change has done.

mod choices;
mod compare;

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use self::choices::{Choice, Knob, choices};
use super::footer::Notice;
use super::screen::{Answer, Context, Help, View};
use super::widget::{list::List, paragraph::wrap, pen::Pen};

/// Columns of the choices.
const LEFT: u16 = 31;

/// The screen.
#[derive(Debug, Default)]
pub(crate) struct PatternLab {
    list: List,
    /// The number that is being typed.
    typing: Option<(Knob, String)>,
}

impl View for PatternLab {
    fn draw(&mut self, context: &Context<'_>, pen: &mut Pen<'_>) {
        let height = pen.height();
        let choices = choices(context.backends());
        self.draw_choices(context, &mut pen.part(0, 0, LEFT, height), &choices);
        for y in 0..height {
            pen.text(LEFT, y, 1, "│", context.styles.dim);
        }
        let width = pen.width().saturating_sub(LEFT + 2);
        let mut right = pen.part(LEFT + 2, 0, width, height);
        let below = if context.backends().state().is_some() { compare::rows(height) } else { 0 };
        let above = height.saturating_sub(below);
        let chosen = choices.get(self.list.selected);
        describe(context, &mut right.rows(0, above), chosen);
        compare::draw(context, &mut right.rows(above, below));
    }

    fn key(&mut self, context: &Context<'_>, key: KeyEvent) -> Answer {
        if self.typing.is_some() {
            return self.type_in(key);
        }
        let choices = choices(context.backends());
        self.skip_titles(&choices, true);
        let chosen = choices.get(self.list.selected);
        match key.code {
            KeyCode::Enter => match chosen {
                Some(Choice::Setting(knob, value)) if knob.takes_number() => {
                    self.typing = Some((*knob, value.to_string()));
                    Answer::Say(Notice::Prompt(knob.prompt()))
                }
                Some(choice) => act(context, choice.enter()),
                None => Answer::Done,
            },
            KeyCode::Left | KeyCode::Char('h') => act(context, chosen.and_then(|choice| choice.step(false))),
            KeyCode::Right | KeyCode::Char('l') => act(context, chosen.and_then(|choice| choice.step(true))),
            _ => {
                let down =
                    !matches!(key.code, KeyCode::Up | KeyCode::Char('k') | KeyCode::PageUp | KeyCode::Home);
                if !self.list.key(key, choices.len()) {
                    return Answer::NotMine;
                }
                self.skip_titles(&choices, down);
                Answer::Done
            }
        }
    }

    fn click(&mut self, context: &Context<'_>, column: u16, row: u16) -> Answer {
        let choices = choices(context.backends());
        let Some(index) = self.list.at(column, row, choices.len()) else { return Answer::NotMine };
        let again = index == self.list.selected;
        self.list.selected = index;
        self.skip_titles(&choices, true);
        match choices.get(index) {
            Some(choice) if again => act(context, choice.enter()),
            _ => Answer::Done,
        }
    }

    fn is_typing(&self) -> bool {
        self.typing.is_some()
    }

    fn help(&self) -> &'static Help {
        &HELP
    }
}

impl PatternLab {
    fn draw_choices(&mut self, context: &Context<'_>, pen: &mut Pen<'_>, choices: &[Choice]) {
        self.skip_titles(choices, true);
        let styles = context.styles;
        for (y, index) in self.list.show(choices.len(), pen.area()).enumerate() {
            let y = y as u16;
            let Some(choice) = choices.get(index) else { break };
            let chosen = index == self.list.selected;
            if let Choice::Title(title) = choice {
                pen.text(1, y, LEFT, title, styles.heading);
                continue;
            }
            if chosen {
                pen.text(0, y, 1, "▶", styles.key);
            }
            if choice.is_on() {
                pen.text(2, y, 1, "●", if choice.is_fault() { styles.bad } else { styles.good });
            }
            let style = match (chosen, choice.is_on()) {
                (true, _) => styles.selected,
                (_, true) => styles.strong,
                _ => styles.plain,
            };
            pen.text(4, y, LEFT - 5, &choice.label(), style);
            match &self.typing {
                Some((knob, text)) if choice.is_knob(*knob) => {
                    pen.right(16, y, LEFT - 17, &format!(" {text}▏"), styles.warn);
                }
                _ => pen.right(16, y, LEFT - 17, &choice.value(), styles.plain),
            }
        }
        self.list.edges(pen, choices.len(), styles.key);
    }

    /// Moves on from a title to something that can be chosen.
    fn skip_titles(&mut self, choices: &[Choice], down: bool) {
        let is_title = |index: usize| matches!(choices.get(index), Some(Choice::Title(_)));
        let mut index = self.list.selected.min(choices.len().saturating_sub(1));
        if is_title(index) {
            index = if down || index == 0 { index + 1 } else { index - 1 };
        }
        self.list.selected = index;
    }

    fn type_in(&mut self, key: KeyEvent) -> Answer {
        let Some((knob, text)) = &mut self.typing else { return Answer::NotMine };
        let wrong = |knob: &Knob| Answer::Say(Notice::Failed(format!("not that: {}", knob.prompt())));
        match key.code {
            KeyCode::Char(digit) if digit.is_ascii_digit() && text.len() < 9 => text.push(digit),
            KeyCode::Backspace => {
                text.pop();
            }
            KeyCode::Esc => {
                self.typing = None;
                return Answer::Done;
            }
            KeyCode::Enter => {
                // Whatever is wrong stays there to be mended.
                let value = text.parse().ok().filter(|value| knob.limits().contains(value));
                let Some(effect) = value.and_then(|value| knob.set(value)) else { return wrong(knob) };
                self.typing = None;
                return Answer::Effect(effect);
            }
            KeyCode::Char(_) => return wrong(knob),
            _ => {}
        }
        Answer::Say(Notice::Prompt(knob.prompt()))
    }
}

/// What was asked for, if there is somebody to ask.
fn act(context: &Context<'_>, effect: Option<super::Effect>) -> Answer {
    match effect {
        Some(effect) if context.backends().state().is_some() => Answer::Effect(effect),
        _ => Answer::Done,
    }
}

/// What the chosen one is, and how to come by a backend when there is none.
fn describe(context: &Context<'_>, pen: &mut Pen<'_>, chosen: Option<&Choice>) {
    let styles = context.styles;
    let width = pen.width().saturating_sub(1);
    let mut y = 0;
    let mut paragraph = |pen: &mut Pen<'_>, title: &str, text: &str| {
        const TITLE: u16 = 7;
        for (index, line) in wrap(text, width.saturating_sub(TITLE)).iter().enumerate() {
            if index == 0 {
                pen.text(0, y, TITLE, title, styles.key);
            }
            pen.text(TITLE, y, u16::MAX, line, styles.plain);
            y += 1;
        }
    };
    if context.backends().state().is_none() {
        match context.backends().error() {
            Some(error) => paragraph(pen, "GONE", error),
            None => paragraph(
                pen,
                "NONE",
                "There is no demo-server here, so nothing can be switched. Read what there is.",
            ),
        }
        paragraph(pen, "START", "cargo xtask demo");
        paragraph(pen, "or", "demo-server serve --pattern single-thread --control demo.sock --load steady");
        paragraph(pen, "with", "observer live --port 8080 --demo demo.sock");
    }
    let Some(chosen) = chosen else { return };
    for (title, text) in chosen.story() {
        paragraph(pen, title, &text);
    }
    if let Choice::Setting(knob, _) = chosen
        && knob.takes_number()
    {
        paragraph(pen, "RANGE", &format!("{}; Enter types a number, ← and → step", knob.range()));
    }
}

const HELP: Help = Help {
    keys: &[("↑ ↓", "choose"), ("Enter", "do it"), ("← →", "less, more")],
    terms: &[
        (
            "Patterns",
            "Five ways to divide accept, read, work and write among threads. Switching keeps the listener where the \
          pattern allows it.",
        ),
        (
            "backlog",
            "Passed to listen(2) again on the live socket; the kernel clamps it to net.core.somaxconn. The accept \
          queue is full at this + 1.",
        ),
        ("Faults", "Broken on purpose, to see what the kernel shows for it. Enter switches one on or off."),
        (
            "Load",
            "Enter starts a load or stops the one that runs. Less and more on its row change its rate, or its \
          clients if it is a closed loop.",
        ),
        (
            "NOW, BEFORE",
            "Sums over the time since the last change, and over the stretches before it: connections per second \
          in and out, waits in the accept queue, its peak, refused per second.",
        ),
    ],
};
