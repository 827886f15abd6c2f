//! Why a listener is as it is, and what would change it: sentences with the figures in them.
//!
//! Pure functions of a snapshot. They say no more than the figures do: who accepts comes from what threads did, and
//! a refusal is laid to a full queue only if the queue was full.

use std::collections::BTreeSet;

use super::listeners::Figures;
use super::{demo, figures};
use crate::model::snapshot::{Listener, Snapshot, State, Thread};

/// Unread connections from which they are worth a sentence.
const MANY_UNREAD: u64 = 8;

/// Why these listeners, one or all of a group, are as they are.
pub(crate) fn why(snapshot: &Snapshot, listeners: &[&Listener], row: &Figures) -> String {
    let acceptors = acceptors(snapshot, listeners);
    match row.state {
        State::Idle => "Nothing arrived in the last second.".to_owned(),
        State::Healthy => healthy(row),
        State::Filling => filling(row),
        State::Saturated => format!(
            "The accept queue holds {} of {}: whoever comes next is refused unless one is accepted first. {} accepts/s \
             against {} arrivals/s.",
            row.depth,
            full(row),
            figures::rate(row.accepted),
            figures::rate(row.enqueued + row.dropped),
        ),
        State::Stranded => stranded(snapshot, listeners, row, &acceptors),
        State::Overflowing => overflowing(listeners, row, &acceptors),
    }
}

/// What to try next; with a backend that can be switched, the keys for it.
pub(crate) fn remedy(snapshot: &Snapshot, listeners: &[&Listener], row: &Figures) -> Option<String> {
    let running = demo::running(snapshot);
    if let Some(fault) = running.as_ref().and_then(|running| running.faults.first())
        && row.state > State::Healthy
    {
        return Some(format!("switch the fault {fault} off (Pattern screen)"));
    }
    if row.state < State::Filling {
        let unread = row.unread >= MANY_UNREAD && running.is_some();
        return unread
            .then(|| "more workers (Pattern screen): the acceptor keeps up, the readers do not".to_owned());
    }
    if row.state == State::Overflowing && u64::from(row.peak.max(row.depth)) < full(row) {
        let text = "see DROPS for the cause: a full SYN queue wants tcp_syncookies=1 or a longer backlog";
        return Some(text.to_owned());
    }
    if let Some(shard) = uneven(listeners) {
        let text =
            format!("see what the thread of shard {shard} does (Workers screen); no queue length helps it");
        return Some(text);
    }
    let backlog = backlog_buys(row);
    let Some(running) = running else {
        return backlog.map(|buys| format!("accept faster, or from more threads; {buys}"));
    };
    let patterns = match running.pattern.as_str() {
        "single-thread" => "p2 many readers, p5 a queue for each thread",
        "acceptor-workers" => "p2 connections instead of messages, p5 a queue for each thread",
        "sharding" => "more workers (Pattern screen): a shard each",
        _ => "more workers (Pattern screen), p5 a queue for each thread",
    };
    Some(match backlog {
        Some(buys) => format!("{patterns}; {buys}"),
        None => patterns.to_owned(),
    })
}

/// The value at which the accept queue is full.
fn full(row: &Figures) -> u64 {
    u64::from(row.limit) + 1
}

/// Threads that accept from these listeners, the busiest first: those of the process that listens, and whoever was seen
/// to accept a connection of theirs.
fn acceptors<'a>(snapshot: &'a Snapshot, listeners: &[&Listener]) -> Vec<&'a Thread> {
    let ours = |cookie: u64| listeners.iter().any(|listener| listener.cookie == cookie);
    let holds = |pid: u32| listeners.iter().any(|listener| listener.pid == pid);
    // A process with other listeners has other acceptors; those of this one show in the connections that ended last.
    let shared = snapshot.listeners.iter().any(|other| holds(other.pid) && !ours(other.cookie));
    let seen: BTreeSet<u32> = snapshot
        .recent
        .iter()
        .chain(&snapshot.slowest)
        .filter(|connection| connection.listener.is_some_and(ours))
        .filter_map(|connection| Some(connection.acceptor.as_ref()?.tid))
        .collect();
    let accepts =
        |thread: &Thread| thread.rates.accepts > 0.0 || thread.role.split('+').any(|role| role == "acceptor");
    let own = |thread: &Thread| holds(thread.pid) && (!shared || seen.is_empty());
    let mut found: Vec<&Thread> = snapshot
        .threads
        .iter()
        .filter(|thread| !thread.exited && accepts(thread))
        .filter(|thread| seen.contains(&thread.tid) || own(thread))
        .collect();
    found.sort_by(|one, other| other.rates.accepts.total_cmp(&one.rates.accepts));
    found
}

