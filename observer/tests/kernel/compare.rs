//! `observer compare`: what it says the kernel counted, against what it says the load generator did.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    namespace::{THE_SAME, natively},
    observed::binary,
    waiting::tid,
};

/// Runs it to its end.
#[track_caller]
fn compare(arguments: &str) -> Output {
    let output =
        binary().arg("compare").args(arguments.split_whitespace()).output().expect("cannot start it");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {}: {errors}", output.status);
    output
}

#[track_caller]
fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON on stdout")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[track_caller]
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

/// Everything that both sides know, of one repetition.
#[track_caller]
fn both_sides_agree(repetition: &Value) {
    let (client, kernel) = (&repetition["client"], &repetition["kernel"]);
    let sum = |of: &str| list(&kernel["workers"]).iter().map(|worker| number(&worker[of])).sum::<u64>();
    assert_eq!(client["errors"], serde_json::json!({}), "{client}");
    let connections = number(&client["connections_established"]);
    assert!(connections > 0, "{client}");
    for counted in ["enqueued", "accepted"] {
        assert_eq!(number(&kernel[counted]), connections, "{counted}");
    }
    assert_eq!(sum("accepts"), connections, "the workers' accepts");
    for wait in ["accept_wait_ns", "first_read_wait_ns"] {
        assert_eq!(number(&kernel[wait]["count"]), connections, "{wait}");
        let buckets = list(&kernel[wait]["buckets"]).iter().map(|bucket| number(&bucket[2]));
        assert_eq!(buckets.sum::<u64>(), connections, "buckets of {wait}");
    }
    // Each request is one write of the client, and each answer one of the server.
    assert_eq!(sum("reads"), number(&client["requests_sent"]), "reads");
    assert_eq!(sum("writes"), number(&client["responses"]), "writes");
    assert_eq!(number(&client["service_ns"]["count"]), number(&client["responses"]));

    assert_eq!(number(&kernel["listen_drops"]), 0);
    assert!(number(&kernel["checks"]) > 0 && list(&kernel["differences"]).is_empty(), "{kernel}");
    assert_eq!(kernel["lost"], serde_json::json!({}));
    let peak = number(&kernel["accept_queue_peak"]);
    let deepest = list(&kernel["queue"]).iter().map(|depth| number(&depth["peak"])).max();
    assert_eq!(deepest, Some(peak), "the deepest of all intervals");
    // Every connection was in the queue for a moment.
    assert!(peak >= 1 && peak <= number(&kernel["backlog_limit"]) + 1, "{peak}");
    let woken = number(&kernel["wakeups"]);
    assert!(woken > 0);
    let per_accept = repetition["figures"]["wakeups_per_accept"].as_f64().expect("wake-ups per accept");
    assert_eq!((per_accept * connections as f64).round() as u64, woken);
    assert!(number(&repetition["server_cpu_ns"]) > 0);
    let known = repetition["figures"].as_object().expect("figures by name");
    assert!(!known.is_empty() && known.values().all(Value::is_number), "{known:?}");
}

