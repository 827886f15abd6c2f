//! Screen 1, Queues: every listener with both its queues, the worst first, and below it the story of the chosen one.

mod columns;
mod detail;
mod fields;

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::filter::bar::FilterBar;
use super::history::History;
use super::listeners::{Figures, Row};
use super::order::Order;
use super::screen::{Answer, Context, Help, View};
use super::widget::{list::List, pen::Pen, table};
use crate::{
    figures,
    model::{listening::Unwatched, snapshot::Listener},
};

/// The span of the plot, in the order of the keys that change it.
const SPANS_NS: [u64; 5] =
    [30_000_000_000, 60_000_000_000, 120_000_000_000, 300_000_000_000, 600_000_000_000];

/// The screen.
#[derive(Debug)]
pub(crate) struct Queues {
    list: List,
    span: usize,
    /// The whole of the words instead of the plot.
    whole: bool,
    filter: FilterBar<Listener>,
    order: Order<columns::Id>,
    /// Where the columns were drawn last.
    slots: Vec<table::Slot<columns::Id>>,
}

impl Default for Queues {
    fn default() -> Self {
        Self {
            list: List::default(),
            span: 1,
            whole: false,
            filter: FilterBar::new(fields::FIELDS),
            order: Order::default(),
            slots: Vec::new(),
        }
    }
}

impl View for Queues {
    fn draw(&mut self, context: &Context<'_>, pen: &mut Pen<'_>) {
        let filter = self.filter.rows();
        let shown = context.rows.iter().filter(|row| !row.shard).map(|row| row.members.len()).sum();
        let all = context.snapshot().listeners.len();
        self.filter.draw(&mut pen.rows(0, filter), (shown, all), context.styles);
        let mut pen = pen.rows(filter, pen.height().saturating_sub(filter));
        if context.rows.is_empty() {
            return empty(context, &mut pen, self.filter.is_active());
        }
        let height = pen.height();
        let wanted = context.rows.len().min(usize::from(u16::MAX) - 1) as u16 + 1;
        let detail = detail::height(pen.width(), height, wanted);
        self.table(context, &mut pen.rows(0, height - detail));
        let mut below = pen.rows(height - detail, detail);
        if self.whole {
            detail::whole(context, &mut below);
        } else {
            detail::draw(context, &mut below, SPANS_NS[self.span]);
        }
    }

    fn key(&mut self, context: &Context<'_>, key: KeyEvent) -> Answer {
        let rows = context.rows;
        if self.filter.key(key) {
            return Answer::Done;
        }
        match key.code {
            KeyCode::Esc => return Answer::FollowWorst,
            KeyCode::Char('s') => self.order.next(&self.slots),
            KeyCode::Char('S') => self.order.reverse(),
            KeyCode::Char('w') => self.whole = !self.whole,
            KeyCode::Char('+') => self.span = self.span.saturating_sub(1),
            KeyCode::Char('-') => self.span = (self.span + 1).min(SPANS_NS.len() - 1),
            KeyCode::Enter | KeyCode::Left | KeyCode::Right | KeyCode::Char('h' | 'l') => {
                let Some(row) = rows.get(self.list.selected) else { return Answer::Done };
                return match (key.code, row.unfolded) {
                    (KeyCode::Enter, None) => Answer::Drill("Journey", String::new()),
                    (_, None) => Answer::Done,
                    (KeyCode::Left | KeyCode::Char('h'), Some(false)) => Answer::Done,
                    (KeyCode::Right | KeyCode::Char('l'), Some(true)) => Answer::Done,
                    _ => Answer::Unfold(row.target.clone()),
                };
            }
            _ if self.list.key(key, rows.len()) => {
                return rows
                    .get(self.list.selected)
                    .map_or(Answer::Done, |row| Answer::Choose(row.target.clone()));
            }
            _ => return Answer::NotMine,
        }
        Answer::Done
    }

    fn click(&mut self, context: &Context<'_>, column: u16, row: u16) -> Answer {
        if self.list.is_title(row) && self.order.click(&self.slots, column) {
            return Answer::Done;
        }
        let Some(row) =
            self.list.at(column, row, context.rows.len()).and_then(|index| context.rows.get(index))
        else {
            return Answer::NotMine;
        };
        // A second click is what Enter does.
        if context.target == Some(&row.target) {
            return match row.unfolded {
                Some(_) => Answer::Unfold(row.target.clone()),
                None => Answer::Drill("Journey", String::new()),
            };
        }
        Answer::Choose(row.target.clone())
    }

    fn arrange(&self, history: &History, rows: &mut Vec<Row>) {
        let listeners = &history.snapshot.listeners;
        let holds = |index: &usize| {
            listeners.get(*index).is_some_and(|listener| self.filter.holds(listener, history))
        };
        if self.filter.is_active() {
            rows.retain(|row| row.members.iter().any(holds));
        }
        if self.order.is_chosen() {
            // Shards stay below their group.
            let mut blocks: Vec<Vec<Row>> = Vec::new();
            for row in rows.drain(..) {
                match blocks.last_mut() {
                    Some(block) if row.shard => block.push(row),
                    _ => blocks.push(vec![row]),
                }
            }
            self.order.sort(&mut blocks, |id, block| {
                let members = block.first()?.members.iter().filter_map(|index| listeners.get(*index));
                columns::value(id, Figures::of(members, &history.samples))
            });
            rows.extend(blocks.into_iter().flatten());
        }
    }

    fn look_for(&mut self, filter: &str) {
        self.filter.set(filter);
    }

