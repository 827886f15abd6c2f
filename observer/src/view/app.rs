//! What is shown, and what was chosen: the state of the screen.

mod draw;
mod input;

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::effect::{Effect, Picture};
use super::footer::Notice;
use super::history::History;
use super::hits::Hit;
use super::listeners::{self, Row, Target};
use super::screen::{Context, View};
use super::styles::Styles;
use super::styles::themes::Depth;
use super::{Options, VIEWS, picture};
use crate::backend::Said;
use crate::model::snapshot::{Connection, Snapshot};
use crate::source::Origin;

/// How long the outcome of a wish stays in the footer.
const NOTICE_NS: u64 = 6_000_000_000;

/// The screen. Feed it with [`update`](Self::update), [`key`](Self::key) and [`mouse`](Self::mouse), and
/// [`draw`](Self::draw) it after each.
pub struct App {
    options: Options,
    styles: Styles,
    history: History,
    origin: Origin,
    /// What the screen stands still at while it is paused.
    frozen: Option<Box<History>>,
    views: Vec<Box<dyn View + Send>>,
    current: usize,
    /// The screens from which somebody went on to this one.
    back: Vec<usize>,
    rows: Vec<Row>,
    unfolded: BTreeSet<Target>,
    /// What somebody chose; until then, the worst is shown.
    chosen: Option<Target>,
    target: Option<Target>,
    /// The connection whose line of time is open.
    open: Option<Arc<Connection>>,
    overlay: Overlay,
    notice: Option<(Notice, u64)>,
    /// What the backend was asked for and has not answered yet, in the order in which it will.
    asked: VecDeque<String>,
    mouse: bool,
    tabs: Vec<Range<u16>>,
    tabs_row: u16,
    /// Where a click is a key.
    hits: Vec<Hit>,
    /// What was drawn on last.
    area: Rect,
}

/// What lies over the screen and takes the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overlay {
    None,
    /// Help, scrolled this far of at most that.
    Help {
        scroll: usize,
        furthest: usize,
    },
    /// The next key names a pattern.
    ChoosePattern,
}

impl std::fmt::Debug for App {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("App")
            .field("current", &self.current)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl App {
    /// A screen that has nothing to show yet.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            styles: Styles::new(options.theme, options.depth),
            history: History::default(),
            origin: Origin::Live,
            frozen: None,
            views: VIEWS.iter().map(|row| (row.new)()).collect(),
            current: 0,
            back: Vec::new(),
            rows: Vec::new(),
            unfolded: BTreeSet::new(),
            chosen: None,
            target: None,
            open: None,
            overlay: Overlay::None,
            notice: None,
            asked: VecDeque::new(),
            mouse: false,
            tabs: Vec::new(),
            tabs_row: 0,
            hits: Vec::new(),
            area: Rect::ZERO,
        }
    }

    /// Takes in the next snapshot. While the screen is paused it is remembered, and shown later.
    pub fn update(&mut self, snapshot: Arc<Snapshot>) {
        self.history.record(snapshot);
        if self.frozen.is_none() {
            self.settle();
        }
        let now = self.history.snapshot.time_ns;
        self.notice.take_if(|(notice, until_ns)| *until_ns < now && !matches!(notice, Notice::Prompt(_)));
    }

    /// Takes in what a backend says.
    pub fn backend(&mut self, said: Said) {
        self.history.backends.learn(said);
    }

    /// Takes in what came of the oldest [`Effect::Demo`] without an answer, and shows it.
    pub fn demo_reply(&mut self, reply: Result<(), String>) {
        let asked = self.asked.pop_front().unwrap_or_else(|| "demo-server".to_owned());
        self.say(match reply {
            Ok(()) => Notice::Done(asked),
            Err(error) => Notice::Failed(format!("{asked}: {error}")),
        });
    }

    /// The screen as it is, to be saved.
    fn picture(&mut self) -> Effect {
        let mut buffer = Buffer::empty(self.area);
        self.paint(&mut buffer);
        let screen = VIEWS.get(self.current).map_or("", |row| row.title).to_lowercase();
        let boot_ns = self.shown().snapshot.meta.boot_time_unix_ns;
        let seconds = boot_ns.saturating_add(self.shown().snapshot.time_ns) / 1_000_000_000;
        Effect::Save(Box::new(Picture {
            name: format!("observer-{screen}-{seconds}"),
            text: picture::text(&buffer),
            svg: picture::svg(&buffer),
        }))
    }

    /// Says where the snapshots come from, which the header and the row of a replay show.
    pub fn comes_from(&mut self, origin: Origin) {
        self.origin = origin;
    }

    /// Shows what came of something that the program did on its own.
    pub fn tell(&mut self, outcome: Result<String, String>) {
        self.say(match outcome {
            Ok(done) => Notice::Done(done),
            Err(why) => Notice::Failed(why),
        });
    }

    /// Forgets all snapshots: those that come next are from another time.
    pub fn forget(&mut self) {
        self.history = History::default();
        self.frozen = None;
        self.notice = None;
    }

    fn say(&mut self, notice: Notice) {
        self.notice = Some((notice, self.history.snapshot.time_ns.saturating_add(NOTICE_NS)));
    }

    /// The past as it is shown.
    fn shown(&self) -> &History {
        self.frozen.as_deref().unwrap_or(&self.history)
    }

    fn context(&self) -> Context<'_> {
        Context {
            history: self.shown(),
            rows: &self.rows,
            target: self.target.as_ref(),
            styles: &self.styles,
        }
    }

    /// Puts the rows in order and finds the target among them, after anything that may have changed them.
    fn settle(&mut self) {
        let snapshot = Arc::clone(&self.shown().snapshot);
        if let Some(heir) = self.chosen.as_ref().and_then(|chosen| listeners::heir(&snapshot, chosen)) {
            self.chosen = Some(heir);
        }
        let all = listeners::rows(&snapshot, &self.unfolded);
        let mut rows = all.clone();
        for view in &self.views {
            view.arrange(self.shown(), &mut rows);
        }
        // Where nothing is listed, the other screens still have something to show.
        let candidates = if rows.is_empty() { &all } else { &rows };
        self.target = listeners::resolve(&snapshot, candidates, self.chosen.as_ref(), self.target.as_ref());
        self.rows = rows;
    }

    /// The next theme.
    fn change_theme(&mut self) {
        if self.options.depth == Depth::None {
            let why =
                "no colours here: NO_COLOR is set or the terminal has none; --theme NAME outweighs NO_COLOR";
            return self.say(Notice::Failed(why.to_owned()));
        }
        let theme = self.options.theme.next();
        self.options.theme = theme;
        self.styles = Styles::new(theme, self.options.depth);
        self.say(Notice::Done(format!("theme {}: {}", theme.name(), theme.line())));
    }

    /// Stands still, or goes on with what is there by now.
    fn pause(&mut self) {
        self.frozen = match self.frozen.take() {
            Some(_) => None,
            None => Some(Box::new(self.history.clone())),
        };
        self.settle();
    }

    /// Shows an earlier moment or a later one; stands still from then on.
    fn step(&mut self, by: isize) {
        if self.history.is_empty() {
            return;
        }
        self.frozen.get_or_insert_with(|| Box::new(self.history.clone())).step(by);
        self.settle();
    }
}
