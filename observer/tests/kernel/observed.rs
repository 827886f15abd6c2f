//! The observer's process: started, read, asked to end, never left behind.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    ops::Deref,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{lines::Lines, namespace::enter, waiting::patience};

/// A running `observer stream` whose probes are attached.
pub(crate) struct Observer {
    child: Child,
    output: Receiver<String>,
    lines: Lines,
}

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

/// `OBSERVER_TEST_HOOKS=signal=name,signal=name` runs every test with these hooks, but for signals whose hook the test
/// chooses itself.
fn hooks(chosen: &[&str]) -> Vec<String> {
    let asked = std::env::var("OBSERVER_TEST_HOOKS").unwrap_or_default();
    let hooks = asked.split(',').filter_map(|hook| hook.split_once('='));
    let hooks = hooks.map(|(signal, hook)| (format!("--hook={signal}="), hook));
    let others = hooks.filter(|(option, _)| !chosen.iter().any(|chosen| chosen.starts_with(option.as_str())));
    others.map(|(option, hook)| option + hook).collect()
}

/// Lines that are read at once at least.
const BATCH: usize = 64;

impl Observer {
    /// Watches the calling thread's network namespace, a set of lines every 100 ms.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::start_with(&["--interval", "100ms", "--netns", "/proc/self/ns/net"])
    }

    /// With other options. Returns when the first line says that the probes are attached.
    #[track_caller]
    pub(crate) fn start_with(options: &[&str]) -> Self {
        let mut child = binary()
            .arg("stream")
            .args(options)
            .args(hooks(options))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cannot start the observer");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let (sender, output) = channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                // Nobody listens any more when the test is over.
                if sender.send(line.expect("the observer writes UTF-8")).is_err() {
                    return;
                }
            }
        });
        let mut observer = Self { child, output, lines: Lines::default() };
        observer.wait_for("the first line", |lines| !lines.0.is_empty());
        observer.lines.meta();
        observer
    }

    /// Reads lines until what was read so far satisfies.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str, satisfied: impl Fn(&Lines) -> bool) {
        let deadline = Instant::now() + patience();
        while !satisfied(&self.lines) {
            // A line that is there already is received whatever the time is.
            assert!(Instant::now() < deadline, "waited in vain for {what}");
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.take(&line);
                    // The condition reads every line so far, so it is looked at again when an eighth as many have come;
                    // not when none is there, which may never be where the observer writes faster than this reads.
                    for _ in 0..BATCH.max(self.lines.0.len() / 8) {
                        let Ok(line) = self.output.try_recv() else { break };
                        self.take(&line);
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
        self.wait_for(&format!("{count} connection lines"), |lines| lines.connections().len() >= count);
    }

    /// Waits for a set of lines that was begun after this call.
    #[track_caller]
    pub(crate) fn wait_for_next_lines(&mut self) {
        let now = crate::waiting::now_ns();
        self.wait_for("the next set of lines", |lines| {
            lines.0.iter().any(|line| line["type"] == "loss" && line["time_ns"].as_u64() > Some(now))
        });
    }

    /// Ends it as Ctrl-C does, and returns all that it wrote. It must end well.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Lines {
        self.interrupt();
        let deadline = Instant::now() + patience();
        loop {
            assert!(Instant::now() < deadline, "the observer does not end at SIGINT");
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.take(&line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the observer does not end at SIGINT"),
            }
        }
        let status = self.child.wait().expect("cannot wait for the observer");
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
        self.child.kill().expect("cannot send SIGKILL");
        self.child.wait().expect("cannot wait for the observer")
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    #[track_caller]
    fn take(&mut self, line: &str) {
        let line = serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON: {error}: {line}"));
        self.lines.0.push(line);
    }

    /// What it wrote to stderr; it must have ended.
    fn last_words(&mut self) -> String {
        let _ = self.child.kill();
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
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
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
