//! What one thread that should accept does, over the whole window.

use super::{
    lock,
    waits::{self, Waits},
};
use crate::{
    figures,
    model::{
        evidence::Facts,
        look::{How, On},
        snapshot::{Listener, Thread},
    },
};

/// Part of the time from which a thread is said to run all the time.
const ALL_THE_TIME: f64 = 0.9;
/// A thread that does no less than this is at work.
const WORKS: f64 = 0.1;
/// Part of the looks at a thread that sleeps that may find it at something else.
const AWAKE: f64 = 0.4;
/// What to do at a limit of the program's own.
const LIMIT: &str = "raise the program's own limit of connections (maxconn, worker_connections, -c), or close idle ones sooner";
/// What to do when nothing is known.
pub(super) const UNKNOWN: &str = "see where the threads that should accept are (their stacks)";

/// What one thread does.
pub(super) struct Does {
    /// A stable word for it.
    pub(super) word: &'static str,
    /// The rest of a sentence whose subject is the thread.
    pub(super) text: String,
    /// What to do about it.
    pub(super) remedy: &'static str,
    /// What it waits for, by name.
    pub(super) waits_for: Option<String>,
}

impl Does {
    pub(super) fn new(word: &'static str, text: String, remedy: &'static str) -> Self {
        Self { word, text, remedy, waits_for: None }
    }
}

/// Accepted connections of a listener that are open, as far as they were followed.
pub(super) fn open(listener: &Listener) -> u64 {
    (listener.accepted + listener.dropped_queued).saturating_sub(listener.ended)
}

/// Part of the time in which it ran, and in which it was ready and waited for a processor.
fn wanted(thread: &Thread) -> Option<(f64, f64)> {
    thread.rates.running.map(|running| (running, thread.rates.ready.unwrap_or(0.0)))
}

/// What it was met at most often in the last seconds: one look at a thread that works now and then tells little.
fn mostly(thread: &Thread) -> Option<&str> {
    let doings = thread.looked.as_ref().map(|looked| looked.doings.as_slice()).unwrap_or_default();
    let count = |doing: &Option<String>| doings.iter().filter(|other| *other == doing).count();
    let most = doings.iter().map(count).max()?;
    // Of two the later one.
    doings.iter().rev().find(|doing| count(doing) == most)?.as_deref()
}

pub(super) fn still_ns(facts: &Facts<'_>, thread: &Thread) -> Option<u64> {
    let since = thread.looked.as_ref()?.still_since_ns?;
    Some(facts.snapshot.time_ns.saturating_sub(since))
}

/// It waits for events, mostly: who serves a client now and then is met at that too.
pub(in crate::model::diagnosis) fn is_asleep(thread: &Thread) -> bool {
    let is_wait = |doing: &&Option<String>| doing.as_deref().and_then(waits::of) == Some(Waits::Events);
    match &thread.looked {
        Some(looked) => {
            let met = looked.doings.iter().filter(|doing| !is_wait(doing)).count();
            met as f64 <= AWAKE * looked.doings.len() as f64
        }
        None => is_wait(&&thread.doing),
    }
}

/// It is known that it is not woken for as long as somebody waits.
pub(super) fn is_not_told(thread: &Thread, listener: u64) -> bool {
    how(thread, listener).is_some_and(|how| how != How::Level)
}

/// It is known to watch the listener, in whatever way.
pub(super) fn watches(thread: &Thread, listener: u64) -> bool {
    how(thread, listener).is_some_and(|how| how != How::Absent)
}

