//! Files that are cut, changed, foreign, or made on purpose to do harm.

use std::panic::{AssertUnwindSafe, catch_unwind};

use miniz_oxide::deflate::compress_to_vec;

use super::{
    super::{
        file::Recording,
        format::{FRAME_HEADER, Frame, Kind, MAGIC, PREAMBLE, VERSION},
    },
    TestFile, played, recorded, replayed,
    story::{Chance, story},
};
use crate::{engine::Player, outputs::stream::Stream};

/// The error of a file that cannot be opened.
#[track_caller]
fn refused(bytes: &[u8]) -> String {
    let file = TestFile::holding(bytes);
    format!("{:#}", Player::open(&file.0).err().unwrap())
}

#[test]
fn foreign_files_are_named_so() {
    for (bytes, says) in [
        (&b""[..], "it is empty"),
        (b"hello", "no recording of observer"),
        (&[0; 4096], "no recording of observer"),
        (b"\x7fELF and so on, and on, and on", "no recording of observer"),
        (&MAGIC[..5], "ends at byte 5"),
        (&MAGIC, "ends at byte 8"),
    ] {
        let error = refused(bytes);
        assert!(error.contains(says), "{bytes:?}: {error}");
    }
    let error = format!("{:#}", Player::open("/nowhere/at/all".as_ref()).err().unwrap());
    assert!(error.contains("/nowhere/at/all: No such file"), "{error}");
    let error = format!("{:#}", Player::open("/dev/null".as_ref()).err().unwrap());
    assert!(error.contains("not a regular file"), "{error}");
}

#[test]
fn a_newer_format_is_refused_by_its_number() {
    let mut bytes = recorded(&story(1, 2), true);
    bytes[8] = VERSION as u8 + 1;
    let error = refused(&bytes);
    assert!(error.contains(&format!("version {}", VERSION + 1)) && error.contains("byte 8"), "{error}");
}

#[test]
fn lengths_are_not_believed() {
    let whole = recorded(&story(1, 2), true);
    let mut bytes = whole.clone();
    bytes[12..16].fill(0xff);
    assert!(refused(&bytes).contains("claims 4294967295 bytes (byte 12)"));
    // A header whose checksum is right, so that only the limit stands between the claim and the memory.
    let first = PREAMBLE + u32::from_le_bytes(whole[12..16].try_into().unwrap()) as usize;
    for (stored, unpacked) in [(u32::MAX, 0), (0, u32::MAX)] {
        let frame = Frame { kind: Kind::State, stored, unpacked, connections: 0, checksum: 0, time_ns: 1 };
        let mut bytes = whole.clone();
        bytes[first..first + FRAME_HEADER].copy_from_slice(&frame.to_bytes());
        let error = refused(&bytes);
        assert!(
            error.contains("claims 4294967295 bytes") && error.contains(&format!("byte {first}")),
            "{error}"
        );
    }
    // What unpacks to more than it claims.
    let bomb = compress_to_vec(&vec![0; 64 << 20], 9);
    let error = replay_with(&whole, first, Frame { unpacked: 100, ..frame_of(&bomb) }, &bomb).unwrap_err();
    assert!(error.contains("cannot be unpacked") && error.contains(&format!("byte {first}")), "{error}");
}

fn frame_of(stored: &[u8]) -> Frame {
    Frame {
        kind: Kind::State,
        stored: stored.len() as u32,
        unpacked: 1 << 20,
        connections: 0,
        checksum: crc32fast::hash(stored),
        time_ns: 1,
    }
}

/// Replays the beginning of a recording and one frame more.
fn replay_with(whole: &[u8], first: usize, frame: Frame, stored: &[u8]) -> Result<(), String> {
    let file = TestFile::holding(&[&whole[..first], &frame.to_bytes(), stored].concat());
    let mut player = Player::open(&file.0).map_err(|error| format!("{error:#}"))?;
    played(&mut player).1.map_err(|error| format!("{error:#}"))
}

