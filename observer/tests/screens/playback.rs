//! What a replay and a recording look like.

use observer::source::{Control, Origin, Position};
use observer::view::{Effect, Options};
use ratatui::crossterm::event::KeyCode;

use crate::{PLAIN, check, check_size, keys::click_on, scenes, text, type_in};

const MINUTE_NS: u64 = 60_000_000_000;

fn at(position_ns: u64, plays: bool) -> Origin {
    Origin::Replayed(Position { position_ns, length_ns: 60 * MINUTE_NS, speed: 4, plays })
}

#[test]
fn a_replay_has_a_row_of_its_own() {
    let mut scene = scenes::overflowing(PLAIN);
    scene.app.comes_from(at(15 * MINUTE_NS, true));
    check("queues-replayed", &mut scene);
    scene.app.comes_from(at(60 * MINUTE_NS, false));
    let end = text(&mut scene.app, (80, 24));
    assert!(
        end.contains("■ replay, at its end 00:00:45") && end.contains("■ end 01:00:00 / 01:00:00"),
        "{end}"
    );
    scene.app.comes_from(at(30 * MINUTE_NS, false));
    let stopped = text(&mut scene.app, (80, 24));
    assert!(stopped.contains("■ replay 00:00:45") && stopped.contains("■ 00:30:00 / 01:00:00"), "{stopped}");
    assert!(stopped.contains("space play"), "{stopped}");
    check_size("too-small-40x10", &mut scene, (40, 10));
    let mut scene = scenes::overflowing(Options { ascii: true, ..PLAIN });
    scene.app.comes_from(at(15 * MINUTE_NS, true));
    assert!(text(&mut scene.app, (120, 40)).is_ascii());
}

#[test]
fn its_keys_are_pressed_and_clicked() {
    let mut scene = scenes::overflowing(PLAIN);
    scene.app.comes_from(at(15 * MINUTE_NS, true));
    let asked = |effects: Vec<Effect>| match effects.as_slice() {
        [Effect::Replay(control)] => Some(*control),
        _ => None,
    };
    for (key, place, control) in [
        (' ', "space stop", Control::Play),
        (',', ", . step", Control::StepBack),
        ('.', ". step", Control::StepOn),
        ('[', "[ ] 10 s", Control::Move(-10)),
        (']', "] 10 s", Control::Move(10)),
        ('{', "{ } 1 min", Control::Move(-60)),
        ('}', "} 1 min", Control::Move(60)),
        ('<', "< > speed", Control::Slower),
        ('>', "> speed", Control::Faster),
    ] {
        assert_eq!(asked(scene.app.key(KeyCode::Char(key).into())), Some(control));
        assert_eq!(asked(click_on(&mut scene, place)), Some(control), "{place}");
    }
    // Who types is typing.
    type_in(&mut scene, "/ >");
    assert!(text(&mut scene.app, (80, 24)).contains("/  >▏"));
    // Live they mean something else.
    let mut scene = scenes::overflowing(PLAIN);
    assert!(scene.app.key(KeyCode::Char(' ').into()).is_empty());
}

#[test]
fn odd_places_in_a_recording() {
    let mut scene = scenes::healthy(PLAIN);
    for (position_ns, length_ns) in [(0, 0), (1, 0), (u64::MAX, 1), (u64::MAX, u64::MAX)] {
        let speed = u16::MAX;
        scene.app.comes_from(Origin::Replayed(Position { position_ns, length_ns, speed, plays: true }));
        for size in [(64, 16), (80, 24), (500, 200)] {
            text(&mut scene.app, size);
        }
    }
}

#[test]
fn a_recording_is_asked_for_with_one_key_and_shown() {
    let mut scene = scenes::overflowing(PLAIN);
    let effects = scene.app.key(KeyCode::Char('R').into());
    assert!(matches!(effects.as_slice(), [Effect::Record]), "{effects:?}");
    scene.app.tell(Ok("recording into observer-1.rec; R ends it".to_owned()));
    scene.app.comes_from(Origin::Recorded(12_345_678));
    let text = text(&mut scene.app, (80, 24));
    assert!(text.contains("✓ recording into observer-1.rec") && text.contains("● REC 11.8 MiB"), "{text}");
}

#[test]
fn what_is_forgotten_is_waited_for_anew() {
    let mut scene = scenes::overflowing(PLAIN);
    scene.app.forget();
    assert!(text(&mut scene.app, (80, 24)).contains("waiting for the first figures"));
    scene.run(1);
    assert!(text(&mut scene.app, (80, 24)).contains("OVERFLOWING"));
}
