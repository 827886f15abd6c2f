//! What the values of a snapshot are called on the screen.

use crate::model::snapshot::{End, Listener, Snapshot, Via};

/// How a connection came into being.
pub(crate) fn via(via: Via) -> &'static str {
    match via {
        Via::Handshake => "handshake",
        Via::Cookie => "cookie",
        Via::Tfo => "fast open",
        Via::Unseen => "unseen",
    }
}

/// How a connection ended, in short.
pub(crate) fn end(end: End) -> &'static str {
    match end {
        End::Fin => "FIN",
        End::RstIn => "RST in",
        End::RstOut => "RST out",
        End::Timeout => "timeout",
        End::QueuedReset => "in queue",
        End::Unknown => "unknown",
        End::Unseen => "unseen",
        End::Open => "open",
    }
}

/// How a connection ended, in a sentence.
pub(crate) fn end_sentence(end: End, closed_first: Option<bool>, at_exit: bool) -> String {
    let first = match closed_first {
        Some(true) => ", this side closed first",
        Some(false) => ", the peer closed first",
        None => "",
    };
    let how = match end {
        End::Fin => "both sides said FIN",
        End::RstIn => "the peer reset it",
        End::RstOut => "this side reset it",
        End::Timeout => "the kernel gave up on a silent peer",
        End::QueuedReset => "destroyed while it waited in the accept queue",
        End::Unknown => "nobody saw how",
        End::Unseen => "its end was shown to no probe; later its socket was gone",
        End::Open => "still open",
    };
    let exit = if at_exit { ", when its process ended" } else { "" };
    format!("{how}{first}{exit}")
}

/// Thread ids, as `4130 4131`.
pub(crate) fn threads(tids: &[u32]) -> String {
    if tids.is_empty() {
        return "-".to_owned();
    }
    tids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

/// A thread with its name, if it is known: `rd-1/4131`.
pub(crate) fn thread(snapshot: &Snapshot, tid: u32) -> String {
    match snapshot.threads.iter().find(|thread| thread.tid == tid) {
        Some(thread) => format!("{}/{tid}", thread.comm),
        None => tid.to_string(),
    }
}

/// A thread by its name alone, if no other thread has it.
pub(crate) fn short_thread(snapshot: &Snapshot, tid: u32) -> String {
    let Some(thread) = snapshot.threads.iter().find(|thread| thread.tid == tid) else {
        return tid.to_string();
    };
    let namesakes =
        snapshot.threads.iter().filter(|other| other.comm == thread.comm && !other.exited).count();
    if namesakes > 1 { format!("{}/{tid}", thread.comm) } else { thread.comm.clone() }
}

/// The address of a listener, and its shard.
pub(crate) fn listener(snapshot: &Snapshot, cookie: Option<u64>) -> String {
    let Some(cookie) = cookie else { return "from before the start".to_owned() };
    let found = snapshot.listeners.iter().find(|listener| listener.cookie == cookie);
    found.map_or_else(|| format!("closed (cookie {cookie})"), place)
}

/// The address of a listener that is known, and its shard.
pub(crate) fn place(listener: &Listener) -> String {
    match listener.shard {
        Some(shard) => format!("{} shard {shard}", listener.addr),
        None => listener.addr.clone(),
    }
}

/// A stage of the journey; the order is that of [`stage`](crate::model::snapshot::stage).
pub(crate) const STAGES: [&str; crate::model::snapshot::stage::STAGES] = [
    "SYN queue",
    "accept queue",
    "accept to read",
    "data to read",
    "read to write",
    "accept to write",
    "lifetime",
];
