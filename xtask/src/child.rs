//! A child process that is stopped when we let go of it, by any way out.
//!
//! Return, error and panic run [`Drop`]; SIGINT and SIGTERM become errors ([`crate::interrupt`]); and when we are
//! killed outright, the kernel sends SIGTERM in our place ([`exec::tied`]).

use std::{
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::{exec, interrupt::Interrupt};

/// How long a child may take to end by itself after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often we look whether it has ended; std has no wait with a deadline.
const LOOK: Duration = Duration::from_millis(20);

/// A running child.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    name: String,
}

impl Running {
    /// Starts it. `name` is what errors call it.
    pub(crate) fn start(command: &mut Command, name: &str) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("failed to run {}", exec::shown(command)))?;
        Ok(Self { child, name: name.to_owned() })
    }

    /// Its process id; through sudo, that of sudo.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, to take its pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its status if it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("could not wait for {}", self.name))
    }

    /// Waits for its end, or for a signal to us, which is an error.
    pub(crate) fn wait(&mut self, interrupt: &Interrupt) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            interrupt.check()?;
            thread::sleep(LOOK);
        }
    }

    /// Waits for its end, at most until then; None if it still runs.
    pub(crate) fn wait_until(&mut self, deadline: Instant) -> Result<Option<ExitStatus>> {
        loop {
            let status = self.ended()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            thread::sleep(LOOK);
        }
    }

    /// Asks it to end, waits, and in the end does not ask. Returns its status if it ended in time.
    pub(crate) fn stop(&mut self) -> Option<ExitStatus> {
        if let Ok(Some(status)) = self.ended() {
            return Some(status);
        }
        self.signal(Signal::TERM);
        if let Ok(Some(status)) = self.wait_until(Instant::now() + PATIENCE) {
            return Some(status);
        }
        eprintln!("xtask: {} does not end; killing it", self.name);
        self.signal(Signal::KILL);
        let _ = self.child.wait();
        None
    }

    fn signal(&self, signal: Signal) {
        // Not yet waited for, so the number is still its own.
        let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else { return };
        if kill_process(pid, signal).is_err() {
            // It runs through sudo and is root's. Sudo hands SIGTERM on, and cannot hand on SIGKILL.
            let _ = exec::run(exec::command("sudo").args([
                "sh",
                "-c",
                "kill -s \"$1\" \"$2\"",
                "sh",
                if signal == Signal::KILL { "KILL" } else { "TERM" },
                &self.child.id().to_string(),
            ]));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_gone_when_it_is_let_go_of() {
        let child = Running::start(exec::tied("sleep").arg("600"), "sleep").unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        drop(child);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    #[test]
    fn one_that_ended_already_tells_how() {
        let mut child = Running::start(exec::command("sh").args(["-c", "exit 7"]), "sh").unwrap();
        let status = child.wait(&Interrupt::catch().unwrap()).unwrap();
        assert_eq!(status.code(), Some(7));
        assert_eq!(child.stop().and_then(|status| status.code()), Some(7));
    }
}