fn how(thread: &Thread, listener: u64) -> Option<How> {
    let looked = thread.looked.as_ref()?;
    looked.look.watches.iter().find(|watch| watch.listener == listener).map(|watch| watch.how)
}
/// What a thread does, over the window.
pub(super) fn does(facts: &Facts<'_>, listener: &Listener, thread: Option<&Thread>) -> Does {
    let Some(thread) = thread else {
        return unknown(facts);
    };
    if let Some(does) = cannot_run(thread) {
        return does;
    }
    if let Some(does) = wanted(thread).and_then(|(running, ready)| never_sleeps(running, ready)) {
        return does;
    }
    let Some(call) = mostly(thread).or(thread.doing.as_deref()) else { return unknown(facts) };
    let on = thread.looked.as_ref().and_then(|looked| looked.look.on.as_ref());
    let time = still_ns(facts, thread).filter(|ns| *ns >= 1_000_000_000);
    // It may have begun before the first look.
    let since = time.map(|ns| format!(" for {} or longer", figures::duration(ns))).unwrap_or_default();
    let writes = thread.looked.as_ref().is_some_and(|looked| looked.look.writes);
    match waits::of(call) {
        Some(Waits::Events) if on == Some(&On::Nothing) => sleep(call, &since),
        Some(Waits::Events | Waits::Data) if matches!(on, Some(On::Connection { connecting: true, .. })) => {
            connect(call, on, &since)
        }
        Some(Waits::Events) if writes => room(call, on, &since),
        Some(Waits::Events) if on.is_none() => events(facts, listener, thread, call, &since),
        Some(Waits::Events | Waits::Data) => data(facts, call, on, &since),
        Some(Waits::Room) => room(call, on, &since),
        Some(Waits::Lock) => Does::new(
            "lock",
            format!(
                "has waited in {call}(2){since} for another thread or process: a lock, or work that is handed out"
            ),
            "see its stack, and which thread holds what it waits for",
        ),
        Some(Waits::FileLock) => {
            behind(lock::on_file(call, &since, thread.looked.as_ref().map(|looked| &looked.look)), on)
        }
        Some(Waits::Disk) => behind(
            Does::new(
                "disk",
                format!("has waited in {call}(2){since} for a disk"),
                "keep disks out of the thread that accepts",
            ),
            on,
        ),
        Some(Waits::Time) => sleep(call, &since),
        Some(Waits::Child) => Does::new(
            "child",
            format!("has waited in {call}(2){since} for a child process or a signal"),
            "see what the child process does that it waits for (pgrep -P PID), or whether another process should accept",
        ),
        Some(Waits::Connect) => connect(call, on, &since),
        Some(Waits::Accept) if how(thread, listener.cookie) != Some(How::Absent) => {
            unknown_wait(call, &since)
        }
        Some(Waits::Accept) => behind(
            Does::new(
                "other_listener",
                format!("waits in {call}(2){since} at another listener"),
                "a thread for each listener, or poll(2) for all of them",
            ),
            on,
        ),
        None if call == "runs" => working(listener, thread),
        None if call.starts_with("call ") => behind(unknown_wait(call, &since), on),
        None => behind(unknown_wait(&format!("{call}(2)"), &since), on),
    }
}

/// It wants a processor all the time, whether it gets one or not.
fn never_sleeps(running: f64, ready: f64) -> Option<Does> {
    if running + ready < ALL_THE_TIME {
        return None;
    }
    let (runs, waits) = (figures::percent(running), figures::percent(ready));
    if ready > running {
        return Some(Does::new(
            "no_processor",
            format!("is ready and waits for a processor {waits} of the time (it runs {runs})"),
            "see what uses the processors, its priority (nice), and the quota of its cgroup (cpu.max)",
        ));
    }
    let and_waits = match ready >= WORKS {
        true => format!(", and waits for a processor {waits}"),
        false => String::new(),
    };
    Some(Does::new(
        "busy",
        format!("runs all the time ({runs}{and_waits}) and does not accept"),
        "profile it: it works, or spins, and does not come back to accept(2)",
    ))
}

fn sleep(call: &str, since: &str) -> Does {
    let text = format!("sleeps in {call}(2){since}");
    Does::new("sleep", text, "see its stack: why it sleeps and does not accept")
}

fn connect(call: &str, on: Option<&On>, since: &str) -> Does {
    let text = format!("has waited in {call}(2){since} for a server that it connects to");
    let does = Does::new("upstream", text, "a timeout for what it asks; a thread that does not accept");
    behind(does, on)
}

