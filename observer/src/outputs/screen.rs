//! The screen as an output: draws on the terminal what the views make of the snapshots, and asks for what keys mean.

mod picture;

use std::{
    collections::VecDeque,
    env,
    fs::File,
    io::{IsTerminal as _, stdin, stdout},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use ratatui::crossterm::event::{Event, KeyEventKind};

use super::{Later, News, Output, Wish};
use crate::{
    failure::Failure,
    model::{event::Event as Happened, snapshot::Snapshot},
    source::Origin,
    terminal::{Keys, Terminal},
    view::{App, Effect, Options, Theme},
};

/// The terminal is for people.
///
/// # Errors
/// [`Failure::Usage`] where there is none.
pub fn require_terminal() -> Result<(), Failure> {
    let lacking = if !stdout().is_terminal() {
        "to draw on, and stdout is none"
    } else if !stdin().is_terminal() && File::open("/dev/tty").is_err() {
        // Where keys are read if stdin is something else, as crossterm does it.
        "for its keys: stdin is none, nor does this session have one"
    } else {
        return Ok(());
    };
    Err(Failure::Usage(format!(
        "the screen needs a terminal {lacking}; `observer stream` writes the same as JSON lines"
    )))
}

/// The screen, as long as the terminal is ours.
pub struct Screen {
    app: App,
    /// What is drawn is not all that is known by now.
    is_stale: bool,
    origin: Origin,
    wishes: VecDeque<Wish>,
    // Before the terminal in the order of drop: the reading thread must be gone when the terminal is put back.
    keys: Keys,
    terminal: Terminal,
}

impl Screen {
    /// Takes the terminal, to look as the environment and the command line want it.
    ///
    /// # Errors
    /// The terminal cannot be taken.
    pub fn take(ascii: bool, theme: Option<Theme>) -> Result<Self> {
        let wanted = Options::from_environment(theme, |name| env::var(name).ok());
        let options = Options { ascii: ascii || wanted.ascii, ..wanted };
        Ok(Self {
            app: App::new(options),
            is_stale: true,
            origin: Origin::default(),
            wishes: VecDeque::new(),
            terminal: Terminal::take()?,
            keys: Keys::read()?,
        })
    }

    /// Shows something from the start on.
    pub fn tell(&mut self, outcome: Result<String, String>) {
        self.app.tell(outcome);
    }

    fn draw(&mut self) -> Result<()> {
        self.is_stale = false;
        self.terminal.draw(&mut self.app).context("cannot draw on the terminal")
    }

    fn typed(&mut self, event: Event) -> Result<()> {
        let effects = match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.app.key(key),
            Event::Mouse(mouse) => self.app.mouse(mouse),
            _ => Vec::new(),
        };
        for effect in effects {
            match effect {
                Effect::Quit => self.wishes.push_back(Wish::Quit),
                Effect::Demo(request) => self.wishes.push_back(Wish::Backend(request)),
                Effect::Record => self.wishes.push_back(Wish::Record),
                Effect::Replay(control) => self.wishes.push_back(Wish::Control(control)),
                Effect::Save(picture) => self.app.tell(picture::save(&picture)),
                Effect::Mouse(on) => self.terminal.mouse(on).context("cannot ask for mouse events")?,
                Effect::Redraw => self.terminal.redraw().context("cannot draw on the terminal")?,
            }
        }
        self.draw()
    }
}

impl Output for Screen {
    fn event(&mut self, event: &Happened) -> Result<()> {
        if let Happened::Backend(said) = event {
            self.app.backend((**said).clone());
            self.is_stale = true;
        }
        Ok(())
    }

    fn snapshot(&mut self, snapshot: &Arc<Snapshot>, _last: bool) -> Result<()> {
        self.app.update(Arc::clone(snapshot));
        self.is_stale = true;
        Ok(())
    }

    fn hear(&mut self, news: &News<'_>) -> Result<()> {
        match news {
            News::Origin(origin) if *origin == self.origin => return Ok(()),
            News::Origin(origin) => {
                self.origin = *origin;
                self.app.comes_from(*origin);
                // How large a recording is by now can wait for the next snapshot.
                if matches!(origin, Origin::Recorded(_)) {
                    return Ok(());
                }
            }
            News::Anew => self.app.forget(),
            News::Stop => return self.terminal.stop(),
            News::Done(outcome) => self.app.tell((*outcome).clone()),
            News::Reply(reply) => self.app.demo_reply((*reply).clone()),
            News::NoBackend(_) => return Ok(()),
            News::NotRecorded(why) => self.app.tell(Err(format!("no recording any more: {why}"))),
        }
        self.is_stale = true;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.is_stale { self.draw() } else { Ok(()) }
    }

    fn wish(&mut self) -> Later<'_, Result<Wish>> {
        Box::pin(async {
            loop {
                if let Some(wish) = self.wishes.pop_front() {
                    return Ok(wish);
                }
                match self.keys.next().await {
                    Some(event) => self.typed(event)?,
                    None => return Ok(Wish::Quit),
                }
            }
        })
    }
}
