//! The loop of `observer replay`: the screen, fed from a recording.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use ratatui::crossterm::event::{Event, KeyEventKind};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    cli,
    recording::player::Player,
    run::live::{looks, require_terminal},
    run::picture,
    run::signals::{Signals, Wanted, end_though_the_terminal_is_stuck},
    stderr::say,
    terminal::{Keys, Terminal, writes::writing},
    view::{App, Control, Effect, Origin, Playback},
};

/// Between two looks at what is due.
const FRAME: Duration = Duration::from_millis(50);
/// The most time that one look makes up for, so that a slow terminal makes a replay slower and never stuck.
const MOST: Duration = Duration::from_millis(200);
/// The fastest.
const MOST_SPEED: u16 = 256;
const SECOND_NS: i64 = 1_000_000_000;

/// Plays a recording on the screen until the user quits, or SIGINT, SIGTERM, SIGHUP or SIGQUIT comes.
pub(super) async fn run(options: cli::Replay) -> Result<()> {
    require_terminal()?;
    // Before the terminal is taken, so that what is wrong can be read.
    let player = Player::open_within(&options.file, options.sizes.into())?;
    let mut remarks = player.remarks();
    let mut signals = Signals::new()?;
    end_though_the_terminal_is_stuck()?;
    let mut replay = Replay {
        due_ns: player.now_ns(),
        player,
        app: App::new(looks(options.ascii, options.theme)),
        speed: options.speed,
        plays: !options.paused,
        damage: None,
        keys: Keys::read()?,
        terminal: Terminal::take()?,
    };
    replay.step_forward();
    if let Some(remark) = remarks.first() {
        replay.app.tell(Err(remark.clone()));
    }
    let outcome = replay.run(&mut signals).await;
    let damage = replay.damage.take();
    remarks.extend(replay.player.left_out());
    // What is said from here on stands on the terminal as it was before.
    drop(replay);
    remarks.iter().for_each(|remark| writing(|| say(format_args!("observer: {remark}"))));
    outcome.and(damage.map_or(Ok(()), Err))
}

struct Replay {
    player: Player,
    app: App,
    /// The time that is shown: snapshots up to here are due.
    due_ns: u64,
    speed: u16,
    plays: bool,
    /// Why it cannot be played any further.
    damage: Option<anyhow::Error>,
    // Before the terminal in the order of drop: the reading thread must be gone when the terminal is put back.
    keys: Keys,
    terminal: Terminal,
}

impl Replay {
    async fn run(&mut self, signals: &mut Signals) -> Result<()> {
        let mut frames = interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Instant::now();
        self.draw()?;
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
                _ = frames.tick() => {
                    let elapsed = last.elapsed().min(MOST);
                    last = Instant::now();
                    if self.plays {
                        self.play(elapsed);
                        self.draw()?;
                    }
                }
            }
        }
    }

    fn draw(&mut self) -> Result<()> {
        let (first, last) = self.player.span_ns();
        self.app.comes_from(Origin::Replayed(Playback {
            position_ns: self.due_ns.saturating_sub(first),
            length_ns: last.saturating_sub(first),
            speed: self.speed,
            plays: self.plays,
        }));
        self.terminal.draw(&mut self.app).context("cannot draw on the terminal")
    }

    /// Shows what has become due.
    fn play(&mut self, elapsed: Duration) {
        let passed = elapsed.as_nanos() as u64 * u64::from(self.speed);
        self.due_ns = self.due_ns.saturating_add(passed).min(self.player.span_ns().1);
        while self.plays && self.player.next_ns().is_some_and(|next| next <= self.due_ns) {
            self.advance();
        }
        if self.player.next_ns().is_none() {
            // The end, or what stands behind it and makes no sense.
            self.advance();
        }
    }

    /// One snapshot further, if there is one. A recording that is damaged stands still where it is.
    fn advance(&mut self) {
        match self.player.advance(&mut |_| Ok(())) {
            Ok(Some(snapshot)) => {
                self.due_ns = self.due_ns.max(snapshot.time_ns);
                self.app.update(Arc::new(snapshot));
            }
            Ok(None) => self.plays = false,
            Err(error) => self.damaged(error),
        }
    }

    fn damaged(&mut self, error: anyhow::Error) {
        self.plays = false;
        self.app.tell(Err(format!("{error:#}")));
        self.damage = Some(error);
    }

    fn step_forward(&mut self) {
        self.due_ns = self.player.now_ns();
        self.advance();
    }

    fn seek(&mut self, time_ns: u64) {
        let back = time_ns < self.player.now_ns();
        if back {
            self.app.forget();
        }
        let Self { player, app, .. } = self;
        if let Err(error) = player.seek(time_ns, &mut |snapshot| app.update(Arc::new(snapshot))) {
            self.damaged(error);
        }
        let (first, last) = self.player.span_ns();
        self.due_ns = time_ns.clamp(first, last);
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
                Effect::Demo(_) => self.app.demo_reply(Err("this is a recording; nobody listens".into())),
                Effect::Replay(control) => self.control(control),
                Effect::Record => self.app.tell(Err("this is a recording already".into())),
                Effect::Save(picture) => self.app.tell(picture::save(&picture)),
                Effect::Mouse(on) => self.terminal.mouse(on).context("cannot ask for mouse events")?,
                Effect::Redraw => self.terminal.redraw().context("cannot draw on the terminal")?,
            }
        }
        self.draw()?;
        Ok(true)
    }

    fn control(&mut self, control: Control) {
        match control {
            Control::Play => {
                let at_end = self.player.next_ns().is_none();
                if at_end && !self.plays {
                    self.seek(0);
                }
                self.plays = !self.plays;
            }
            Control::StepOn => {
                self.plays = false;
                self.step_forward();
            }
            Control::StepBack => {
                self.plays = false;
                if let Some(previous) = self.player.previous_ns() {
                    self.seek(previous);
                }
            }
            Control::Move(seconds) => {
                self.seek(self.due_ns.saturating_add_signed(seconds * SECOND_NS));
            }
            Control::Slower => self.speed = (self.speed / 2).max(1),
            Control::Faster => self.speed = self.speed.saturating_mul(2).min(MOST_SPEED),
        }
    }
}