/// Nothing follows from the call.
fn unknown_wait(call: &str, since: &str) -> Does {
    Does::new("other_call", format!("has waited in {call}{since}"), "see its stack")
}

fn unknown(facts: &Facts<'_>) -> Does {
    let why = match facts.snapshot.meta.has("activity") {
        true => "/proc does not show what it does",
        false => "what it does is not known here (signal activity unavailable)",
    };
    Does::new("unknown", format!("does not accept now; {why}"), UNKNOWN)
}

/// It does nothing at all.
fn cannot_run(thread: &Thread) -> Option<Does> {
    let looked = thread.looked.as_ref();
    let state = looked.and_then(|looked| looked.look.state);
    let call = thread.doing.as_deref().unwrap_or("the kernel");
    if looked.is_some_and(|looked| looked.look.frozen) {
        let remedy = "thaw its cgroup (cgroup.freeze), or unpause its container";
        return Some(Does::new("frozen", "is stopped: its cgroup is frozen".to_owned(), remedy));
    }
    match (state, call) {
        (Some('Z' | 'X'), _) => Some(Does::new(
            "acceptor_gone",
            "has ended, and its parent has not noticed (state Z)".to_owned(),
            "start it again, and see its log; its parent has to wait for it (wait4)",
        )),
        (Some('T'), _) | (None, "stopped") => {
            let remedy = "kill -CONT, if nobody has stopped it on purpose";
            Some(Does::new("stopped", "is stopped (SIGSTOP)".to_owned(), remedy))
        }
        (Some('t'), _) | (None, "traced") => Some(Does::new(
            "traced",
            "is stopped by a debugger or tracer".to_owned(),
            "let the debugger go on, or detach it",
        )),
        (Some('D'), _) => {
            let text = format!("sleeps in {call} and takes no signal (state D)");
            Some(Does::new(
                "uninterruptible",
                text,
                "see its kernel stack (/proc/PID/stack): a disk, or a network file system",
            ))
        }
        _ => None,
    }
}

