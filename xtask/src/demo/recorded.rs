//! The bundled recording of the five patterns: what is shown where the kernel gives no eBPF, and how it is made.

use std::{
    fs,
    io::{IsTerminal as _, stdin, stdout},
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::comparison::{Comparison, Window};
use crate::{
    artifacts::{self, Release},
    backend::Backend,
    child::Running,
    exec,
    exit::{self, Kind},
    interrupt::Interrupt,
    privilege::{self, Privilege},
    setup::{self, Purpose},
    stream::Stream,
    workspace,
};

/// The most that the repository carries of it.
const MOST_BYTES: u64 = 500 * 1024;
/// How long each pattern runs in it.
const EACH: Duration = Duration::from_millis(6500);
/// Connections a second: more than the one thread of the first pattern serves, and less than half of what four do. Fewer
/// than in the live demonstration, because each is in the file.
const RATE: u32 = 300;
/// As in the live demonstration, but for the time that a request takes, which is longer as the rate is lower.
const SERVER: &[&str] = &["--workers", "4", "--backlog", "128", "--work", "20", "--sleep", "5000"];

fn file() -> PathBuf {
    workspace::root().join("xtask/recordings/five-patterns.rec")
}

/// Whether an error says that the kernel gives no eBPF here, or not to us.
pub(super) fn is_needed(error: &anyhow::Error) -> bool {
    matches!(exit::kind(error), Some(Kind::Privilege | Kind::Kernel))
}

/// Whether the observer can work here.
///
/// # Errors
/// Why it cannot.
pub(super) fn live_is_possible(release: &Release, privilege: &Privilege) -> Result<()> {
    let mut doctor = privilege::as_root(privilege, &release.observer);
    let output = doctor.args(["doctor", "--json"]).stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let output = output.with_context(|| format!("failed to run {}", exec::shown(&doctor)))?;
    let said = String::from_utf8_lossy(&output.stderr);
    exit::of_child("`observer doctor`", output.status).with_context(|| said.trim().to_owned())
}

/// Shows it: on the screen, or without a terminal as the comparison. Says why it is not live.
pub(super) fn show(why: &anyhow::Error) -> Result<()> {
    let say = || {
        eprintln!(
            "demo: what follows is a recording of the five patterns, because here it cannot be live: {why:#}"
        );
    };
    say();
    let ready = setup::ensure(&[Purpose::Lint])?;
    let release = artifacts::build_release(&ready.toolchain)?;
    let interrupt = Interrupt::catch()?;
    if !stdin().is_terminal() || !stdout().is_terminal() {
        return compare(&release, &interrupt);
    }
    let mut command = exec::tied(&release.observer);
    command.arg("replay").arg(file());
    let mut observer = Running::start(&mut command, "observer replay")?;
    let status = observer.wait(&interrupt)?;
    // The screen has gone, and with it what was said before.
    say();
    exit::of_child("`observer replay`", status)
}

/// The table of what the kernel saw while each pattern ran.
fn compare(release: &Release, interrupt: &Interrupt) -> Result<()> {
    let file = file().to_str().context("the path of the repository is not UTF-8")?.to_owned();
    // No privilege is needed for this one.
    let mut stream = Stream::start(&release.observer, &Privilege::Root, None, &["--replay", &file])?;
    stream.meta(interrupt)?;
    let mut comparison = Comparison::default();
    let (mut running, mut window) = (None, Window::default());
    while let Some(line) = stream.next(Duration::from_secs(30), interrupt)? {
        let change = line["change"].as_str().and_then(|change| change.strip_prefix("pattern "));
        if let Some((from, to)) = change.and_then(|change| change.split_once(" → ")) {
            let next = window.next();
            comparison.add(from, std::mem::replace(&mut window, next));
            running = Some(to.to_owned());
        } else {
            window.take(&line)?;
        }
    }
    stream.finish(interrupt)?;
    if let Some(pattern) = running {
        comparison.add(&pattern, window);
    }
    print!("{comparison}");
    Ok(())
}

/// Makes it anew.
pub(super) fn make(release: &Release, privilege: &Privilege, patterns: &[String]) -> Result<()> {
    let (file, interrupt) = (file(), Interrupt::catch()?);
    let first = patterns.first().context("demo-server knows no pattern")?;
    let flags = [&["--pattern", first.as_str()][..], SERVER].concat();
    let mut backend = Backend::start(&release.demo_server, &flags, &interrupt)?;
    fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))
        .context("could not make a directory for it")?;
    let mut command = privilege::tied_as_root(privilege, &release.observer);
    command.arg("record").arg(&file).args(["--force", "--interval", "500ms"]);
    command.args(["--port", &backend.port().to_string(), "--demo"]).arg(backend.socket());
    let _ = fs::remove_file(&file);
    let mut observer = Running::start(&mut command, "observer record")?;
    // Its first frames are there once the probes are attached.
    let deadline = Instant::now() + Duration::from_secs(30);
    while fs::metadata(&file).map_or(0, |metadata| metadata.len()) == 0 {
        interrupt.check()?;
        if let Some(status) = observer.ended()? {
            return exit::of_child("`observer record`", status);
        }
        if Instant::now() > deadline {
            bail!("`observer record` wrote nothing");
        }
        thread::sleep(Duration::from_millis(20));
    }
    let duration = format!("{}s", (EACH * patterns.len() as u32).as_secs() + 6);
    for (number, pattern) in patterns.iter().enumerate() {
        eprintln!("demo: recording {pattern} for {:.1} s", EACH.as_secs_f32());
        if number > 0 {
            backend.request(json!({"cmd": "set", "pattern": pattern}))?;
        } else {
            backend
                .request(json!({"cmd": "load", "profile": "steady", "rate": RATE, "duration": duration}))?;
        }
        let end = Instant::now() + EACH;
        while Instant::now() < end {
            interrupt.check()?;
            thread::sleep(Duration::from_millis(20));
        }
    }
    if observer.stop().and_then(|status| status.code()) != Some(0) {
        bail!("`observer record` did not end well");
    }
    let size = fs::metadata(&file).context("the recording is gone")?.len();
    eprintln!("demo: {} has {size} bytes", file.display());
    if size > MOST_BYTES {
        bail!("that is too large for the repository, which carries at most {MOST_BYTES}");
    }
    Ok(())
}
