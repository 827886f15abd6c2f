//! What the tests share: a server on a port of its own, waiting for conditions, and the kernel's view of a listener.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use demo_server::control::State;
use demo_server::journal::Entry;
use demo_server::load::{self, Overrides, Plan, Report};
use demo_server::namespace;
use demo_server::pattern::{self, Pattern};
use demo_server::server::{Config, Server};
use demo_server::settings::{Change, Settings};

/// How long a condition may take that should hold at once; a loaded machine is slow, not wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A directory that is removed with its content.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("demo-server-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server in this process, with a journal.
pub(crate) struct TestServer {
    pub(crate) server: Arc<Server>,
    pub(crate) scratch: Scratch,
}

impl TestServer {
    pub(crate) fn start(pattern: &'static Pattern, settings: Settings) -> Self {
        let scratch = Scratch::new();
        let config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            pattern,
            settings,
            journal: Some(scratch.path("journal")),
            program: env!("CARGO_BIN_EXE_demo-server").into(),
        };
        Self { server: Server::start(&config).unwrap(), scratch }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.local()
    }

    pub(crate) fn state(&self) -> State {
        self.server.state()
    }

    pub(crate) fn switch(&self, pattern: &str) -> State {
        let change = Change { pattern: Some(pattern.to_owned()), ..Change::default() };
        self.server.set(&change).unwrap();
        self.state()
    }

    pub(crate) fn journal(&self) -> Vec<Entry> {
        let text = fs::read_to_string(self.scratch.path("journal")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until the state is as wanted.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, condition: impl Fn(&State) -> bool) -> State {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let state = self.state();
            if condition(&state) {
                return state;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}: {state:#?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Runs a test on a thread in a network namespace of its own.
pub(crate) fn isolated(name: &str, test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let running = scope.spawn(|| match namespace::enter() {
            Ok(()) => test(),
            Err(error) => println!("SKIPPED: {name}: no network namespace can be made here: {error}"),
        });
        running.join().unwrap();
    });
}

#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The patterns that serve every client.
pub(crate) fn sound() -> Vec<&'static Pattern> {
    pattern::PATTERNS.iter().filter(|pattern| pattern.sound).collect()
}

pub(crate) fn pattern(id: &str) -> &'static Pattern {
    pattern::find(id).unwrap()
}

/// Runs a load in this process to its end.
pub(crate) fn load(target: SocketAddr, profile: &str, overrides: &Overrides) -> Report {
    load::run(&Plan::new(target, profile, overrides).unwrap(), None).unwrap()
}

/// The accept queue of the listener on `port` as the kernel counts it: `rx_queue` in `/proc/net/tcp`.
pub(crate) fn accept_queue(port: u16) -> Option<u32> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().skip(1).find_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let local = words[1].rsplit_once(':').unwrap().1;
        // State 0A is TCP_LISTEN.
        (words[3] == "0A" && u16::from_str_radix(local, 16) == Ok(port))
            .then(|| u32::from_str_radix(words[4].split_once(':').unwrap().1, 16).unwrap())
    })
}

/// Connections of a server's port that are in a state, by its number in `/proc/net/tcp`.
pub(crate) fn in_state(port: u16, state: &str) -> usize {
    rows(port, state).len()
}

/// The accept queues of all listeners on `port`, together.
pub(crate) fn accept_queues(port: u16) -> u32 {
    rows(port, "0A").into_iter().sum()
}

/// The receive queues of the sockets of a port that are in a state.
fn rows(port: u16, state: &str) -> Vec<u32> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let mut queues = Vec::new();
    for line in table.lines().skip(1) {
        let words: Vec<_> = line.split_whitespace().collect();
        let local = words[1].rsplit_once(':').unwrap().1;
        if words[3] == state && u16::from_str_radix(local, 16) == Ok(port) {
            queues.push(u32::from_str_radix(words[4].split_once(':').unwrap().1, 16).unwrap());
        }
    }
    queues
}

/// A connection that is written and read by hand.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

pub(crate) const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";

/// Sends a request and reads the whole response; None when the connection has ended instead.
pub(crate) fn ask(stream: &mut TcpStream) -> Option<String> {
    stream.write_all(GET).ok()?;
    read_response(stream)
}

/// Reads one response.
pub(crate) fn read_response(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        text.push(byte[0]);
    }
    let head = String::from_utf8(text.clone()).unwrap();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    text.extend_from_slice(&body);
    Some(String::from_utf8(text).unwrap())
}

/// The value of a header field of a response.
pub(crate) fn field<'a>(response: &'a str, name: &str) -> Option<&'a str> {
    response.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
