//! Screen 4, Connections: those that ended last, in the order that is asked for.

use std::cmp::Reverse;
use std::sync::Arc;

use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::text::Span;

use super::connection_list::{ConnectionList, lifetime_ns};
use super::figures;
use super::screen::{Answer, Context, Help, View};
use super::widget::pen::Pen;
use crate::model::snapshot::{Connection, RECENT};

/// An order of the list: its name, and what is compared, the largest first.
type Order = (&'static str, fn(&Connection) -> Reverse<u64>);

/// The orders, one after another by key.
const ORDERS: &[Order] = &[
    ("newest", |connection| Reverse(connection.closed_ns.unwrap_or(0))),
    ("longest wait in the accept queue", |connection| Reverse(connection.accept_wait_ns().unwrap_or(0))),
    ("longest wait of data", |connection| Reverse(connection.longest_read_wait_ns)),
    ("longest lifetime", |connection| Reverse(lifetime_ns(connection).unwrap_or(0))),
    ("most bytes", |connection| Reverse(connection.bytes_read.saturating_add(connection.bytes_written))),
];

/// The screen.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    list: ConnectionList,
    order: usize,
}

impl Connections {
    fn sorted<'a>(&self, context: &Context<'a>) -> Vec<&'a Arc<Connection>> {
        // Newest first is the order among equals, too.
        let mut connections: Vec<_> = context.snapshot().recent.iter().rev().collect();
        if let Some((_, value)) = ORDERS.get(self.order) {
            connections.sort_by_key(|connection| value(connection));
        }
        connections
    }
}

impl View for Connections {
    fn draw(&mut self, context: &Context<'_>, pen: &mut Pen<'_>) {
        let styles = context.styles;
        let connections = self.sorted(context);
        let order = ORDERS.get(self.order).map_or("", |(name, _)| name);
        pen.spans(
            1,
            0,
            &[
                Span::styled(format!("{order} first"), styles.strong),
                Span::styled(
                    format!(
                        "   the last {} that ended (at most {RECENT})",
                        figures::count(connections.len() as u64)
                    ),
                    styles.dim,
                ),
            ],
        );
        let height = pen.height().saturating_sub(1);
        self.list.draw(context, &mut pen.rows(1, height), &connections);
    }

    fn key(&mut self, context: &Context<'_>, key: KeyEvent) -> Answer {
        if key.code == KeyCode::Char('s') {
            self.order = (self.order + 1) % ORDERS.len();
            self.list.rewind();
            return Answer::Done;
        }
        self.list.key(key, &self.sorted(context))
    }

    fn click(&mut self, context: &Context<'_>, column: u16, row: u16) -> Answer {
        self.list.click(column, row, &self.sorted(context))
    }

    fn help(&self) -> &'static Help {
        &HELP
    }
}

const HELP: Help = Help {
    keys: &[("arrows", "choose"), ("Enter", "line of time"), ("s", "order")],
    terms: &[
        (
            "ACCEPTED AT",
            "When accept(2) returned, since the observer's start; if nobody accepted it, when it was \
          established.",
        ),
        (
            "VIA",
            "handshake: a request socket waited in the SYN queue. cookie: a SYN cookie, the kernel kept nothing \
          until the last ACK. fast open: data came with the SYN.",
        ),
        ("MET", "Length of the accept queue (sk_ack_backlog) when it entered, itself included."),
        ("WAITED", "Time in the accept queue: inet_csk_reqsk_queue_add to the return of inet_csk_accept."),
        (
            "ACCEPTOR, READERS, WRITERS",
            "The threads that did it, as the kernel saw them, not as they are named.",
        ),
        (
            "END",
            "FIN from both sides; RST in: the peer reset it; RST out: this side did, as close(2) does with unread \
          data; timeout: the peer was silent; in queue: destroyed before anybody accepted it.",
        ),
    ],
};
