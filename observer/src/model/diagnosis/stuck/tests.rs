//! Each cause from its evidence, and silence where all is well.

mod shards;

use std::sync::Arc;

use super::super::{
    slow_accept, stranded_queue,
    tests::{NOW, SECOND, found, judged, listener, of, thread},
};
use crate::model::{
    look::{Beside, Holding, How, Look, On, Watch},
    snapshot::{AcceptedBy, Listener, Looked, Pace, Snapshot, Thread},
};

/// A thread that does this, since 17 seconds.
fn does(doing: &str, look: Look) -> Thread {
    let doing = Some(doing.to_owned());
    let looked = Looked {
        look: Look { doing: doing.clone(), ..look },
        still_since_ns: Some(NOW - 17 * SECOND),
        doings: vec![doing.clone(); 3],
    };
    Thread { doing, looked: Some(Arc::new(looked)), ..thread(7, 0.0, 0.0, 0.0) }
}

fn accepted_by(tid: u32) -> AcceptedBy {
    let accepted_ns = Some(NOW - 19 * SECOND);
    AcceptedBy { pid: 1, tid, comm: format!("t{tid}"), accepts: 5, accepted_ns, ..AcceptedBy::default() }
}

/// So many wait, so many were accepted, by this thread.
fn state(depth: u32, accepted: u64, thread: Thread) -> Snapshot {
    let mut listener = Listener { accepted, comm: "p".to_owned(), ..listener(1, 64, depth) };
    listener.acceptors.alive = Arc::new([accepted_by(thread.tid)]);
    of(vec![listener], vec![thread])
}

/// What is said of a queue whose only acceptor does this.
fn told(doing: &str, look: Look) -> String {
    let now = state(4, 5, does(doing, look));
    found(&stranded_queue::RULE, state(3, 5, does("runs", Look::default())), now).concat()
}

fn watches(how: How) -> Look {
    Look { watches: vec![Watch { listener: 1, how }], ..Look::default() }
}

#[test]
fn the_sentence_says_where_the_acceptor_is() {
    assert_eq!(
        told("futex", Look::default()),
        "4 connections wait in the accept queue of p/1, and none was accepted in the last 2.00 s: t7/7, which accepted last \
         19.0 s ago, has waited in futex(2) for 17.0 s or longer for another thread or process: a lock, or work that is handed out."
    );
    for (doing, look, words) in [
        ("epoll_wait", watches(How::Edge), "EPOLLET"),
        ("poll", watches(How::Absent), "has stopped accepting, with at least 5 connections open."),
        (
            "poll",
            Look { on: Some(On::Nothing), ..watches(How::Absent) },
            "sleeps in poll(2) for 17.0 s or longer.",
        ),
        ("poll", Look { writes: true, ..connection(true, Some(true)) }, "for 127.0.0.9:6000 to read"),
        ("epoll_wait", Look { state: Some('Z'), ..Look::default() }, "has ended"),
        ("restart_syscall", Look::default(), "has waited in restart_syscall(2)"),
        ("epoll_wait", watches(How::Disarmed), "EPOLLONESHOT"),
        (
            "select",
            beside(2, &[]),
            "has stopped accepting, with at least 5 connections open (its own limit?)",
        ),
        (
            "epoll_wait",
            beside(0, &["127.0.0.9:6000"]),
            "for an answer of 127.0.0.9:6000, to which it is the client, and neither for this listener",
        ),
        (
            "epoll_wait",
            beside(0, &[]),
            "for something else, neither for this listener nor for a client, and has stopped accepting, with at least 5",
        ),
        (
            "vfork",
            Look { state: Some('D'), ..Look::default() },
            "in vfork(2) for 17.0 s or longer for a child",
        ),
        ("epoll_wait", Look::default(), "was not woken"),
        ("flock", Look { on: Some(On::Other("/tmp/f".to_owned())), ..Look::default() }, "(/tmp/f)"),
        (
            "fcntl",
            Look { lock_holder: Some(Holding { pid: 31, comm: "p".to_owned() }), ..Look::default() },
            "for a lock on a file that p/31 has",
        ),
        ("stopped", Look { state: Some('T'), ..Look::default() }, "is stopped by a signal (SIGSTOP"),
        ("epoll_wait", Look { frozen: true, ..Look::default() }, "its cgroup is frozen"),
        ("fsync", Look { state: Some('D'), ..Look::default() }, "takes no signal"),
        ("wait4", Look::default(), "or longer for a child process."),
        ("pause", Look::default(), "or longer for a signal."),
        ("call 999", Look::default(), "call 999"),
    ] {
        let sentence = told(doing, look);
        assert!(sentence.contains(words), "{doing}: {sentence}");
    }
}

