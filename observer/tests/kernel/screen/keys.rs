//! Every key on every screen, clicks, and sizes from nothing to huge, while connections come and go.

use super::under_load;
use crate::{
    directory::Directory,
    namespace::{THE_SAME, natively},
    pty::{SIZE, Window, live},
    waiting::is_emulated,
};

/// Keys that are more than a letter, but for Esc.
const NAMED: &[&[u8]] = &[
    b"\r",
    b"\t",
    b"\x7f",
    b"\x1b[A",
    b"\x1b[B",
    b"\x1b[C",
    b"\x1b[D",
    b"\x1b[5~",
    b"\x1b[6~",
    b"\x1b[H",
    b"\x1b[F",
    b"\x1b[3~",
    b"\x1b[Z",
    b"\x1bOP",
    b"\x01",
    "é".as_bytes(),
    "語".as_bytes(),
];

/// What can be open when a key is pressed: nothing, or what this key opens; and whether the next letter closes it.
const OPEN: &[(&[u8], bool)] = &[
    (b"", false),
    (b"/", false),
    (b"?", true),
    (b"\r", true),
    (b"s", false),
    (b"x", false),
    (b"[", false),
    (b"p", true),
];

/// Sizes with the least room, with much of it, and with much in one direction only.
const SIZES: &[(u16, u16)] = &[(1, 1), (500, 200), (64, 16), (63, 200), (20, 300), (500, 1), (1, 200), SIZE];

/// Presses Esc until nothing is open any more.
fn leaves_everything(window: &Window) {
    for _ in 0..3 {
        window.presses(b"\x1b");
    }
}

/// Has the screen drawn anew: all of it, or as much as there is room for of `1×1 is too small`.
#[track_caller]
fn drawn_anew(window: &Window, (columns, rows): (u16, u16)) {
    let is_enough = columns >= 64 && rows >= 16;
    window.is_drawn_anew("the screen", |text| {
        if is_enough { text.contains(" 1 Queues ") } else { !text.trim().is_empty() }
    });
}

/// Letters and signs; on an emulated machine some of them. `q` quits, and digits show another screen.
fn letters() -> Vec<u8> {
    let is_tried = |key: &u8| !is_emulated() || key.is_multiple_of(9) || b"xR".contains(key);
    (b' '..=b'~').filter(|key| *key != b'q' && !key.is_ascii_digit()).filter(is_tried).collect()
}

#[test]
fn every_key_on_every_screen() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        under_load(|| {
            let window = Window::open(live(&directory.0));
            window.shows(" 1 Queues ");
            let letters = letters();
            for screen in b"123456" {
                for (open, closes) in OPEN {
                    leaves_everything(&window);
                    window.types(&[*screen]);
                    NAMED.iter().for_each(|key| window.types(&[open, *key].concat()));
                    window.types(open);
                    let before = if *closes { *open } else { b"" };
                    letters.iter().for_each(|key| window.types(&[before, &[*key]].concat()));
                    window.presses(&[open, b"7089".as_slice()].concat());
                }
                leaves_everything(&window);
                drawn_anew(&window, SIZE);
            }
            window.presses(b"q");
            let said = window.ends_with(0);
            // `R` was pressed, perhaps an odd number of times.
            assert!(said.is_empty() || said.contains(".rec; observer replay shows them"), "{said}");
        });
        let pictures = (directory.files("txt").len(), directory.files("svg").len());
        assert!(pictures.0 > 0 && pictures.0 == pictures.1, "{pictures:?}");
        assert!(!directory.files("rec").is_empty());
    });
}

#[test]
fn clicks_everywhere() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        under_load(|| {
            let window = Window::open(live(&directory.0));
            window.shows(" 1 Queues ");
            window.presses(b"m");
            window.shows("mouse on");
            let step = if is_emulated() { 7 } else { 1 };
            for screen in b"123456" {
                for open in [&b""[..], b"/", b"?", b"\r"] {
                    leaves_everything(&window);
                    window.types(&[&[*screen], open].concat());
                    // Not where `q` stands: at the left of the help, at the right of the footer.
                    for row in (1..=SIZE.1 + 1).step_by(step) {
                        for column in (4..if row == SIZE.1 { 26 } else { 70 }).step_by(13) {
                            window.types(format!("\x1b[<0;{column};{row}M").as_bytes());
                        }
                    }
                    for odd in
                        ["<0;4;4m", "<64;9;9M", "<65;9;9M", "<2;9;9M", "<32;9;9M", "<35;1;1M", "<0;999;999M"]
                    {
                        window.types(format!("\x1b[{odd}").as_bytes());
                    }
                }
            }
            leaves_everything(&window);
            drawn_anew(&window, SIZE);
            window.presses(b"q");
            window.ends_with(0);
        });
    });
}

#[test]
fn every_size_on_every_screen() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        under_load(|| {
            let window = Window::open(live(&directory.0));
            window.shows(" 1 Queues ");
            for screen in b"123456" {
                for open in [&b""[..], b"/", b"?", b"\r"] {
                    leaves_everything(&window);
                    window.presses(&[&[*screen], open].concat());
                    for (columns, rows) in SIZES {
                        window.resizes(*columns, *rows);
                        drawn_anew(&window, (*columns, *rows));
                    }
                }
            }
            // Faster than it can draw.
            for round in 0..200 {
                window.resizes(1 + round * 7 % 130, 1 + round * 5 % 50);
            }
            window.resizes(SIZE.0, SIZE.1);
            leaves_everything(&window);
            drawn_anew(&window, SIZE);
            window.presses(b"q");
            assert_eq!(window.ends_with(0), "");
        });
    });
}
