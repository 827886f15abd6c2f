//! Command lines that make no sense, and commands that cannot do what they are for here.

use std::{fs::File, process::Stdio};

use crate::{Run, command, run};

#[test]
fn what_makes_no_sense_is_usage() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["stream", "--nonsense"], &["--nonsense"]),
        (&["nonsense"], &["nonsense"]),
        (&["stream", "--port", "0"], &["--port", "0"]),
        (&["stream", "--port", "65536"], &["--port", "65536"]),
        (&["stream", "--port", "http"], &["--port", "http"]),
        (&["stream", "--port", ""], &["--port"]),
        (&["stream", "--pid", "0"], &["--pid", "0"]),
        (&["stream", "--pid", "-1"], &["invalid value '-1' for '--pid", "not in 1.."]),
        (&["stream", "--port", "-1"], &["invalid value '-1' for '--port", "not in 1..=65535"]),
        (&["stream", "--interval", "-1s"], &["invalid value '-1s' for '--interval"]),
        (&["stream", "--pid", "4294967296"], &["--pid", "4294967296"]),
        (&["stream", "--interval", "5"], &["--interval", "unit ms, s or m"]),
        (&["stream", "--interval", "0s"], &["--interval", "10ms"]),
        (&["stream", "--interval", "1h"], &["--interval", "1h"]),
        (&["stream", "--duration", "99999999999999999999s"], &["--duration"]),
        (&["stream", "--duration"], &["--duration"]),
        (&["stream", "--only", "nothing"], &["--only", "nothing", "listener"]),
        (&["stream", "--max-listeners", "0"], &["--max-listeners"]),
        (&["stream", "--max-connections", "4294967295"], &["--max-connections"]),
        (&["stream", "--ring-kib", "5"], &["--ring-kib", "power of two"]),
        (&["compare", "--pattern", "quantum"], &["unknown pattern 'quantum'", "sharding"]),
        (&["compare", "--profile", "quantum"], &["unknown profile 'quantum'", "steady"]),
        (&["compare", "--profile", "churn", "--rate", "5"], &["profile churn", "closed loop"]),
        (&["compare", "--rate", "NaN"], &["rate NaN is out of range"]),
        (&["compare", "--repeat", "0"], &["--repeat", "1..=30"]),
        (&["compare", "--duration", "2h"], &["--duration", "2h"]),
        (&["compare", "--workers", "4294967295"], &["4294967295 is not in 1..=1024"]),
        (&["compare", "--workers", "0"], &["0 is not in 1..=1024"]),
        (&["compare", "--backlog", "-1"], &["--backlog", "-1 is not in 0..=65535"]),
        (&["compare", "--backlog", "99999999999"], &["--backlog", "99999999999 is not in 0..=65535"]),
        (&["compare", "--work", "-1"], &["--work", "-1 is not in 0..=10000000"]),
        (&["compare", "--sleep", "99999999999"], &["--sleep", "99999999999 is not in 0..=10000000"]),
        (&["compare", "--rate", "-1"], &["rate -1 is out of range"]),
        (&["compare", "--repeat", "-1"], &["--repeat", "-1 is not in 1..=30"]),
        (&["compare", "--duration", "-5s"], &["invalid value '-5s' for '--duration"]),
        (&["compare", "--html", "/nowhere/at/all.html"], &["--html", "/nowhere/at/all.html: No such file"]),
    ];
    for (arguments, says) in cases {
        run(arguments).refused(2, says);
    }
}

#[test]
fn what_is_not_there_is_named() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["stream", "--pid", "4294967295"], &["--pid 4294967295", "no such process"]),
        (&["stream", "--netns", "/nowhere/at/all"], &["--netns /nowhere/at/all", "No such file"]),
        (&["stream", "--netns", "4294967295"], &["--netns 4294967295"]),
        (&["stream", "--cgroup", "/nowhere/at/all"], &["--cgroup /nowhere/at/all", "No such file"]),
        (&["stream", "--cgroup", "/proc"], &["--cgroup /proc", "cgroup2"]),
    ];
    for (arguments, says) in cases {
        run(arguments).refused(2, says);
    }
}

#[test]
fn a_file_that_is_no_namespace() {
    run(&["stream", "--duration", "10ms", "--netns", "/etc/passwd"]).refused(2, &["--netns /etc/passwd"]);
}

#[test]
fn too_many_ports() {
    let ports: Vec<String> = (1..=257).flat_map(|port| ["--port".to_owned(), port.to_string()]).collect();
    let arguments: Vec<&str> = ["stream"].into_iter().chain(ports.iter().map(String::as_str)).collect();
    run(&arguments).refused(2, &["257 ports", "256"]);
}

#[test]
fn the_screen_without_a_terminal() {
    for arguments in [&["live"][..], &[]] {
        run(arguments).refused(2, &["terminal", "observer stream"]);
    }
}

#[test]
fn output_that_cannot_be_written() {
    if !crate::has(rustix::thread::CapabilitySet::BPF | rustix::thread::CapabilitySet::PERFMON) {
        println!(
            "SKIPPED: usage::output_that_cannot_be_written: it needs CAP_BPF and CAP_PERFMON; run it as root"
        );
        return;
    }
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let output = command(&["stream", "--duration", "10ms", "--netns", "/proc/self/ns/net"])
        .stdout(Stdio::from(full))
        .output()
        .expect("cannot run the observer");
    Run::of(output).refused(1, &["stdout", "No space left"]);
}
