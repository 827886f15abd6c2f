//! The observer's process: started, read, asked to end, never left behind.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    ops::Deref,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    lines::Lines,
    namespace::{enter, hooks, inode},
    shared,
    traffic::Server,
    waiting::{interval, patience, patience_for_what_may_be_left_out},
};

/// A running `observer stream` whose probes are attached: a process of the test's own, or a view of the one that all
/// tests share.
pub(crate) struct Observer {
    own: Option<Child>,
    /// With whom it shares one that was started for them.
    _batch: Option<Arc<shared::Batch>>,
    output: Receiver<Line>,
    lines: Lines,
}

/// A line that was written, or what is wrong with it.
pub(crate) type Line = Result<Value, String>;

/// The binary under test.
pub(crate) fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_observer"))
}

/// The same as [`Observer::start_with`], in a network namespace of its own.
#[track_caller]
pub(crate) fn outside(options: &[&str]) -> Observer {
    thread::scope(|scope| {
        let elsewhere = scope.spawn(|| {
            enter();
            Observer::start_with(options)
        });
        elsewhere.join().expect("a namespace beside this one")
    })
}

/// What every test is asked to run with, but for signals whose hook the test chooses itself.
fn asked_hooks(chosen: &[&str]) -> Vec<String> {
    let hooks = hooks().split(',').filter_map(|hook| hook.split_once('='));
    let hooks = hooks.map(|(signal, hook)| (format!("--hook={signal}="), hook));
    let others = hooks.filter(|(option, _)| !chosen.iter().any(|chosen| chosen.starts_with(option.as_str())));
    others.map(|(option, hook)| option + hook).collect()
}

