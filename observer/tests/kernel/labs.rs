//! Every lab, as `observer lab --check` runs it: the figures of each are checked by the lab itself, against the kernel's
//! counters, its sockets and what system calls returned.

use std::{fs, process::Stdio};

use demo_server::private::PrivateDirectory;
use observer::lab::LABS;
use serde_json::Value;

use crate::{
    namespace::{THE_SAME, natively},
    observed::binary,
    waiting::{is_emulated, patience, until},
};

/// On an emulated machine any process may stop for a second in the middle of a figure. What is wrong with the product or
/// the expectation is wrong each time.
fn tries() -> usize {
    if is_emulated() { 3 } else { 1 }
}

#[test]
fn every_lab_comes_out_as_expected() {
    natively(THE_SAME, || {
        let mut wrong = Vec::new();
        for lab in LABS {
            let complaints: Vec<String> = (0..tries()).map_while(|_| complaint(lab.name)).collect();
            complaints.iter().for_each(|complaint| println!("{complaint}"));
            wrong.extend(complaints.into_iter().nth(tries() - 1));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// What is wrong with one run.
fn complaint(lab: &str) -> Option<String> {
    let output = binary()
        .args(["lab", lab, "--check", "--json", "--patience", &format!("{}s", patience().as_secs())])
        .stdin(Stdio::null())
        .output()
        .expect("cannot start the observer");
    let Ok(run) = serde_json::from_slice::<Value>(&output.stdout) else {
        return Some(format!("{lab}: {}", String::from_utf8_lossy(&output.stderr)));
    };
    let failed = run["outcome"] == "failed";
    assert_eq!(output.status.code(), Some(i32::from(failed)), "{lab}: the exit code against {run}");
    if run["outcome"] == "skipped" {
        println!("SKIPPED: labs::{lab}: {}", run["why"].as_str().unwrap_or_default());
    }
    let rows = run["figures"].as_array().expect("figures");
    let wrong: Vec<String> = rows.iter().filter(|row| row["fine"] == false).map(Value::to_string).collect();
    failed.then(|| format!("{lab}: {} {}", run["why"], wrong.join(" ")))
}

#[test]
fn the_list_names_every_lab() {
    let output = binary().arg("lab").stdin(Stdio::null()).output().expect("cannot start the observer");
    assert!(output.status.success());
    let list = String::from_utf8(output.stdout).expect("the list is UTF-8");
    for lab in LABS {
        assert!(list.lines().any(|line| line.starts_with(&format!("{} ", lab.name))), "{}: {list}", lab.name);
    }
}

#[test]
fn a_lab_that_is_not_there_is_a_usage_error() {
    let output = binary().args(["lab", "nothing", "--check"]).output().expect("cannot start the observer");
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("there is no lab `nothing`; there are backlog-off-by-one, "), "{error}");
}

/// Children of a process.
fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("/proc can be read").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parent_of = |id: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    ids.filter(|id| parent_of(*id) == Some(parent)).collect()
}

#[test]
fn a_killed_lab_leaves_no_backend() {
    natively(THE_SAME, || {
        let directory = PrivateDirectory::new().expect("a directory");
        let mut lab = binary()
            .env("TMPDIR", directory.path())
            .args(["lab", "coordinated-omission", "--check"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("cannot start the observer");
        // The backend and its load.
        until("the lab to have two children", || children(lab.id()).len() == 2);
        let started = children(lab.id());
        lab.kill().expect("cannot kill the lab");
        lab.wait().expect("cannot wait for the lab");
        // They may stay as zombies of whoever inherits them.
        let is_gone = |id: &u32| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
        };
        until("the children to be gone", || started.iter().all(is_gone));
        assert_eq!(fs::read_dir(directory.path()).expect("the directory").count(), 0, "something is left");
    });
}