/// It waits for any of several events.
fn events(facts: &Facts<'_>, listener: &Listener, thread: &Thread, call: &str, since: &str) -> Does {
    let open = connections(listener);
    let reads = thread.rates.reads + thread.rates.writes;
    let serves = match reads >= WORKS {
        true => format!(", serves others ({} reads and writes/s)", figures::rate(reads)),
        false => String::new(),
    };
    let limit = if call.starts_with("epoll") { " (its own limit?)" } else { "" };
    // An arrival wakes who watches by edges, and wakes it in vain if none was accepted.
    let in_vain =
        facts.counted(listener.cookie).is_some_and(|counted| counted.enqueued > 0 && counted.accepted == 0);
    match how(thread, listener.cookie) {
        Some(How::Edge) if in_vain => Does::new(
            "stopped_accepting",
            format!("waits in {call}(2), is told of arrivals and does not accept, with {open} open{limit}"),
            LIMIT,
        ),
        Some(How::Edge) => Does::new(
            "edge_triggered",
            format!(
                "sleeps in {call}(2){since} and watches the listener edge-triggered (EPOLLET): only the next arrival wakes it"
            ),
            "accept until EAGAIN after each wake-up, or watch it level-triggered",
        ),
        Some(How::Disarmed) => Does::new(
            "disarmed",
            format!(
                "waits in {call}(2){since}, where the listener is registered and not armed (EPOLLONESHOT, or no EPOLLIN)"
            ),
            "arm it again with epoll_ctl(EPOLL_CTL_MOD) after each accept",
        ),
        Some(How::Absent) => Does::new(
            "stopped_accepting",
            format!(
                "waits in {call}(2){since} without this listener{serves} and has stopped accepting, with {open} open{limit}"
            ),
            if limit.is_empty() { "see what it waits for there instead of a client" } else { LIMIT },
        ),
        Some(How::Level) if reads >= WORKS => working(listener, thread),
        Some(How::Level) => Does::new(
            "not_woken",
            format!("waits in {call}(2){since}, watches the listener and does not accept, with {open} open"),
            UNKNOWN,
        ),
        None if reads >= WORKS => Does::new(
            "stopped_accepting",
            format!("waits in {call}(2){serves} and does not accept, with {open} open{limit}"),
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

/// How many connections are open, in words. Those of before the start are not among them.
fn connections(listener: &Listener) -> String {
    let at_least = if listener.opened_ns.is_none() { "at least " } else { "" };
    match open(listener) {
        0 if listener.opened_ns.is_none() => "an unknown number of connections".to_owned(),
        1 => format!("{at_least}1 connection"),
        many => format!("{at_least}{} connections", figures::count(many)),
    }
}

/// It is at work, or serves others.
fn working(listener: &Listener, thread: &Thread) -> Does {
    let moved = thread.rates.reads + thread.rates.writes;
    if moved < WORKS {
        let part = thread.rates.running.map(figures::percent);
        let part = part.map(|part| format!(" {part} of the time")).unwrap_or_default();
        return Does::new(
            "busy",
            format!("runs{part}, reads and writes nothing, and does not accept"),
            "profile it: it works, and does not come back to accept(2)",
        );
    }
    let text = format!(
        "serves others ({} reads and writes/s, {} open) and does not accept",
        figures::rate(moved),
        connections(listener),
    );
    Does::new("serving", text, "accept from a thread that does nothing else, or from more threads")
}

/// It waits for data of one descriptor.
fn data(facts: &Facts<'_>, call: &str, on: Option<&On>, since: &str) -> Does {
    const BLOCKED: &str = "see what the other end does; a timeout, and a thread that does not accept";
    match on {
        Some(On::Connection { local, remote, accepted, accepted_ns, has_data, .. })
            if *accepted || facts.listens_at(local.port()) =>
        {
            let ago = accepted_ns.map(|ns| figures::duration(facts.snapshot.time_ns.saturating_sub(ns)));
            let ago = ago.map(|ago| format!(" accepted {ago} ago,")).unwrap_or_default();
            let sent = match has_data {
                Some(false) => "which has sent nothing",
                Some(true) => "which sends no more",
                None => "which sends nothing now",
            };
            let text = format!("has waited in {call}(2){since} for the client {remote},{ago} {sent}");
            let remedy = "a timeout for clients that send nothing, a buffering proxy before it, or a thread for each connection";
            Does { waits_for: Some(remote.to_string()), ..Does::new("silent_client", text, remedy) }
        }
        Some(On::Connection { remote, .. }) => {
            let text = format!(
                "has waited in {call}(2){since} for an answer of {remote}, to which it is the client"
            );
            let remedy = "a timeout for what it asks there; see why that server does not answer";
            Does { waits_for: Some(remote.to_string()), ..Does::new("upstream", text, remedy) }
        }
        _ => behind(Does::new("other_end", format!("has waited in {call}(2){since}"), BLOCKED), on),
    }
}

/// It waits for room to write.
fn room(call: &str, on: Option<&On>, since: &str) -> Does {
    let remedy = "a deadline for writing; a thread that does not accept";
    match on {
        Some(On::Connection { remote, .. }) => {
            let text = format!("has waited in {call}(2){since} for {remote} to read");
            Does { waits_for: Some(remote.to_string()), ..Does::new("slow_reader", text, remedy) }
        }
        _ => behind(Does::new("other_end", format!("has waited in {call}(2){since}"), remedy), on),
    }
}

/// Adds what the descriptor is that it waits for.
fn behind(does: Does, on: Option<&On>) -> Does {
    let what = match on {
        Some(On::Other(what)) => what.clone(),
        Some(On::Connection { remote, .. }) if remote.port() != 0 => remote.to_string(),
        Some(On::Connection { local, .. }) => local.to_string(),
        Some(On::Nothing) | None => return does,
    };
    Does { text: format!("{} ({what})", does.text), waits_for: Some(what), ..does }
}
