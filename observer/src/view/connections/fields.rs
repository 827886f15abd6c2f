//! What the connections can be filtered by.

use crate::model::snapshot::{Connection, End};
use crate::view::connection_list::lifetime_ns;
use crate::view::filter::{Field, Kind, Value};
use crate::view::history::History;
use crate::view::words;

const STATES: &[&str] = &["queued", "accepted", "read", "answered", "open"];
const WAYS: &[&str] = &["handshake", "cookie", "fast", "unseen"];
const ENDS: &[&str] = &["fin", "rst", "in", "out", "timeout", "queue", "unknown", "unseen", "open"];

/// The fields.
pub(super) const FIELDS: &[Field<Connection>] = &[
    Field {
        name: "port",
        kind: Kind::Number,
        meaning: "the listener's port",
        values: |connection, _| Value::number(connection.local.port()),
    },
    Field {
        name: "addr",
        kind: Kind::Text,
        meaning: "its own address or its peer's, with the port",
        values: |connection, _| {
            Value::texts([connection.local.to_string().as_str(), connection.remote.to_string().as_str()])
        },
    },
    Field {
        name: "state",
        kind: Kind::Word(STATES),
        meaning: "how far it came: not out of the queue, accepted, read from, answered; and whether it is open",
        values: |connection, _| {
            let open = (connection.end == End::Open).then_some("open");
            Value::texts(std::iter::once(how_far(connection)).chain(open))
        },
    },
    Field {
        name: "tid",
        kind: Kind::Number,
        meaning: "a thread that accepted, read or wrote it",
        values: |connection, _| tids(connection).map(|tid| Value::Number(tid.into())).collect(),
    },
    Field {
        name: "comm",
        kind: Kind::Text,
        meaning: "the name of such a thread, or of the process that holds it",
        values: |connection, history| Value::texts(names(connection, history)),
    },
    Field {
        name: "pid",
        kind: Kind::Number,
        meaning: "the process that accepted or holds it",
        values: |connection, _| {
            let acceptor = connection.acceptor.as_ref().map(|acceptor| acceptor.pid);
            let pid = acceptor.or(connection.holder.as_ref().map(|holder| holder.pid));
            Value::count(pid.map(u64::from))
        },
    },
    Field {
        name: "wait",
        kind: Kind::Duration,
        meaning: "its time in the accept queue",
        values: |connection, _| Value::count(connection.accept_wait_ns()),
    },
    Field {
        name: "data",
        kind: Kind::Duration,
        meaning: "the longest that data waited to be read",
        values: |connection, _| Value::count(connection.longest_read_wait_ns),
    },
    Field {
        name: "life",
        kind: Kind::Duration,
        meaning: "established to closed",
        values: |connection, _| Value::count(lifetime_ns(connection)),
    },
    Field {
        name: "met",
        kind: Kind::Number,
        meaning: "the length of the accept queue when it entered",
        values: |connection, _| Value::count(connection.queue_at_arrival.map(u64::from)),
    },
    Field {
        name: "bytes",
        kind: Kind::Number,
        meaning: "bytes read and written",
        values: |connection, _| Value::count(connection.bytes_read.saturating_add(connection.bytes_written)),
    },
    Field {
        name: "via",
        kind: Kind::Word(WAYS),
        meaning: "how it came into being",
        values: |connection, _| Value::texts([words::via(connection.via)]),
    },
    Field {
        name: "end",
        kind: Kind::Word(ENDS),
        meaning: "how it ended",
        values: |connection, _| Value::texts([words::end(connection.end)]),
    },
];

/// The last thing that was done with it.
fn how_far(connection: &Connection) -> &'static str {
    match () {
        () if connection.writes > 0 => "answered",
        () if connection.reads > 0 => "read",
        () if connection.accepted_ns.is_some() || connection.holder.is_some() => "accepted",
        () => "queued",
    }
}

fn tids(connection: &Connection) -> impl Iterator<Item = u32> {
    let acceptor = connection.acceptor.as_ref().map(|acceptor| acceptor.tid);
    acceptor.into_iter().chain(connection.readers.iter().chain(&connection.writers).copied())
}

fn names<'a>(connection: &'a Connection, history: &'a History) -> impl Iterator<Item = &'a str> {
    let own = connection.acceptor.as_ref().map(|acceptor| acceptor.comm.as_str());
    let holder = connection.holder.as_ref().map(|holder| holder.comm.as_str());
    let threads = connection.readers.iter().chain(&connection.writers).filter_map(|tid| {
        Some(history.snapshot.threads.iter().find(|thread| thread.tid == *tid)?.comm.as_str())
    });
    own.into_iter().chain(holder).chain(threads)
}
