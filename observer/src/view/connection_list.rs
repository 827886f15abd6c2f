//! A list of ended connections, the same wherever connections are listed.

use std::sync::Arc;

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::filter::Value;
use super::order::Order;
use super::screen::{Answer, Context};
use super::widget::table::{Column, Slot, cell, left, place, right, titles};
use super::widget::{list::List, pen::Pen};
use super::{figures, words};
use crate::model::snapshot::{Connection, End};

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Id {
    Time,
    Remote,
    Listener,
    Via,
    Met,
    Waited,
    Lifetime,
    Acceptor,
    Readers,
    Writers,
    Reads,
    BytesIn,
    BytesOut,
    End,
}

const COLUMNS: &[Column<Id>] = &[
    left(Id::Time, "ACCEPTED AT", 12, 0),
    left(Id::Remote, "REMOTE", 0, 0),
    left(Id::Listener, "LISTENER", 21, 150),
    left(Id::Via, "VIA", 9, 110),
    right(Id::Met, "MET", 5, 0),
    right(Id::Waited, "WAITED", 7, 0),
    right(Id::Lifetime, "LIFETIME", 8, 110),
    left(Id::Acceptor, "ACCEPTOR", 14, 0),
    left(Id::Readers, "READERS", 8, 80),
    left(Id::Writers, "WRITERS", 8, 110),
    right(Id::Reads, "READS", 6, 180),
    right(Id::BytesIn, "BYTES IN", 9, 150),
    right(Id::BytesOut, "BYTES OUT", 9, 150),
    left(Id::End, "END", 8, 0),
];

/// The list, its chosen row, and its order.
#[derive(Debug, Default)]
pub(crate) struct ConnectionList {
    list: List,
    order: Order<Id>,
    /// Where the columns were drawn last.
    slots: Vec<Slot<Id>>,
}

impl ConnectionList {
    /// Draws titles and rows into the whole of `pen`.
    pub(crate) fn draw(
        &mut self,
        context: &Context<'_>,
        pen: &mut Pen<'_>,
        connections: &[&Arc<Connection>],
    ) {
        let styles = context.styles;
        self.slots = place(COLUMNS, pen.width());
        titles(pen, 0, COLUMNS, &self.slots, styles.heading);
        self.order.mark(pen, 0, COLUMNS, &self.slots, styles);
        let height = pen.height().saturating_sub(1);
        let mut body = pen.rows(1, height);
        if connections.is_empty() {
            let snapshot = context.snapshot();
            let none = if snapshot.recent.is_empty() && snapshot.open.is_empty() {
                "no connection was accepted here and is open, or has ended, yet"
            } else {
                "none of the connections that ended last, or of the oldest open ones, is one of these"
            };
            body.text(1, 0, u16::MAX, none, styles.dim);
        }
        for (y, index) in self.list.show(connections.len(), body.area()).enumerate() {
            let Some(connection) = connections.get(index) else { break };
            let chosen = index == self.list.selected;
            row(context, &mut body, y as u16, &self.slots, connection, chosen);
        }
        self.list.edges(&mut body, connections.len(), styles.key);
    }

    /// Puts connections into the order that was asked for.
    pub(crate) fn sort(&self, context: &Context<'_>, connections: &mut [&Arc<Connection>]) {
        self.order.sort(connections, |id, connection| value(context, id, connection));
    }

    /// The order in words, if one was chosen.
    pub(crate) fn order(&self) -> Option<String> {
        self.order.words(COLUMNS)
    }

    /// Moves in the list, changes its order, or opens the chosen connection.
    pub(crate) fn key(&mut self, key: KeyEvent, connections: &[&Arc<Connection>]) -> Answer {
        if key.code == KeyCode::Enter {
            return match connections.get(self.list.selected) {
                Some(connection) => Answer::Open(Arc::clone(connection)),
                None => Answer::Done,
            };
        }
        match key.code {
            KeyCode::Char('s') => self.order.next(&self.slots),
            KeyCode::Char('S') => self.order.reverse(),
            _ if self.list.key(key, connections.len()) => return Answer::Done,
            _ => return Answer::NotMine,
        }
        self.rewind();
        Answer::Done
    }

    /// Chooses the row that was clicked; a second click opens it. A click on a title sorts by it.
    pub(crate) fn click(&mut self, column: u16, row: u16, connections: &[&Arc<Connection>]) -> Answer {
        if self.list.is_title(row) && self.order.click(&self.slots, column) {
            self.rewind();
            return Answer::Done;
        }
        let Some(index) = self.list.at(column, row, connections.len()) else { return Answer::NotMine };
        if index != self.list.selected {
            self.list.selected = index;
            return Answer::Done;
        }
        connections.get(index).map_or(Answer::Done, |connection| Answer::Open(Arc::clone(connection)))
    }