fn beside(clients: u32, servers: &[&str]) -> Look {
    let servers = servers.iter().map(|server| server.parse().unwrap()).collect();
    Look { beside: Some(Beside { clients, servers, others: 1 }), ..watches(How::Absent) }
}

fn connection(accepted: bool, has_data: Option<bool>) -> Look {
    let on = On::Connection {
        local: "127.0.0.1:5000".parse().unwrap(),
        remote: "127.0.0.9:6000".parse().unwrap(),
        listener: None,
        accepted,
        accepted_ns: accepted.then_some(NOW - 18 * SECOND),
        has_data,
        connecting: false,
    };
    Look { on: Some(on), ..Look::default() }
}

#[test]
fn a_client_is_told_from_a_server_that_is_asked() {
    let client = told("recvfrom", connection(true, Some(false)));
    assert!(
        client.contains("for the client 127.0.0.9:6000, accepted 18.0 s ago, which has sent nothing"),
        "{client}"
    );
    let polled = told("poll", connection(true, Some(true)));
    assert!(polled.contains("which sends no more"), "{polled}");
    let upstream = told("recvfrom", connection(false, None));
    assert!(upstream.contains("for an answer of 127.0.0.9:6000"), "{upstream}");
}

#[test]
fn who_reads_and_writes_waits_for_nobody_silent() {
    let told = |doing: &str, look: Look, rate: f64, still_ns: u64| {
        let mut thread = does(doing, look);
        (thread.rates.reads, thread.rates.writes) = (rate, rate);
        thread.looked = thread.looked.map(|looked| {
            Arc::new(Looked { still_since_ns: Some(NOW - still_ns), ..Looked::clone(&looked) })
        });
        found(&stranded_queue::RULE, state(3, 5, does("runs", Look::default())), state(4, 5, thread)).concat()
    };
    let serves = told("recvfrom", connection(true, Some(true)), 50.0, 0);
    assert!(serves.contains("serves the client 127.0.0.9:6000 (100 reads and writes/s"), "{serves}");
    let asks = told("recvfrom", connection(false, None), 1.0, 0);
    assert!(asks.contains("now and then for 127.0.0.9:6000, to which it is the client"), "{asks}");
    // A tracer that shows each call stops it for a moment.
    let traced =
        |still_ns| told("recvfrom", Look { state: Some('t'), ..connection(true, Some(true)) }, 9.0, still_ns);
    assert!(traced(0).contains("serves the client"), "{}", traced(0));
    assert!(traced(SECOND).contains("is stopped by a debugger"), "{}", traced(SECOND));
}

#[test]
fn a_slow_pace_is_no_standstill() {
    let before = || state(3, 5, does("runs", Look::default()));
    let paced = |due_ns, at_a_time| {
        let mut now = state(4, 5, does("clock_nanosleep", Look::default()));
        now.listeners[0].pace = Some(Pace { apart_ns: 3 * SECOND, due_ns, at_a_time });
        now.listeners[0].oldest_waits_ns = Some(9 * SECOND);
        now
    };
    let now = |due_ns| paced(due_ns, 1);
    assert_eq!(found(&stranded_queue::RULE, before(), now(NOW + 1)).len(), 0);
    let slow = found(&slow_accept::RULE, before(), now(NOW + 1)).concat();
    assert!(slow.contains("come to p/1 and one is accepted every 3.00 s"), "{slow}");
    let many = found(&slow_accept::RULE, before(), paced(NOW + 1, 18)).concat();
    assert!(many.contains("and up to 18 are accepted every 3.00 s"), "{many}");
    assert_eq!(found(&stranded_queue::RULE, before(), now(NOW)).len(), 1, "it is overdue");
    assert_eq!(found(&slow_accept::RULE, before(), now(NOW)).len(), 0);
}

