//! Faults that leave something behind: a dead thread, a closed shard, sockets that nobody closes; and those that
//! are refused because what they name is not there.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use demo_server::settings::{Change, Settings};

use crate::support::{self, TestServer, ask, connect, pattern, sound, wait_until};

fn start(id: &str, workers: u32) -> TestServer {
    TestServer::start(pattern(id), Settings { workers, ..Settings::default() })
}

fn on(test: &TestServer, name: &str, index: Option<u32>) {
    test.server.fault(name, true, index, None).unwrap();
}

fn off(test: &TestServer, name: &str) {
    test.server.fault(name, false, None, None).unwrap();
}

#[test]
fn what_is_not_there_cannot_be_broken() {
    for (id, name, index, expected) in [
        ("sharding", "stuck-shard", Some(2), "has no thread number 2; there are shard-0, shard-1"),
        ("acceptor-readers", "slow-worker", Some(9), "has no thread number 9; there are rd-0, rd-1"),
        ("sharding", "worker-panic", Some(2), "has no thread number 2"),
        ("single-thread", "worker-panic", None, "needs two threads that work"),
        ("sharding", "close-shard", Some(0), "cannot close shard 0"),
        ("sharding", "close-shard", Some(2), "there is no shard 2; there are 1 to 1"),
        ("shared-accept", "close-shard", None, "has one listener"),
        ("sharding", "no-write", Some(1), "takes no index"),
    ] {
        let test = start(id, 2);
        let before = test.state();
        let error = test.server.fault(name, true, index, None).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert_eq!(test.state(), before, "{name} of {id}");
        test.server.end().unwrap();
    }
}

#[test]
fn requests_are_read_and_not_answered() {
    for pattern in sound() {
        println!("pattern {}", pattern.id);
        let test = start(pattern.id, 2);
        on(&test, "no-write", None);
        let mut client = connect(test.address());
        client.write_all(support::GET).unwrap();
        let length = support::GET.len() as u64;
        test.wait_for("the request to be read", |state| state.counters.bytes_read == length);
        off(&test, "no-write");
        assert!(ask(&mut connect(test.address())).is_some(), "others are served again");
        client.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        // Read at once or after the fault; in either case at most one answer may have come, and no end of stream.
        assert_ne!(client.read(&mut [0; 1024]).ok(), Some(0));
        test.server.end().unwrap();
    }
}

#[test]
fn leaked_connections_stay_in_close_wait_until_mended() {
    for pattern in sound() {
        println!("pattern {}", pattern.id);
        let test = start(pattern.id, 2);
        on(&test, "leak", None);
        for _ in 0..7 {
            assert!(ask(&mut connect(test.address())).is_some());
        }
        let port = test.address().port();
        wait_until("all to wait for the server to close", || support::in_state(port, "08") == 7);
        assert_eq!((test.state().counters.open, test.state().counters.accepted), (7, 7));
        off(&test, "leak");
        test.wait_for("them to be closed", |state| state.counters.closed == 7);
        wait_until("the kernel to have forgotten them", || support::in_state(port, "08") == 0);
        test.server.end().unwrap();
    }
}

#[test]
fn a_thread_that_dies_takes_its_connections_and_nobody_else() {
    for id in ["acceptor-readers", "acceptor-workers", "shared-accept", "sharding"] {
        println!("pattern {id}");
        let test = start(id, 2);
        on(&test, "worker-panic", Some(1));
        // Clients keep asking until one of them has met the thread that dies.
        let mut clients: Vec<_> = (0..40).map(|_| connect(test.address())).collect();
        let mut served = 0;
        for client in &mut clients {
            client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            served += u32::from(ask(client).is_some());
            if test.state().faults.is_empty() {
                break;
            }
            if id == "shared-accept" {
                // A thread belongs to its connection: give it back.
                client.shutdown(std::net::Shutdown::Both).unwrap();
            }
        }
        let name = |state: &demo_server::control::State| {
            state.threads.iter().any(|thread| thread.name.ends_with("-1"))
        };
        test.wait_for("the thread to be gone", |state| state.faults.is_empty() && !name(state));
        println!("{served} served before");
        drop(clients);
        let change =
            Change { pattern: Some("shared-accept".to_owned()), workers: Some(3), ..Change::default() };
        test.server.set(&change).unwrap();
        assert!(ask(&mut connect(test.address())).is_some(), "a switch has started it anew");
        test.server.end().unwrap();
    }
}

