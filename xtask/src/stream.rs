//! `observer stream` as a child process, line by line.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::Stdio,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    child::Running,
    exit,
    interrupt::Interrupt,
    privilege::{self, Privilege},
};

/// A running stream.
pub(crate) struct Stream {
    observer: Running,
    lines: Receiver<String>,
}

impl Stream {
    /// Starts `observer stream`, for one port or for all, with further flags.
    pub(crate) fn start(
        program: &Path,
        privilege: &Privilege,
        port: Option<u16>,
        flags: &[&str],
    ) -> Result<Self> {
        let mut command = privilege::tied_as_root(privilege, program);
        command.arg("stream").args(port.map(|port| format!("--port={port}"))).args(flags);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut observer = Running::start(&mut command, "observer stream")?;
        let stdout = observer.child().stdout.take().context("observer's stdout is not a pipe")?;
        let (sender, lines) = channel();
        // Ends with the pipe, or when nobody listens any more.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { observer, lines })
    }

    /// Waits for the line that says that the probes are attached, and returns it.
    pub(crate) fn meta(&mut self, interrupt: &Interrupt) -> Result<Value> {
        match self.next(Duration::from_secs(30), interrupt)? {
            Some(meta) if meta["type"] == "meta" => Ok(meta),
            Some(other) => {
                bail!("the first line of `observer stream` must be of type meta, and it is `{other}`")
            }
            None => {
                self.finish(interrupt)?;
                bail!("`observer stream` ended without a line")
            }
        }
    }

    /// The next line; None when there will be no more.
    pub(crate) fn next(&mut self, limit: Duration, interrupt: &Interrupt) -> Result<Option<Value>> {
        let deadline = Instant::now() + limit;
        loop {
            // Also when lines come without a pause.
            interrupt.check()?;
            match self.lines.recv_timeout(Duration::from_millis(50)) {
                Ok(line) => {
                    let value = serde_json::from_str(&line);
                    return value.map(Some).with_context(|| format!("`observer stream` wrote `{line}`"));
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if Instant::now() >= deadline {
                bail!("`observer stream` wrote nothing for {} s", limit.as_secs());
            }
        }
    }

    /// Takes the lines that are there, without waiting for more.
    pub(crate) fn skim(&mut self, take: &mut impl FnMut(Value)) -> Result<()> {
        while let Ok(line) = self.lines.try_recv() {
            take(serde_json::from_str(&line).with_context(|| format!("`observer stream` wrote `{line}`"))?);
        }
        Ok(())
    }

    /// Process id; through sudo, that of sudo.
    pub(crate) fn id(&self) -> u32 {
        self.observer.id()
    }

    /// Waits for its end.
    pub(crate) fn finish(&mut self, interrupt: &Interrupt) -> Result<()> {
        exit::of_child("`observer stream`", self.observer.wait(interrupt)?)
    }

    /// Asks it to end, and drops what it still writes.
    pub(crate) fn stop(mut self) {
        self.observer.stop();
    }
}