    /// Back to the first row, after the order has changed.
    pub(crate) fn rewind(&mut self) {
        self.list.selected = 0;
    }
}

fn row(
    context: &Context<'_>,
    pen: &mut Pen<'_>,
    y: u16,
    slots: &[Slot<Id>],
    connection: &Connection,
    chosen: bool,
) {
    let styles = context.styles;
    if chosen {
        pen.text(0, y, 1, "▶", styles.key);
    }
    for slot in slots {
        let mut style = styles.plain;
        let text = match slot.id {
            Id::Time => at(context, connection),
            Id::Remote => {
                style = if chosen { styles.selected } else { styles.plain };
                connection.remote.to_string()
            }
            Id::Listener => words::listener(context.snapshot(), connection.listener),
            Id::Via => words::via(connection.via).to_owned(),
            Id::Met => connection.queue_at_arrival.map_or_else(|| "-".to_owned(), |met| met.to_string()),
            Id::Waited => figures::duration_or_dash(connection.accept_wait_ns()),
            Id::Lifetime => figures::duration_or_dash(age_ns(context, connection)),
            Id::Acceptor => match (&connection.acceptor, &connection.holder) {
                (Some(acceptor), _) => format!("{}/{}", acceptor.comm, acceptor.tid),
                (None, Some(holder)) => format!("held: {}", holder.comm),
                (None, None) => "-".to_owned(),
            },
            Id::Readers => words::threads(&connection.readers),
            Id::Writers => words::threads(&connection.writers),
            Id::Reads => figures::short(u64::from(connection.reads)),
            Id::BytesIn => figures::bytes(connection.bytes_read),
            Id::BytesOut => figures::bytes(connection.bytes_written),
            Id::End => {
                style = match connection.end {
                    End::Fin | End::Open | End::Unknown | End::Unseen => styles.dim,
                    _ => styles.warn,
                };
                match connection.end {
                    End::Open if is_silent(connection) => "no data".to_owned(),
                    end => words::end(end).to_owned(),
                }
            }
        };
        cell(pen, y, slot, &text, style);
    }
}

/// What a column is sorted by; none when it is unknown.
fn value(context: &Context<'_>, id: Id, connection: &Connection) -> Option<Value> {
    let text = |text: String| Some(Value::Text(text));
    let count = |count: Option<u64>| count.map(|count| Value::Number(count as f64));
    match id {
        Id::Time => count(instant(connection)),
        Id::Remote => text(connection.remote.to_string()),
        Id::Listener => text(words::listener(context.snapshot(), connection.listener)),
        Id::Via => text(words::via(connection.via).to_owned()),
        Id::Met => count(connection.queue_at_arrival.map(u64::from)),
        Id::Waited => count(connection.accept_wait_ns()),
        Id::Lifetime => count(age_ns(context, connection)),
        Id::Acceptor => connection.acceptor.as_ref().map(|acceptor| Value::Number(acceptor.tid.into())),
        Id::Readers => connection.readers.first().map(|tid| Value::Number((*tid).into())),
        Id::Writers => connection.writers.first().map(|tid| Value::Number((*tid).into())),
        Id::Reads => count(Some(connection.reads.into())),
        Id::BytesIn => count(Some(connection.bytes_read)),
        Id::BytesOut => count(Some(connection.bytes_written)),
        Id::End => text(words::end(connection.end).to_owned()),
    }
}

/// When it was accepted, or else when it was established, or closed.
fn instant(connection: &Connection) -> Option<u64> {
    connection.accepted_ns.or(connection.established_ns).or(connection.closed_ns)
}

/// When it was accepted, or else when it was established, as time since the observer's start: `00:04:11.02`. Of one that is
/// open how long ago that is.
fn at(context: &Context<'_>, connection: &Connection) -> String {
    let Some(instant) = instant(connection) else { return "-".to_owned() };
    if let (End::Open, Some(ago)) = (connection.end, age_ns(context, connection)) {
        return format!("{} ago", figures::duration(ago));
    }
    let since = instant.saturating_sub(context.history.started_ns);
    format!("{}.{:02}", figures::clock(since), since / 10_000_000 % 100)
}

/// Established to closed, or to now.
fn age_ns(context: &Context<'_>, connection: &Connection) -> Option<u64> {
    if connection.end == End::Open {
        return Some(context.snapshot().time_ns.saturating_sub(instant(connection)?));
    }
    lifetime_ns(connection)
}

/// Its client has sent nothing, as far as was seen from its beginning on.
fn is_silent(connection: &Connection) -> bool {
    connection.enqueued_ns.is_some() && connection.first_data_ns.is_none() && connection.reads == 0
}

/// Established to closed.
pub(crate) fn lifetime_ns(connection: &Connection) -> Option<u64> {
    Some(connection.closed_ns?.saturating_sub(connection.established_ns?))
}