/// Starts `observer stream`, and reads its lines on a thread of their own.
#[track_caller]
pub(crate) fn spawn(options: &[&str], stderr: Stdio) -> (Child, Receiver<Line>) {
    let mut child = binary()
        .arg("stream")
        .args(options)
        .args(asked_hooks(options))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .expect("cannot start the observer");
    let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    let (sender, output) = channel();
    thread::spawn(move || {
        for line in stdout.lines() {
            let line = line.map_err(|error| format!("not UTF-8: {error}"));
            let line = line.and_then(|line| {
                // As the library has it, and so optimised.
                line.parse::<Value>().map_err(|error| format!("not JSON: {error}: {line}"))
            });
            // Nobody listens any more when the test is over.
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    (child, output)
}

/// Lines that are read at once at least.
const BATCH: usize = 64;

impl Observer {
    /// The lines of the calling thread's network namespace, a set every `interval()`, of the observer that all tests share.
    /// It is there already: for tests in which nothing is there before.
    ///
    /// `loss` lines, and those of threads, are of all tests.
    #[track_caller]
    pub(crate) fn shared() -> Self {
        Self::reading(None, None, shared::subscribe(inode()))
    }

    /// The same of one that is started after this call, for this test and for others that ask at the same time: for tests
    /// in which something is there before.
    #[track_caller]
    pub(crate) fn late() -> Self {
        let (output, batch) = shared::subscribe_late(inode());
        Self::reading(None, Some(batch), output)
    }

    /// An observer of this test's own, for the calling thread's network namespace, a set of lines every `interval()`.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::start_with(&["--interval", interval(), "--netns", "/proc/self/ns/net"])
    }

    /// With other options. Returns when the first line says that the probes are attached.
    #[track_caller]
    pub(crate) fn start_with(options: &[&str]) -> Self {
        let (child, output) = spawn(options, Stdio::piped());
        let observer = Self::reading(Some(child), None, output);
        observer.lines.meta();
        observer
    }

    #[track_caller]
    fn reading(own: Option<Child>, batch: Option<Arc<shared::Batch>>, output: Receiver<Line>) -> Self {
        let mut observer = Self { own, _batch: batch, output, lines: Lines::default() };
        observer.wait_for("the first line", |lines| !lines.0.is_empty());
        observer
    }

    /// Waits until it knows this listener, and the counters of its namespace as they are before anything happens to it.
    #[track_caller]
    pub(crate) fn wait_until_it_knows(&mut self, server: &Server) {
        self.wait_for("the listener, and the counters of its namespace", |lines| {
            let counters = lines.0.iter().any(|line| line["type"] == "host");
            counters && lines.cookies().contains(&server.cookie)
        });
        self.wait_for_next_lines();
    }

    /// Reads lines until what was read so far satisfies.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str, satisfied: impl Fn(&Lines) -> bool) {
        let start = Instant::now();
        while !satisfied(&self.lines) {
            let deadline =
                start + if self.lines.lack_runs() { patience_for_what_may_be_left_out() } else { patience() };
            // A line that is there already is received whatever the time is.
            assert!(Instant::now() < deadline, "waited in vain for {what}");
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.take(line);
                    // The condition reads every line so far, so it is looked at again when an eighth as many have come;
                    // not when none is there, which may never be where the observer writes faster than this reads.
                    for _ in 0..BATCH.max(self.lines.0.len() / 8) {
                        let Ok(line) = self.output.try_recv() else { break };
                        self.take(line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("waited in vain for {what}"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the observer ended before {what}: {}", self.last_words())
                }
            }
        }
    }

    /// Waits until so many connections have ended.
    #[track_caller]
    pub(crate) fn wait_for_connections(&mut self, count: usize) {
        self.wait_for(&format!("{count} connection lines"), |lines| {
            lines.0.iter().filter(|line| line["type"] == "connection").count() >= count
        });
    }

    /// Waits until the last line of a thread says that it has accepted so often. Threads are read once a second.
    #[track_caller]
    pub(crate) fn wait_for_accepts(&mut self, tid: u32, accepts: u64) {
        self.wait_for(&format!("the {accepts} accepts of thread {tid}"), |lines| {
            let last = lines.0.iter().rfind(|line| line["type"] == "thread" && line["tid"] == tid);
            last.is_some_and(|thread| thread["accepts"] == accepts)
        });
    }

    /// Waits for a set of lines that was begun after this call: the second from now on, because a set has the time at
    /// which all was read, and the next one may have been begun before.
    #[track_caller]
    pub(crate) fn wait_for_next_lines(&mut self) {
        let now = crate::waiting::now_ns();
        let later = |line: &&Value| line["type"] == "loss" && line["time_ns"].as_u64() > Some(now);
        self.wait_for("the next set of lines", |lines| lines.0.iter().filter(later).count() >= 2);
    }

    /// Ends it as Ctrl-C does, and returns all that it wrote. It must end well. One that is shared goes on; what is
    /// returned then goes to the end of a set of lines that was begun after this call.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Lines {
        if self.own.is_none() {
            self.wait_for_next_lines();
            return std::mem::take(&mut self.lines);
        }
        self.interrupt();
        let deadline = Instant::now() + patience();
        loop {
            assert!(Instant::now() < deadline, "the observer does not end at SIGINT");
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.take(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the observer does not end at SIGINT"),
            }
        }
        let status = self.child().wait().expect("cannot wait for the observer");
        assert!(status.success(), "the observer ended with {status}: {}", self.last_words());
        std::mem::take(&mut self.lines)
    }

    /// Sends SIGINT.
    pub(crate) fn interrupt(&self) {
        kill_process(self.pid(), Signal::INT).expect("cannot send SIGINT");
    }

    /// Does not let it run while `meanwhile` does.
    pub(crate) fn stopped(&self, meanwhile: impl FnOnce()) {
        let pid = self.pid();
        kill_process(pid, Signal::STOP).expect("cannot send SIGSTOP");
        let threads = format!("/proc/{}/task", pid.as_raw_nonzero());
        crate::waiting::until("each of the observer's threads is stopped", || {
            let mut threads = std::fs::read_dir(&threads).expect("the observer's threads").flatten();
            threads.all(|thread| {
                let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
                status.contains("State:\tT")
            })
        });
        meanwhile();
        kill_process(pid, Signal::CONT).expect("cannot send SIGCONT");
    }

    /// Sends SIGKILL and waits for the end.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        let child = self.child();
        child.kill().expect("cannot send SIGKILL");
        child.wait().expect("cannot wait for the observer")
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(self.own.as_ref().expect("an observer of the test's own"))
    }

    fn child(&mut self) -> &mut Child {
        self.own.as_mut().expect("an observer of the test's own")
    }

    #[track_caller]
    fn take(&mut self, line: Line) {
        self.lines.0.push(line.unwrap_or_else(|error| panic!("{error}")));
    }

    /// What it wrote to stderr; it must have ended.
    fn last_words(&mut self) -> String {
        let Some(child) = &mut self.own else { return "it is shared, see above".to_owned() };
        let _ = child.kill();
        let mut text = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            let _ = stderr.read_to_string(&mut text);
        }
        text
    }
}

impl Deref for Observer {
    type Target = Lines;

    /// What was read so far.
    fn deref(&self) -> &Lines {
        &self.lines
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        // Whatever happened to the test, its observer goes with it; it may have ended already.
        if let Some(child) = &mut self.own {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
