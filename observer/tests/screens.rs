//! What the screen looks like, compared character by character with files; and that nothing makes it panic.
//!
//! `UPDATE_SCREENS=1 cargo test -p observer --test screens` writes the files anew. Read the difference before it is
//! committed: it is what people will see.

#![expect(clippy::expect_used, reason = "a test that fails does so with a panic, helpers included")]

#[path = "screens/connections.rs"]
mod connections;
#[path = "screens/document.rs"]
mod document;
#[path = "screens/fixture.rs"]
mod fixture;
#[path = "screens/keys.rs"]
mod keys;
#[path = "screens/machine.rs"]
mod machine;
#[path = "screens/oddities.rs"]
mod oddities;
#[path = "screens/playback.rs"]
mod playback;
#[path = "screens/scenes.rs"]
mod scenes;

use std::{env, fs, path::Path};

use fixture::Scene;
use observer::view::{App, Depth, Options, Theme};
use ratatui::crossterm::event::KeyCode;
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer, style::Color};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];
const PLAIN: Options = Options { theme: Theme::DEFAULT, depth: Depth::None, ascii: false };

/// The screen as it is drawn.
fn buffer(app: &mut App, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test backend cannot fail");
    terminal.draw(|frame| app.draw(frame)).expect("a test backend cannot fail");
    terminal.backend().buffer().clone()
}

