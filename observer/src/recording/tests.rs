//! What is recorded comes back, whatever happens to the file.

mod damage;
mod story;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use super::{
    codec::{Decoder, Encoder},
    recorder::{Recorder, Target},
};
use crate::engine::{Engine, Player, Stepped};
use crate::model::{
    Model,
    bounds::Bounds,
    connection,
    event::Event,
    snapshot::{Connection, Meta, Snapshot},
};
use crate::outputs::report::Report;
use crate::source::{Control, Due, Source as _, playback::Playback, recorded::Recorded};
use story::{Step, story};

/// A file of this test alone, gone with it.
struct TestFile(PathBuf);

impl TestFile {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("observer-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    fn holding(bytes: &[u8]) -> Self {
        let file = Self::new();
        fs::write(&file.0, bytes).unwrap();
        file
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// When open connections are read, after all else.
const OPEN_NS: u64 = 1 << 60;

/// A recording of these steps, as bytes.
fn recorded(steps: &[Step], connections: bool) -> Vec<u8> {
    let file = TestFile::new();
    let target = Target::create(&file.0, connections, false).unwrap();
    let mut recorder = Recorder::begin(target, &Meta::default(), 1, None).unwrap();
    for step in steps {
        match step {
            Step::Event(event) => recorder.event(event).unwrap(),
            Step::Snapshot(time_ns) => recorder.snapshot(*time_ns).unwrap(),
        }
    }
    let open = story::connection(99, 7);
    recorder.open(OPEN_NS, &open).unwrap();
    recorder.end().unwrap();
    fs::read(&file.0).unwrap()
}

/// What outputs were told, as text.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    connections: Vec<String>,
    snapshots: Vec<String>,
}

impl Seen {
    fn snapshot(&mut self, snapshot: &Snapshot) {
        self.snapshots.push(format!("{snapshot:?}"));
    }

