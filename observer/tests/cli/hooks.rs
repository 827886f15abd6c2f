//! Hooks that are asked for, and the self-test that proves those in use.

use std::thread;

use rustix::thread::CapabilitySet;
use serde_json::Value;

use crate::{
    has, run,
    type_information::{Scratch, kernel_btf, renamed, shown},
};

const WATCH: &[&str] = &["stream", "--duration", "10ms", "--netns", "/proc/self/ns/net"];

fn watch(options: &[&str]) -> crate::Run {
    run(&WATCH.iter().chain(options).copied().collect::<Vec<_>>())
}

fn privileged(test: &str) -> bool {
    let able = has(CapabilitySet::BPF | CapabilitySet::PERFMON);
    if !able {
        println!("SKIPPED: hooks::{test}: it needs CAP_BPF and CAP_PERFMON; run it as root");
    }
    able
}

#[test]
fn what_is_no_hook_is_a_usage_error_that_names_those_there_are() {
    watch(&["--hook", "read"]).refused(2, &["SIGNAL=HOOK", "read=fexit/tcp_recvmsg"]);
    watch(&["--hook", "nothing=x"]).refused(2, &["nothing", "listener", "wakeups"]);
    watch(&["--hook", "read=fexit/tcp_recvmsg", "--hook", "read=tp_btf/sock_recv_length"])
        .refused(2, &["`read` twice", "fexit/tcp_recvmsg", "tp_btf/sock_recv_length"]);
    watch(&["--hook", "read=kprobe/nothing"]).refused(2, &["kprobe/nothing", "tp_btf/tcp_rcv_space_adjust"]);
}

#[test]
fn one_that_is_asked_for_is_used() {
    if !privileged("one_that_is_asked_for_is_used") {
        return;
    }
    let run = watch(&["--hook", "read=tp_btf/tcp_rcv_space_adjust", "--hook", "drop=sample/sk_drops"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let meta: Value = serde_json::from_str(run.stdout.lines().next().expect("a first line")).unwrap();
    assert_eq!(meta["signals"]["read"], "tp_btf/tcp_rcv_space_adjust");
    assert_eq!(meta["signals"]["drop"], "sample/sk_drops");
    assert!(meta["signals"]["write"].is_string(), "{meta}");
}

#[test]
fn one_that_is_asked_for_and_does_not_work_is_an_error() {
    let Some(data) = kernel_btf("one_that_is_asked_for_and_does_not_work_is_an_error") else { return };
    let file = Scratch::with("without-recvmsg", &renamed(data, "tcp_recvmsg", "tcp_recvmsx"));
    shown(&file, &[WATCH, &["--hook", "read=fexit/tcp_recvmsg"]].concat())
        .refused(4, &["`read`", "fexit/tcp_recvmsg", "no function tcp_recvmsg"]);
    assert_eq!(shown(&file, WATCH).code, Some(0), "nobody asked for it");
}

#[test]
fn two_for_one_event_are_not_used_at_once() {
    if !privileged("two_for_one_event_are_not_used_at_once") {
        return;
    }
    let hooks = ["--hook", "enqueue=tp_btf/sk_data_ready", "--hook", "data_queued=fentry/sock_def_readable"];
    watch(&hooks).refused(4, &["`"]);
}

#[test]
fn the_self_test_proves_every_hook_in_use() {
    if !privileged("the_self_test_proves_every_hook_in_use") {
        return;
    }
    let run = thread::spawn(|| {
        demo_server::namespace::enter().expect("a network namespace");
        for setting in ["tcp_syncookies", "tcp_migrate_req"] {
            std::fs::write(format!("/proc/sys/net/ipv4/{setting}"), "1").expect("a setting of it");
        }
        run(&["doctor", "--self-test", "--json"])
    });
    let run = run.join().expect("the self-test's thread");
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    for signal in report["signals"].as_array().expect("signals") {
        let in_use = |hook: &&Value| hook["state"] == "in_use";
        let hooks = signal["hooks"].as_array().expect("hooks");
        match signal["hook"].as_str() {
            Some(name) => {
                assert_eq!(signal["fired"], true, "{signal}");
                assert_eq!(hooks.iter().find(in_use).map(|hook| hook["hook"].clone()), Some(name.into()));
            }
            None => assert!(hooks.iter().all(|hook| hook["state"] == "refused"), "{signal}"),
        }
        for refused in hooks.iter().filter(|hook| hook["state"] == "refused") {
            let reason = refused["reason"].as_str().unwrap_or_default();
            assert!(!reason.contains("silent"), "a hook of this kernel stays silent: {signal}");
        }
    }
}
