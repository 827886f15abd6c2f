//! A network namespace goes, and its inode number is given to the next one: nothing of that one is told.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::MetadataExt as _,
    process::{Child, Command, Stdio},
    thread,
};

use serde_json::Value;

use crate::{
    namespace::{THE_SAME, enter, inode, natively},
    observed::binary,
    traffic::{Server, V4},
};

/// A process that keeps a namespace of its own.
struct Keeper(Child);

impl Keeper {
    fn start() -> Self {
        let start = || {
            enter();
            Command::new("sleep").arg("1000").spawn().expect("sleep")
        };
        Self(thread::scope(|scope| scope.spawn(start).join()).expect("a namespace"))
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Namespaces that are made in the hope that one is given the number.
const MOST: usize = 100;
/// Times that it is tried: all kinds of namespaces of the whole machine are given numbers of one kind, the lowest free one.
const TRIES: usize = 20;

/// Makes namespaces until one has this number, and returns what is done in that one.
fn in_the_next_with<T: Send>(number: u32, act: impl Fn() -> T + Sync) -> Option<T> {
    // The others are kept, so that none of them is given its number again.
    let mut others = Vec::new();
    while others.len() < MOST {
        let attempt = || {
            enter();
            if inode() == number { Ok(act()) } else { Err(File::open("/proc/thread-self/ns/net")) }
        };
        match thread::scope(|scope| scope.spawn(attempt).join()).expect("a namespace") {
            Ok(done) => return Some(done),
            Err(other) => others.push(other.expect("the namespace's file")),
        }
    }
    None
}

/// An observer of a namespace that goes while it runs.
struct Watch(Child);

impl Watch {
    fn start(path: &str) -> Self {
        let mut command = binary();
        // It ends by itself if it does not notice.
        command.args(["stream", "--interval", "50ms", "--duration", "20s", "--netns", path]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().expect("cannot start the observer"))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_next_namespace_with_its_number_is_not_shown_and_ends_it() {
    natively(THE_SAME, || {
        assert!((0..TRIES).any(|_| number_is_given_again()), "the number was given to none of ours");
    });
}

/// `false` if somebody else's namespace was given the number.
fn number_is_given_again() -> bool {
    let keeper = Keeper::start();
    let number = std::fs::metadata(keeper.path()).expect("its namespace").ino() as u32;
    let mut observer = Watch::start(&keeper.path());
    let mut lines = BufReader::new(observer.0.stdout.take().expect("a pipe")).lines().map(|line| {
        serde_json::from_str::<Value>(&line.expect("the observer writes UTF-8")).expect("a line of JSON")
    });
    assert_eq!(lines.next().expect("a first line")["filters"]["netns"], number);
    drop(keeper);
    let port = in_the_next_with(number, || {
        let server = Server::listen(V4, 4);
        drop(server.pair());
        server.address.port()
    });
    let Some(port) = port else { return false };
    let rest: Vec<Value> = lines.collect();
    let mut words = String::new();
    observer.0.stderr.take().expect("a pipe").read_to_string(&mut words).expect("what it says");
    let status = observer.0.wait().expect("wait");
    assert_eq!(status.code(), Some(1), "{words}");
    assert!(words.contains("is gone") && words.contains(&number.to_string()), "{words}");
    assert!(rest.iter().any(|line| line["type"] == "loss"), "it ends in order");
    for line in &rest {
        assert!(line["port"] != port && line["type"] != "connection" && line["type"] != "thread", "{line}");
        assert!(line["type"] != "host" || line["passive_opens"] == 0, "{line}");
    }
    true
}
