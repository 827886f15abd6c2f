//! Diagnoses: each provoked on the real kernel, and silent in a like situation that is well.

#[path = "diagnoses/causes.rs"]
mod causes;
#[path = "diagnoses/floods.rs"]
mod floods;
#[path = "diagnoses/generator.rs"]
mod generator;
#[path = "diagnoses/healthy.rs"]
mod healthy;
#[path = "diagnoses/nagle.rs"]
mod nagle;
#[path = "diagnoses/overload.rs"]
mod overload;
#[path = "diagnoses/queues.rs"]
mod queues;
#[path = "diagnoses/readers.rs"]
mod readers;
#[path = "diagnoses/turned_away.rs"]
mod turned_away;
#[path = "diagnoses/waiting.rs"]
mod waiting;
#[path = "diagnoses/wakeups.rs"]
mod wakeups;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use demo_server::{
    pattern,
    server::{Config, Server},
    settings::Settings,
};
use observer::arena::backend;
use serde_json::Value;

use crate::{lines::Lines, observed::Observer, waiting::now_ns};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";

/// All `diagnosis` lines of a rule.
fn lines_of<'a>(lines: &'a Lines, rule: &str) -> Vec<&'a Value> {
    lines.0.iter().filter(|line| line["type"] == "diagnosis" && line["rule"] == rule).collect()
}

/// Names of all rules that found something.
fn found(lines: &Lines) -> Vec<&str> {
    let diagnoses = lines.0.iter().filter(|line| line["type"] == "diagnosis");
    diagnoses.filter_map(|line| line["rule"].as_str()).collect()
}

/// Waits until a rule has found something, and returns its first line.
#[track_caller]
fn wait_for(observer: &mut Observer, rule: &str) -> Value {
    observer.wait_for(&format!("the diagnosis {rule}"), |lines| !lines_of(lines, rule).is_empty());
    let line = lines_of(observer, rule)[0].clone();
    assert_eq!(line["event"], "begins");
    println!("{}", line["sentence"].as_str().unwrap_or_default());
    line
}

/// Waits until a rule finds nothing any more.
#[track_caller]
fn wait_for_end(observer: &mut Observer, rule: &str) {
    observer.wait_for(&format!("the end of {rule}"), |lines| {
        lines_of(lines, rule).last().is_some_and(|line| line["event"] == "ends")
    });
}

/// Reads on for longer than any rule takes to find what is there now.
#[track_caller]
fn pass_time(observer: &mut Observer) {
    read_on(observer, 4_000_000_000);
}

/// Reads on until those that are queued have waited for so long that whoever leaves has given up (200 ms).
#[track_caller]
fn lose_patience(observer: &mut Observer) {
    read_on(observer, 200_000_000);
}

/// Reads on until a whole set of lines is of so many nanoseconds from now.
#[track_caller]
fn read_on(observer: &mut Observer, ns: u64) {
    let then = now_ns() + ns;
    observer.wait_for("later lines", |lines| {
        lines.0.iter().any(|line| line["type"] == "loss" && line["time_ns"].as_u64() > Some(then))
    });
}

/// The bundled backend in the calling thread's namespace.
#[track_caller]
fn serve(name: &str, settings: Settings) -> Arc<Server> {
    Server::start(&Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        pattern: pattern::expect(name).expect("a pattern"),
        settings,
        // A worker process is this program started anew, and a test is not that program.
        program: backend::program().expect("the program for worker processes"),
        ..Config::default()
    })
    .expect("the server does not start")
}

/// Clients that ask one question after the other, each on a connection of its own, until they are stopped.
struct Clients {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    /// So many, who wait so long between an answer and the next question.
    fn start(count: usize, address: SocketAddr, pause: Duration) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..count)
            .map(|_| {
                let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        if ask(address).is_some() {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        // Nothing waits for this: it is how seldom they ask.
                        thread::sleep(pause);
                    }
                })
            })
            .collect();
        Self { stop, answered, threads }
    }

    /// Answers so far.
    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Ends them.
    fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().expect("a client failed"));
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// One question and its answer, if it comes soon.
fn ask(address: SocketAddr) -> Option<()> {
    const SOON: Duration = Duration::from_secs(3);
    let mut stream = TcpStream::connect_timeout(&address, SOON).ok()?;
    stream.set_read_timeout(Some(SOON)).ok()?;
    stream.write_all(REQUEST).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    answer.starts_with(b"HTTP/1.1 200").then_some(())
}
