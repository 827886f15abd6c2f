//! The loop of `observer live`.

use std::{
    env,
    io::{IsTerminal as _, stderr, stdout},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use ratatui::crossterm::event::{Event, KeyEventKind};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use crate::{
    cli,
    demo::{self, Link, News},
    failure::Failure,
    model::event::Event as Told,
    run::picture,
    run::session::{DRAIN, Session},
    selection,
    terminal::{Keys, Terminal},
    view::{App, Effect, Options},
};

/// Draws frames until the user quits, or SIGINT, SIGTERM or SIGHUP comes.
pub(super) async fn run(options: cli::Live) -> Result<()> {
    if !stdout().is_terminal() {
        return Err(Failure::Usage(
            "the screen needs a terminal, and stdout is none; `observer stream` writes the same as JSON lines"
                .into(),
        )
        .into());
    }
    if options.tuning.log_probes && stderr().is_terminal() {
        return Err(Failure::Usage(
            "--log-probes writes to stderr, which is the screen here; send it to a file with 2>FILE".into(),
        )
        .into());
    }
    let probes = selection::options(&options.selection, &options.tuning)?;
    let mut signals = Signals::new()?;
    // Before the terminal is taken, so that what is wrong can be read.
    let session = Session::start(&probes)?;
    let demo = options.demo.clone().map(Link::open).transpose()?;
    let wishes = Options::from_environment(options.theme, |name| env::var(name).ok());
    let app = App::new(Options { ascii: options.ascii || wishes.ascii, ..wishes });
    let mut screen = Live {
        session,
        demo,
        app,
        terminal: Terminal::take()?,
        keys: Keys::read()?,
        refresh: options.refresh,
    };
    screen.run(&mut signals).await
}

struct Live {
    session: Session,
    demo: Option<Link>,
    app: App,
    // Before the terminal in the order of drop: the reading thread must be gone when the terminal is put back.
    keys: Keys,
    terminal: Terminal,
    refresh: Duration,
}

impl Live {
    async fn run(&mut self, signals: &mut Signals) -> Result<()> {
        let mut frames = interval(self.refresh);
        let mut drain = interval(DRAIN);
        frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
        drain.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = signals.any() => return Ok(()),
                event = self.keys.next() => match event {
                    None => return Ok(()),
                    Some(event) => {
                        if !self.typed(event)? {
                            return Ok(());
                        }
                    }
                },
                news = demo::news(&mut self.demo) => self.heard(&news)?,
                _ = frames.tick() => self.frame()?,
                _ = drain.tick() => self.session.drain(&mut |_| Ok(()))?,
            }
        }
    }

    fn frame(&mut self) -> Result<()> {
        self.session.drain(&mut |_| Ok(()))?;
        let snapshot = self.session.snapshot(false)?;
        self.app.update(Arc::new(snapshot));
        self.draw()
    }

    fn draw(&mut self) -> Result<()> {
        self.terminal.draw(&mut self.app).context("cannot draw on the terminal")
    }

    /// `false` when the user wants to leave.
    fn typed(&mut self, event: Event) -> Result<bool> {
        let effects = match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.app.key(key),
            Event::Mouse(mouse) => self.app.mouse(mouse),
            _ => Vec::new(),
        };
        for effect in effects {
            match effect {
                Effect::Quit => return Ok(false),
                Effect::Demo(request) => match &self.demo {
                    Some(link) => link.request(request)?,
                    None => self.app.demo_reply(Err("no demo-server; start with --demo SOCKET".into())),
                },
                Effect::Mouse(on) => self.terminal.mouse(on).context("cannot ask for mouse events")?,
                Effect::Save(picture) => self.app.saved(picture::save(&picture)),
                Effect::Redraw => self.terminal.redraw().context("cannot draw on the terminal")?,
            }
        }
        self.draw()?;
        Ok(true)
    }

    fn heard(&mut self, news: &News) -> Result<()> {
        if let Some(demo) = self.demo.as_mut().and_then(|link| link.learn(news)) {
            self.session.tell(Told::Demo(Box::new(demo)));
        }
        if let News::Reply(reply) = news {
            self.app.demo_reply(reply.clone());
            self.draw()?;
        }
        Ok(())
    }
}

/// The signals that end the screen.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let wait = |kind| signal(kind).context("cannot wait for signals");
        Ok(Self {
            interrupt: wait(SignalKind::interrupt())?,
            terminate: wait(SignalKind::terminate())?,
            hang_up: wait(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
