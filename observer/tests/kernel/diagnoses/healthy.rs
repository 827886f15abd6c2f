//! A backend that keeps up: no rule has anything to say, whatever the pattern.

use std::time::Duration;

use demo_server::settings::Settings;

use super::{Clients, found, pass_time, serve};
use crate::{namespace::isolated, observed::Observer, waiting::until};

/// Runs a pattern under moderate load. Some are known for one thing that is told even when all is well.
#[track_caller]
fn check(pattern: &str, known_for: &[&str]) {
    let mut observer = Observer::start();
    let server = serve(pattern, Settings { backlog: 128, ..Settings::default() });
    let mut clients = Clients::start(2, server.local(), Duration::from_millis(10));
    until("the server answers", || clients.answered() > 100);
    pass_time(&mut observer);
    clients.stop();
    server.end().expect("the server does not end");
    let lines = observer.finish();
    let unexpected: Vec<_> = found(&lines).into_iter().filter(|rule| !known_for.contains(rule)).collect();
    assert_eq!(unexpected, [""; 0], "{pattern}");
}

macro_rules! healthy {
    ($($test:ident $pattern:literal $known_for:expr;)*) => {
        $(
            #[test]
            fn $test() {
                isolated(|| check($pattern, &$known_for));
            }
        )*

        #[test]
        fn every_sound_pattern_is_here() {
            let here = [$($pattern),*];
            let sound = demo_server::pattern::PATTERNS.iter().filter(|pattern| pattern.sound);
            let missing: Vec<_> = sound.map(|pattern| pattern.id).filter(|id| !here.contains(id)).collect();
            assert_eq!(missing, [""; 0]);
        }
    };
}

healthy! {
    single_thread "single-thread" [];
    acceptor_readers "acceptor-readers" [];
    acceptor_workers "acceptor-workers" [];
    shared_accept "shared-accept" [];
    sharding "sharding" [];
    epoll_herd "epoll-herd" ["thundering-herd"];
    epoll_exclusive "epoll-exclusive" ["exclusive-pile-up"];
    epoll_exclusive_readd "epoll-exclusive-readd" [];
    sharding_cpu "sharding-cpu" [];
    sharding_incoming_cpu "sharding-incoming-cpu" [];
    uring_accept "uring-accept" [];
    thread_per_connection "thread-per-connection" [];
}
