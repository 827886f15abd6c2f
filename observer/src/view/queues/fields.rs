//! What the listeners can be filtered by. Each shard of a group is asked for itself.

use crate::model::snapshot::Listener;
use crate::view::filter::{Field, Kind, Value};
use crate::view::styles::state_words;

const STATES: &[&str] = &[
    "idle",
    "healthy",
    "filling",
    "waiting",
    "turns away",
    "saturated",
    "stranded",
    "overflowing",
    "closed",
    "queued",
];

/// The fields.
pub(super) const FIELDS: &[Field<Listener>] = &[
    Field {
        name: "port",
        kind: Kind::Number,
        meaning: "the port it listens on",
        values: |listener, _| Value::number(listener.port),
    },
    Field {
        name: "addr",
        kind: Kind::Text,
        meaning: "its address with the port",
        values: |listener, _| Value::texts([listener.addr.as_str()]),
    },
    Field {
        name: "state",
        kind: Kind::Word(STATES),
        meaning: "its state; queued: somebody waits in its accept queue",
        values: |listener, _| Value::texts(states(listener)),
    },
    Field {
        name: "comm",
        kind: Kind::Text,
        meaning: "the name of its process",
        values: |listener, _| Value::texts([listener.comm.as_str()]),
    },
    Field {
        name: "pid",
        kind: Kind::Number,
        meaning: "its process",
        values: |listener, _| Value::number(listener.pid),
    },
    Field {
        name: "tid",
        kind: Kind::Number,
        meaning: "a thread of its process",
        values: |listener, history| {
            let own = history.snapshot.threads.iter().filter(|thread| thread.pid == listener.pid);
            own.map(|thread| Value::Number(thread.tid.into())).collect()
        },
    },
    Field {
        name: "wait",
        kind: Kind::Duration,
        meaning: "99 of 100 waits in the accept queue (p99)",
        values: |listener, history| Value::count(history.samples.wait(listener.cookie).1),
    },
    Field {
        name: "queue",
        kind: Kind::Number,
        meaning: "connections in its accept queue",
        values: |listener, _| Value::number(listener.accept_queue),
    },
    Field {
        name: "syn",
        kind: Kind::Number,
        meaning: "handshakes in its SYN queue",
        values: |listener, _| Value::number(listener.syn_queue),
    },
    Field {
        name: "limit",
        kind: Kind::Number,
        meaning: "the limit of its queues",
        values: |listener, _| Value::number(listener.backlog_limit),
    },
    Field {
        name: "in",
        kind: Kind::Number,
        meaning: "connections that arrive per second",
        values: |listener, _| Value::number(listener.rates.enqueued),
    },
    Field {
        name: "out",
        kind: Kind::Number,
        meaning: "connections that are accepted per second",
        values: |listener, _| Value::number(listener.rates.accepted),
    },
    Field {
        name: "drops",
        kind: Kind::Number,
        meaning: "connections that are refused per second",
        values: |listener, _| Value::number(listener.rates.dropped),
    },
    Field {
        name: "unread",
        kind: Kind::Number,
        meaning: "accepted connections whose data nobody has read",
        values: |listener, _| Value::count(listener.unread),
    },
];

fn states(listener: &Listener) -> impl Iterator<Item = &'static str> {
    let (_, word) = state_words(listener.state, listener.closed_ns.is_some());
    [Some(word), (listener.accept_queue > 0).then_some("queued")].into_iter().flatten()
}
