//! Screen 4, Connections: those that ended last and the oldest that are open, filtered and in the order that is asked for.

mod fields;

use std::sync::Arc;

use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::text::Span;

use super::connection_list::ConnectionList;
use super::figures;
use super::filter::bar::FilterBar;
use super::screen::{Answer, Context, Help, View};
use super::widget::pen::Pen;
use crate::model::snapshot::Connection;

/// The screen.
#[derive(Debug)]
pub(crate) struct Connections {
    list: ConnectionList,
    filter: FilterBar<Connection>,
}

impl Default for Connections {
    fn default() -> Self {
        Self { list: ConnectionList::default(), filter: FilterBar::new(fields::FIELDS) }
    }
}

impl Connections {
    /// Those that the filter lets through: where nothing else was asked for those that ended, newest first, and then
    /// those that are open, oldest first.
    fn listed<'a>(&self, context: &Context<'a>) -> Vec<&'a Arc<Connection>> {
        let snapshot = context.snapshot();
        let all = snapshot.recent.iter().rev().chain(&snapshot.open);
        let mut connections: Vec<_> =
            all.filter(|connection| self.filter.holds(connection, context.history)).collect();
        self.list.sort(context, &mut connections);
        connections
    }
}

impl View for Connections {
    fn draw(&mut self, context: &Context<'_>, pen: &mut Pen<'_>) {
        let styles = context.styles;
        let connections = self.listed(context);
        let (ended, open) = (context.snapshot().recent.len(), context.snapshot().open.len());
        let all = ended + open;
        let order = self.list.order().unwrap_or_else(|| "newest first".to_owned());
        let kept = match context.history.ago_ns() {
            Some(_) => format!("   the last {ended} that had ended by then: more are not kept of the past"),
            None => format!(
                "   the last {} that ended, then {} that are open, oldest first (o)",
                figures::count(ended as u64),
                figures::count(open as u64)
            ),
        };
        pen.spans(1, 0, &[Span::styled(order, styles.strong), Span::styled(kept, styles.dim)]);
        let top = 1 + self.filter.rows();
        self.filter.draw(&mut pen.rows(1, top - 1), (connections.len(), all), styles);
        let height = pen.height().saturating_sub(top);
        self.list.draw(context, &mut pen.rows(top, height), &connections);
    }

    fn key(&mut self, context: &Context<'_>, key: KeyEvent) -> Answer {
        if self.filter.key(key) {
            self.list.rewind();
            return Answer::Done;
        }
        if key.code == KeyCode::Char('o') {
            // The same key shows all again.
            let only = "state:open";
            self.look_for(if self.filter.text() == only { "" } else { only });
            return Answer::Done;
        }
        self.list.key(key, &self.listed(context))
    }

    fn click(&mut self, context: &Context<'_>, column: u16, row: u16) -> Answer {
        self.list.click(column, row, &self.listed(context))
    }

    fn look_for(&mut self, filter: &str) {
        self.filter.set(filter);
        self.list.rewind();
    }

    fn is_typing(&self) -> bool {
        self.filter.is_typing()
    }

    fn help(&self) -> &'static Help {
        &HELP
    }
}

const HELP: Help = Help {
    keys: &[
        ("/", "filter"),
        ("o", "open ones"),
        ("Enter", "line of time"),
        ("s", "sort"),
        ("S", "reverse"),
        ("arrows", "choose"),
    ],
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
            "open: it has not ended; no data: and its client has sent nothing yet. FIN from both sides; RST in: the peer reset it; RST out: this side did, as close(2) does with unread \
          data; timeout: the peer was silent; in queue: destroyed before anybody accepted it.",
        ),
        (
            "FILTER",
            "/ and words, all of which have to hold: port:443 wait>10ms state:queued !comm:nginx. What can be typed \
          stands below; Tab completes a name, Enter keeps it, Esc undoes it. What is unknown passes no word.",
        ),
        (
            "SORT",
            "s: by the next column, S: the other end first; or a click on a title. What is unknown comes last.",
        ),
    ],
};
