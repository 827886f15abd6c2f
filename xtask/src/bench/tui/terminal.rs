//! A program on a pseudo-terminal: keys in, what it writes out, with the instant at which it could be read.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    process::Command,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::child::Running;

/// A running program and its terminal.
pub(super) struct Terminal {
    // Dropped in this order: the program must still be read while it ends.
    program: Running,
    keys: File,
    output: Receiver<(Instant, Vec<u8>)>,
}

impl Terminal {
    /// Starts it on a terminal of so many columns and rows, with all colours. The command goes, because it holds the
    /// program's side, and the terminal ends only when nobody does.
    pub(super) fn start(mut command: Command, (columns, rows): (u16, u16)) -> Result<Self> {
        let (keys, program_side) = pair((columns, rows)).context("could not open a pseudo-terminal")?;
        let share = || program_side.try_clone().context("could not share the pseudo-terminal");
        command.stdin(share()?).stdout(share()?).stderr(share()?);
        command.env("TERM", "xterm-256color").env("COLORTERM", "truecolor").env("LC_ALL", "C.UTF-8");
        command.env_remove("NO_COLOR");
        let program = Running::start(&mut command, "the program on the pseudo-terminal")?;
        let mut screen = keys.try_clone().context("could not share the pseudo-terminal")?;
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            // Read until its end, whoever listens: a terminal that is full stops the program. The kernel ends it with
            // EIO once the program has closed its side.
            while let Ok(length @ 1..) = screen.read(&mut buffer) {
                let _ = sender.send((Instant::now(), buffer[..length].to_vec()));
            }
        });
        Ok(Self { program, keys, output })
    }

    /// The program's process id.
    pub(super) fn id(&self) -> u32 {
        self.program.id()
    }

    /// Types this.
    pub(super) fn press(&mut self, keys: &str) -> Result<()> {
        self.keys.write_all(keys.as_bytes()).context("could not write to the pseudo-terminal")
    }

    /// Lets go of what was written so far.
    pub(super) fn forget(&mut self) {
        while self.output.try_recv().is_ok() {}
    }

    /// Waits until this has been written, and says when it could be read.
    pub(super) fn until(&mut self, text: &str, patience: Duration) -> Result<Instant> {
        let (deadline, mut written) = (Instant::now() + patience, Vec::new());
        loop {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((read, bytes)) => {
                    written.extend(bytes);
                    if written.windows(text.len()).any(|part| part == text.as_bytes()) {
                        return Ok(read);
                    }
                }
                Err(error) => {
                    let ended = matches!(error, RecvTimeoutError::Disconnected);
                    let why = if ended { "the program ended".into() } else { format!("in {patience:?}") };
                    bail!("`{text}` was not written: {why}; it wrote {}", words(&written));
                }
            }
        }
    }
}

/// The end of what was written, for an error.
fn words(written: &[u8]) -> String {
    let text = String::from_utf8_lossy(written);
    let end: Vec<char> = text.chars().rev().take(300).collect();
    end.into_iter().rev().collect::<String>().escape_debug().to_string()
}

/// Our side, and the program's.
fn pair((columns, rows): (u16, u16)) -> Result<(File, OwnedFd)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&ours, size)?;
    let name = ptsname(&ours, Vec::new())?;
    let theirs =
        OpenOptions::new().read(true).write(true).open(std::ffi::OsStr::from_bytes(name.to_bytes()))?;
    Ok((ours.into(), theirs.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec;

    #[test]
    fn what_is_typed_and_what_is_written() {
        let mut command = exec::tied("sh");
        command.args(["-c", "stty size; read line; echo \"<$line>\"; read line"]);
        let mut terminal = Terminal::start(command, (90, 30)).unwrap();
        terminal.until("30 90", Duration::from_secs(60)).unwrap();
        let typed = Instant::now();
        terminal.press("word\n").unwrap();
        assert!(terminal.until("<word>", Duration::from_secs(60)).unwrap() >= typed);
        terminal.press("\n").unwrap();
        let error = terminal.until("more", Duration::from_secs(60)).unwrap_err().to_string();
        assert!(error.contains("the program ended"), "{error}");
    }
}
