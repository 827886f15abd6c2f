//! `cargo xtask bench tui`: what the screen costs, and how fast it answers.
//!
//! A frame is measured inside the program (`observer/benches/frame.rs`). The rest is `observer live` on a
//! pseudo-terminal, as a person has it: how long from a key to the screen that it asks for, and how much of a core it
//! takes at its default refresh, with nothing to do and under load.

mod frame;
mod terminal;

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::{
    figure::{self, Figure},
    host, process,
};
use crate::{
    artifacts::Release, backend::Backend, exec, interrupt::Interrupt, table::Table, toolchain::BpfToolchain,
};
use frame::Parts;
use terminal::Terminal;

/// Connections a second.
const RATE: u64 = 5_000;
/// How much of that the load must have made for the figures to be of that load.
const LEAST: f64 = 0.98;
/// Columns and rows.
const SIZE: (u16, u16) = (200, 60);
/// Keys, and what is written when the screen of a key is chosen and never otherwise: its tab changes its look.
const SCREENS: [(&str, &str); 6] = [
    ("1", "Queues"),
    ("2", "Journey"),
    ("3", "Workers"),
    ("4", "Connections"),
    ("5", "Pattern"),
    ("6", "Probes"),
];
/// Between two keys; no multiple of it is one of the refresh for long, so that keys come at all moments between frames.
const BETWEEN_KEYS: Duration = Duration::from_millis(137);
/// What passes before anything counts: the first frames draw everything, and everything else begins as well.
const SETTLING: Duration = Duration::from_secs(2);
/// The longest wait for a screen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Measures, prints, and writes it into `write` too, as Markdown.
pub(super) fn run(
    release: &Release,
    toolchain: &BpfToolchain,
    seconds: u64,
    keys: u32,
    write: Option<&Path>,
) -> Result<()> {
    let interrupt = Interrupt::catch()?;
    let frames = frame::measure(toolchain)?;
    let window = Duration::from_secs(seconds);
    let flags = ["--pattern", "acceptor-readers", "--backlog", "1024"];
    let mut backend = Backend::start(&release.demo_server, &flags, &interrupt)?;
    let mut figures = vec![
        figure::frame_drawn(frame::dearest(&frames, Parts::drawn)),
        figure::frame(frame::dearest(&frames, Parts::whole)),
    ];
    eprintln!("bench: the screen without load, {seconds} s");
    figures.push(figure::screen_cpu_idle(cpu(&mut observe(release, &backend)?, window, &interrupt)?));

    backend.request(json!({"cmd": "load", "profile": "steady", "rate": RATE, "duration": "1h"}))?;
    let mut screen = observe(release, &backend)?;
    eprintln!("bench: the screen at {RATE} connections/s, {seconds} s");
    figures.push(figure::screen_cpu_loaded(cpu(&mut screen, window, &interrupt)?));
    eprintln!("bench: {keys} keys at {RATE} connections/s");
    let painted = answers(&mut screen, keys, &interrupt)?;
    let late = percentile(&painted, 0.99);
    figures.extend([figure::painted(painted), figure::painted_late(late)]);
    drop(screen);
    backend.request(json!({"cmd": "load", "stop": true}))?;
    let report = backend.load_report(PATIENCE, &interrupt)?;
    let field =
        |name: &str| report[name].as_f64().with_context(|| format!("the load's report has no {name}"));
    let rate = field("responses")? / field("elapsed_s")?;
    if rate < LEAST * RATE as f64 {
        bail!(
            "the load came to {rate:.0} connections/s only, so this is not the load that was to be measured"
        );
    }

    let report = Report { figures, frames, rate, seconds, keys };
    if let Some(path) = write {
        fs::write(path, report.markdown()).with_context(|| format!("could not write {}", path.display()))?;
    }
    print!("{}\n{}\n\n{}\n{}", host::describe().line(), report.how(), report.table(), report.parts());
    Ok(())
}

