//! What the screen looks like, compared character by character with files; and that nothing makes it panic.
//!
//! `UPDATE_SCREENS=1 cargo test -p observer --test screens` writes the files anew. Read the difference before it is
//! committed: it is what people will see.

#[path = "screens/fixture.rs"]
mod fixture;

use std::{env, fs, path::Path};

use fixture::Scene;
use observer::view::{App, Options};
use ratatui::{Terminal, backend::TestBackend, crossterm::event::KeyCode};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];
const PLAIN: Options = Options { colour: false, ascii: false };

/// The screen as text, without blanks at the ends of lines.
fn text(app: &mut App, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test backend cannot fail");
    terminal.draw(|frame| app.draw(frame)).expect("a test backend cannot fail");
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for y in 0..height {
        let line: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn press(scene: &mut Scene, keys: &[KeyCode]) {
    for key in keys {
        scene.app.key((*key).into());
    }
}

/// Compares a screen with its file, at every size.
#[track_caller]
fn check(name: &str, scene: &mut Scene) {
    for size in SIZES {
        check_size(&format!("{name}-{}x{}", size.0, size.1), scene, size);
    }
}

#[track_caller]
fn check_size(name: &str, scene: &mut Scene, size: (u16, u16)) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens").join(format!("{name}.txt"));
    let now = text(&mut scene.app, size);
    if env::var_os("UPDATE_SCREENS").is_some() {
        fs::write(&path, &now).expect("the file can be written");
        return;
    }
    let before = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        before == now,
        "{name} has changed (UPDATE_SCREENS=1 accepts it):\n{}",
        difference(&before, &now)
    );
}

/// Lines that differ, with their numbers.
fn difference(before: &str, now: &str) -> String {
    let (before, now): (Vec<_>, Vec<_>) = (before.lines().collect(), now.lines().collect());
    (0..before.len().max(now.len()))
        .filter(|line| before.get(*line) != now.get(*line))
        .map(|line| {
            let show = |lines: &[&str]| lines.get(line).copied().unwrap_or("").to_owned();
            format!("{:>3} - {}\n    + {}\n", line + 1, show(&before), show(&now))
        })
        .collect()
}

#[test]
fn queues() {
    check("queues-empty", Scene::new(PLAIN).run(1));
    check("queues-healthy", &mut fixture::healthy(PLAIN));
    check("queues-overflowing", &mut fixture::overflowing(PLAIN));
    check("queues-sharded", &mut fixture::sharded(PLAIN));
    check("queues-degraded", &mut fixture::degraded(PLAIN));
}

#[test]
fn journey() {
    let mut scene = fixture::overflowing(PLAIN);
    press(&mut scene, &[KeyCode::Char('2')]);
    check("journey-overflowing", &mut scene);
    press(&mut scene, &[KeyCode::Enter]);
    check("journey-line-of-time", &mut scene);
}

#[test]
fn workers() {
    let mut scene = fixture::handed_over(PLAIN);
    press(&mut scene, &[KeyCode::Char('3')]);
    check("workers-handed-over", &mut scene);
    let mut scene = fixture::sharded(PLAIN);
    press(&mut scene, &[KeyCode::Char('3')]);
    check("workers-sharded", &mut scene);
}

#[test]
fn connections() {
    let mut scene = fixture::handed_over(PLAIN);
    press(&mut scene, &[KeyCode::Char('4')]);
    check("connections", &mut scene);
}

#[test]
fn pattern() {
    let mut scene = fixture::overflowing(PLAIN);
    press(&mut scene, &[KeyCode::Char('5')]);
    check("pattern", &mut scene);
    let mut scene = fixture::healthy(PLAIN);
    press(&mut scene, &[KeyCode::Char('5')]);
    check("pattern-without-backend", &mut scene);
}

#[test]
fn probes() {
    let mut scene = fixture::degraded(PLAIN);
    press(&mut scene, &[KeyCode::Char('6')]);
    check("probes-degraded", &mut scene);
}