#[test]
fn a_closed_shard_resets_its_queue_and_comes_back() {
    let test = start("sharding", 2);
    on(&test, "stuck-shard", Some(1));
    let mut clients: Vec<_> = (0..40).map(|_| connect(test.address())).collect();
    let port = test.address().port();
    // What the living shard has is accepted, the rest is queued on the stuck one.
    wait_until("all but the stuck shard's to be accepted", || {
        u64::from(support::accept_queues(port)) + test.state().counters.accepted == 40
    });
    let queued = 40 - test.state().counters.accepted;
    on(&test, "close-shard", None);
    assert_eq!(test.state().faults.len(), 2);
    let reset = clients.iter_mut().filter_map(|client| ask(client).is_none().then_some(())).count();
    assert!(reset as u64 >= queued, "{reset} reset, {queued} queued");
    drop(clients);
    for _ in 0..20 {
        assert!(ask(&mut connect(test.address())).unwrap().contains("x-thread: shard-0/"));
    }
    off(&test, "stuck-shard");
    off(&test, "close-shard");
    let mut again: Vec<_> = (0..40).map(|_| connect(test.address())).collect();
    let answers: Vec<_> = again.iter_mut().map(|client| ask(client).unwrap()).collect();
    assert!(answers.iter().any(|answer| answer.contains("x-thread: shard-1/")), "it takes its share again");
    test.server.end().unwrap();
}

#[test]
fn a_periodic_stall_goes_on_until_it_is_mended() {
    let test = start("single-thread", 1);
    test.server.fault("stall-periodic", true, None, Some(20)).unwrap();
    for _ in 0..50 {
        assert!(ask(&mut connect(test.address())).is_some());
    }
    assert_eq!(test.state().faults.len(), 1, "it does not pass by itself");
    off(&test, "stall-periodic");
    assert!(test.state().faults.is_empty());
    test.server.end().unwrap();
}

#[test]
fn listener_options_and_keep_alive_change_live() {
    for pattern in sound() {
        println!("pattern {}", pattern.id);
        let test = start(pattern.id, 2);
        let port = test.address().port();
        let set = |change: Change| test.server.set(&change).unwrap();
        set(Change { keep_alive: Some(false), ..Change::default() });
        let mut client = connect(test.address());
        assert!(ask(&mut client).unwrap().contains("connection: close"));
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        set(Change { keep_alive: Some(true), defer_accept_s: Some(30), ..Change::default() });
        // Established for the client, and for the server in SYN-RECV (03) until its first data.
        let mut silent = connect(test.address());
        wait_until("the handshake to be deferred", || support::in_state(port, "03") == 1);
        assert_eq!(test.state().counters.accepted, 1);
        assert!(ask(&mut silent).unwrap().contains("connection: keep-alive"));
        set(Change { defer_accept_s: Some(0), fast_open: Some(16), ..Change::default() });
        let _quiet = connect(test.address());
        test.wait_for("it to be accepted without data", |state| state.counters.accepted == 3);
        let settings = test.state().settings;
        assert_eq!((settings.defer_accept_s, settings.fast_open), (0, 16));
        let before = test.state();
        for wrong in [
            Change { defer_accept_s: Some(61), ..Change::default() },
            Change { fast_open: Some(65_536), keep_alive: Some(false), ..Change::default() },
        ] {
            assert!(test.server.set(&wrong).unwrap_err().contains("is out of range"));
        }
        assert_eq!(test.state().settings, before.settings);
        test.server.end().unwrap();
    }
}

#[test]
fn a_switch_disarms_the_death_of_a_thread() {
    let test = start("sharding", 2);
    on(&test, "worker-panic", Some(0));
    // The only thread of this pattern would be number 0.
    assert!(test.switch("single-thread").faults.is_empty());
    assert!(ask(&mut connect(test.address())).is_some());
    test.server.end().unwrap();
}