    fn connection(&mut self, connection: &Connection) {
        self.connections.push(format!("{connection:?}"));
    }
}

/// What the model makes of these steps without a recording in between.
fn live(steps: &[Step]) -> Seen {
    let (mut model, mut seen) = (Model::default(), Seen::default());
    for step in steps {
        match step {
            Step::Event(event) => {
                if let Some(connection) = model.apply(event.clone()) {
                    seen.connection(&connection);
                }
            }
            Step::Snapshot(time_ns) => seen.snapshot(&model.snapshot(*time_ns)),
        }
    }
    seen
}

/// The snapshots alone.
fn snapshots(steps: &[Step]) -> Vec<Snapshot> {
    let mut model = Model::default();
    let snapshot = |step: &Step| match step {
        Step::Event(event) => {
            model.apply(event.clone());
            None
        }
        Step::Snapshot(time_ns) => Some(model.snapshot(*time_ns)),
    };
    steps.iter().filter_map(snapshot).collect()
}

/// Plays to the end, or to an error.
fn played(player: &mut Player) -> (Seen, anyhow::Result<()>) {
    let mut seen = Seen::default();
    loop {
        let mut connections = Vec::new();
        let next = player.advance(&mut |connection| connections.push(connection.clone()));
        connections.iter().for_each(|connection| seen.connection(connection));
        match next {
            Ok(Some(snapshot)) => seen.snapshot(&snapshot),
            Ok(None) => return (seen, Ok(())),
            Err(error) => return (seen, Err(error)),
        }
    }
}

fn replayed(bytes: &[u8]) -> Seen {
    let file = TestFile::holding(bytes);
    let (seen, outcome) = played(&mut Player::open(&file.0).unwrap());
    outcome.unwrap();
    seen
}

#[test]
fn every_event_comes_back_as_it_was() {
    let events: Vec<Event> = story(3, 40).into_iter().filter_map(Step::event).collect();
    let mut encoder = Encoder::default();
    events.iter().for_each(|event| encoder.event(event).unwrap());
    let bytes = encoder.take();
    let mut decoder = Decoder::new(bytes);
    for event in &events {
        let back = decoder.event().unwrap().unwrap();
        assert_eq!(format!("{back:?}"), format!("{event:?}"));
    }
    assert!(decoder.event().unwrap().is_none());
    let kinds: std::collections::BTreeSet<String> = events
        .iter()
        .map(|event| format!("{event:?}").chars().take_while(|c| c.is_alphabetic()).collect())
        .collect();
    assert_eq!(kinds.len(), 16, "the story tells every kind of event: {kinds:?}");
}

#[test]
fn live_and_replay_are_the_same() {
    let steps = story(5, 200);
    assert_eq!(replayed(&recorded(&steps, true)), live(&steps));
}

#[test]
fn without_connections_all_figures_are_the_same() {
    let steps = story(7, 100);
    let expected = snapshots(&steps).pop().unwrap();
    assert!(!expected.recent.is_empty() && !expected.listeners.is_empty());
    let file = TestFile::holding(&recorded(&steps, false));
    let mut player = Player::open(&file.0).unwrap();
    let remarks = player.source().remarks();
    assert!(remarks[0].contains("without connections"), "{remarks:?}");
    let mut last = None;
    while let Some(snapshot) = player.advance(&mut |_| panic!("a connection")).unwrap() {
        last = Some(snapshot);
    }
    let expected = Snapshot { recent: Vec::new(), slowest: Vec::new(), ..expected };
    assert_eq!(format!("{:?}", last.unwrap()), format!("{expected:?}"));
}

/// Takes what is due, and returns the last of it.
fn caught_up(engine: &mut Engine<Playback>) -> Option<Arc<Snapshot>> {
    let mut shown = None;
    while engine.source().due() == Due::Now {
        if let Stepped::Known(snapshot) = engine.step(&mut |_| {}).unwrap() {
            shown = Some(snapshot);
        }
    }
    shown
}

#[test]
fn a_seek_shows_what_playing_would() {
    let steps = story(11, 400);
    // But for the slowest: one may be there that had been pushed off the list for one that is not on it any more.
    let but_the_slowest =
        |snapshot: &Snapshot| format!("{:?}", Snapshot { slowest: Vec::new(), ..snapshot.clone() });
    let played: Vec<String> = snapshots(&steps).iter().map(but_the_slowest).collect();
    let file = TestFile::holding(&recorded(&steps, true));
    let recorded = Recorded::open_within(&file.0, Bounds::default()).unwrap();
    let (first, last) = recorded.span_ns();
    let mut engine = Engine::new(Playback::new(recorded, 1, false));
    for instant in [last, first, first + (last - first) / 3, 0, u64::MAX, first + (last - first) / 2] {
        engine.source_mut().seek(instant);
        let there = caught_up(&mut engine).unwrap();
        let second = (instant.clamp(first, last) - first) / 1_000_000_000;
        assert_eq!(there.time_ns, first + second * 1_000_000_000);
        assert_eq!(but_the_slowest(&there), played[second as usize], "a seek to {instant}");
        assert_eq!(there.slowest.is_empty(), there.recent.is_empty());
    }
    // From there on it plays as ever.
    engine.source_mut().control(Control::StepOn);
    let next = caught_up(&mut engine).unwrap();
    assert!(played.contains(&but_the_slowest(&next)));
}

#[test]
fn connections_that_are_open_at_the_end() {
    let file = TestFile::holding(&recorded(&story(1, 5), true));
    let mut open = Vec::new();
    let mut recorded = Recorded::open_within(&file.0, Bounds::default()).unwrap();
    recorded
        .open(&mut |time_ns, record| {
            open.push((time_ns, connection::of(record, true).remote.port()));
            Ok(())
        })
        .unwrap();
    assert_eq!(open, [(OPEN_NS, 99)]);
}

#[test]
fn a_report_of_it_is_a_page() {
    let file = TestFile::holding(&recorded(&story(13, 60), true));
    let mut player = Player::open(&file.0).unwrap();
    let mut report = Report::default();
    player.play(&mut report).unwrap();
    let page = report.draw(&[]);
    crate::html::tests::check(&page);
    for part in ["änd so on/7", "demo-server/6", "full at", "Longest waits", "passive_opens"] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn what_is_there_is_not_replaced_unless_asked() {
    let file = TestFile::holding(b"a letter");
    let error = Target::create(&file.0, true, false).unwrap_err().to_string();
    assert!(error.contains("--force"), "{error}");
    assert_eq!(fs::read(&file.0).unwrap(), b"a letter");
    Target::create(&file.0, true, true).unwrap();
    let error = Target::create(Path::new("/nowhere/at/all"), true, false).unwrap_err();
    assert!(format!("{error:#}").contains("/nowhere/at/all: No such file"), "{error:#}");
}
