//! A thread that waits for any of several events, and of which of them it is told.

use super::does::{Does, UNKNOWN, WORKS, open, working};
use crate::{
    figures,
    model::{
        evidence::Facts,
        look::{Beside, How},
        snapshot::{Listener, Thread},
    },
};

/// What to do at a limit of the program's own.
const LIMIT: &str = "raise the program's own limit of connections (maxconn, worker_connections, -c), or close idle ones sooner";
/// What to do about a wait for something else.
const ELSEWHERE: &str = "see what it waits for there instead of a client";
/// The same, where others may serve those that it has accepted.
const PERHAPS: &str = "see what it waits for there instead of a client: a loop within its own, or an end of those that it has accepted \
                       (its own limit)";

/// It is known that it is not woken for as long as somebody waits.
pub(super) fn is_not_told(thread: &Thread, listener: u64) -> bool {
    how(thread, listener).is_some_and(|how| how != How::Level)
}

/// It is known to watch the listener, in whatever way.
pub(super) fn watches(thread: &Thread, listener: u64) -> bool {
    how(thread, listener).is_some_and(|how| how != How::Absent)
}

pub(super) fn how(thread: &Thread, listener: u64) -> Option<How> {
    let looked = thread.looked.as_ref()?;
    looked.look.watches.iter().find(|watch| watch.listener == listener).map(|watch| watch.how)
}

/// It waits for any of several events.
pub(super) fn events(
    facts: &Facts<'_>,
    listener: &Listener,
    thread: &Thread,
    call: &str,
    since: &str,
) -> Does {
    let open = connections(listener);
    let reads = thread.rates.reads + thread.rates.writes;
    let serves = match reads >= WORKS {
        true => format!(", serves others ({} reads and writes/s)", figures::rate(reads)),
        false => String::new(),
    };
    // An arrival wakes who watches by edges, and wakes it in vain if none was accepted since.
    let in_vain = listener.came_since_accept > 0
        || facts
            .counted(listener.cookie)
            .is_some_and(|counted| counted.enqueued > 0 && counted.accepted == 0);
    match how(thread, listener.cookie) {
        Some(How::Edge) if in_vain => Does::new(
            "stopped_accepting",
            format!(
                "waits in {call}(2), is told of arrivals and does not accept, with {open} open (its own limit?)"
            ),
            LIMIT,
        ),
        Some(How::Edge) => Does::new(
            "edge_triggered",
            format!(
                "sleeps in {call}(2){since} and watches the listener edge-triggered (EPOLLET): only the next arrival wakes it"
            ),
            "accept until EAGAIN after each wake-up, or watch it level-triggered; if it does, it is at a limit of its own",
        ),
        Some(How::Disarmed) => Does::new(
            "disarmed",
            format!(
                "waits in {call}(2){since}, where the listener is registered and not armed (EPOLLONESHOT, or no EPOLLIN)"
            ),
            "arm it again with epoll_ctl(EPOLL_CTL_MOD) after each accept",
        ),
        Some(How::Absent) => {
            let beside = thread.looked.as_ref().and_then(|looked| looked.look.beside.as_ref());
            elsewhere(listener, beside, call, since, &serves)
        }
        Some(How::Level) if reads >= WORKS => working(listener, thread),
        Some(How::Level) => Does::new(
            "not_woken",
            format!("waits in {call}(2){since}, watches the listener and does not accept, with {open} open"),
            UNKNOWN,
        ),
        None if reads >= WORKS => Does::new(
            "stopped_accepting",
            format!("waits in {call}(2){serves} and does not accept, with {open} open (its own limit?)"),
            "see whether the program has a limit of connections of its own, and how it watches the listener",
        ),
        None => Does::new(
            "not_woken",
            format!("sleeps in {call}(2){since} and was not woken, with {open} open"),
            match call {
                "io_uring_enter" => {
                    "see whether its ring has an accept request for the listener: a multishot one ends when the completion \
                     queue is full"
                }
                _ => {
                    "see how it watches the listener: edge-triggered it has to accept until EAGAIN; at its own limit of \
                     connections it does not watch it"
                }
            },
        ),
    }
}

/// It waits for events without the listener. Who has taken it out to serve those that it has still waits for them; a loop
/// that has none of them is one within another, or of another task.
fn elsewhere(listener: &Listener, beside: Option<&Beside>, call: &str, since: &str, serves: &str) -> Does {
    let has = open(listener);
    let open = connections(listener);
    match beside {
        Some(Beside { clients: 0, servers, .. }) if !servers.is_empty() => {
            let names: Vec<String> = servers.iter().map(ToString::to_string).collect();
            let names = figures::listed(&names);
            let text = format!(
                "waits in {call}(2){since} for an answer of {names}, to which it is the client, and neither for this listener nor for \
                 a client{serves}"
            );
            let remedy = "a timeout for what it asks there, and a loop that serves clients meanwhile";
            Does { waits_for: Some(names), ..Does::new("upstream", text, remedy) }
        }
        Some(Beside { clients: 0, .. }) if has > 0 => Does::new(
            "stopped_accepting",
            format!(
                "waits in {call}(2){since} for something else, neither for this listener nor for a client{serves}, and has stopped \
                 accepting, with {open} open"
            ),
            PERHAPS,
        ),
        Some(Beside { clients: 0, .. }) => {
            let text = format!(
                "waits in {call}(2){since} for something else, and neither for this listener nor for a client{serves}"
            );
            Does::new("other_end", text, ELSEWHERE)
        }
        Some(_) => Does::new(
            "stopped_accepting",
            format!(
                "waits in {call}(2){since} without this listener{serves} and has stopped accepting, with {open} open (its own limit?)"
            ),
            LIMIT,
        ),
        None => Does::new(
            "stopped_accepting",
            format!(
                "waits in {call}(2){since} without this listener{serves} and has stopped accepting, with {open} open"
            ),
            ELSEWHERE,
        ),
    }
}

/// How many connections are open, in words. Those of before the start are not among them.
pub(super) fn connections(listener: &Listener) -> String {
    let at_least = if listener.opened_ns.is_none() { "at least " } else { "" };
    match open(listener) {
        0 if listener.opened_ns.is_none() => "an unknown number of connections".to_owned(),
        1 => format!("{at_least}1 connection"),
        many => format!("{at_least}{} connections", figures::count(many)),
    }
}
