//! Observers that tests share, because to start one is most of what a test costs: one for all that choose neither hooks nor
//! sizes, and one for each few that ask for a start at the same time, because something is to be there before it.
//!
//! Such an observer watches every network namespace. Each test gets the lines of its own: of its listeners, of their
//! connections, and of its counters.

use std::{
    collections::HashMap,
    fs::File,
    process::{Child, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use crate::{
    namespace::{enter, made_ns},
    observed::{self, Line},
    traffic::{Server, V4, receive, send},
};

/// Who gets which lines.
#[derive(Default)]
struct Router {
    /// The first line of all.
    meta: Option<Value>,
    /// Network namespace → the test in it.
    /// Where each test's lines go, by its namespace, and since when that is the test's.
    tests: HashMap<u64, (u64, Sender<Line>)>,
    /// Cookie of a listener → its network namespace.
    listeners: HashMap<u64, u64>,
    /// Lines of listeners that no line has named yet, by cookie.
    early: HashMap<u64, Vec<Value>>,
    /// Why there are no more lines.
    over: Option<String>,
}

/// An observer of all namespaces. It ends with this, or with this process: nobody reads its lines any more.
struct Running {
    router: Arc<Mutex<Router>>,
    child: Arc<Mutex<Child>>,
}

/// Tests that wait for the same start, or have waited for it.
#[derive(Default)]
pub(crate) struct Batch(OnceLock<Running>);

/// The one that all tests share: its lines of this network namespace from now on, after the very first one.
pub(crate) fn subscribe(netns: u32) -> Receiver<Line> {
    static RUNNING: OnceLock<Running> = OnceLock::new();
    let running = RUNNING.get_or_init(|| {
        let running = Running::start();
        warm_up();
        running
    });
    running.subscribe(netns)
}

/// The lines of an observer that is started after this call, for this test and for all that call until it is. It ends when
/// none of them has its batch any more.
pub(crate) fn subscribe_late(netns: u32) -> (Receiver<Line>, Arc<Batch>) {
    static NEXT: Mutex<Option<Arc<Batch>>> = Mutex::new(None);
    static TURN: Mutex<()> = Mutex::new(());
    let batch = Arc::clone(lock(&NEXT).get_or_insert_default());
    let running = batch.0.get_or_init(|| {
        // One start at a time, so that many tests come to share the next one.
        let _turn = lock(&TURN);
        *lock(&NEXT) = None;
        Running::start()
    });
    (running.subscribe(netns), batch)
}

/// A test that failed while it held the lock says so itself.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    fn start() -> Self {
        let (child, lines) = thread::scope(|scope| {
            let started = scope.spawn(|| {
                // The calling thread is in the namespace of its test. The link is that of the process's first thread.
                let outside = File::open("/proc/self/ns/net").expect("this process's network namespace");
                move_into_link_name_space(
                    std::os::fd::AsFd::as_fd(&outside),
                    Some(LinkNameSpaceType::Network),
                )
                .expect("cannot enter this process's network namespace");
                observed::spawn(&["--interval", crate::waiting::interval()], Stdio::inherit())
            });
            started.join().expect("the shared observer starts")
        });
        let first = lines.recv().ok().and_then(Result::ok).expect("the shared observer's first line");
        assert_eq!(first["type"], "meta", "{first}");
        let router = Arc::new(Mutex::new(Router { meta: Some(first), ..Router::default() }));
        let child = Arc::new(Mutex::new(child));
        let running = Self { router: Arc::clone(&router), child: Arc::clone(&child) };
        thread::spawn(move || {
            for line in lines {
                lock(&router).route(line);
            }
            let status =
                lock(&child).wait().map_or_else(|error| error.to_string(), |status| status.to_string());
            let mut router = lock(&router);
            router.over = Some(format!("the shared observer ended with {status}"));
            router.tests.clear();
        });
        running
    }

    fn subscribe(&self, netns: u32) -> Receiver<Line> {
        let (sender, receiver) = channel();
        let mut router = lock(&self.router);
        match &router.over {
            Some(why) => drop(sender.send(Err(why.clone()))),
            None => {
                drop(sender.send(Ok(router.meta.clone().unwrap_or_default())));
                router.tests.insert(netns.into(), (made_ns(), sender));
            }
        }
        receiver
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A connection, so that each program has run once before a test counts on it. An emulator translates a program when it runs
/// first; where programs are preempted, that takes so long that runs of others are left out.
fn warm_up() {
    let connect = || {
        enter();
        let server = Server::listen(V4, 1);
        let (client, accepted) = server.pair();
        send(&client, b"x");
        receive(&accepted, 1);
        send(&accepted, b"x");
        receive(&client, 1);
    };
    thread::spawn(connect).join().expect("a connection of no test");
}

/// A connection of the namespace that had this number before: its end may come when the next has it already.
fn is_of_before(line: &Value, made_ns: u64) -> bool {
    let times = ["enqueued_ns", "accepted_ns", "closed_ns"].map(|name| line[name].as_u64());
    line["type"] == "connection" && times.into_iter().flatten().any(|time_ns| time_ns < made_ns)
}

impl Router {
    fn route(&mut self, line: Line) {
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                self.tests.retain(|_, (_, test)| test.send(Err(error.clone())).is_ok());
                return;
            }
        };
        let number = |of: &Value| of.as_u64();
        match line["type"].as_str().unwrap_or_default() {
            "listener" => {
                let (Some(cookie), Some(netns)) = (number(&line["cookie"]), number(&line["netns"])) else {
                    return;
                };
                self.send(netns, line);
                if self.listeners.insert(cookie, netns).is_none() {
                    let early = self.early.remove(&cookie).unwrap_or_default();
                    early.into_iter().for_each(|line| self.send(netns, line));
                }
            }
            "host" | "ledger" | "diagnosis" | "unwatched" => {
                if let Some(netns) = number(&line["netns"]) {
                    self.send(netns, line);
                }
            }
            "connection" | "drop" => self.send_of_listener(number(&line["listener"]), line),
            // Of threads and losses nothing says whose they are.
            _ => self.tests.retain(|_, (_, test)| test.send(Ok(line.clone())).is_ok()),
        }
    }

    fn send_of_listener(&mut self, cookie: Option<u64>, line: Value) {
        let Some(cookie) = cookie else { return };
        match self.listeners.get(&cookie) {
            Some(netns) => self.send(*netns, line),
            None => self.early.entry(cookie).or_default().push(line),
        }
    }

    fn send(&mut self, netns: u64, line: Value) {
        if let Some((made_ns, test)) = self.tests.get(&netns)
            && !is_of_before(&line, *made_ns)
            && test.send(Ok(line)).is_err()
        {
            self.tests.remove(&netns);
        }
    }
}
