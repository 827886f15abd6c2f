//! The loop of `observer live`.

use std::{
    env,
    fs::File,
    io::{IsTerminal as _, stderr, stdin, stdout},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use demo_server::visible::Shown;
use ratatui::crossterm::event::{Event, KeyEventKind};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    cli,
    demo::{self, Link, News},
    failure::Failure,
    figures,
    kernel::clock::now_ns,
    model::event::Event as Told,
    recording::recorder::Target,
    run::picture,
    run::session::{DRAIN, Session},
    run::signals::{Signals, Wanted, end_though_the_terminal_is_stuck},
    selection,
    stderr::say,
    terminal::{Keys, Terminal, writes::writing},
    view::{App, Effect, Options, Origin, Theme},
};

/// Draws frames until the user quits, or SIGINT, SIGTERM, SIGHUP or SIGQUIT comes.
pub(super) async fn run(options: cli::Live) -> Result<()> {
    require_terminal()?;
    if options.tuning.log_probes && stderr().is_terminal() {
        return Err(Failure::Usage(
            "--log-probes writes to stderr, which is the screen here; send it to a file with 2>FILE".into(),
        )
        .into());
    }
    let probes = selection::options(&options.selection, &options.tuning)?;
    let mut signals = Signals::new()?;
    end_though_the_terminal_is_stuck()?;
    // Before the terminal is taken, so that what is wrong can be read.
    let session = Session::start_with(&probes, options.recording.target()?)?;
    let demo = options.demo.clone().map(Link::open).transpose()?;
    let app = App::new(looks(options.ascii, options.theme));
    let mut screen = Live {
        session,
        demo,
        app,
        terminal: Terminal::take()?,
        keys: Keys::read()?,
        refresh: options.refresh,
    };
    let outcome = screen.run(&mut signals).await;
    if screen.session.recorder().is_some() {
        let recorded = screen.end_recording();
        // The terminal is as it was before, or its end is the reason.
        drop(screen);
        let (path, bytes) = recorded?;
        writing(|| say(format_args!("observer: {path} has {bytes} bytes")));
    }
    outcome
}

/// The screen is for people.
pub(super) fn require_terminal() -> Result<(), Failure> {
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

/// How the screen shall look, by the environment and by the command line.
pub(super) fn looks(ascii: bool, theme: Option<Theme>) -> Options {
    let wishes = Options::from_environment(theme, |name| env::var(name).ok());
    Options { ascii: ascii || wishes.ascii, ..wishes }
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
                wanted = signals.next() => match wanted {
                    Wanted::End => return Ok(()),
                    Wanted::Stop => self.terminal.stop()?,
                },
                event = self.keys.next() => match event {
                    None => return Ok(()),
                    Some(event) => {
                        if !self.typed(event)? {
                            return Ok(());
                        }
                    }
                },
                _ = frames.tick() => self.frame()?,
                _ = drain.tick() => self.session.drain(&mut |_| Ok(()))?,
                // Last: a backend that never stops talking must not keep the rest from its turn.
                news = demo::news(&mut self.demo) => self.heard(&news)?,
            }
        }
    }

    fn frame(&mut self) -> Result<()> {
        self.session.drain(&mut |_| Ok(()))?;
        let snapshot = self.session.snapshot(false)?;
        self.session.check()?;
        if let Some(error) = self.session.recording_failed() {
            self.app.tell(Err(format!("no recording any more: {error:#}")));
        }
        self.app.comes_from(match self.session.recorder() {
            Some(recorder) => Origin::Recorded(recorder.written()),
            None => Origin::Live,
        });
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
                Effect::Save(picture) => self.app.tell(picture::save(&picture)),
                Effect::Record => {
                    let outcome = self.record().map_err(|error| format!("{error:#}"));
                    self.app.tell(outcome);
                }
                // Live, there is nothing to replay, and no key for it.
                Effect::Replay(_) => {}
                Effect::Redraw => self.terminal.redraw().context("cannot draw on the terminal")?,
            }
        }
        self.draw()?;
        Ok(true)
    }

    /// Begins a recording in the working directory, or ends the one that goes on. Says which.
    fn record(&mut self) -> Result<String> {
        if self.session.recorder().is_some() {
            let (path, bytes) = self.end_recording()?;
            let size = figures::bytes(bytes);
            // Short enough for 80 columns with the path.
            return Ok(format!("{size} in {path}; observer replay shows them"));
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let path = PathBuf::from(format!("observer-{since}.rec"));
        self.session.record(Target::create(&path, true, false)?)?;
        Ok(format!("recording into {}; R ends it", Shown(&path)))
    }

    fn end_recording(&mut self) -> Result<(String, u64)> {
        let path = self.session.recorder().map(|recorder| Shown(recorder.path()).to_string());
        self.session.drain(&mut |_| Ok(()))?;
        self.session.snapshot(true)?;
        // After the last snapshot, in the file as well: nothing in it is older than what stands before.
        let (time_ns, open) = (now_ns()?, self.session.open_records());
        let bytes = self.session.end_recording(time_ns, &open)?;
        Ok((path.unwrap_or_default(), bytes.unwrap_or(0)))
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
