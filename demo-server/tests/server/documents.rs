//! The pages of `docs/patterns/`, one for each row of the table, made of the row and of what its file says.
//!
//! `UPDATE_PATTERNS=1 cargo test -p demo-server --test server documents` writes them anew. The capture in each comes
//! from `observer/tests/captures.rs` and is kept as it is.

use std::fs;
use std::path::{Path, PathBuf};

use demo_server::pattern::{PATTERNS, Pattern};

/// Between these is a page's capture; `observer/tests/captures.rs` looks for the same.
const CAPTURE: &str = "<!-- capture of one run -->\n";
const END: &str = "<!-- end of the capture -->\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What the file of a pattern says at its head: the picture, and why it behaves as it does.
fn head(pattern: &Pattern) -> String {
    let path = format!("demo-server/src/pattern/{}.rs", pattern.id.replace('-', "_"));
    let source = fs::read_to_string(root().join(&path)).unwrap();
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let text: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    // Links to items are for rustdoc.
    text.join("\n").replace("[`", "`").replace("`]", "`")
}

/// What is captured in a page.
fn captured(page: &str) -> Option<&str> {
    Some(page.split_once(CAPTURE)?.1.split_once(END)?.0)
}

fn page(pattern: &Pattern, capture: &str) -> String {
    let Pattern { id, title, line, real_users, when, cost, watch, .. } = pattern;
    let number = pattern.number.map(|number| format!(", number {number} of the course")).unwrap_or_default();
    let head = head(pattern);
    // A known mistake does well with clients that come one by one.
    let load = if pattern.sound { "steady" } else { "burst,rate=0.2,connections=60" };
    format!(
        "# {title}\n\n\
         `{id}`{number}: {line}.\n\n\
         {head}\n\n\
         - Who does it so: {real_users}.\n\
         - When to choose it: {when}.\n\
         - What it costs: {cost}.\n\
         - What to watch: {watch}.\n\n\
         ```console\n\
         $ demo-server serve --pattern {id} --listen 127.0.0.1:8080 --load {load},duration=1m &\n\
         # observer --port 8080\n\
         ```\n\n\
         ## What the observer shows\n\n\
         {CAPTURE}{capture}{END}"
    )
}

fn index() -> String {
    let mut text = "# Execution patterns\n\n\
        Written by a test from the table in `demo-server/src/pattern.rs`; `demo-server patterns` lists them too. Each \
        page has a picture of the threads and queues, and a capture of what the observer shows.\n\n\
        | | pattern | what it does | listeners |\n|---|---|---|---|\n"
        .to_owned();
    for pattern in PATTERNS {
        let Pattern { id, line, shards, .. } = pattern;
        let number = pattern.number.map(|number| number.to_string()).unwrap_or_default();
        let listeners = if *shards { "one each" } else { "one" };
        text += &format!("| {number} | [{id}]({id}.md) | {line} | {listeners} |\n");
    }
    text
}

#[test]
fn the_pages_say_what_the_table_says() {
    let directory = root().join("docs/patterns");
    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();
    let mut pages: Vec<_> = PATTERNS
        .iter()
        .map(|pattern| {
            let name = format!("{}.md", pattern.id);
            let text = page(pattern, captured(&read(&name)).unwrap_or_default());
            (name, text)
        })
        .collect();
    pages.push(("README.md".to_owned(), index()));
    if std::env::var_os("UPDATE_PATTERNS").is_some() {
        fs::create_dir_all(&directory).unwrap();
        for (name, text) in &pages {
            fs::write(directory.join(name), text).unwrap();
        }
    }
    for (name, text) in &pages {
        assert!(
            read(name) == *text,
            "docs/patterns/{name} is not up to date; UPDATE_PATTERNS=1 writes it anew"
        );
    }
    let files = fs::read_dir(&directory).unwrap().count();
    assert_eq!(files, pages.len(), "docs/patterns holds a page of a pattern that is none");
}

#[test]
fn every_row_says_everything_and_every_file_has_its_picture() {
    for pattern in PATTERNS {
        let Pattern { id, title, line, real_users, when, cost, watch, .. } = pattern;
        for text in [title, line, real_users, when, cost, watch] {
            assert!(text.len() > 5 && !text.ends_with('.'), "{id}: {text}");
        }
        assert!(head(pattern).contains("```text\n"), "{id}");
    }
}