#[test]
fn a_cut_anywhere_replays_up_to_the_cut() {
    let bytes = recorded(&story(2, 3), true);
    let whole = replayed(&bytes);
    let mut replays = 0;
    for length in 0..bytes.len() {
        let file = TestFile::holding(&bytes[..length]);
        let Ok(mut player) = Player::open(&file.0) else { continue };
        let (seen, outcome) = played(&mut player);
        outcome.unwrap();
        replays += 1;
        assert_eq!(seen.snapshots, whole.snapshots[..seen.snapshots.len()], "cut at {length}");
        assert_eq!(seen.connections, whole.connections[..seen.connections.len()], "cut at {length}");
        assert_eq!(player.source().remarks().len(), 1, "it says that it is cut at {length}");
    }
    assert!(replays > bytes.len() / 4, "{replays} of {}", bytes.len());
}

#[test]
fn thousands_of_changes_end_in_an_error_that_names_the_place() {
    let bytes = recorded(&story(4, 2), true);
    let whole = replayed(&bytes);
    let mut chance = Chance::new(1);
    for round in 0..3_000 {
        let mut changed = bytes.clone();
        for _ in 0..=chance.below(3) {
            let at = chance.below(changed.len() as u64) as usize;
            match chance.below(4) {
                0 => changed[at] ^= 1 << chance.below(8),
                1 => changed[at] = chance.below(256) as u8,
                2 => changed.truncate(at.max(1)),
                _ => {
                    let other = chance.below(changed.len() as u64) as usize;
                    changed.swap(at, other);
                }
            }
        }
        let file = TestFile::holding(&changed);
        let player = catch_unwind(|| Player::open(&file.0));
        match player.unwrap_or_else(|_| panic!("round {round} panicked")) {
            Err(error) => {
                let error = format!("{error:#}");
                let named = ["byte", "nothing was recorded"].iter().any(|word| error.contains(word));
                assert!(named, "round {round}: {error}");
            }
            Ok(mut player) => {
                let (seen, outcome) = catch_unwind(AssertUnwindSafe(|| played(&mut player)))
                    .unwrap_or_else(|_| panic!("round {round} panicked"));
                // What was shown before the damage is what was recorded.
                assert_eq!(seen.snapshots, whole.snapshots[..seen.snapshots.len()], "round {round}");
                if let Err(error) = outcome {
                    assert!(format!("{error:#}").contains("byte"), "round {round}: {error:#}");
                }
            }
        }
    }
}

#[test]
fn whoever_computes_checksums_brings_nothing_down_either() {
    let whole = recorded(&story(6, 2), true);
    let file = TestFile::holding(&whole);
    let recording = Recording::open(&file.0).unwrap();
    let frames: Vec<(Frame, Vec<u8>)> = recording
        .frames()
        .iter()
        .map(|indexed| {
            let begin = indexed.offset as usize + FRAME_HEADER;
            let stored = &whole[begin..begin + indexed.frame.stored as usize];
            (indexed.frame, miniz_oxide::inflate::decompress_to_vec(stored).unwrap())
        })
        .collect();
    let first = recording.frames()[0].offset as usize;
    let mut chance = Chance::new(2);
    for round in 0..2_000 {
        let mut bytes = whole[..first].to_vec();
        for (frame, contents) in &frames {
            let mut contents = contents.clone();
            for _ in 0..chance.below(4) {
                let at = chance.below(contents.len() as u64) as usize;
                contents[at] = chance.below(256) as u8;
            }
            let stored = compress_to_vec(&contents, 1);
            let unpacked = contents.len() as u32;
            let frame = Frame {
                time_ns: frame.time_ns,
                kind: frame.kind,
                connections: frame.connections,
                unpacked,
                ..frame_of(&stored)
            };
            bytes.extend(frame.to_bytes());
            bytes.extend(stored);
        }
        let file = TestFile::holding(&bytes);
        let outcome = catch_unwind(|| {
            let mut player = Player::open(&file.0).unwrap();
            let mut stream = Stream::new(Vec::new());
            let _ = player.play(&mut stream);
        });
        assert!(outcome.is_ok(), "round {round} panicked");
    }
}
