//! Every page of docs/patterns shows a capture: what the screen says of that pattern under load.
//!
//! `UPDATE_CAPTURES=1 cargo test -p observer --test captures`, as root and after `cargo build -p demo-server`, runs
//! every pattern and writes the captures anew; `UPDATE_CAPTURES=sharding` does it for one. Otherwise they are only looked
//! for: their figures are those of one run. The rest of a page belongs to `demo-server/tests/server/documents.rs`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use demo_server::{
    control::{LoadRequest, Request},
    pattern::{self, PATTERNS, Pattern},
    settings::Settings,
};
use observer::{
    arena::{self, Arena, watch::Watch},
    backend::Said,
    view::{App, Depth, Effect, Options, Theme},
};
use ratatui::{Terminal, backend::TestBackend, crossterm::event::KeyCode};

/// Between these is a page's capture; the test that writes the rest of the page keeps it.
const CAPTURE: &str = "<!-- capture of one run -->\n";
const END: &str = "<!-- end of the capture -->\n";
/// What stands there if the kernel refuses what the pattern needs.
const NONE: &str = "There is no capture";

/// Narrower screens leave out the unread connections, where some patterns have their queue.
const SIZE: (u16, u16) = (120, 24);
/// The keys of the screens that are captured: the queues, and who serves them.
const SCREENS: [char; 2] = ['1', '3'];
/// As often as the screen is drawn.
const REFRESH: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(60);

/// Work that keeps one thread busy most of the time, so that there is a queue where the pattern has one.
const WORK_US: u64 = 1_000;
const SLEEP_US: u64 = 2_000;
/// The load has run for so long when the picture is taken, or a little longer.
const MOMENT: Duration = Duration::from_secs(3);

/// Clients that come at random, as they do. A pattern that is a known mistake does well with those; what is wrong with it
/// shows between bursts, and two of this size fit into its queue.
fn load(pattern: &Pattern) -> LoadRequest {
    match pattern.sound {
        true => LoadRequest::profile("poisson"),
        false => LoadRequest { rate: Some(0.2), connections: Some(60), ..LoadRequest::profile("burst") },
    }
}

/// The load as `demo-server serve` takes it.
fn load_words(pattern: &Pattern) -> String {
    let LoadRequest { profile, rate, connections, .. } = load(pattern);
    let rate = rate.map(|rate| format!(",rate={rate}"));
    let connections = connections.map(|connections| format!(",connections={connections}"));
    [profile, rate, connections].into_iter().flatten().collect()
}

fn page(pattern: &Pattern) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/patterns").join(format!("{}.md", pattern.id))
}

/// A page in its three parts, with the capture in the middle.
fn parts(page: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = page.split_once(CAPTURE)?;
    let (capture, after) = rest.split_once(END)?;
    Some((before, capture, after))
}

/// The capture of a run, as it stands in the page.
fn capture(pattern: &Pattern) -> Result<String> {
    let Pattern { id, .. } = pattern;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let kernel = kernel.split(['-', '\n']).next().unwrap_or_default();
    let processors = thread::available_parallelism()?;
    let screens = match arena::run(PATIENCE, |arena| screens(arena, pattern)) {
        Err(error) if format!("{error:#}").contains("io_uring cannot be used") => {
            return Ok(format!("{NONE}: io_uring is off on the machine where it was to be made.\n"));
        }
        outcome => outcome?,
    };
    let screens: Vec<String> = screens.iter().map(|screen| format!("```text\n{screen}```\n")).collect();
    Ok(format!(
        "The screens Queues and Workers at one moment of `demo-server serve --pattern {id} --work {WORK_US} --sleep \
         {SLEEP_US} --load {}`, on Linux {kernel} with {processors} processors:\n\n{}",
        load_words(pattern),
        screens.join("\n")
    ))
}

/// Runs the pattern under load and takes a picture of each screen, all of one moment.
fn screens(arena: &Arena, pattern: &Pattern) -> Result<Vec<String>> {
    let mut watch = Watch::start(arena)?;
    let settings = Settings { work_us: WORK_US, sleep_us: SLEEP_US, ..Settings::default() };
    let mut backend = arena.serve(pattern.id, &settings)?;
    backend.command(&Request::Load(load(pattern)))?;
    let mut app = App::new(Options { theme: Theme::DEFAULT, depth: Depth::None, ascii: false });
    let begun = Instant::now();
    watch.wait_for("balanced books, and a stranded queue if the pattern makes one", |seen| {
        app.backend(Said { state: Some(Box::new(backend.state()?)), ..Said::default() });
        app.update(Arc::new(seen.clone()));
        // A record on its way is a difference for a moment.
        let balanced = seen.ledger.iter().all(|check| check.difference == 0);
        let stranded = seen.diagnoses.iter().any(|diagnosis| diagnosis.rule == "stranded-queue");
        if begun.elapsed() >= MOMENT && balanced && stranded != pattern.sound {
            return Ok(true);
        }
        thread::sleep(REFRESH);
        Ok(false)
    })?;
    // What has happened fills more of a shorter axis of time, and a group of shards is shown with its shards.
    for key in [KeyCode::Char('+'), KeyCode::Right] {
        app.key(key.into());
    }
    SCREENS.iter().map(|key| picture(&mut app, *key)).collect()
}

/// One screen as the key that saves it would save it, without its empty lines.
fn picture(app: &mut App, key: char) -> Result<String> {
    let mut terminal = Terminal::new(TestBackend::new(SIZE.0, SIZE.1))?;
    app.key(KeyCode::Char(key).into());
    terminal.draw(|frame| app.draw(frame))?;
    let effects = app.key(KeyCode::Char('x').into());
    let saved = effects.into_iter().find_map(|effect| match effect {
        Effect::Save(picture) => Some(picture.text),
        _ => None,
    });
    let text = saved.context("the screen was not saved")?;
    Ok(text.lines().filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect())
}

#[test]
fn every_pattern_has_its_capture() {
    let read = |pattern| fs::read_to_string(page(pattern)).expect("every pattern has a page");
    if let Ok(which) = env::var("UPDATE_CAPTURES") {
        let one = (which != "1").then(|| pattern::expect(&which).expect("1, or a pattern"));
        for pattern in PATTERNS.iter().filter(|pattern| one.is_none_or(|one| one.id == pattern.id)) {
            let text = read(pattern);
            let (before, _, after) =
                parts(&text).expect("a page has a place for its capture (UPDATE_PATTERNS=1 makes it)");
            let capture = capture(pattern).expect(pattern.id);
            let text = format!("{before}{CAPTURE}{capture}{END}{after}");
            fs::write(page(pattern), text).expect("the page can be written");
        }
    }
    for pattern in PATTERNS {
        let text = read(pattern);
        let (_, capture, _) = parts(&text).unwrap_or_default();
        let of_it = |line: &&str| line.starts_with(" observer  pattern ") && line.contains(pattern.id);
        let screens = capture.lines().filter(of_it).count();
        assert!(
            screens == SCREENS.len() || capture.starts_with(NONE),
            "docs/patterns/{0}.md shows {screens} screens of its pattern (UPDATE_CAPTURES={0} makes them)",
            pattern.id
        );
    }
}
