//! Recordings that are there, and files that are none: without any privilege.

use std::{fs, path::PathBuf};

use rustix::thread::CapabilitySet;
use serde_json::Value;

use crate::{command, has, run, run_with_only};

/// The recording that comes with the repository.
pub(crate) const BUNDLED: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../xtask/recordings/five-patterns.rec");

/// A file of this test alone, gone with it.
struct TestFile(PathBuf);

impl TestFile {
    fn holding(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("observer-cli-{}-{name}", std::process::id()));
        fs::write(&path, bytes).unwrap();
        Self(path)
    }

    fn name(&self) -> &str {
        self.0.to_str().expect("a name in UTF-8")
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_bundled_recording_shows_all_five_patterns_and_balanced_books() {
    let run = run_with_only(CapabilitySet::empty(), &["stream", "--replay", BUNDLED]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "`cargo xtask demo --record` makes it anew");
    let lines = lines(&run.stdout);
    assert_eq!(lines[0]["type"], "meta");
    let changes = lines.iter().filter_map(|line| line["change"].as_str());
    // That the load began is in it or not, by which of the two was there first.
    let changes: Vec<&str> = changes.filter(|change| change.starts_with("pattern ")).collect();
    let expected = [
        "pattern single-thread → acceptor-readers",
        "pattern acceptor-readers → acceptor-workers",
        "pattern acceptor-workers → shared-accept",
        "pattern shared-accept → sharding",
    ];
    assert_eq!(changes, expected);
    let loss = lines.iter().rfind(|line| line["type"] == "loss").expect("a loss line");
    assert_eq!(loss["total"], 0, "{loss}");
    let connections = lines.iter().filter(|line| line["type"] == "connection").count();
    assert_eq!(loss["delivered"].as_u64(), Some(connections as u64));
    let overflowing = |line: &Value| line["type"] == "listener" && line["state"] == "overflowing";
    assert!(lines.iter().any(overflowing), "the first pattern is overloaded");
    assert!(fs::metadata(BUNDLED).unwrap().len() < 500 * 1024);
}

#[test]
fn a_recording_that_is_cut() {
    let bytes = fs::read(BUNDLED).unwrap();
    let file = TestFile::holding("cut", &bytes[..bytes.len() / 2]);
    let run = run(&["stream", "--replay", file.name()]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("is cut at byte"), "{}", run.stderr);
    assert!(lines(&run.stdout).len() > 100);
}

#[test]
fn a_recording_that_is_damaged_in_the_middle() {
    let mut bytes = fs::read(BUNDLED).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let file = TestFile::holding("damaged", &bytes);
    let run = run(&["stream", "--replay", file.name()]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("damaged") && run.stderr.contains("byte"), "{}", run.stderr);
    let page = crate::run(&["report", file.name()]);
    assert_eq!(page.code, Some(1), "{}", page.stderr);
    assert!(
        page.stdout.ends_with("</html>\n") && page.stderr.contains("what follows ends there"),
        "{}",
        page.stderr
    );
    assert!(lines(&run.stdout).len() > 100, "what came before the damage is there");
}

#[test]
fn a_report_is_one_page_with_all_five_patterns() {
    let run = run_with_only(CapabilitySet::empty(), &["report", BUNDLED]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert!(run.stdout.starts_with("<!DOCTYPE html>") && run.stdout.ends_with("</html>\n"));
    for pattern in ["acceptor-readers", "acceptor-workers", "shared-accept", "sharding"] {
        assert!(run.stdout.contains(pattern), "{pattern}");
    }
    let output = TestFile::holding("page", b"");
    let quiet = crate::run(&["report", BUNDLED, "-o", output.name()]);
    assert_eq!((quiet.code, quiet.stdout.as_str()), (Some(0), ""));
    assert_eq!(fs::read_to_string(&output.0).unwrap(), run.stdout);
    crate::run(&["report", BUNDLED, "-o", "/nowhere/at/all"]).refused(1, &["cannot write /nowhere/at/all"]);
}

#[test]
fn files_that_are_no_recordings() {
    let newer = {
        let mut bytes = fs::read(BUNDLED).unwrap();
        bytes[8] = 200;
        bytes
    };
    for (name, bytes, says) in [
        ("empty", &b""[..], "it is empty"),
        ("text", b"a letter", "no recording of observer"),
        ("newer", &newer, "version 200"),
        ("begun", b"\x89OBSREC\n\x01", "ends at byte 9"),
    ] {
        let file = TestFile::holding(name, bytes);
        run(&["stream", "--replay", file.name()]).refused(1, &[file.name(), says]);
    }
    run(&["stream", "--replay", "/nowhere/at/all"]).refused(1, &["/nowhere/at/all", "No such file"]);
    run(&["stream", "--replay", "/"]).refused(1, &["not a regular file"]);
}

#[test]
fn what_comes_by_stdin_is_replayed_as_a_file_is() {
    let expected = run(&["stream", "--replay", BUNDLED]).stdout;
    let mut file = command(&["stream", "--replay", "-"]);
    file.stdin(fs::File::open(BUNDLED).unwrap());
    let mut pipe = std::process::Command::new("sh");
    pipe.args(["-c", "cat \"$0\" | \"$1\" stream --replay -", BUNDLED]).arg(file.get_program());
    for (of, mut command) in [("a file", file), ("a pipe", pipe)] {
        let run = crate::Run::of(command.output().expect("cannot run the observer"));
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{of}");
        assert!(run.stdout == expected, "{of}: {} bytes and not {}", run.stdout.len(), expected.len());
    }
    // Nothing stands there.
    run(&["report", "-"]).refused(1, &["cannot replay -", "empty"]);
}

#[test]
fn a_fifo_is_not_waited_for() {
    let fifo = TestFile::holding("fifo", b"");
    fs::remove_file(&fifo.0).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &fifo.0, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    for arguments in [&["stream", "--replay"][..], &["report"]] {
        run(&[arguments, &[fifo.name()]].concat()).refused(1, &[fifo.name(), "a FIFO, not a regular file"]);
    }
    run(&["stream", "--netns", fifo.name()]).refused(2, &[fifo.name(), "a FIFO, not a regular file"]);
    if has(CapabilitySet::BPF | CapabilitySet::PERFMON) {
        run(&["doctor", "--json", "--btf", fifo.name()])
            .refused(4, &[fifo.name(), "a FIFO, not a regular file"]);
    } else {
        println!("SKIPPED: recordings::a_fifo_is_not_waited_for: --btf needs CAP_BPF and CAP_PERFMON");
    }
}

#[test]
fn a_limit_for_the_size_of_files_is_as_a_full_disk() {
    let page = TestFile::holding("limited", b"");
    let report = command(&["report", BUNDLED, "-o", page.name()]);
    let mut shell = std::process::Command::new("sh");
    // In units of 512 bytes.
    shell.args(["-c", "ulimit -f 4 && exec \"$0\" \"$@\""]).arg(report.get_program()).args(report.get_args());
    let run = crate::Run::of(shell.output().expect("cannot run the observer"));
    run.refused(1, &["cannot write", page.name(), "File too large"]);
}

#[test]
fn what_makes_no_sense() {
    run(&["replay"]).refused(2, &["FILE"]);
    run(&["record"]).refused(2, &["FILE"]);
    run(&["replay", BUNDLED]).refused(2, &["terminal", "stream"]);
    run(&["replay", BUNDLED, "--speed", "0"]).refused(2, &["--speed"]);
    for with in [&["--port", "80"][..], &["--interval", "1s"], &["--record", "other"], &["--pid", "1"]] {
        run(&[&["stream", "--replay", BUNDLED], with].concat()).refused(2, &["--replay", with[0]]);
    }
}

#[test]
fn a_recording_that_cannot_be_written_is_known_before_the_privileges_are() {
    let taken = TestFile::holding("taken", b"a letter");
    for (code, file, says) in [(1, "/nowhere/at/all", "No such file"), (2, taken.name(), "--force")] {
        let run = run_with_only(CapabilitySet::empty(), &["record", file]);
        run.refused(code, &[file, says]);
    }
    assert_eq!(fs::read(&taken.0).unwrap(), b"a letter");
}
