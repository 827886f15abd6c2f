//! A load generator that does not offer what it was told to.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixListener,
    path::PathBuf,
    thread,
    time::Duration,
};

use demo_server::{
    control::{ActiveLoad, Reply, State},
    load::Mode,
    settings::Settings,
};

use super::{Clients, lines_of, pass_time, serve, wait_for};
use crate::{
    namespace::{THE_SAME, natively},
    observed::Observer,
    waiting::{tid, until},
};

/// A control socket that answers every request with one state; it goes when this is dropped.
struct Says(PathBuf);

impl Says {
    fn state(state: State) -> Self {
        let path = std::env::temp_dir().join(format!("observer-test-{}-{}.sock", std::process::id(), tid()));
        let listener = UnixListener::bind(&path).expect("a socket");
        let reply = Reply { ok: true, state: Some(Box::new(state)), error: None, note: None };
        let line = serde_json::to_string(&reply).expect("JSON") + "\n";
        thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.expect("accept");
                let mut request = String::new();
                BufReader::new(&stream).read_line(&mut request).expect("a request");
                // Whoever asked may be gone by now.
                let _ = stream.write_all(line.as_bytes());
                open.push(stream);
            }
        });
        Self(path)
    }
}

impl Drop for Says {
    fn drop(&mut self) {
        // Nothing depends on whether it is still there.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A load of this rate, of which a client makes up to a hundred connections per second.
#[track_caller]
fn wanted(rate: f64, test: impl FnOnce(&mut Observer)) {
    let server = serve("single-thread", Settings::default());
    let load = ActiveLoad {
        profile: "steady".to_owned(),
        mode: Mode::Open,
        pid: std::process::id(),
        rate: Some(rate),
        connections: 512,
        requests_per_connection: 1,
        duration: "1h".to_owned(),
        total_connections: None,
        poisson: false,
        seed: 1,
    };
    let says = Says::state(State { load: Some(load), ..server.state() });
    let path = says.0.to_str().expect("UTF-8").to_owned();
    let mut observer =
        Observer::start_with(&["--interval", "100ms", "--netns", "/proc/self/ns/net", "--demo", &path]);
    let mut clients = Clients::start(1, server.local(), Duration::from_millis(10));
    until("the server answers", || clients.answered() > 20);
    test(&mut observer);
    clients.stop();
    server.end().expect("the server does not end");
}

#[test]
fn less_comes_than_is_wanted() {
    natively(THE_SAME, || {
        wanted(1_000.0, |observer| {
            let line = wait_for(observer, "load-generator-limit");
            assert_eq!(line["evidence"]["wanted_per_s"], 1_000.0, "{line}");
            assert!(line["evidence"]["enqueued_per_s"].as_f64() < Some(110.0), "{line}");
        });
    });
}

#[test]
fn as_much_comes_as_is_wanted() {
    natively(THE_SAME, || {
        // So little that every machine makes it.
        wanted(2.0, |observer| {
            pass_time(observer);
            assert!(lines_of(observer, "load-generator-limit").is_empty());
        });
    });
}