fn healthy(row: &Figures) -> String {
    if row.unread >= MANY_UNREAD {
        return format!(
            "The accept queue is short, but {} accepted connections have data that nobody has read: they queue inside \
             the program.",
            figures::count(row.unread),
        );
    }
    match (row.wait_p50_ns, row.wait_p99_ns) {
        (Some(p50), Some(p99)) => format!(
            "Accepted as fast as they arrive: half wait less than {}, 99 of 100 less than {}.",
            figures::duration(p50),
            figures::duration(p99),
        ),
        _ => "Accepted as fast as they arrive.".to_owned(),
    }
}

fn filling(row: &Figures) -> String {
    let growth = row.enqueued - row.accepted;
    let room = full(row).saturating_sub(u64::from(row.depth));
    let course = if row.shards == 1 && growth >= 1.0 {
        format!("full in about {}", figures::duration((room as f64 / growth * 1e9) as u64))
    } else if row.shards == 1 && growth <= -1.0 {
        "it is draining".to_owned()
    } else {
        "it neither grows nor drains".to_owned()
    };
    format!(
        "The accept queue holds {} of {}: {} accepts/s against {} arrivals/s, {course}.",
        row.depth,
        full(row),
        figures::rate(row.accepted),
        figures::rate(row.enqueued),
    )
}

fn stranded(snapshot: &Snapshot, listeners: &[&Listener], row: &Figures, acceptors: &[&Thread]) -> String {
    let waiting = figures::plural(row.depth as usize, "connection");
    let who = match acceptors {
        [] => match listeners.iter().map(|listener| listener.accepted).sum::<u64>() {
            0 => "no thread has accepted from it since the observer started".to_owned(),
            count => format!("{} were accepted before, none in the last second", figures::count(count)),
        },
        [one] => format!("{} accepted before and does not now", name(one)),
        many => format!("{} threads accepted before and none does now", many.len()),
    };
    let fault = demo::running(snapshot)
        .filter(|running| !running.faults.is_empty())
        .map_or(String::new(), |running| format!(" The fault {} is on.", running.faults_label()));
    format!("Nobody takes what waits in the accept queue ({waiting}): {who}.{fault}")
}

fn overflowing(listeners: &[&Listener], row: &Figures, acceptors: &[&Thread]) -> String {
    let dropped = figures::rate(row.dropped);
    if u64::from(row.peak.max(row.depth)) < full(row) {
        return format!(
            "{dropped}/s are refused although the accept queue has room (peak {} of {}): a full SYN queue, lack of \
             memory or a filter.",
            row.peak,
            full(row),
        );
    }
    // A client that is refused sends its SYN again, and each of them counts.
    let attempts = figures::rate(row.enqueued + row.dropped);
    let accepts = figures::rate(row.accepted);
    let mut text = match acceptors {
        [] if row.accepted > 0.0 => format!("{accepts} of {attempts} attempts/s are accepted."),
        [] => format!("Nobody accepts: {attempts} attempts/s."),
        [one] => {
            let mut text =
                format!("The only acceptor, {}, takes {accepts} of {attempts} attempts/s", name(one));
            if one.rates.reads > 0.0 || one.rates.writes > 0.0 {
                text.push_str(&format!(
                    "; in between it does {} reads/s and {} writes/s",
                    figures::rate(one.rates.reads),
                    figures::rate(one.rates.writes),
                ));
            }
            text.push('.');
            text
        }
        many => format!("{} acceptors take {accepts} of {attempts} attempts/s.", many.len()),
    };
    match uneven(listeners) {
        Some(shard) => text.push_str(&format!(
            " Shard {shard} alone is full: the kernel deals by hash, and what waits there cannot move to an idle shard."
        )),
        None => text.push_str(&format!(
            " The queue is full at {}, so {dropped}/s are refused; their clients try again after about 1 s.",
            full(row),
        )),
    }
    text
}

/// The shard that is full while the others have most of their queue free.
fn uneven(listeners: &[&Listener]) -> Option<u32> {
    let is_full = |listener: &&&Listener| listener.accept_queue > listener.backlog_limit;
    let free = |listener: &&&Listener| listener.accept_queue <= listener.backlog_limit / 4;
    if listeners.len() < 2 {
        return None;
    }
    let mut full = listeners.iter().filter(is_full);
    let shard = full.next()?.shard?;
    (full.next().is_none() && listeners.iter().filter(free).count() + 1 == listeners.len()).then_some(shard)
}