    fn is_typing(&self) -> bool {
        self.filter.is_typing()
    }

    fn help(&self) -> &'static Help {
        &HELP
    }
}

impl Queues {
    fn table(&mut self, context: &Context<'_>, pen: &mut Pen<'_>) {
        let styles = context.styles;
        let columns = columns::for_width(pen.width());
        self.slots = table::place(columns, pen.width());
        table::titles(pen, 0, columns, &self.slots, styles.heading);
        self.order.mark(pen, 0, columns, &self.slots, styles);
        let height = pen.height().saturating_sub(1);
        let mut body = pen.rows(1, height);
        let position = context.rows.iter().position(|row| Some(&row.target) == context.target);
        self.list.selected = position.unwrap_or(self.list.selected);
        let snapshot = context.snapshot();
        for (y, index) in self.list.show(context.rows.len(), body.area()).enumerate() {
            let Some(row) = context.rows.get(index) else { break };
            let members = row.members.iter().filter_map(|index| snapshot.listeners.get(*index));
            let figures = Figures::of(members, &context.history.samples);
            columns::draw(
                context,
                &mut body,
                y as u16,
                &self.slots,
                row,
                &figures,
                index == self.list.selected,
            );
        }
        self.list.edges(&mut body, context.rows.len(), styles.key);
    }
}

fn empty(context: &Context<'_>, pen: &mut Pen<'_>, filtered: bool) {
    if filtered {
        pen.text(1, 1, pen.width(), "no listener passes the filter", context.styles.strong);
        pen.text(1, 2, pen.width(), "/ changes it, Esc shows all", context.styles.dim);
        return;
    }
    let snapshot = context.snapshot();
    let filters = &snapshot.meta.filters;
    let mut selected = Vec::new();
    selected.extend(filters.ports.iter().map(|port| format!("port {port}")));
    selected.extend(filters.pid.map(|pid| format!("process {pid}")));
    selected.extend(filters.netns.map(|netns| format!("network namespace {netns}")));
    selected.extend(filters.cgroup.map(|cgroup| format!("cgroup {cgroup}")));
    let count = snapshot.listening_count();
    let first = if count.unwatched > 0 {
        format!("{}: none is watched", figures::plural(count.unwatched as usize, "TCP listener"))
    } else if selected.is_empty() {
        "no TCP socket listens here yet".to_owned()
    } else {
        format!("nothing that listens matches {}", selected.join(", "))
    };
    pen.text(1, 1, pen.width(), &first, context.styles.strong);
    let second = "a listener appears by itself as soon as a program calls listen(2)";
    pen.text(1, 2, pen.width(), second, context.styles.dim);
    for (y, listener) in (4..pen.height()).zip(snapshot.unwatched()) {
        let who = listener.who().map(|who| format!("  {who}")).unwrap_or_default();
        let Unwatched { addr, accept_queue, backlog_limit, cause, .. } = listener;
        let text = format!("{addr}{who}  {accept_queue}/{backlog_limit}  {}", cause.reason());
        pen.text(1, y, pen.width(), &text, context.styles.warn);
    }
}

const HELP: Help = Help {
    keys: &[
        ("/", "filter"),
        ("s", "sort"),
        ("w", "why"),
        ("Enter", "open"),
        ("+ -", "time"),
        ("S", "reverse"),
        ("Esc", "worst"),
    ],
    terms: &[
        (
            "LISTENER",
            "One listening socket (a struct sock in TCP_LISTEN). ×4: four sockets share the address with \
          SO_REUSEPORT; each is a shard with queues of its own, and the kernel deals connections out by hash.",
        ),
        (
            "WHO",
            "The process that holds it, as it is now, and its number; of shards that several hold, how many those are.",
        ),
        (
            "STATE",
            "· idle, ✓ healthy, ▴ filling (over half full), ■ saturated (full, none refused), ? STRANDED (they \
          wait and nobody accepts), ! OVERFLOWING (refused in the last second).",
        ),
        (
            "SYN QUEUE",
            "Handshakes begun and not complete: icsk_accept_queue.qlen. With SYN cookies the kernel keeps \
          nothing, and it stays short.",
        ),
        (
            "ACCEPT QUEUE",
            "Connections complete and not accepted: sk_ack_backlog, against sk_max_ack_backlog, which is \
          the backlog passed to listen(2) clamped by net.core.somaxconn. It is full at limit + 1. The tick is the peak \
          of the last second, exact: every arrival reports the depth it met. It can pass full by one or two: processors \
          that complete handshakes at one moment each find a place before the others have taken it. Of a group: the \
          fullest shard.",
        ),
        (
            "IN/s OUT/s",
            "Connections that entered the accept queue (inet_csk_reqsk_queue_add) and that left it through \
          accept (inet_csk_accept), over the last second.",
        ),
        (
            "WAIT",
            "Time in the accept queue of those accepted in the last interval; p99: 99 of 100 waited less.",
        ),
        (
            "DROPS/s",
            "Everything the listener refused (sk_drops): a full accept queue, but also a full SYN queue or no \
          memory.",
        ),
        ("UNREAD", "Accepted, data is waiting, nobody has read any: the queue inside the program."),
        (
            "COOKIES RESENT",
            "Connections that came through a SYN cookie, and SYN-ACKs sent again, since the start.",
        ),
        (
            "the plot",
            "Filled: depth at the end of each column's time. Shaded: the peak in it. Marks: changes of \
          pattern, load and fault.",
        ),
        (
            "BOOKS",
            "What the observer counted against what the kernel says is queued. They balance, or the difference \
          is shown with its reason.",
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
