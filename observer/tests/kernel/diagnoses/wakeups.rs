//! Who is woken for a connection, and who gets it.

use std::time::Duration;

use demo_server::settings::Settings;

use super::{Clients, ask, lines_of, pass_time, serve, wait_for};
use crate::{namespace::isolated, observed::Observer, waiting::until};

const WORKERS: u32 = 8;

fn many() -> Settings {
    Settings { workers: WORKERS, ..Settings::default() }
}

#[test]
fn a_herd_is_woken_for_each_connection() {
    isolated(|| {
        let mut observer = Observer::start();
        let server = serve("epoll-herd", many());
        let mut clients = Clients::start(1, server.local(), Duration::from_millis(5));
        let line = wait_for(&mut observer, "thundering-herd");
        let evidence = &line["evidence"];
        let each = evidence["wakeups_per_accept"].as_f64().expect("a figure");
        // All are woken, and the one that accepts is woken once more for the request.
        assert!(each > 2.0 && each < f64::from(WORKERS) + 2.0, "{line}");
        clients.stop();
        server.end().expect("the server does not end");
    });
}

#[test]
fn those_who_block_in_accept_are_woken_one_by_one() {
    isolated(|| {
        let mut observer = Observer::start();
        let server = serve("shared-accept", many());
        let mut clients = Clients::start(1, server.local(), Duration::from_millis(5));
        until("the server answers", || clients.answered() > 50);
        pass_time(&mut observer);
        clients.stop();
        server.end().expect("the server does not end");
        assert!(lines_of(&observer.finish(), "thundering-herd").is_empty());
    });
}

/// Some at once, so that more than one thread accepts; then one after the other.
#[track_caller]
fn one_after_the_other(pattern: &str) -> (Observer, std::sync::Arc<demo_server::server::Server>, Clients) {
    let observer = Observer::start();
    let server = serve(pattern, Settings { workers: 3, sleep_us: 2_000, ..Settings::default() });
    let mut at_once = Clients::start(12, server.local(), Duration::ZERO);
    until("many are answered", || at_once.answered() > 60);
    at_once.stop();
    assert!(ask(server.local()).is_some());
    let clients = Clients::start(1, server.local(), Duration::from_millis(5));
    (observer, server, clients)
}

#[test]
fn the_first_to_be_woken_takes_all() {
    isolated(|| {
        let (mut observer, server, mut clients) = one_after_the_other("epoll-exclusive");
        let line = wait_for(&mut observer, "exclusive-pile-up");
        assert!(line["evidence"]["share"].as_f64() >= Some(0.9), "{line}");
        let name = line["evidence"]["acceptor"].as_str().expect("a name").to_owned();
        let threads = server.state().threads;
        assert!(threads.iter().any(|thread| name == format!("{}/{}", thread.name, thread.tid)), "{line}");
        clients.stop();
        server.end().expect("the server does not end");
    });
}

#[test]
fn who_goes_to_the_end_of_the_line_shares() {
    isolated(|| {
        let (mut observer, server, mut clients) = one_after_the_other("epoll-exclusive-readd");
        until("many are answered", || clients.answered() > 100);
        pass_time(&mut observer);
        clients.stop();
        server.end().expect("the server does not end");
        assert!(lines_of(&observer.finish(), "exclusive-pile-up").is_empty());
    });
}
