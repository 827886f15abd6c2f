//! A backend that keeps up: no rule has anything to say, whatever the pattern.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use demo_server::{pattern::PATTERNS, server::Server, settings::Settings};

use super::{Clients, pass_time, serve};
use crate::{
    namespace::{SILENT, natively},
    observed::Observer,
    waiting::{is_emulated, until},
};

/// Runs patterns under moderate load, one beside the other.
#[track_caller]
fn check(patterns: &[&str]) {
    let pause = Duration::from_millis(if is_emulated() { 100 } else { 10 });
    let mut observer = Observer::shared();
    let servers: Vec<(&str, Arc<Server>)> =
        patterns.iter().map(|pattern| (*pattern, serve(pattern, Settings::default()))).collect();
    let mut clients: Vec<_> =
        servers.iter().map(|(_, server)| Clients::start(2, server.local(), pause)).collect();
    until("the servers answer", || clients.iter().all(|clients| clients.answered() > 50));
    pass_time(&mut observer);
    clients.iter_mut().for_each(Clients::stop);
    servers.iter().for_each(|(_, server)| server.end().expect("the server does not end"));
    let places: BTreeMap<String, &str> =
        servers.iter().map(|(pattern, server)| (server.local().to_string(), *pattern)).collect();
    let lines = observer.finish();
    let found: Vec<_> = lines.0.iter().filter(|line| line["type"] == "diagnosis").collect();
    assert!(found.is_empty(), "{places:?}: {found:?}");
}

const FEW_THREADS: [&str; 4] = ["single-thread", "acceptor-readers", "acceptor-workers", "uring-accept"];
const ONE_LISTENER: [&str; 6] = [
    "shared-accept",
    "epoll-herd",
    "epoll-exclusive",
    "epoll-exclusive-readd",
    "thread-per-connection",
    "tokio-multi-thread",
];
const PROCESSES: [&str; 3] = ["shared-accept-processes", "sharding-processes", "process-per-connection"];
const SHARDS: [&str; 3] = ["sharding", "sharding-cpu", "sharding-incoming-cpu"];

#[test]
fn few_threads() {
    natively(SILENT, || check(&FEW_THREADS));
}

#[test]
fn one_listener_for_many() {
    natively(SILENT, || check(&ONE_LISTENER));
}

#[test]
fn processes() {
    natively(SILENT, || check(&PROCESSES));
}

#[test]
fn shards() {
    natively(SILENT, || check(&SHARDS));
}

#[test]
fn every_sound_pattern_is_here() {
    let here: Vec<_> = [&FEW_THREADS[..], &ONE_LISTENER, &PROCESSES, &SHARDS].concat();
    let sound = PATTERNS.iter().filter(|pattern| pattern.sound);
    let missing: Vec<_> = sound.map(|pattern| pattern.id).filter(|id| !here.contains(id)).collect();
    assert_eq!(missing, [""; 0]);
}
