//! What makes each variant different in the kernel, seen from outside: the scheduler's counts, the accept queue, and
//! the server's own journal.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::TcpStream;

use demo_server::control::State;
use demo_server::settings::Settings;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::support::{self, TestServer, accept_queue, ask, connect, pattern, read_response, wait_until};

const WORKERS: u32 = 4;

fn start(id: &str) -> TestServer {
    TestServer::start(pattern(id), Settings { workers: WORKERS, ..Settings::default() })
}

/// How often the threads of the pattern have gone to sleep, as the scheduler counts it.
fn sleeps(state: &State) -> u64 {
    let of = |tid: i32| -> u64 {
        let status = std::fs::read_to_string(format!("/proc/self/task/{tid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    };
    state.threads.iter().map(|thread| of(thread.tid)).sum()
}

/// Connects one client after the other; each waits until it is accepted and `woken` threads sleep again.
fn connect_in_turn(test: &TestServer, count: u64, woken: u64) -> (Vec<TcpStream>, u64) {
    let state = test.state();
    // A thread that serves has yet to reach its first sleep.
    wait_until("all threads to sleep", || state.threads.iter().all(|thread| is_asleep(thread.tid)));
    let first = sleeps(&state);
    let clients = (1..=count)
        .map(|nth| {
            let before = sleeps(&state);
            let client = connect(test.address());
            test.wait_for("the connection to be accepted", |state| state.counters.accepted == nth);
            wait_until("the threads that were woken to sleep", || sleeps(&state) >= before + woken);
            wait_until("all threads to sleep", || state.threads.iter().all(|thread| is_asleep(thread.tid)));
            client
        })
        .collect();
    (clients, sleeps(&state) - first)
}

fn is_asleep(tid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{tid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.starts_with('S')
}

/// Accepted connections by thread, once all of `count` have ended.
fn shares(test: &TestServer, count: u64) -> BTreeMap<i32, u64> {
    test.wait_for("all to be closed", |state| state.counters.closed == count);
    let mut shares = BTreeMap::new();
    for entry in test.journal() {
        *shares.entry(entry.acceptor_tid).or_default() += 1;
    }
    shares
}

#[test]
fn a_herd_wakes_every_thread_for_each_connection() {
    let test = start("epoll-herd");
    let count = 31;
    let (clients, woken) = connect_in_turn(&test, count, u64::from(WORKERS));
    assert!(woken >= count * u64::from(WORKERS), "{woken} wake-ups for {count} connections");
    drop(clients);
    assert_eq!(shares(&test, count).values().sum::<u64>(), count);
    test.server.end().unwrap();
}

#[test]
fn exclusive_wakes_one_thread_and_always_the_same() {
    let test = start("epoll-exclusive");
    let count = 61;
    let (clients, woken) = connect_in_turn(&test, count, 1);
    assert!(woken < 2 * count, "{woken} wake-ups for {count} connections");
    drop(clients);
    let shares = shares(&test, count);
    assert!(shares.values().any(|share| *share > count * 9 / 10), "{shares:?}");
    test.server.end().unwrap();
}

#[test]
fn lining_up_anew_spreads_what_exclusive_piles_up() {
    let test = start("epoll-exclusive-readd");
    let count = 16 * 3 * u64::from(WORKERS);
    let (clients, woken) = connect_in_turn(&test, count, 1);
    assert!(woken < 2 * count, "{woken} wake-ups for {count} connections");
    drop(clients);
    let shares = shares(&test, count);
    // Three turns of 16 each; a thread that is not yet asleep when its turn comes loses one to the next.
    assert_eq!(shares.len(), WORKERS as usize, "{shares:?}");
    assert!(shares.values().all(|share| *share <= 4 * 16), "{shares:?}");
    test.server.end().unwrap();
}

#[test]
fn one_accept_for_an_edge_strands_what_arrives_meanwhile() {
    let test = TestServer::start(pattern("edge-once"), Settings { workers: 1, ..Settings::default() });
    let port = test.address().port();
    // Alone, a client is served: its arrival is an edge of its own.
    assert!(ask(&mut connect(test.address())).is_some());
    test.wait_for("the first to be closed", |state| state.counters.closed == 1);
    test.server.fault("stall", true, None, Some(60_000)).unwrap();
    let clients: Vec<_> = (0..7).map(|_| connect(test.address())).collect();
    wait_until("all to be queued", || accept_queue(port) == Some(7));
    test.server.fault("stall", false, None, None).unwrap();
    test.wait_for("the one edge to be used", |state| state.counters.accepted >= 2);
    // A new arrival is an edge again: it frees one, the oldest, and takes its place at the end of the queue.
    let mut late = connect(test.address());
    late.write_all(support::GET).unwrap();
    test.wait_for("the next edge to be used", |state| state.counters.accepted >= 3);
    let stranded = accept_queue(port).unwrap();
    assert!(stranded >= 5, "{stranded} wait");
    // Nothing is lost: a pattern that looks at the queue itself serves them.
    test.switch("single-thread");
    assert!(read_response(&mut late).is_some());
    wait_until("the queue to be emptied", || accept_queue(port) == Some(0));
    drop(clients);
    test.server.end().unwrap();
}

#[test]
fn io_uring_empties_the_queue_while_its_thread_is_busy() {
    for (id, queued) in [("single-thread", Some(9)), ("uring-accept", Some(0))] {
        let test = TestServer::start(pattern(id), Settings::default());
        let port = test.address().port();
        // The only thread holds still, as it would in a long request.
        test.server.fault("stuck-shard", true, Some(0), None).unwrap();
        let mut clients: Vec<_> = (0..9).map(|_| connect(test.address())).collect();
        wait_until("the queue to be as expected", || accept_queue(port) == queued);
        test.server.fault("stuck-shard", false, None, None).unwrap();
        for client in &mut clients {
            assert!(ask(client).is_some());
        }
        test.server.end().unwrap();
    }
}

#[test]
fn every_connection_has_a_thread_of_its_own() {
    let test = start("thread-per-connection");
    let count = 17;
    let mut clients: Vec<_> = (0..count).map(|_| connect(test.address())).collect();
    for client in &mut clients {
        assert!(ask(client).is_some());
    }
    assert_eq!(test.state().threads.len(), 1 + count);
    drop(clients);
    assert_eq!(shares(&test, count as u64).len(), 1, "one acceptor");
    let readers: BTreeSet<_> = test.journal().into_iter().flat_map(|entry| entry.reader_tids).collect();
    assert_eq!(readers.len(), count, "as many readers as connections");
    test.wait_for("their threads to have ended", |state| state.threads.len() == 1);
    test.server.end().unwrap();
}

/// Major and minor number of the running kernel.
fn kernel() -> (u32, u32) {
    let name = rustix::system::uname();
    let mut numbers =
        name.release().to_str().unwrap().split(['.', '-']).map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[test]
fn the_processor_of_the_client_chooses_the_shard() {
    let allowed = sched_getaffinity(None).unwrap();
    if !allowed.is_set(0) && !allowed.is_set(1) {
        println!(
            "SKIPPED: the_processor_of_the_client_chooses_the_shard: neither CPU 0 nor CPU 1 may be used"
        );
        return;
    }
    for id in ["sharding-cpu", "sharding-incoming-cpu"] {
        if id == "sharding-incoming-cpu" && kernel() < (6, 2) {
            println!("SKIPPED: the_processor_of_the_client_chooses_the_shard: {id} needs Linux 6.2");
            continue;
        }
        let test = TestServer::start(pattern(id), Settings { workers: 2, ..Settings::default() });
        let mut expected = Vec::new();
        for cpu in (0..2).filter(|cpu| allowed.is_set(*cpu)) {
            // On loopback the SYN is handled where it is sent.
            let mut only = CpuSet::new();
            only.set(cpu);
            sched_setaffinity(None, &only).unwrap();
            for _ in 0..13 {
                assert!(ask(&mut connect(test.address())).is_some());
                expected.push(u32::try_from(cpu).unwrap());
            }
        }
        sched_setaffinity(None, &allowed).unwrap();
        test.wait_for("all to be closed", |state| state.counters.closed == expected.len() as u64);
        let journal = test.journal();
        let by_shard = |shard: u32| journal.iter().filter(|entry| entry.shard == shard).count();
        let wanted = |shard: u32| expected.iter().filter(|cpu| **cpu == shard).count();
        assert_eq!([by_shard(0), by_shard(1)], [wanted(0), wanted(1)], "{id}");
        // The hash chooses again once the pattern is another: of 40 connections from here not all go to one shard.
        test.switch("sharding");
        let mut clients: Vec<_> = (0..40).map(|_| connect(test.address())).collect();
        let threads: BTreeSet<_> = clients
            .iter_mut()
            .map(|client| support::field(&ask(client).unwrap(), "x-thread").unwrap().to_owned())
            .collect();
        assert_eq!(threads.len(), 2, "{id}");
        test.server.end().unwrap();
    }
}
