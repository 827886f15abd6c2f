//! demo-server as a child process, and its control socket.
//!
//! The protocol is spoken here as JSON rather than through demo-server's library, so that xtask builds, and can say
//! what is wrong, when demo-server does not build.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::{child::Running, exec, interrupt::Interrupt, workdir::WorkDir};

/// How long the server may take to come up, and to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running demo-server on a port of the kernel's choice.
pub(crate) struct Backend {
    // In this order dropped: the server first, then the directory that its socket lies in.
    server: Running,
    control: BufReader<UnixStream>,
    socket: PathBuf,
    port: u16,
    /// What it says goes here, and not over the screen that may be open.
    words: PathBuf,
    _dir: WorkDir,
}

impl Drop for Backend {
    /// Tells what it said, now that nothing else is on the screen; that it listens is no news.
    fn drop(&mut self) {
        let words = fs::read_to_string(&self.words).unwrap_or_default();
        for line in words.lines().filter(|line| !line.contains("listening on")) {
            eprintln!("{line}");
        }
    }
}

impl Backend {
    /// Starts it with these flags and waits until it answers.
    pub(crate) fn start(program: &Path, flags: &[&str], interrupt: &Interrupt) -> Result<Self> {
        let dir = WorkDir::new()?;
        let socket = dir.join("control");
        let mut command = exec::tied(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--control"]).arg(&socket).args(flags);
        let words = dir.join("stderr");
        let file = File::create(&words).with_context(|| format!("could not make {}", words.display()))?;
        command.stdin(Stdio::null()).stderr(file);
        let mut server = Running::start(&mut command, "demo-server")?;
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            if let Ok(stream) = UnixStream::connect(&socket) {
                break stream;
            }
            if let Some(status) = server.ended()? {
                let words = fs::read_to_string(&words).unwrap_or_default();
                bail!("{} ended while it started: {status}: {}", exec::shown(&command), words.trim());
            }
            interrupt.check()?;
            if Instant::now() >= deadline {
                bail!("demo-server did not open {} within {} s", socket.display(), PATIENCE.as_secs());
            }
            thread::sleep(Duration::from_millis(5));
        };
        stream
            .set_read_timeout(Some(PATIENCE))
            .context("could not bound the wait for demo-server's replies")?;
        let mut backend = Self { server, control: BufReader::new(stream), socket, port: 0, words, _dir: dir };
        let state = backend.request(json!({"cmd": "state"}))?;
        let listen = state["listen"].as_str().unwrap_or_default();
        backend.port = listen
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .with_context(|| format!("demo-server says that it listens on `{listen}`, which has no port"))?;
        Ok(backend)
    }

    /// Where it listens, on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its control socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends a request and returns the state afterwards; a note goes to stderr, a refusal is an error.
    pub(crate) fn request(&mut self, mut request: Value) -> Result<Value> {
        request["v"] = json!(1);
        let context = || format!("demo-server did not answer `{request}`");
        writeln!(self.control.get_mut(), "{request}").with_context(context)?;
        let mut line = String::new();
        if self.control.read_line(&mut line).with_context(context)? == 0 {
            let ended =
                self.server.ended()?.map(|status| format!(": it ended, {status}")).unwrap_or_default();
            bail!("demo-server closed its control socket at `{request}`{ended}");
        }
        let mut reply: Value =
            serde_json::from_str(&line).with_context(|| format!("demo-server replied `{line}`"))?;
        if reply["ok"] != json!(true) {
            bail!(
                "demo-server refuses `{request}`: {}",
                reply["error"].as_str().unwrap_or("it does not say why")
            );
        }
        if let Some(note) = reply["note"].as_str() {
            eprintln!("demo-server: {note}");
        }
        Ok(reply["state"].take())
    }

    /// Waits until the load that runs has ended, and returns its report.
    pub(crate) fn load_report(&mut self, limit: Duration, interrupt: &Interrupt) -> Result<Value> {
        let deadline = Instant::now() + limit;
        loop {
            let mut state = self.request(json!({"cmd": "state"}))?;
            if state["load"].is_null() {
                return Ok(state["last_load"].take());
            }
            interrupt.check()?;
            if Instant::now() >= deadline {
                bail!("the load did not end within {} s", limit.as_secs());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