/// The screen on a terminal, settled.
fn observe(release: &Release, backend: &Backend) -> Result<Terminal> {
    let mut observer = exec::tied(&release.observer);
    observer.args(["live", "--port", &backend.port().to_string(), "--demo"]).arg(backend.socket());
    let mut screen = Terminal::start(observer, SIZE)?;
    screen.until(SCREENS[0].1, PATIENCE)?;
    thread::sleep(SETTLING);
    Ok(screen)
}

/// Percent of a core, second by second.
fn cpu(screen: &mut Terminal, window: Duration, interrupt: &Interrupt) -> Result<Vec<f64>> {
    let (mut samples, begun) = (Vec::new(), Instant::now());
    let (mut before, mut then) = (process::cpu_ms(screen.id())?, begun);
    while begun.elapsed() < window {
        interrupt.check()?;
        thread::sleep(Duration::from_secs(1));
        let (now, used) = (Instant::now(), process::cpu_ms(screen.id())?);
        samples.push((used - before) / (now - then).as_secs_f64() / 10.0);
        (before, then) = (used, now);
        screen.forget();
    }
    Ok(samples)
}

/// Milliseconds from each key to the frame that it asks for.
fn answers(screen: &mut Terminal, keys: u32, interrupt: &Interrupt) -> Result<Vec<f64>> {
    let mut samples = Vec::new();
    for (key, title) in SCREENS.iter().cycle().skip(1).take(keys as usize) {
        interrupt.check()?;
        thread::sleep(BETWEEN_KEYS);
        screen.forget();
        let pressed = Instant::now();
        screen.press(key)?;
        let painted = screen.until(title, PATIENCE)?;
        samples.push(painted.duration_since(pressed).as_secs_f64() * 1e3);
    }
    Ok(samples)
}

/// So much of all samples is no greater.
fn percentile(samples: &[f64], part: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

struct Report {
    figures: Vec<Figure>,
    frames: Vec<Parts>,
    rate: f64,
    seconds: u64,
    keys: u32,
}

impl Report {
    fn how(&self) -> String {
        format!(
            "{}×{} at the default refresh of 250 ms; {} s without load, {} s and {} keys at {:.0} connections/s by the \
             generator's count",
            SIZE.0, SIZE.1, self.seconds, self.seconds, self.keys, self.rate
        )
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["figure", "median", "unit", "range", "budget", ""]);
        for figure in &self.figures {
            table.row(figure.cells());
        }
        table
    }

    fn parts(&self) -> Table {
        let mut table = Table::new(["screen", "events", "snapshot", "update", "draw"]);
        for parts in &self.frames {
            table.row(parts.cells());
        }
        table
    }

    fn markdown(&self) -> String {
        format!(
            "# Performance of the screen\n\n\
             Written by `cargo xtask bench tui --write`. Machines differ, and one machine swings by a factor of two from\n\
             minute to minute: compare only figures of one run.\n\n\
             Machine: {}.\n\n{}.\n\n{}\n\
             The time to the changed screen is measured outside of the program, from the write of a key to a pseudo-terminal\n\
             until the row with the tabs, which a frame ends with, has been read from it. Processor time is the scheduler's own\n\
             account of the observer's threads, second by second; load, server and observer share the machine.\n\n\
             ## A frame\n\n\
             1,000 listeners, 5,000 connections a second, 100,000 of them before the first frame that counts; medians of 60\n\
             frames each, in milliseconds of processor time, so that what else the machine does is not in them. *Events* is\n\
             what 250 ms bring, told to the model: live, most of it is taken in between frames. *Snapshot* is the model's, for\n\
             any output. *Update* is what the screen remembers of it, *draw* the rest, down to the bytes for the terminal. A\n\
             key costs a draw, a refresh costs all four.\n\n{}",
            host::describe().line(),
            self.how(),
            self.table().markdown(),
            self.parts().markdown()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_samples() {
        let samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&samples, 0.99), 99.0);
        assert_eq!(percentile(&[7.0], 0.99), 7.0);
        assert!(percentile(&[], 0.99).is_nan());
    }
}
