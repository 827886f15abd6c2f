//! Recordings on the screen: begun and ended with a key, replayed, and what goes wrong with them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::under_load;
use crate::{
    directory::Directory,
    lines::Lines,
    namespace::{THE_SAME, natively},
    observed::{Observer, binary},
    pty::{Window, live},
    recording,
    traffic::{Server, V4},
};

/// Records on the screen for a while, and returns the file.
fn record(directory: &Directory) -> PathBuf {
    under_load(|| {
        let window = Window::open(live(&directory.0));
        window.shows(" 1 Queues ");
        let server = Server::listen(V4, 7);
        window.presses(b"R");
        window.shows("● REC");
        window.shows("2 listeners");
        // One that is still open at its end.
        let _open = server.pair();
        // So that there is something to step through. A slow machine may never show the second that is waited for.
        window.shows_what("a recording of two seconds", |text| {
            text.contains("● REC") && ![" 00:00:00", " 00:00:01"].iter().any(|time| text.contains(time))
        });
        window.presses(b"R");
        window.shows("observer replay shows them");
        window.shows("▶ live");
        window.presses(b"q");
        assert_eq!(window.ends_with(0), "");
    });
    let files = directory.files("rec");
    let [file] = files.as_slice() else { panic!("{files:?}") };
    file.clone()
}

fn replay(file: &Path, options: &[&str]) -> Window {
    let mut command = binary();
    command.arg("replay").arg(file).args(options);
    Window::open(command)
}

#[test]
fn what_is_recorded_from_the_start_is_what_a_stream_shows() {
    const CONNECTIONS: usize = 7;
    natively(THE_SAME, || {
        let directory = Directory::new();
        let file = directory.0.join("beside.rec");
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 16);
        observer.wait_until_it_knows(&server);
        let mut command = live(&directory.0);
        command.arg("--record").arg(&file);
        let window = Window::open(command);
        window.shows("● REC");
        for _ in 0..CONNECTIONS {
            drop(server.pair());
        }
        observer.wait_for_connections(CONNECTIONS);
        let streamed = observer.finish();
        window.presses(b"q");
        assert!(window.ends_with(0).contains("beside.rec; observer replay shows them"));
        let (replayed, remarks) = recording::replay(file.to_str().expect("a name in UTF-8"), &[]);
        assert_eq!(remarks, "");
        let replayed = recording::lines(&replayed);
        // When each program in the kernel ran differs from one observer to the other by the time between two programs.
        let figures = |lines: &Lines| -> BTreeMap<String, Vec<Value>> {
            let lines = lines.0.iter().filter(|line| line["type"] == "connection");
            let names = ["listener", "via", "end", "reads", "bytes_read", "writes", "acceptor", "unseen"];
            lines
                .map(|line| (line["remote"].to_string(), names.map(|name| line[name].clone()).into()))
                .collect()
        };
        assert_eq!(figures(&streamed).len(), CONNECTIONS);
        assert_eq!(figures(&replayed), figures(&streamed));
        let last = replayed.listener(server.cookie);
        let connections = CONNECTIONS as u64;
        assert_eq!((last.enqueued, last.accepted, last.ended), (connections, connections, connections));
    });
}

#[test]
fn a_replay_says_where_it_is_and_takes_keys_and_clicks() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        let file = record(&directory);
        let window = replay(&file, &["--paused"]);
        window.resizes(160, 50);
        let stands_at = |header: &str, row: &str| {
            window.shows_what(row, |text| text.contains(header) && text.contains(row));
            // What a key of the row moves is drawn before its keys.
            window.is_drawn_anew("the screen", |text| text.contains(row) && text.contains(" 6 Probes "));
        };
        stands_at("■ replay 00:00", " ■ 00:00:00 / ");
        window.presses(b" ");
        stands_at("■ replay, at its end", " ■ end ");
        window.presses(b"m");
        window.clicks_on("{ } 1 min");
        stands_at("■ replay 00:00", " ■ 00:00:00 / ");
        window.clicks_on("} 1 min");
        stands_at("■ replay, at its end", " ■ end ");
        window.clicks_on("> speed");
        stands_at("■ replay, at its end", " ×2 ");
        // From its beginning, and then at its end again.
        window.clicks_on("space play");
        stands_at("■ replay, at its end", " ■ end ");
        window.presses(b"q");
        assert_eq!(window.ends_with(0), "");
    });
}

#[test]
fn a_replay_ends_with_its_window() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        let file = record(&directory);
        // Standing still it draws nothing.
        for options in [&["--paused"][..], &[]] {
            let window = replay(&file, options);
            window.shows(" replay");
            window.closes();
        }
    });
}

#[test]
fn where_nothing_can_be_written_the_screen_says_so_and_goes_on() {
    natively(THE_SAME, || {
        let window = Window::open(live(Path::new("/sys")));
        window.shows(" 1 Queues ");
        window.presses(b"R");
        window.shows("! cannot");
        window.shows(".rec");
        let server = Server::listen(V4, 7);
        window.shows(&server.address.to_string());
        window.shows("▶ live");
        window.presses(b"x");
        window.shows("! not saved");
        window.presses(b"q");
        assert_eq!(window.ends_with(0), "");
    });
}

#[test]
fn a_full_disk_ends_the_recording_and_the_screen_goes_on() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        let disk = directory.small_disk("32k");
        let window = Window::open(live(&disk.0));
        window.resizes(160, 50);
        window.shows(" 1 Queues ");
        window.presses(b"R");
        window.shows("● REC");
        window.shows("! no recording any more");
        window.shows("No space left");
        window.shows("▶ live");
        let server = Server::listen(V4, 7);
        window.shows(&server.address.to_string());
        window.presses(b"q");
        assert_eq!(window.ends_with(0), "");
        drop(disk);
    });
}
