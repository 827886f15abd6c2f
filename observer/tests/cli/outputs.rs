//! Files that are written: never over what is there, for who asked alone; and names that a terminal would obey.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
    process::Command,
};

use demo_server::{private::PrivateDirectory, visible::is_obeyed};
use rustix::{process::geteuid, thread::CapabilitySet};

use crate::{Run, command, has, recordings::BUNDLED, run, run_with_only};

/// A directory, and the names of files in it.
fn place() -> (PrivateDirectory, impl Fn(&str) -> String) {
    let directory = PrivateDirectory::new().unwrap();
    let path = directory.path().to_owned();
    (directory, move |name| path.join(name).to_str().expect("a name in UTF-8").to_owned())
}

#[test]
fn a_report_is_not_written_over_its_recording() {
    let (_directory, file) = place();
    let (recording, link) = (file("a.rec"), file("link"));
    fs::copy(BUNDLED, &recording).unwrap();
    symlink(&recording, &link).unwrap();
    let whole = fs::read(&recording).unwrap();
    for (from, to) in [(&recording, &recording), (&link, &recording), (&recording, &link)] {
        for force in [&[][..], &["--force"]] {
            run(&[&["report", from, "-o", to], force].concat()).refused(2, &[to, "the recording itself"]);
        }
    }
    assert_eq!(fs::read(&recording).unwrap(), whole);
}

#[test]
fn what_is_there_is_replaced_only_by_force() {
    let (_directory, file) = place();
    let (page, link) = (&*file("page.html"), &*file("link"));
    fs::write(page, "precious").unwrap();
    symlink(page, link).unwrap();
    for (taken, says) in [(page, "--force"), (link, "a symbolic link")] {
        run(&["report", BUNDLED, "-o", taken]).refused(2, &[taken, says]);
        run(&["compare", "--html", taken]).refused(2, &["--html", taken, says]);
        for command in [&["record", taken][..], &["stream", "--record", taken]] {
            run_with_only(CapabilitySet::empty(), command).refused(2, &[taken, says]);
        }
        assert_eq!(fs::read_to_string(page).unwrap(), "precious");
    }
    run(&["report", BUNDLED, "-o", link, "--force"]).refused(2, &[link, "a symbolic link"]);
    for command in [&["record", page, "--force"][..], &["stream", "--record", page, "--force"]] {
        // A run that could not begin has replaced nothing.
        run_with_only(CapabilitySet::empty(), command).refused(3, &["CAP_BPF"]);
    }
    assert_eq!(fs::read_to_string(page).unwrap(), "precious");
    assert_eq!(run(&["report", BUNDLED, "-o", page, "--force"]).code, Some(0));
    assert!(fs::read_to_string(page).unwrap().starts_with("<!DOCTYPE html>"));
    for alone in [&["report", BUNDLED, "--force"][..], &["compare", "--force"], &["stream", "--force"]] {
        run(alone).refused(2, &["--force"]);
    }
}

#[test]
fn nothing_is_left_of_an_output_that_could_not_begin() {
    let (directory, file) = place();
    run_with_only(CapabilitySet::empty(), &["record", &file("a.rec")]).refused(3, &["CAP_BPF"]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn outputs_are_for_who_asked_alone() {
    let (_directory, file) = place();
    let outcome = |name: &str, sudo: [&str; 2]| {
        let output = command(&["report", BUNDLED, "-o", &file(name)])
            .env("SUDO_UID", sudo[0])
            .env("SUDO_GID", sudo[1])
            .output()
            .unwrap();
        assert_eq!(Run::of(output).code, Some(0));
        let page = fs::metadata(file(name)).unwrap();
        (page.mode() & 0o7777, page.uid(), page.gid())
    };
    let (uid, gid) = (geteuid().as_raw(), rustix::process::getegid().as_raw());
    let others = if geteuid().is_root() { (0o600, 12_345, 12_346) } else { (0o600, uid, gid) };
    assert_eq!(outcome("asked", ["12345", "12346"]), others);
    for (name, nonsense) in [("a", ["x", "5"]), ("b", ["5", ""]), ("c", ["4294967295", "4294967295"])] {
        assert_eq!(outcome(name, nonsense), (0o600, uid, gid), "{nonsense:?}");
    }
}

#[test]
fn names_of_files_are_shown_and_not_obeyed() {
    let odd = "/nowhere/\u{1b}]0;owned\u{7}\u{202e}\u{9b}2J";
    let is_obeyed = |c: char| c != '\n' && is_obeyed(c);
    let shown = r"/nowhere/\x1b]0;owned\x07\u{202e}\u{9b}2J";
    for arguments in [
        &["report", odd][..],
        &["stream", "--replay", odd],
        &["report", BUNDLED, "-o", odd],
        &["stream", "--cgroup", odd],
        &["stream", "--netns", odd],
    ] {
        let run = run(arguments);
        assert!(matches!(run.code, Some(1 | 2)), "{run:?}");
        assert!(run.stderr.contains(shown), "{run:?}");
        assert!(!run.stderr.contains(is_obeyed), "{run:?}");
    }
    // What clap says is without the sequences that it knows.
    for arguments in [&["stream", "--port", odd][..], &["doctor", odd]] {
        let run = run(arguments);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains(r"\u{202e}\u{9b}2J"), "{run:?}");
        assert!(!run.stderr.contains(is_obeyed), "{run:?}");
    }
}

#[test]
fn capabilities_of_a_user_namespace_are_none() {
    if !has(CapabilitySet::SYS_ADMIN) {
        println!(
            "SKIPPED: outputs::capabilities_of_a_user_namespace_are_none: it needs CAP_SYS_ADMIN; run it as root"
        );
        return;
    }
    let mut unshare = Command::new("unshare");
    unshare.args([
        "--user",
        "--map-root-user",
        env!("CARGO_BIN_EXE_observer"),
        "stream",
        "--duration",
        "10ms",
    ]);
    Run::of(unshare.output().expect("unshare")).refused(3, &["user namespace", "sudo"]);
}
