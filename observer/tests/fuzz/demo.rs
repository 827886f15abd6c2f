//! What answers at the socket of `--demo`: a client reads it, and the model, the lines and the screen show it.

use std::{
    io::Write as _,
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
};

use demo_server::{
    control::{Client, Counters, State, Update},
    settings::Settings,
};
use observer::{
    backend::Said,
    model::{
        Model,
        event::Event,
        mark::{Mark, What},
        snapshot::Meta,
    },
    outputs::{Output as _, stream::Stream},
};

use crate::{Take, recordings::draw_with};

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "-1",
    "18446744073709551615",
    "1e400",
    "\\u001b[2J",
    "\\ud800",
    "\u{202e}",
    "\n",
    "\n\n",
    "\"ok\":false",
    "\"error\":\"no\"",
    "\"state\":null",
    "\"v\":9",
    "[[[[[[[[[[[[[[[[",
];

/// The socket, gone with it.
struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn state() -> State {
    State {
        version: "0.1.0".to_owned(),
        pid: 7,
        listen: "127.0.0.1:80".parse().unwrap(),
        pattern: "acceptor-readers".to_owned(),
        settings: Settings::default(),
        backlog_effective: 128,
        faults: Vec::new(),
        load: None,
        last_load: None,
        threads: Vec::new(),
        listeners: Vec::new(),
        counters: Counters::default(),
        changes: 1,
    }
}

pub(crate) fn prepare() -> Take {
    let state = state();
    let reply = format!("{{\"v\":1,\"ok\":true,\"state\":{}}}\n", serde_json::to_string(&state).unwrap());
    let update = Update { reason: "pattern a → b".to_owned(), state };
    let valid = [reply.clone(), reply, format!("{}\n", serde_json::to_string(&update).unwrap())]
        .concat()
        .into_bytes();
    let socket = Socket(std::env::temp_dir().join(format!("observer-fuzz-{}", std::process::id())));
    let listener = UnixListener::bind(&socket.0).expect("a socket");
    let (answers, wanted) = mpsc::channel::<Vec<u8>>();
    thread::spawn(move || {
        for answer in wanted {
            let (mut client, _) = listener.accept().expect("a client");
            // It may leave before it has read everything.
            let _ = client.write_all(&answer);
        }
    });
    let mut drawn = 0_u64;
    Box::new(move |chance| {
        let mut answer = valid.clone();
        chance.change_text(&mut answer, PIECES, 4);
        answers.send(answer).expect("the peer");
        let client = Client::connect(&socket.0).expect("the peer listens");
        let Ok(changes) = client.subscribe() else { return };
        let mut model = Model::new(Arc::new(Meta::default()));
        for change in changes.map_while(Result::ok).take(4) {
            let said = Said { backend: 0, state: Some(Box::new(change.state)), error: None };
            model.apply(Event::Mark(Box::new(Mark {
                time_ns: chance.edge(),
                what: What::Other,
                name: change.reason,
                from: None,
                to: None,
            })));
            let snapshot = Arc::new(model.snapshot(1));
            let mut stream = Stream::new(Vec::new());
            stream.snapshot(&snapshot, false).expect("lines");
            drawn += 1;
            if drawn.is_multiple_of(64) {
                draw_with(&snapshot, Some(said));
            }
        }
    })
}
