//! Tools that nobody here wrote look at the same queues: `ss` and `nstat` of iproute2.

use std::{net::TcpStream, process::Command};

use crate::{
    counters::Counters,
    namespace::isolated,
    observed::Observer,
    sock_diag::{SYN_SENT, sockets},
    traffic::{Server, V4, attempt},
    waiting::{until, until_equal},
};

/// What a tool writes. It is in the namespace of the thread that starts it.
#[track_caller]
fn asked(tool: &str, arguments: &[&str]) -> String {
    let output = Command::new(tool).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {tool} of iproute2: {error}"));
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the tool writes UTF-8")
}

/// One listener, as `ss -ltnmi` shows it.
#[derive(Debug, PartialEq)]
struct Shown {
    queue: u32,
    limit: u32,
    drops: u64,
    /// `tcpi_unacked`, which is the queue's depth too; ss leaves a zero out.
    unacked: u32,
}

#[track_caller]
fn ss(server: &Server) -> Shown {
    let text = asked("ss", &["-ltnmiH", &format!("sport = :{}", server.address.port())]);
    let mut words = text.split_whitespace().skip(1);
    let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
    let (queue, limit) = (number(), number());
    let after = |mark: &str| -> Option<u64> {
        let rest = text.split_once(mark)?.1;
        rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
    };
    let drops = after(",d").unwrap_or_else(|| panic!("no drops in {text}"));
    Shown { queue, limit, drops, unacked: after("unacked:").unwrap_or(0) as u32 }
}

/// One of the namespace's counters since it was made.
#[track_caller]
fn nstat(name: &str) -> u64 {
    let text = asked("nstat", &["-a", "-s", "-z", name]);
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{text}"));
    line.split_whitespace().next().and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

/// With connections in the queue, after refusals, and when all have been accepted.
#[test]
fn ss_and_nstat_show_the_same() {
    const BACKLOG: u32 = 6;
    const REFUSED: u32 = 5;
    isolated(|| {
        let before = Counters::read();
        let since = |name: &str| (Counters::read() - &before).of(name);
        let mut observer = Observer::shared();
        let server = Server::listen(V4, BACKLOG);
        observer.wait_until_it_knows(&server);
        let queued: Vec<TcpStream> = server.queue(BACKLOG + 1);
        let refused: Vec<_> = (0..REFUSED).map(|_| attempt(server.address)).collect();
        until("all SYNs are refused", || since("ListenOverflows") >= i64::from(REFUSED));
        drop(refused);
        until_equal("clients that still try", || sockets(&[SYN_SENT]).len(), 0);

        observer.wait_for_next_lines();
        let ours = observer.listener(server.cookie);
        let full = Shown { queue: BACKLOG + 1, limit: BACKLOG, drops: ours.sk_drops, unacked: BACKLOG + 1 };
        assert_eq!(ss(&server), full);
        assert_eq!((ours.accept_queue, ours.backlog_limit), (full.queue, full.limit));
        assert!(full.drops >= u64::from(REFUSED), "{full:?}");
        assert_eq!(nstat("TcpPassiveOpens"), ours.enqueued);
        assert_eq!(Some(nstat("TcpExtListenOverflows")), ours.overflows);
        assert_eq!(nstat("TcpExtListenDrops"), ours.listen_drops);

        let accepted: Vec<_> = queued.iter().map(|_| server.accept()).collect();
        observer.wait_for_next_lines();
        let ours = observer.listener(server.cookie);
        let empty = Shown { queue: 0, limit: BACKLOG, drops: full.drops, unacked: 0 };
        assert_eq!(ss(&server), empty);
        assert_eq!((ours.accept_queue, ours.sk_drops), (0, full.drops));
        assert_eq!(ours.accepted, u64::from(BACKLOG + 1));
        drop((queued, accepted));
        observer.finish();
    });
}
