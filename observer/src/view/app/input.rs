//! What keys and the mouse do.

use ratatui::crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use super::{App, Overlay};
use crate::source::Origin;
use crate::view::footer::Notice;
use crate::view::screen::Answer;
use crate::view::{Effect, VIEWS, demo, playback};

/// Moments that `{` and `}` leap over.
const LEAP: isize = 30;

impl App {
    /// Takes in a key, and returns what the program has to do.
    pub fn key(&mut self, key: KeyEvent) -> Vec<Effect> {
        if key.kind == KeyEventKind::Release {
            return Vec::new();
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return vec![Effect::Quit],
            KeyCode::Char('l') if control => return vec![Effect::Redraw],
            _ if control => return Vec::new(),
            _ => {}
        }
        self.notice = None;
        match self.overlay {
            Overlay::Help { scroll, furthest } => self.help_key(key, scroll, furthest),
            Overlay::ChoosePattern => self.choose_pattern(key),
            Overlay::None => {
                let typing = self.views.get(self.current).is_some_and(|view| view.is_typing());
                if !typing && let Some(effects) = self.general_key(key) {
                    return effects;
                }
                if self.open.is_some() {
                    self.close(key);
                    return Vec::new();
                }
                if !typing && key.code == KeyCode::Esc && self.go_back() {
                    return Vec::new();
                }
                let answer = self.ask_view(|view, context| view.key(context, key));
                self.obey(answer)
            }
        }
    }

    /// Takes in what the mouse did, and returns what the program has to do.
    pub fn mouse(&mut self, event: MouseEvent) -> Vec<Effect> {
        let (column, row) = (event.column, event.row);
        match event.kind {
            MouseEventKind::ScrollUp => self.key(KeyCode::Up.into()),
            MouseEventKind::ScrollDown => self.key(KeyCode::Down.into()),
            MouseEventKind::Down(MouseButton::Left) if row == self.tabs_row => {
                if let Some(index) = self.tabs.iter().position(|tab| tab.contains(&column)) {
                    self.show(index);
                }
                Vec::new()
            }
            MouseEventKind::Down(MouseButton::Left) if self.key_at(column, row).is_some() => {
                let Some(key) = self.key_at(column, row) else { return Vec::new() };
                self.overlay = Overlay::None;
                self.key(key.into())
            }
            MouseEventKind::Down(MouseButton::Left)
                if self.overlay == Overlay::None && self.open.is_none() =>
            {
                let answer = self.ask_view(|view, context| view.click(context, column, row));
                self.obey(answer)
            }
            _ => Vec::new(),
        }
    }

    /// The key that a click at this place presses; none while somebody types, whom it would type for.
    fn key_at(&self, column: u16, row: u16) -> Option<KeyCode> {
        let typing = self.views.get(self.current).is_some_and(|view| view.is_typing());
        let hit = self.hits.iter().find(|hit| hit.is_at(column, row))?;
        (!typing).then_some(hit.key)
    }

    /// Keys that mean the same on every screen; none if this is not one.
    fn general_key(&mut self, key: KeyEvent) -> Option<Vec<Effect>> {
        if let (Origin::Replayed(_), KeyCode::Char(letter)) = (&self.origin, key.code)
            && let Some(control) = playback::control(letter)
        {
            return Some(vec![Effect::Replay(control)]);
        }
        match key.code {
            KeyCode::Char('q') => return Some(vec![Effect::Quit]),
            KeyCode::Char('?') => self.overlay = Overlay::Help { scroll: 0, furthest: 0 },
            KeyCode::Char(' ') => self.pause(),
            KeyCode::Char('x') => return Some(vec![self.picture()]),
            KeyCode::Char('t') => self.change_theme(),
            KeyCode::Char('[') => self.step(-1),
            KeyCode::Char(']') => self.step(1),
            KeyCode::Char('{') => self.step(-LEAP),
            KeyCode::Char('}') => self.step(LEAP),
            KeyCode::Char('m') => {
                self.mouse = !self.mouse;
                let state = if self.mouse { "on" } else { "off: the terminal selects text again" };
                self.say(Notice::Done(format!("mouse {state}")));
                return Some(vec![Effect::Mouse(self.mouse)]);
            }
            KeyCode::Char('R') => return Some(vec![Effect::Record]),
            KeyCode::Char('p') => self.ask_for_pattern(),
            KeyCode::Tab => self.show((self.current + 1) % VIEWS.len()),
            KeyCode::BackTab => self.show((self.current + VIEWS.len() - 1) % VIEWS.len()),
            KeyCode::Char(digit) if digit.is_ascii_digit() => {
                let index = VIEWS.iter().position(|row| row.key == digit)?;
                self.show(index);
            }
            _ => return None,
        }
        Some(Vec::new())
    }