#[test]
fn both_sides_agree_on_every_repetition() {
    natively(THE_SAME, || {
        let page =
            std::env::temp_dir().join(format!("observer-compare-{}-{}.html", std::process::id(), tid()));
        let output = compare(&format!(
            "--pattern single-thread --pattern sharding --workers 3 --rate 53 --duration 1s --repeat 2 --json --html {}",
            page.display()
        ));
        let html = fs::read_to_string(&page).expect("the page is there");
        fs::remove_file(&page).expect("the page can be removed");
        let comparison = json(&output);
        assert_eq!(comparison["version"], 1);
        assert_eq!(comparison["plan"]["patterns"], serde_json::json!(["single-thread", "sharding"]));

        let cells = list(&comparison["cells"]);
        assert_eq!(cells.len(), 2);
        for (cell, listeners) in cells.iter().zip([1, 3]) {
            let repetitions = list(&cell["repetitions"]);
            assert_eq!(repetitions.len(), 2);
            for repetition in repetitions {
                both_sides_agree(repetition);
                assert_eq!(number(&repetition["kernel"]["listeners"]), listeners);
                // The same load for both: the schedule of an open loop does not wait for the server.
                assert_eq!(number(&repetition["client"]["requests_sent"]), 53);
                assert_eq!(number(&repetition["client"]["dropped"]), 0);
            }
        }
        // Interleaved, and the second round the other way round.
        let places: Vec<_> = cells
            .iter()
            .flat_map(|cell| list(&cell["repetitions"]))
            .map(|one| (number(&one["round"]), number(&one["place"])))
            .collect();
        assert_eq!(places, [(1, 1), (2, 2), (1, 2), (2, 1)]);
        // Two against two cannot be told apart, whatever they are.
        let verdicts = list(&comparison["verdicts"]["verdicts"]);
        assert!(!verdicts.is_empty());
        assert!(verdicts.iter().all(|verdict| verdict["judgement"] == "too_few"), "{verdicts:?}");

        assert!(html.starts_with("<!DOCTYPE html>") && html.ends_with("</html>\n"));
        for outside in ["http:", "https:", "<script", "<link", "url(", "src="] {
            assert!(!html.contains(outside), "{outside}");
        }
        for shown in ["single-thread", "sharding", "shard-2", "<svg"] {
            assert!(html.contains(shown), "{shown}");
        }
    });
}

#[test]
fn many_requests_on_a_connection() {
    natively(THE_SAME, || {
        let output =
            compare("--pattern acceptor-readers --profile keepalive --duration 500ms --repeat 1 --json");
        let comparison = json(&output);
        let repetitions = list(&comparison["cells"][0]["repetitions"]);
        assert_eq!(repetitions.len(), 1);
        both_sides_agree(&repetitions[0]);
        let client = &repetitions[0]["client"];
        assert!(number(&client["responses"]) > number(&client["connections_established"]));
    });
}

#[test]
fn threads_that_come_and_go_are_counted_and_their_wakeups_are_not_known() {
    natively(THE_SAME, || {
        let output = compare("--pattern thread-per-connection --rate 31 --duration 1s --repeat 1 --json");
        let repetition = &json(&output)["cells"][0]["repetitions"][0];
        let kernel = &repetition["kernel"];
        // One that ended before it was looked at again may still bear the name of the thread that made it.
        let passing = |one: &&Value| one["comm"].as_str().is_some_and(|name| name.ends_with('*'));
        for deed in ["reads", "threads"] {
            let deeds = list(&kernel["workers"]).iter().filter(passing).map(|one| number(&one[deed]));
            assert_eq!(deeds.sum::<u64>(), number(&repetition["client"]["requests_sent"]), "{deed}");
        }
        assert_eq!(kernel["wakeups"], Value::Null);
    });
}

/// Sends SIGTERM when it says that this run begins, and returns what it wrote until its end.
#[track_caller]
fn interrupted(arguments: &str, at: &str) -> Output {
    let mut child = binary()
        .arg("compare")
        .args(arguments.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cannot start it");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr is a pipe")).lines();
    let said = lines.any(|line| line.expect("it writes UTF-8").contains(at));
    assert!(said, "it never came to {at}");
    kill_process(Pid::from_child(&child), Signal::TERM).expect("cannot send SIGTERM");
    let rest: Vec<String> = lines.map(|line| line.expect("it writes UTF-8")).collect();
    let mut output = child.wait_with_output().expect("cannot wait for it");
    output.stderr = rest.join("\n").into_bytes();
    output
}

#[test]
fn a_signal_ends_it_with_the_complete_rounds() {
    natively(THE_SAME, || {
        let output = interrupted("--pattern 1 --rate 97 --duration 100ms --repeat 30 --json", "3 of 30:");
        assert!(output.status.success(), "{}", output.status);
        let comparison = json(&output);
        let complete = list(&comparison["cells"][0]["repetitions"]).len();
        assert!((2..30).contains(&complete), "{complete}");
        assert_eq!(number(&comparison["plan"]["repetitions"]), complete as u64);
    });
}

#[test]
fn a_signal_in_the_first_round_leaves_nothing() {
    natively(THE_SAME, || {
        let output = interrupted("--pattern 1 --pattern 2 --duration 60m --repeat 1 --json", "1 of 2:");
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("interrupted before the first round was complete"), "{said}");
    });
}