/// The screen as text, without blanks at the ends of lines.
fn text(app: &mut App, (width, height): (u16, u16)) -> String {
    let buffer = buffer(app, (width, height));
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

/// Types text; `\n` is Enter.
fn type_in(scene: &mut Scene, text: &str) {
    for letter in text.chars() {
        let key = if letter == '\n' { KeyCode::Enter } else { KeyCode::Char(letter) };
        scene.app.key(key.into());
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
    let mut scene = Scene::new(PLAIN);
    scene.listening = scenes::unwatched();
    check("queues-unwatched", scene.run(3));
    check("queues-healthy", &mut scenes::healthy(PLAIN));
    check("queues-overflowing", &mut scenes::overflowing(PLAIN));
    check("queues-sharded", &mut scenes::sharded(PLAIN));
    check("queues-degraded", &mut scenes::degraded(PLAIN));
    let mut scene = scenes::overflowing(PLAIN);
    press(&mut scene, &[KeyCode::Char('w')]);
    check("queues-why", &mut scene);
}

#[test]
fn earlier_moments() {
    let mut scene = scenes::overflowing(PLAIN);
    // From 44 s in the overload to 33 s, when there was none.
    press(&mut scene, &[KeyCode::Char('['); 11]);
    check("queues-earlier", &mut scene);
    press(&mut scene, &[KeyCode::Char('2')]);
    check("journey-earlier", &mut scene);
}

#[test]
fn a_closed_listener_stays_for_a_minute() {
    let mut scene = scenes::overflowing(PLAIN);
    // The place of a listener that was chosen is taken by whoever listens there next.
    text(&mut scene.app, (80, 24));
    press(&mut scene, &[KeyCode::Home]);
    scene.listener(40, "127.0.0.1:8080", 64, 100, 400);
    scene.run(1);
    scene.close(17);
    scene.run(3);
    let after = text(&mut scene.app, (120, 40));
    let row = after.lines().find(|line| line.starts_with("▶127.0.0.1:8080 ")).unwrap_or_default();
    assert!(row.contains("✓ healthy"), "{after}");
    press(&mut scene, &[KeyCode::End]);
    scene.run(1);
    check("queues-closed", &mut scene);
    scene.run(54);
    assert!(text(&mut scene.app, (80, 24)).contains("closed"));
    scene.run(3);
    assert!(!text(&mut scene.app, (80, 24)).contains("closed"));
}

#[test]
fn journey() {
    let mut scene = scenes::overflowing(PLAIN);
    press(&mut scene, &[KeyCode::Char('2')]);
    check("journey-overflowing", &mut scene);
    press(&mut scene, &[KeyCode::Enter]);
    check("journey-line-of-time", &mut scene);
}

#[test]
fn workers() {
    let mut scene = scenes::handed_over(PLAIN);
    press(&mut scene, &[KeyCode::Char('3')]);
    check("workers-handed-over", &mut scene);
    let mut scene = scenes::sharded(PLAIN);
    press(&mut scene, &[KeyCode::Char('3')]);
    check("workers-sharded", &mut scene);
    let mut scene = scenes::prefork(PLAIN);
    press(&mut scene, &[KeyCode::Char('3')]);
    check("workers-prefork", &mut scene);
}

#[test]
fn connections() {
    let mut scene = scenes::handed_over(PLAIN);
    press(&mut scene, &[KeyCode::Char('4')]);
    check("connections", &mut scene);
}

#[test]
fn pattern() {
    let mut scene = scenes::overflowing(PLAIN);
    press(&mut scene, &[KeyCode::Char('5')]);
    check("pattern", &mut scene);
    let mut scene = scenes::healthy(PLAIN);
    press(&mut scene, &[KeyCode::Char('5')]);
    check("pattern-without-backend", &mut scene);
}

#[test]
fn probes() {
    let mut scene = scenes::degraded(PLAIN);
    press(&mut scene, &[KeyCode::Char('6')]);
    check("probes-degraded", &mut scene);
}

#[test]
fn help() {
    let mut scene = scenes::overflowing(PLAIN);
    press(&mut scene, &[KeyCode::Char('?')]);
    check("help-queues", &mut scene);
}

#[test]
fn too_small() {
    let mut scene = scenes::overflowing(PLAIN);
    check_size("too-small-40x10", &mut scene, (40, 10));
}

#[test]
fn ascii() {
    let mut scene = scenes::overflowing(Options { ascii: true, ..PLAIN });
    check_size("ascii-80x24", &mut scene, (80, 24));
    for key in "123456?".chars() {
        press(&mut scene, &[KeyCode::Char(key)]);
        let text = text(&mut scene.app, (120, 40));
        assert!(text.is_ascii(), "{text}");
    }
}

#[test]
fn without_colour_there_is_none_and_the_text_is_the_same() {
    let mut plain = scenes::overflowing(PLAIN);
    let mut coloured = scenes::overflowing(Options::default());
    let mut colours = 0;
    for key in "123456".chars() {
        press(&mut plain, &[KeyCode::Char(key)]);
        press(&mut coloured, &[KeyCode::Char(key)]);
        let is_coloured = |cell: &&ratatui::buffer::Cell| cell.fg != Color::Reset || cell.bg != Color::Reset;
        assert_eq!(buffer(&mut plain.app, (120, 40)).content.iter().filter(is_coloured).count(), 0);
        colours += buffer(&mut coloured.app, (120, 40)).content.iter().filter(is_coloured).count();
        assert_eq!(text(&mut plain.app, (120, 40)), text(&mut coloured.app, (120, 40)));
    }
    assert!(colours > 100);
}

#[test]
fn every_theme_says_the_same_on_a_background_of_its_own() {
    let mut plain = scenes::overflowing(PLAIN);
    let words = text(&mut plain.app, (120, 40));
    for depth in [Depth::Sixteen, Depth::Indexed, Depth::Full] {
        let mut scene = scenes::overflowing(Options { depth, ..PLAIN });
        for theme in Theme::all() {
            assert_eq!(text(&mut scene.app, (120, 40)).lines().next(), words.lines().next());
            let screen = buffer(&mut scene.app, (120, 40));
            let own = theme != Theme::DEFAULT;
            assert!(screen.content.iter().all(|cell| (cell.bg != Color::Reset) == own), "{}", theme.name());
            let of_sixteen = |colour: Color| !matches!(colour, Color::Rgb(..) | Color::Indexed(_));
            let sixteen = screen.content.iter().all(|cell| of_sixteen(cell.fg) && of_sixteen(cell.bg));
            assert_eq!(sixteen, depth == Depth::Sixteen || !own);
            press(&mut scene, &[KeyCode::Char('t')]);
        }
        assert!(text(&mut scene.app, (80, 24)).contains("✓ theme terminal"));
    }
    press(&mut plain, &[KeyCode::Char('t')]);
    assert!(text(&mut plain.app, (80, 24)).contains("! no colours here"));
}
