//! What one thread that should accept does, over the whole window.

use std::net::SocketAddr;

use super::{
    ends::{Whose, behind, connect, data, room, whose},
    lock,
    told::{connections, events, how, is_not_told},
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
pub(super) const WORKS: f64 = 0.1;
/// A thread that has not run for so long is held; one look may meet it in any state.
const HELD_NS: u64 = 1_000_000_000;
/// Part of the looks at a thread that sleeps that may find it at something else.
const AWAKE: f64 = 0.4;
/// What to do when nothing is known.
pub(super) const UNKNOWN: &str = "see where the threads that should accept are (their stacks)";

/// What one thread does.
#[derive(Clone)]
pub(in crate::model::diagnosis) struct Does {
    /// A stable word for it.
    pub(in crate::model::diagnosis) word: &'static str,
    /// The rest of a sentence whose subject is the thread.
    pub(in crate::model::diagnosis) text: String,
    /// What to do about it.
    pub(in crate::model::diagnosis) remedy: &'static str,
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

/// When it was last looked at it waited for events, and the listener's are not among them for as long as somebody waits.
pub(in crate::model::diagnosis) fn sleeps_beside(thread: &Thread, listener: u64) -> bool {
    let waits = thread.doing.as_deref().and_then(waits::of) == Some(Waits::Events);
    waits && is_not_told(thread, listener)
}

/// What a thread does, over the window.
pub(super) fn does(facts: &Facts<'_>, listener: &Listener, thread: Option<&Thread>) -> Does {
    let Some(thread) = thread else {
        return unknown(facts);
    };
    if let Some(does) = cannot_run(facts, thread) {
        return does;
    }
    if let Some(does) = wanted(thread).and_then(|(running, ready)| never_sleeps(running, ready)) {
        return does;
    }
    let Some(call) = mostly(thread).or(thread.doing.as_deref()) else { return unknown(facts) };
    let on = thread.looked.as_ref().and_then(|looked| looked.look.on.as_ref());
    let time = still_ns(facts, thread).filter(|ns| *ns >= HELD_NS);
    // It may have begun before the first look.
    let since = time.map(|ns| format!(" for {} or longer", figures::duration(ns))).unwrap_or_default();
    let writes = thread.looked.as_ref().is_some_and(|looked| looked.look.writes);
    // Who reads and writes is not waiting for somebody silent, wherever a look meets it.
    if let Some((whose, remote)) = whose(facts, listener.netns, on).filter(|_| moved(thread) >= WORKS) {
        return exchanging(listener, thread, whose, remote);
    }
    match waits::of(call) {
        Some(Waits::Data | Waits::Room) if on.is_none() && moved(thread) >= WORKS => {
            working(listener, thread)
        }
        Some(Waits::Events) if on == Some(&On::Nothing) => sleep(call, &since),
        Some(Waits::Events | Waits::Data) if matches!(on, Some(On::Connection { connecting: true, .. })) => {
            connect(call, on, &since)
        }
        Some(Waits::Events) if writes => room(call, on, &since),
        Some(Waits::Events) if on.is_none() => events(facts, listener, thread, call, &since),
        Some(Waits::Events | Waits::Data) => data(facts, listener, call, on, &since),
        Some(Waits::Room) => room(call, on, &since),
        Some(Waits::Lock) => Does::new(
            "lock",
            format!(
                "has waited in {call}(2){since} for another thread or process: a lock, or work that is handed out"
            ),
            "see its stack, and which thread holds what it waits for",
        ),
        Some(Waits::FileLock) => behind(lock::on_file(call, &since, thread), on),
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
            format!("has waited in {call}(2){since} for a child process"),
            "see what the child process does that it waits for (pgrep -P PID), or whether another process should accept",
        ),
        Some(Waits::Signal) => Does::new(
            "signal",
            format!("has waited in {call}(2){since} for a signal"),
            "see which signal it waits for, or whether another process should accept",
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
        None if call == "traced" => Does::new(
            "traced",
            "is held by a debugger or tracer again and again".to_owned(),
            "detach the tracer (strace, gdb)",
        ),
        None if call.starts_with("call ") => behind(unknown_wait(call, &since), on),
        None => behind(unknown_wait(&format!("{call}(2)"), &since), on),
    }
}

/// The word for a thread that gets no processor.
const STARVED: &str = "no_processor";
/// What to do about it.
const NO_PROCESSOR: &str =
    "see what uses the processors, its priority (nice), and the quota of its cgroup (cpu.max)";

/// It wants a processor all the time, and waits for one for most of it.
pub(in crate::model::diagnosis) fn is_starved(thread: &Thread) -> Option<Does> {
    wanted(thread)
        .and_then(|(running, ready)| never_sleeps(running, ready))
        .filter(|does| does.word == STARVED)
}

/// It wants a processor all the time, whether it gets one or not.
fn never_sleeps(running: f64, ready: f64) -> Option<Does> {
    if running + ready < ALL_THE_TIME {
        return None;
    }
    let (runs, waits) = (figures::percent(running), figures::percent(ready));
    if ready > running {
        return Some(Does::new(
            STARVED,
            format!("is ready and waits for a processor {waits} of the time (it runs {runs})"),
            NO_PROCESSOR,
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
fn cannot_run(facts: &Facts<'_>, thread: &Thread) -> Option<Does> {
    let looked = thread.looked.as_ref();
    let is_held = still_ns(facts, thread) >= Some(HELD_NS);
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
            Some(Does::new("stopped", "is stopped by a signal (SIGSTOP, SIGTSTP)".to_owned(), remedy))
        }
        (Some('t'), _) | (None, "traced") if is_held => Some(Does::new(
            "traced",
            "is stopped by a debugger or tracer".to_owned(),
            "let the debugger go on, or detach it",
        )),
        // vfork(2) waits so for its child.
        (Some('D'), _) if is_held && waits::of(call) != Some(Waits::Child) => {
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

/// Reads and writes per second.
fn moved(thread: &Thread) -> f64 {
    thread.rates.reads + thread.rates.writes
}

/// It reads and writes, and waits in between for one connection.
fn exchanging(listener: &Listener, thread: &Thread, whose: Whose, remote: SocketAddr) -> Does {
    let per_second = figures::rate(moved(thread));
    let open = connections(listener);
    let with = match whose {
        Whose::Client => format!("serves the client {remote}"),
        Whose::Server => format!("waits now and then for {remote}, to which it is the client"),
        Whose::Unknown => format!("waits now and then for {remote}"),
    };
    let text = format!("{with} ({per_second} reads and writes/s, {open} open) and does not accept");
    Does { waits_for: Some(remote.to_string()), ..Does::new("serving", text, SERVING) }
}

/// What to do about a thread that serves.
const SERVING: &str = "accept from a thread that does nothing else, or from more threads";

/// It is at work, or serves others.
pub(super) fn working(listener: &Listener, thread: &Thread) -> Does {
    let moved = moved(thread);
    if moved < WORKS {
        let part = thread.rates.running.map(figures::percent);
        // Ready whenever it is looked at, and hardly ever on a processor.
        if let (Some(running), Some(part)) = (thread.rates.running.filter(|part| *part < WORKS), &part) {
            let waits = thread.rates.ready.filter(|ready| *ready > running).map(figures::percent);
            let waits = waits.map(|waits| format!(", waits for one {waits}")).unwrap_or_default();
            let text =
                format!("is ready to run, gets a processor {part} of the time{waits}, and does not accept");
            return Does::new(STARVED, text, NO_PROCESSOR);
        }
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
    Does::new("serving", text, SERVING)
}