    /// Goes back from a connection's line of time.
    fn close(&mut self, key: KeyEvent) {
        if matches!(
            key.code,
            KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace | KeyCode::Left | KeyCode::Char('h')
        ) {
            self.open = None;
        }
    }

    fn show(&mut self, index: usize) {
        self.current = index;
        self.back.clear();
        self.open = None;
        self.overlay = Overlay::None;
    }

    /// Goes on to another screen, and remembers the way back.
    fn drill(&mut self, title: &str, filter: &str) {
        let Some(index) = VIEWS.iter().position(|row| row.title == title) else { return };
        if let Some(view) = self.views.get_mut(index) {
            view.look_for(filter);
        }
        self.back.push(self.current);
        self.current = index;
    }

    /// Back to the screen from which somebody went on to this one; false if nobody did.
    fn go_back(&mut self) -> bool {
        let Some(index) = self.back.pop() else { return false };
        if let Some(view) = self.views.get_mut(self.current) {
            view.look_for("");
        }
        self.current = index;
        true
    }

    fn help_key(&mut self, key: KeyEvent, scroll: usize, furthest: usize) -> Vec<Effect> {
        let scroll = match key.code {
            KeyCode::Up | KeyCode::Char('k') => scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => (scroll + 1).min(furthest),
            KeyCode::PageUp => scroll.saturating_sub(10),
            KeyCode::PageDown => (scroll + 10).min(furthest),
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => furthest,
            // Also `q`: it leaves what is open, as in a pager.
            _ => {
                self.overlay = Overlay::None;
                return Vec::new();
            }
        };
        self.overlay = Overlay::Help { scroll, furthest };
        Vec::new()
    }

    fn ask_for_pattern(&mut self) {
        if self.shown().backends.state().is_none() {
            self.say(Notice::Failed(
                "no demo-server here to switch; the Pattern screen says how to start one".to_owned(),
            ));
            return;
        }
        self.overlay = Overlay::ChoosePattern;
        self.say(Notice::Prompt("the number of a pattern, or any other key to leave it as it is".to_owned()));
    }

    fn choose_pattern(&mut self, key: KeyEvent) -> Vec<Effect> {
        self.overlay = Overlay::None;
        match key.code {
            KeyCode::Char(number) => match demo::switch_to_number(number) {
                Some(effect) => self.obey(Answer::Effect(effect)),
                None => {
                    self.say(Notice::Failed(format!("there is no pattern {number}")));
                    Vec::new()
                }
            },
            _ => Vec::new(),
        }
    }

    fn obey(&mut self, answer: Answer) -> Vec<Effect> {
        match answer {
            Answer::NotMine => {}
            Answer::Done => self.settle(),
            Answer::Say(notice) => {
                self.settle();
                self.say(notice);
            }
            Answer::Effect(effect) => {
                if let Effect::Demo(request) = &effect {
                    let asked = demo::describe(request);
                    self.say(Notice::Prompt(format!("asking demo-server: {asked}")));
                    self.asked.push_back(asked);
                }
                return vec![effect];
            }
            Answer::Choose(target) => {
                self.chosen = Some(target);
                self.settle();
            }
            Answer::FollowWorst => {
                self.chosen = None;
                self.target = None;
                self.settle();
            }
            Answer::Unfold(target) => {
                if !self.unfolded.remove(&target) {
                    self.unfolded.insert(target.clone());
                }
                self.chosen = Some(target);
                self.settle();
            }
            Answer::Open(connection) => self.open = Some(connection),
            Answer::Drill(title, filter) => self.drill(title, &filter),
        }
        Vec::new()
    }

    fn ask_view(
        &mut self,
        ask: impl FnOnce(&mut dyn crate::view::screen::View, &crate::view::screen::Context<'_>) -> Answer,
    ) -> Answer {
        // The views are taken out so that they can change while they look at the rest.
        let mut views = std::mem::take(&mut self.views);
        let answer = match views.get_mut(self.current) {
            Some(view) => ask(view.as_mut(), &self.context()),
            None => Answer::NotMine,
        };
        self.views = views;
        answer
    }
}
