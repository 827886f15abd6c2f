//! No size of terminal and no sequence of keys makes the screen panic.

use observer::view::{Effect, Options};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use crate::fixture::Scene;
use crate::{PLAIN, buffer, press, scenes};

/// A generator of chance that gives the same in every run (xorshift).
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

const KEYS: &[KeyCode] = &[
    KeyCode::Up,
    KeyCode::Down,
    KeyCode::Left,
    KeyCode::Right,
    KeyCode::Enter,
    KeyCode::Esc,
    KeyCode::Tab,
    KeyCode::BackTab,
    KeyCode::Home,
    KeyCode::End,
    KeyCode::PageUp,
    KeyCode::PageDown,
    KeyCode::Backspace,
    KeyCode::Delete,
    KeyCode::F(1),
];

#[test]
fn no_size_is_too_odd() {
    let all: [fn(Options) -> Scene; 5] = [
        |options| {
            let mut scene = Scene::new(options);
            scene.run(1);
            scene
        },
        scenes::overflowing,
        scenes::sharded,
        scenes::handed_over,
        scenes::degraded,
    ];
    for new in all {
        let mut scene = new(Options::default());
        for key in "123456".chars() {
            press(&mut scene, &[KeyCode::Char(key)]);
            for size in (1..=40).flat_map(|width| (1..=20).map(move |height| (width, height))) {
                buffer(&mut scene.app, size);
            }
            // Around the least size, and far beyond any terminal.
            for width in [63, 64, 65, 79, 80, 81, 117, 118] {
                for height in [15, 16, 17, 19, 20, 21] {
                    buffer(&mut scene.app, (width, height));
                }
            }
            buffer(&mut scene.app, (500, 3));
            buffer(&mut scene.app, (64, 300));
            buffer(&mut scene.app, (600, 100));
        }
    }
}

#[test]
fn no_sequence_of_keys_is_too_odd() {
    let mut chance = Chance(0x2545_F491_4F6C_DD1D);
    for round in 0..16 {
        let mut scene = match round % 4 {
            0 => scenes::overflowing(Options::default()),
            1 => scenes::sharded(Options::default()),
            2 => scenes::degraded(PLAIN),
            _ => scenes::handed_over(Options { ascii: true, ..Options::default() }),
        };
        for _ in 0..200 {
            let key = match chance.next(3) {
                0 => KeyCode::Char(char::from(b' ' + chance.next(95) as u8)),
                _ => KEYS[chance.next(KEYS.len() as u64) as usize],
            };
            let modifiers = if chance.next(12) == 0 { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
            for effect in scene.app.key(KeyEvent::new(key, modifiers)) {
                if matches!(effect, Effect::Demo(_)) && chance.next(2) == 0 {
                    scene.app.demo_reply(Err("no".to_owned()));
                }
            }
            let size = (1 + chance.next(220) as u16, 1 + chance.next(70) as u16);
            scene.app.mouse(MouseEvent {
                kind: MouseEventKind::Down(MouseButton::Left),
                column: chance.next(220) as u16,
                row: chance.next(70) as u16,
                modifiers: KeyModifiers::NONE,
            });
            buffer(&mut scene.app, size);
            match chance.next(20) {
                0 => drop(scene.run(1)),
                // Listeners come and go under whatever is chosen.
                1 => drop(scene.sources.pop()),
                2 => drop(scene.listener(1_000 + chance.next(5), "[::1]:9", chance.next(3) as u32, 40, 40)),
                3 => scene.lose_the_backend(),
                _ => {}
            }
        }
    }
}
