//! Who is woken for a connection, and who gets it.

use std::{
    io::BufReader,
    net::{SocketAddr, TcpStream},
    os::fd::AsFd as _,
    sync::Arc,
    thread,
    time::Duration,
};

use demo_server::{
    load::{self, Overrides, Plan},
    server::Server,
    settings::{Change, Settings},
    wake::Wake,
};
use observer::kernel::tasks;

use super::{Clients, found, lines_of, pass_time, serve, wait_for};
use crate::{
    namespace::{LATE, SILENT, natively},
    observed::Observer,
    patterns::answer,
    traffic::{connect, send},
    waiting::until,
};

const WORKERS: u32 = 32;

fn many() -> Settings {
    Settings { workers: WORKERS, ..Settings::default() }
}

#[test]
fn a_herd_is_woken_for_each_connection() {
    natively(LATE, || {
        let mut observer = Observer::start();
        let server = serve("epoll-herd", many());
        let mut clients = Clients::start(1, server.local(), Duration::from_millis(1));
        let line = wait_for(&mut observer, "thundering-herd");
        let evidence = &line["evidence"];
        let each = evidence["wakeups_per_accept"].as_f64().expect("a figure");
        // All are woken, and the one that accepts is woken once more for the request.
        assert!(each > 2.0 && each < f64::from(WORKERS) + 2.0, "{line}");
        assert!(evidence["in_vain_per_s"].as_f64() >= Some(2_000.0), "{line}");
        clients.stop();
        server.end().expect("the server does not end");
    });
}

#[test]
fn those_who_block_in_accept_are_woken_one_by_one() {
    natively(SILENT, || {
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

/// Asks on a connection that stays open; the name of the thread that answers.
fn ask(connection: &mut BufReader<TcpStream>) -> String {
    send(connection.get_ref(), b"GET / HTTP/1.1\r\nhost: test\r\n\r\n");
    let text = answer(connection);
    let name = text.lines().find_map(|line| line.strip_prefix("x-thread: "));
    name.expect("a name").to_owned()
}

fn open(address: SocketAddr) -> BufReader<TcpStream> {
    BufReader::new(connect(address))
}

/// A server each of whose three threads has accepted, and then so many clients more that all come while it idles and stay.
fn come_while_idle(pattern: &str) -> (Arc<Server>, Vec<BufReader<TcpStream>>) {
    const THREADS: u32 = 3;
    let slow = Settings { workers: THREADS, sleep_us: 100_000, ..Settings::default() };
    let server = serve(pattern, slow);
    let address = server.local();
    let mut accepted = std::collections::BTreeSet::new();
    let mut clients = 0;
    // Who comes while one thread is busy is given to another.
    while accepted.len() < THREADS as usize {
        let at_once: Vec<_> = (0..THREADS).map(|_| thread::spawn(move || ask(&mut open(address)))).collect();
        accepted.extend(at_once.into_iter().map(|client| client.join().expect("a client failed")));
        clients += THREADS;
        assert!(clients < 100, "{accepted:?} accept and no other");
    }
    server.set(&Change { sleep_us: Some(0), ..Change::default() }).expect("a setting");
    let tids: Vec<u32> = server.state().threads.iter().map(|thread| thread.tid.cast_unsigned()).collect();
    let asleep = |tid: &u32| tasks::state(std::process::id(), *tid) == Some('S');
    let stay = (0..30 * clients).map(|_| {
        until("every thread to sleep", || tids.iter().all(asleep));
        let mut connection = open(address);
        ask(&mut connection);
        connection
    });
    let stay = stay.collect();
    (server, stay)
}

/// Has two clients at a time ask, each on one connection after the other, until `done` says so.
fn come_alive(server: &Server, connections: Vec<BufReader<TcpStream>>, done: impl FnOnce()) {
    server.set(&Change { work_us: Some(1_000), ..Change::default() }).expect("a setting");
    let (stop, mut first) = (std::sync::atomic::AtomicBool::new(false), connections);
    let mut second = first.split_off(first.len() / 2);
    let asks = |connections: &mut Vec<BufReader<TcpStream>>| {
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            connections.iter_mut().for_each(|connection| drop(ask(connection)));
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| asks(&mut first));
        scope.spawn(|| asks(&mut second));
        // Should it fail, the clients are to end all the same.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(done));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Err(failure) = outcome {
            std::panic::resume_unwind(failure);
        }
    });
}

#[test]
fn what_came_while_the_server_idled_is_all_on_one_thread() {
    natively(LATE, || {
        let mut observer = Observer::start();
        let (server, connections) = come_while_idle("epoll-exclusive");
        pass_time(&mut observer);
        assert!(lines_of(&observer, "exclusive-pile-up").is_empty(), "they ask nothing, so it costs nothing");
        come_alive(&server, connections, || {
            let line = wait_for(&mut observer, "exclusive-pile-up");
            let evidence = &line["evidence"];
            assert!(evidence["share"].as_f64() >= Some(0.9), "{line}");
            let state = server.state();
            assert_eq!(evidence["accepts"], state.counters.accepted, "{line}");
            let name = evidence["acceptor"].as_str().expect("a name");
            let mut threads = state.threads.iter();
            assert!(threads.any(|thread| name == format!("{}/{}", thread.name, thread.tid)), "{line}");
        });
        server.end().expect("the server does not end");
    });
}

#[test]
fn who_goes_to_the_end_of_the_line_shares() {
    natively(SILENT, || {
        let mut observer = Observer::start();
        let (server, connections) = come_while_idle("epoll-exclusive-readd");
        come_alive(&server, connections, || pass_time(&mut observer));
        server.end().expect("the server does not end");
        assert!(lines_of(&observer.finish(), "exclusive-pile-up").is_empty());
    });
}

/// A burst fills the queue, for the threads sleep while it comes, wake once for many arrivals and take one each; the next
/// meets it full.
#[test]
fn what_an_edge_has_stranded_is_named_although_each_burst_frees_some() {
    natively(LATE, || {
        let mut observer = Observer::start();
        let server = serve("edge-once", Settings { sleep_us: 5_000, ..Settings::default() });
        let minute = Overrides { duration: Some("1m".to_owned()), ..Overrides::default() };
        let plan = Plan::new(server.local(), "burst", &minute).expect("a load");
        let stop = Wake::new().expect("an eventfd");
        thread::scope(|scope| {
            let load = scope.spawn(|| load::run(&plan, Some(stop.as_fd())));
            observer.wait_for("the diagnosis stranded-queue, with what was refused meanwhile", |lines| {
                let stranded = lines_of(lines, "stranded-queue");
                let has = |line: &serde_json::Value, what: &str| line["evidence"][what].as_u64() > Some(0);
                // A burst that meets a queue of the one before is refused in part; that is told by one of two rules.
                stranded.iter().any(|line| has(line, "accepted"))
                    && (stranded.iter().any(|line| has(line, "overflows"))
                        || found(lines).contains(&"backlog-default"))
            });
            stop.ring();
            load.join().expect("the load failed").expect("the load broke off");
        });
        server.end().expect("the server does not end");
        let lines = observer.finish();
        assert!(!found(&lines).contains(&"exclusive-pile-up"), "{:?}", found(&lines));
    });
}