#[test]
fn what_came_after_the_last_accept_woke_it_in_vain() {
    let mut now = state(9, 5, does("epoll_pwait", watches(How::Edge)));
    now.listeners[0].came_since_accept = 4;
    let sentence = found(&stranded_queue::RULE, now.clone(), now).concat();
    assert!(sentence.contains("is told of arrivals and does not accept"), "{sentence}");
}

#[test]
fn who_has_closed_the_listener_is_not_expected_to_accept() {
    let mut now = state(9, 5, does("epoll_pwait", watches(How::Absent)));
    now.listeners[0].acceptors.holders = Some(Arc::new([Holding { pid: 2, comm: "new".to_owned() }]));
    now.threads.push(Thread { pid: 2, ..does("runs", Look::default()) });
    let sentence = found(&stranded_queue::RULE, now.clone(), now.clone()).concat();
    assert!(sentence.contains("t7/7, which accepted last 19.0 s ago, holds it no more"), "{sentence}");
    now.threads.remove(0);
    let sentence = found(&stranded_queue::RULE, now.clone(), now).concat();
    assert!(sentence.contains("t7/7, which accepted last 19.0 s ago, has ended"), "{sentence}");
}

/// The remedy for a queue from which a thread of process 1 has accepted, which has ended.
fn remedy_where_held_by(pid: u32) -> String {
    let mut now = state(9, 5, does("clock_nanosleep", Look::default()));
    let acceptors = &mut now.listeners[0].acceptors;
    (acceptors.gone, acceptors.alive) = (Some(Arc::new(accepted_by(6))), Arc::default());
    acceptors.holders = Some(Arc::new([Holding { pid, comm: "sleep".to_owned() }]));
    now.threads[0].pid = pid;
    let found = judged(&stranded_queue::RULE, now.clone(), now);
    found.into_iter().filter_map(|found| found.remedy).map(|remedy| remedy.to_string()).collect()
}

#[test]
fn what_a_dead_server_left_behind_has_to_be_ended() {
    assert!(remedy_where_held_by(2).contains("it keeps the address from a new start"), "another process");
    assert!(
        remedy_where_held_by(1).contains("start it again"),
        "a thread of its own: {}",
        remedy_where_held_by(1)
    );
}

#[test]
fn clients_that_send_no_more_may_be_there_still() {
    let mut now = state(4, 0, does("clock_nanosleep", Look::default()));
    now.listeners[0].closed_queued = 4;
    let sentence = found(&stranded_queue::RULE, now.clone(), now.clone()).concat();
    assert!(sentence.contains("(whose clients have all closed, wholly or their half)"), "{sentence}");
    (now.listeners[0].closed_queued, now.listeners[0].aborted_queued) = (0, 4);
    let sentence = found(&stranded_queue::RULE, now.clone(), now).concat();
    assert!(sentence.contains("(whose clients have all left)"), "{sentence}");
}

/// What is said of a thread that wants a processor for these parts of the time.
fn told_of_time(running: f64, ready: f64) -> String {
    let mut thread = does("runs", Look::default());
    (thread.rates.running, thread.rates.ready) = (Some(running), Some(ready));
    (thread.rates.reads, thread.rates.writes) = (0.0, 0.0);
    found(&stranded_queue::RULE, state(3, 5, does("runs", Look::default())), state(4, 5, thread)).concat()
}

#[test]
fn who_gets_no_processor_is_told_from_who_is_busy() {
    for (running, ready, words) in [
        (0.98, 0.01, "runs all the time (98.0 %) and does not accept"),
        (0.55, 0.40, "runs all the time (55.0 %, and waits for a processor 40.0 %)"),
        (0.02, 0.98, "is ready and waits for a processor 98.0 % of the time (it runs 2.0 %)"),
        (0.50, 0.01, "runs 50.0 % of the time, reads and writes nothing, and does not accept"),
        (
            0.02,
            0.60,
            "is ready to run, gets a processor 2.0 % of the time, waits for one 60.0 %, and does not accept",
        ),
    ] {
        let sentence = told_of_time(running, ready);
        assert!(sentence.contains(words), "{sentence}");
    }
}

#[test]
fn who_is_woken_in_vain_is_at_a_limit_of_its_own() {
    let edge = || does("epoll_pwait", watches(How::Edge));
    let mut now = state(9, 5, edge());
    now.listeners[0].enqueued = 7;
    let sentence = found(&stranded_queue::RULE, state(3, 5, edge()), now).concat();
    assert!(sentence.contains("is told of arrivals and does not accept"), "{sentence}");
}