/// What a longer queue is good for while these rates last.
fn backlog_buys(row: &Figures) -> Option<String> {
    let surplus = row.enqueued + row.dropped - row.accepted;
    if surplus < 1.0 || row.limit == 0 {
        return None;
    }
    let buys = figures::duration((f64::from(row.limit) / surplus * 1e9) as u64);
    Some(format!("twice the backlog lasts {buys} longer"))
}

fn name(thread: &Thread) -> String {
    format!("{}/{}", thread.comm, thread.tid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::{Rates, ThreadRates};

    fn thread(comm: &str, role: &str, accepts: f64, reads: f64) -> Thread {
        let rates = ThreadRates { accepts, reads, ..ThreadRates::default() };
        Thread { pid: 1, tid: 7, comm: comm.to_owned(), role: role.to_owned(), rates, ..Thread::default() }
    }

    #[track_caller]
    fn check(threads: Vec<Thread>, row: &Figures, shards: &[(u32, u32)], expected: &str) {
        let listeners: Vec<Listener> = shards
            .iter()
            .enumerate()
            .map(|(index, (accept_queue, backlog_limit))| Listener {
                pid: 1,
                shard: Some(index as u32 + 1),
                accept_queue: *accept_queue,
                backlog_limit: *backlog_limit,
                rates: Rates::default(),
                ..Listener::default()
            })
            .collect();
        let snapshot = Snapshot { threads, ..Snapshot::default() };
        assert_eq!(why(&snapshot, &listeners.iter().collect::<Vec<_>>(), row), expected);
    }

    fn row(state: State, depth: u32, rates: (f64, f64, f64)) -> Figures {
        Figures {
            state,
            shards: 1,
            depth,
            peak: depth,
            limit: 64,
            enqueued: rates.0,
            accepted: rates.1,
            dropped: rates.2,
            ..Figures::default()
        }
    }

    #[test]
    fn the_only_acceptor_is_named_with_what_else_it_does() {
        check(
            vec![thread("srv-0", "acceptor+reader+writer", 498.0, 498.0)],
            &row(State::Overflowing, 65, (498.0, 498.0, 314.0)),
            &[(65, 64)],
            "The only acceptor, srv-0/7, takes 498 of 812 attempts/s; in between it does 498 reads/s and 0 writes/s. \
             The queue is full at 65, so 314/s are refused; their clients try again after about 1 s.",
        );
    }

    #[test]
    fn a_refusal_with_room_in_the_queue_is_not_laid_to_the_queue() {
        check(
            vec![],
            &row(State::Overflowing, 3, (5.0, 5.0, 40.0)),
            &[(3, 64)],
            "40/s are refused although the accept queue has room (peak 3 of 65): a full SYN queue, lack of memory or a \
             filter.",
        );
    }

    #[test]
    fn one_full_shard_among_idle_ones_is_named() {
        check(
            vec![thread("shard-0", "acceptor", 20.0, 0.0), thread("shard-1", "acceptor", 0.0, 0.0)],
            &row(State::Overflowing, 65, (20.0, 20.0, 9.0)),
            &[(2, 64), (65, 64)],
            "2 acceptors take 20 of 29 attempts/s. Shard 2 alone is full: the kernel deals by hash, and what waits there \
             cannot move to an idle shard.",
        );
    }

    #[test]
    fn nobody_comes() {
        check(
            vec![thread("acc-0", "acceptor", 0.0, 0.0)],
            &row(State::Stranded, 1, (0.0, 0.0, 0.0)),
            &[(1, 64)],
            "Nobody takes what waits in the accept queue (1 connection): acc-0/7 accepted before and does not now.",
        );
    }

    #[test]
    fn growth_says_when_it_is_full() {
        check(
            vec![],
            &row(State::Filling, 45, (110.0, 100.0, 0.0)),
            &[(45, 64)],
            "The accept queue holds 45 of 65: 100 accepts/s against 110 arrivals/s, full in about 2.00 s.",
        );
    }

    #[test]
    fn a_longer_queue_is_put_into_seconds() {
        let text = remedy(&Snapshot::default(), &[], &row(State::Overflowing, 65, (500.0, 500.0, 320.0)));
        assert_eq!(
            text.as_deref(),
            Some("accept faster, or from more threads; twice the backlog lasts 200 ms longer")
        );
        assert_eq!(remedy(&Snapshot::default(), &[], &row(State::Healthy, 0, (5.0, 5.0, 0.0))), None);
    }
}
