//! docs/screenshots holds what the program draws of the bundled recording: a picture of each screen, and an animation.
//!
//! `cargo xtask screenshots` writes the files anew. They are compared to the letter: a replay at the same place looks the
//! same on every machine, because all that is on it comes from the recording, instants of the day included.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails does so with a panic, helpers included"
)]

#[path = "screenshots/animation.rs"]
mod animation;

use std::{
    cell::RefCell,
    env, fs,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use observer::{
    backend::Said,
    engine::Player,
    model::{event::Event, snapshot::Snapshot},
    outputs::Output,
    source::{Origin, Position},
    view::{App, Depth, Effect, Options, Theme},
};
use ratatui::{Terminal, backend::TestBackend, crossterm::event::KeyCode};

/// As wide as every column fits, and as high as one reads at a glance.
const SIZE: (u16, u16) = (120, 34);

/// A picture: the screen at the last moment of a pattern.
struct Shot {
    name: &'static str,
    theme: &'static str,
    pattern: &'static str,
    /// What is pressed before.
    keys: &'static [KeyCode],
}

/// A picture more is a row here.
const SHOTS: &[Shot] = &[
    Shot { name: "queues", theme: "dark", pattern: "single-thread", keys: &[KeyCode::Char('+')] },
    Shot { name: "journey", theme: "dark", pattern: "single-thread", keys: &[KeyCode::Char('2')] },
    Shot { name: "workers", theme: "dark", pattern: "acceptor-readers", keys: &[KeyCode::Char('3')] },
    Shot { name: "connections", theme: "dark", pattern: "acceptor-workers", keys: &[KeyCode::Char('4')] },
    Shot { name: "pattern", theme: "dark", pattern: "sharding", keys: &[KeyCode::Char('5')] },
    Shot { name: "probes", theme: "dark", pattern: "single-thread", keys: &[KeyCode::Char('6')] },
    Shot { name: "light", theme: "light", pattern: "sharding", keys: &[KeyCode::Right] },
];

/// The animation: from overload over the switch to a queue that is empty.
const ANIMATION: &str = "switch";
/// The pattern that it switches from, and so many snapshots on both sides; two are a second.
const SWITCH: (&str, usize, usize) = ("single-thread", 8, 12);
/// What README.md can carry.
const MOST_BYTES: usize = 300_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What is known at a moment, and what the backend had said by then.
struct Moment {
    snapshot: Arc<Snapshot>,
    said: Said,
}

/// Hears what the backend says.
struct Listens(Rc<RefCell<Said>>);

impl Output for Listens {
    fn event(&mut self, event: &Event) -> anyhow::Result<()> {
        if let Event::Backend(said) = event {
            *self.0.borrow_mut() = (**said).clone();
        }
        Ok(())
    }

    fn snapshot(&mut self, _snapshot: &Arc<Snapshot>, _last: bool) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Everything that the recording shows, in its order.
fn moments() -> Vec<Moment> {
    let mut player = Player::open(&root().join("xtask/recordings/five-patterns.rec")).unwrap();
    let said = Rc::default();
    player.add(Listens(Rc::clone(&said)));
    let snapshots = std::iter::from_fn(|| player.advance(&mut |_| {}).unwrap());
    snapshots.map(|snapshot| Moment { snapshot, said: said.borrow().clone() }).collect()
}

/// The last moment of a pattern.
fn last(moments: &[Moment], pattern: &str) -> usize {
    let runs = |moment: &Moment| moment.said.state.as_ref().is_some_and(|state| state.pattern == pattern);
    moments.iter().rposition(runs).expect("the recording has the pattern")
}

/// A replay on a terminal of the size.
struct Replay<'a> {
    moments: &'a [Moment],
    app: App,
    terminal: Terminal<TestBackend>,
}

impl<'a> Replay<'a> {
    fn new(moments: &'a [Moment], theme: &str) -> Self {
        let theme = Theme::named(theme).unwrap();
        let app = App::new(Options { theme, depth: Depth::Full, ascii: false });
        Self { moments, app, terminal: Terminal::new(TestBackend::new(SIZE.0, SIZE.1)).unwrap() }
    }

    fn show(&mut self, place: usize) {
        let time_ns = |place: usize| self.moments[place].snapshot.time_ns;
        let (first, end) = (time_ns(0), time_ns(self.moments.len() - 1));
        let Moment { snapshot, said } = &self.moments[place];
        self.app.backend(said.clone());
        self.app.comes_from(Origin::Replayed(Position {
            position_ns: snapshot.time_ns - first,
            length_ns: end - first,
            speed: 1,
            plays: true,
        }));
        self.app.update(Arc::clone(snapshot));
        self.terminal.draw(|frame| self.app.draw(frame)).unwrap();
    }

    fn press(&mut self, key: KeyCode) -> Vec<Effect> {
        let effects = self.app.key(key.into());
        self.terminal.draw(|frame| self.app.draw(frame)).unwrap();
        effects
    }

    /// The picture that the program itself saves.
    fn picture(&mut self) -> String {
        let saved = self.press(KeyCode::Char('x')).into_iter().find_map(|effect| match effect {
            Effect::Save(picture) => Some(picture.svg),
            _ => None,
        });
        saved.expect("x saves the screen")
    }
}

fn picture(moments: &[Moment], shot: &Shot) -> String {
    let mut replay = Replay::new(moments, shot.theme);
    (0..=last(moments, shot.pattern)).for_each(|place| replay.show(place));
    for key in shot.keys {
        replay.press(*key);
    }
    replay.picture()
}

fn animated(moments: &[Moment]) -> String {
    let mut replay = Replay::new(moments, "dark");
    let (pattern, before, after) = SWITCH;
    let switch = last(moments, pattern) + 1;
    let mut frames = Vec::new();
    for place in 0..switch + after {
        replay.show(place);
        if place == 0 {
            replay.press(KeyCode::Char('+'));
        }
        if place + before >= switch {
            frames.push(replay.picture());
        }
    }
    // Without motion it stands at the last moment before the switch, which says most.
    animation::of(&frames, before - 1)
}

#[test]
fn the_pictures_are_what_the_program_draws() {
    let moments = moments();
    let mut expected: Vec<(String, String)> =
        SHOTS.iter().map(|shot| (shot.name.to_owned(), picture(&moments, shot))).collect();
    let animation = animated(&moments);
    assert!(animation.len() < MOST_BYTES, "the animation has {} bytes", animation.len());
    expected.push((ANIMATION.to_owned(), animation));
    let directory = root().join("docs/screenshots");
    if env::var_os("UPDATE_SCREENSHOTS").is_some() {
        fs::create_dir_all(&directory).unwrap();
        for (name, svg) in &expected {
            fs::write(directory.join(format!("{name}.svg")), svg).unwrap();
        }
    }
    let pages = ["README.md", "docs/screens.md"].map(|page| fs::read_to_string(root().join(page)).unwrap());
    for (name, svg) in &expected {
        let kept = fs::read_to_string(directory.join(format!("{name}.svg"))).unwrap_or_default();
        assert!(
            kept == *svg,
            "docs/screenshots/{name}.svg is not what the program draws; `cargo xtask screenshots` draws it anew"
        );
        let link = format!("screenshots/{name}.svg)");
        assert!(pages.iter().any(|page| page.contains(&link)), "no page shows {name}.svg");
    }
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy();
        assert!(expected.iter().any(|(known, _)| *known == name), "nothing draws {}", path.display());
    }
}
