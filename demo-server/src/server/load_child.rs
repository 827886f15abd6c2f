//! The load that the server runs against itself, in a process of its own.
//!
//! A process and not a thread, so that the generator's calls are never taken for the server's: whoever watches the
//! server by its process id does not see them.

use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::control::protocol::ActiveLoad;
use crate::duration;
use crate::load::{Mode, Plan, Report};
use crate::visible::say;

/// How long a generator may take to end after it was told to: it waits a second for answers under way.
const PATIENCE: Duration = Duration::from_secs(3);
/// More than any report is long.
const MAX_REPORT: u64 = 1024 * 1024;
/// More than it says of a failure.
const MAX_WORDS: u64 = 16 * 1024;

/// The place of the one load that may run.
#[derive(Debug)]
pub(super) struct LoadChild {
    program: PathBuf,
    /// Held while a load is being started or stopped, so that two clients cannot start two.
    gate: Mutex<()>,
    slot: Arc<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    content: Mutex<Content>,
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct Content {
    running: Option<(ActiveLoad, OwnedFd)>,
    last: Option<Report>,
    /// From the start of a child until its end has been announced.
    occupied: bool,
}

impl LoadChild {
    pub(super) fn new(program: PathBuf) -> Self {
        Self { program, gate: Mutex::default(), slot: Arc::default() }
    }

    /// The load that runs, and what the last one that ended has shown.
    pub(super) fn state(&self) -> (Option<ActiveLoad>, Option<Report>) {
        let content = self.slot.content();
        (content.running.as_ref().map(|(active, _)| active.clone()), content.last.clone())
    }

    /// Starts a load in place of what may run; calls `ended` when it is over, however it ended.
    pub(super) fn start(&self, plan: &Plan, ended: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let _gate = lock(&self.gate);
        self.stop_running();
        let (started, starting) = mpsc::channel();
        let (program, plan, slot) = (self.program.clone(), plan.clone(), Arc::clone(&self.slot));
        // The thread that starts the child also waits for it: the kernel's parent-death signal follows the thread
        // that forked, not the process (prctl(2), PR_SET_PDEATHSIG).
        thread::Builder::new().name("load-watch".to_owned()).spawn(move || {
            let spawned = spawn(&program, &plan).and_then(|child| {
                let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
                let pid = pid.ok_or_else(|| io::Error::other("the child has no process id"))?;
                Ok((pidfd_open(pid, PidfdFlags::empty())?, child))
            });
            match spawned {
                Ok((pidfd, child)) => {
                    let mut content = slot.content();
                    content.running = Some((active(&plan, child.id()), pidfd));
                    content.occupied = true;
                    drop(content);
                    let _ = started.send(Ok(()));
                    watch(child, &slot);
                    // Before anybody who waits for the end goes on: a successor's start comes after this end.
                    ended();
                    slot.content().occupied = false;
                    slot.emptied.notify_all();
                }
                Err(error) => drop(started.send(Err(error))),
            }
        })?;
        starting.recv().unwrap_or_else(|_| Err(io::Error::other("the thread that starts the load has died")))
    }

    /// Stops what runs and waits until it has ended; false when nothing ran.
    pub(super) fn stop(&self) -> bool {
        let _gate = lock(&self.gate);
        self.stop_running()
    }

    fn stop_running(&self) -> bool {
        let was_running = self.slot.content().running.is_some();
        for signal in [Signal::INT, Signal::KILL] {
            let mut content = self.slot.content();
            if let Some((_, pidfd)) = &content.running {
                // It may have ended by itself meanwhile; then there is nobody to signal.
                let _ = pidfd_send_signal(pidfd, signal);
            }
            let deadline = Instant::now() + PATIENCE;
            while content.occupied && Instant::now() < deadline {
                let left = deadline.saturating_duration_since(Instant::now());
                content =
                    self.slot.emptied.wait_timeout(content, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        was_running
    }
}

impl Slot {
    fn content(&self) -> MutexGuard<'_, Content> {
        lock(&self.content)
    }
}

fn spawn(program: &PathBuf, plan: &Plan) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.arg("load").args(["--json", "--target", &plan.target.to_string(), "--profile", plan.profile]);
    command.args(["--connections", &plan.connections.to_string()]);
    command.args(["--requests-per-connection", &plan.requests_per_connection.to_string()]);
    command.args(["--duration", &duration::show(plan.duration), "--seed", &plan.seed.to_string()]);
    command.args(["--die-with", &std::process::id().to_string()]);
    if plan.mode != Mode::Closed {
        command.args(["--rate", &plan.rate.to_string()]);
    }
    if let Some(sources) = plan.sources {
        command.args(["--sources", &sources.to_string()]);
    }
    if plan.poisson {
        command.arg("--poisson");
    }
    if let Some(total) = plan.total_connections {
        command.args(["--total-connections", &total.to_string()]);
    }
    // On a terminal it would tell how far it has come, over whatever the server's user looks at.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

fn active(plan: &Plan, pid: u32) -> ActiveLoad {
    ActiveLoad {
        profile: plan.profile.to_owned(),
        mode: plan.mode,
        pid,
        rate: (plan.mode != Mode::Closed).then_some(plan.rate),
        connections: plan.connections,
        requests_per_connection: plan.requests_per_connection,
        duration: duration::show(plan.duration),
        total_connections: plan.total_connections,
        poisson: plan.poisson,
        seed: plan.seed,
    }
}

/// Waits until the child has ended and empties the slot.
fn watch(mut child: Child, slot: &Slot) {
    let words = child.stderr.take().map(|stderr| thread::spawn(move || read_words(stderr)));
    let mut report = String::new();
    if let Some(stdout) = child.stdout.take()
        && let Err(error) = stdout.take(MAX_REPORT).read_to_string(&mut report)
    {
        eprintln!("demo-server: the load's report cannot be read: {error}");
    }
    let status = child.wait();
    let report = serde_json::from_str(&report).ok();
    if report.is_none() {
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        let words = words.and_then(|reader| reader.join().ok()).unwrap_or_default();
        let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        say(format_args!("demo-server: the load has ended without a report ({how}): {}", last.trim()));
    }
    let mut content = slot.content();
    content.running = None;
    content.last = report.or_else(|| content.last.take());
}

/// What it says, of which the beginning is kept; all of it is read, so that it never waits for a reader.
fn read_words(mut stderr: impl io::Read) -> String {
    let mut words = Vec::new();
    let _ = stderr.by_ref().take(MAX_WORDS).read_to_end(&mut words);
    let _ = io::copy(&mut stderr, &mut io::sink());
    String::from_utf8_lossy(&words).into_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