/// Three processes hold a listener from before the start: a parent that waits for its children, and two workers.
fn before_the_start(workers: [Look; 2], doing: &str) -> Snapshot {
    let threads = [(1, "wait4", Look::default())].into_iter();
    let threads = threads.chain(workers.into_iter().zip(2..).map(|(look, pid)| (pid, doing, look)));
    let threads: Vec<Thread> = threads
        .map(|(pid, doing, look)| Thread {
            pid,
            accepts: 0,
            tid: pid,
            comm: "w".to_owned(),
            ..does(doing, look)
        })
        .collect();
    let mut listener = Listener { comm: "p".to_owned(), port: 5000, ..listener(1, 64, 9) };
    let holding = |pid| Holding { pid, comm: "w".to_owned() };
    listener.acceptors.holders = Some([1, 2, 3].map(holding).into());
    of(vec![listener], threads)
}

#[test]
fn of_what_was_before_the_start_the_wait_is_told_and_nobody_is_to_be_ended() {
    let now = || before_the_start([connection(true, None), connection(true, None)], "recvfrom");
    let sentence = found(&stranded_queue::RULE, now(), now()).concat();
    assert!(
        sentence.contains(
            "w/2 has waited in recvfrom(2) for 17.0 s or longer for the client 127.0.0.9:6000, accepted 18.0 s ago, which sends \
             nothing now (the same of 2 threads) (none of them has accepted since they have been watched)"
        ),
        "{sentence}"
    );
    // One of them waits for a client, whoever that is; the others may do anything.
    let one =
        || before_the_start([Look { state: Some('T'), ..Look::default() }, connection(true, None)], "read");
    let sentence = found(&stranded_queue::RULE, one(), one()).concat();
    assert!(sentence.contains("w/3 has waited in read(2)"), "{sentence}");
    let differ = || before_the_start([connection(false, None), Look::default()], "read");
    let sentence = found(&stranded_queue::RULE, differ(), differ()).concat();
    assert!(
        sentence.ends_with("of 3 threads 2 in read(2) and 1 in wait4(2)."),
        "nobody is accused: {sentence}"
    );
    let idle = || before_the_start([Look::default(), Look::default()], "epoll_wait");
    let sentence = found(&stranded_queue::RULE, idle(), idle()).concat();
    assert!(
        sentence.ends_with(
            ": none of them has accepted since they have been watched; of 3 threads 2 in epoll_wait(2) and 1 in wait4(2)."
        ),
        "{sentence}"
    );
}

#[test]
fn who_goes_on_is_not_stranded() {
    let before = || state(3, 5, does("epoll_wait", Look::default()));
    let now = |depth, accepted, how| state(depth, accepted, does("epoll_wait", watches(how)));
    let findings = |now: Snapshot| found(&stranded_queue::RULE, before(), now).len();
    assert_eq!(
        findings(now(4, 7, How::Edge)),
        1,
        "one has waited all the time, and the edge does not tell of it"
    );
    assert_eq!(findings(now(4, 8, How::Edge)), 0, "nobody need have");
    assert_eq!(findings(now(4, 7, How::Level)), 0, "it is told, and comes");
    assert_eq!(findings(now(0, 5, How::Edge)), 0, "nobody waits");
    let fresh =
        found(&stranded_queue::RULE, state(0, 5, does("runs", Look::default())), now(4, 5, How::Edge));
    assert_eq!(fresh.len(), 0, "they have just come");
}

#[test]
fn who_sleeps_beside_a_queue_is_not_short_of_time() {
    let slow = |depth, accepted, how| {
        let mut state = state(depth, accepted, does("epoll_wait", watches(how)));
        let listener = state.listeners.first_mut().unwrap();
        (listener.oldest_waits_ns, listener.rates.accepted) = (Some(2 * SECOND), 1.0);
        state
    };
    let told = |how| found(&slow_accept::RULE, slow(2, 5, how), slow(6, 8, how)).concat();
    assert!(told(How::Edge).ends_with("(EPOLLET): only the next arrival wakes it."), "{}", told(How::Edge));
    assert!(told(How::Level).ends_with("; only t7/7 accepts."), "{}", told(How::Level));
}
