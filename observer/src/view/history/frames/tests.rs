//! Moments: what is kept, what is shared, and what happens when there is no room.

use super::*;

const SECOND: u64 = 1_000_000_000;

/// Records these one after the other, from the first second on.
fn record(frames: &mut Frames, snapshots: impl Iterator<Item = Snapshot>) {
    let mut before = snapshot(4, 3);
    for snapshot in snapshots {
        frames.record(&snapshot, &Interval::between(&before, &snapshot), &Backends::default());
        before = snapshot;
    }
}

/// A snapshot in which so many listeners exist and the first is busy: once a tick.
fn snapshot(tick: u64, listeners: u64) -> Snapshot {
    let busy = {
        let mut stages = Stages::default();
        (1..=tick).for_each(|tick| stages[1].add((tick % 40) as usize, 1));
        Arc::new(stages)
    };
    let listener = |cookie: u64| Listener {
        cookie,
        enqueued: if cookie == 1 { tick } else { 0 },
        stages: if cookie == 1 { Arc::clone(&busy) } else { Arc::default() },
        ..Listener::default()
    };
    Snapshot {
        time_ns: tick * SECOND / 4,
        listeners: (1..=listeners).map(listener).collect(),
        ..Snapshot::default()
    }
}

#[test]
fn ten_minutes_can_be_stepped_back_to() {
    let mut frames = Frames::default();
    record(&mut frames, (5..=4 * 700).map(|tick| snapshot(tick, 3)));
    let covered = 700 * SECOND - frames.oldest_ns().unwrap();
    assert!(covered >= 600 * SECOND && frames.len() <= 610, "{covered} {}", frames.len());
    let index = frames.at(400 * SECOND).unwrap();
    let then = frames.snapshot(index, &Arc::default()).unwrap().0;
    assert_eq!((then.time_ns, then.listeners[0].enqueued, then.listeners.len()), (400 * SECOND, 1_600, 3));
    assert!(frames.at(0).is_none());
    // What did not change is one value.
    let (one, two) = (&frames.frames[10], &frames.frames[11]);
    assert!(Arc::ptr_eq(&one.listeners[2], &two.listeners[2]));
    assert!(!Arc::ptr_eq(&one.listeners[0], &two.listeners[0]));
}

#[test]
fn stages_are_those_of_the_ten_seconds_before() {
    let mut frames = Frames::default();
    record(&mut frames, (5..=4 * 60 + 2).map(|tick| snapshot(tick, 1)));
    for now_s in [20, 30, 59] {
        let (span, sum) = frames.stages(&[1], now_s * SECOND);
        assert!((10 * SECOND..=11 * SECOND).contains(&span), "{span}");
        assert_eq!(sum[1].total(), span * 4 / SECOND);
    }
    // Now, what has come since the last moment is there, too.
    let now_ns = (4 * 60 + 2) * SECOND / 4;
    let (span, sum) = frames.stages(&[1], now_ns);
    assert_eq!(sum[1].total(), span * 4 / SECOND);
    assert_eq!(frames.stages(&[9], now_ns).1[1].total(), 0);
}

#[test]
fn without_room_the_past_is_coarser_and_all_there() {
    let mut frames = Frames::with_room(100_000);
    record(&mut frames, (5..=4 * 700).map(|tick| snapshot(tick, 3)));
    let bytes: usize = frames.frames.iter().map(|frame| frame.bytes).sum();
    assert!(bytes <= 100_000, "{bytes}");
    assert!(frames.step_ns > SECOND);
    assert!(700 * SECOND - frames.oldest_ns().unwrap() >= 590 * SECOND);
    // Nothing of the stages is lost by it.
    let all: u64 = frames
        .frames
        .iter()
        .filter_map(|frame| frame.stages.get(&1))
        .chain(frames.pending.get(&1))
        .map(|durations| {
            let mut stages = Stages::default();
            durations.add_to(&mut stages);
            stages[1].total()
        })
        .sum();
    let covered = 700 * SECOND - frames.frames[0].since_ns;
    assert_eq!(all, covered * 4 / SECOND);
}

#[test]
fn a_thousand_listeners_stay_within_the_room() {
    let mut frames = Frames::with_room(4 << 20);
    let busy = (5..=4 * 60).map(|tick| {
        let mut snapshot = snapshot(tick, 1_000);
        snapshot.listeners.iter_mut().for_each(|listener| listener.enqueued = tick);
        snapshot
    });
    record(&mut frames, busy);
    assert!(frames.frames.iter().map(|frame| frame.bytes).sum::<usize>() <= 4 << 20);
    assert!(frames.len() >= 2);
}
