//! The pages that the observer writes, in a real browser: they show what they should, load nothing, have nothing to
//! complain about, fit a phone, and print.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails does so with a panic, helpers included"
)]

#[path = "pages/browser.rs"]
mod browser;

use std::{
    env, fs,
    path::PathBuf,
    process::{self, Command},
};

use browser::{Browser, printed_pages};
use observer::compare::figure::FIGURES;
use serde_json::{Value, json};

/// Width and height of a window on a desk, and of a phone.
const DESK: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (390, 844);
/// A plot that is smaller than this shows nothing.
const LEAST_PLOT: (f64, f64) = (200.0, 40.0);

/// A directory of one test, gone with it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("observer-pages-{}-{name}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A browser for the test of this name; none, and said so, where there is none.
fn browser(test: &str, directory: &Directory) -> Option<Browser> {
    let browser = Browser::start(&directory.0.join("profile"));
    if browser.is_none() {
        println!("SKIPPED: {test}: there is no Chromium here; `cargo xtask setup --for test` installs one");
    }
    browser
}

/// What a page is like on a screen.
const LOOK: &str = "({
    width: innerWidth,
    needed: document.documentElement.scrollWidth,
    title: document.title,
    sections: Array.from(document.querySelectorAll('h2'), head => head.textContent),
    plots: Array.from(document.querySelectorAll('figure svg'), plot => plot.getBoundingClientRect())
        .map(plot => [plot.width, plot.height]),
    cut: Array.from(document.querySelectorAll('th, td'))
        .filter(cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.textContent),
    hidden: Array.from(document.querySelectorAll('table, svg, p, li'))
        .filter(element => element.getClientRects().length === 0 && !element.closest('details')).length,
})";

/// What is to be found fault with in a page as it looks on a screen of this width.
fn faults(look: &Value, width: u32) -> Vec<String> {
    let mut faults = Vec::new();
    if look["width"] != width || look["needed"].as_u64().is_none_or(|needed| needed > width.into()) {
        faults.push(format!("it needs {} of {width} pixels: {look}", look["needed"]));
    }
    let plots = look["plots"].as_array().map_or(&[][..], Vec::as_slice);
    for plot in plots {
        let (width, height) = (plot[0].as_f64().unwrap(), plot[1].as_f64().unwrap());
        if width < LEAST_PLOT.0 || height < LEAST_PLOT.1 {
            faults.push(format!("a plot of {width}×{height}"));
        }
    }
    if look["cut"].as_array().is_none_or(|cut| !cut.is_empty()) {
        faults.push(format!("cells whose text runs into the next: {}", look["cut"]));
    }
    if look["hidden"] != 0 {
        faults.push(format!("{} parts do not show", look["hidden"]));
    }
    faults
}

/// Opens the page on both screens and finds fault with it. Returns how it looked on the desk.
fn examine(browser: &mut Browser, page: &str, sections: &[&str], plots: usize) -> Value {
    let [desk, _phone] = [DESK, PHONE].map(|screen| {
        let mut tab = browser.open(page, screen, screen == PHONE);
        let look = tab.evaluate(LOOK);
        assert_eq!(faults(&look, screen.0), Vec::<String>::new());
        assert_eq!(look["sections"], json!(sections));
        assert_eq!(look["plots"].as_array().map(Vec::len), Some(plots), "{look}");
        let (requests, complaints) = tab.close();
        assert_eq!(requests, [page], "it loads itself and nothing else");
        assert_eq!(complaints, Vec::<String>::new());
        look
    });
    desk
}

/// Runs the observer to its end; false, and said so, if it may not do that here.
#[track_caller]
fn observer(test: &str, arguments: &[&str]) -> bool {
    let output = Command::new(env!("CARGO_BIN_EXE_observer")).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if matches!(output.status.code(), Some(3 | 4)) {
        println!("SKIPPED: {test}: {}", said.trim().replace('\n', " "));
        return false;
    }
    assert!(output.status.success(), "{arguments:?}: {said}");
    true
}

#[test]
fn a_report() {
    let directory = Directory::new("report");
    let Some(mut browser) = browser("a_report", &directory) else { return };
    let recording = concat!(env!("CARGO_MANIFEST_DIR"), "/../xtask/recordings/five-patterns.rec");
    let file = directory.0.join("report.html");
    assert!(observer("a_report", &["report", recording, "-o", file.to_str().unwrap()]));
    let sections = [
        "Listeners",
        "What was wrong",
        "Over time",
        "Journey",
        "Who does it",
        "Longest waits",
        "Can the figures be trusted?",
    ];
    // Two for each of four shards, one for each of seven stages, three of shares.
    let look = examine(&mut browser, &format!("file://{}", file.display()), &sections, 2 * 4 + 7 + 3);
    assert_eq!(look["title"], "observer report");
    let pages = printed_pages(&file, &directory.0);
    assert!((2..100).contains(&pages), "{pages} printed pages");
}

#[test]
fn a_comparison() {
    let directory = Directory::new("comparison");
    let Some(mut browser) = browser("a_comparison", &directory) else { return };
    let file = directory.0.join("comparison.html");
    let load = ["--profile", "steady", "--rate", "101", "--duration", "500ms", "--repeat", "2"];
    let patterns = ["compare", "--pattern", "single-thread", "--pattern", "sharding"];
    if !observer("a_comparison", &[&patterns[..], &load, &["--html", file.to_str().unwrap()]].concat()) {
        return;
    }
    let sections = ["What differs", "Load: steady", "How to read it"];
    // Four distributions of times; for each of two patterns its queue and its shares.
    let plots = FIGURES.len() + 4 + 2 * 2;
    examine(&mut browser, &format!("file://{}", file.display()), &sections, plots);
    let pages = printed_pages(&file, &directory.0);
    assert!((1..100).contains(&pages), "{pages} printed pages");
}

#[test]
fn a_page_that_keeps_none_of_this_is_noticed() {
    let directory = Directory::new("faulty");
    let Some(mut browser) = browser("a_page_that_keeps_none_of_this_is_noticed", &directory) else { return };
    let file = directory.0.join("faulty.html");
    let page = "<!DOCTYPE html><meta name=viewport content='width=device-width'><body>\
                <img src='missing.png'><div style='width:500px'>x</div><figure><svg width=10 height=10></svg></figure><p hidden>x</p>\
                <script>console.warn('beware'); nowhere();</script>";
    fs::write(&file, page).unwrap();
    let mut tab = browser.open(&format!("file://{}", file.display()), PHONE, true);
    let look = tab.evaluate(LOOK);
    let found = faults(&look, PHONE.0);
    assert_eq!(found.len(), 3, "{found:?}");
    let (requests, complaints) = tab.close();
    assert_eq!(requests.len(), 2, "{requests:?}");
    let all = complaints.join("\n");
    assert!(["beware", "nowhere", "missing.png"].iter().all(|part| all.contains(part)), "{all}");
}
