//! The two rows on top of every screen: what is watched, and whether the figures can be trusted.

use ratatui::text::Span;

use super::{demo, figures, history::History, styles::Styles, widget::pen::Pen};
use crate::model::snapshot::{LedgerCheck, Snapshot};
use crate::source::Origin;

/// Rows of the header.
pub(crate) const ROWS: u16 = 2;

/// Draws the header into the whole of `pen`.
pub(crate) fn draw(pen: &mut Pen<'_>, history: &History, paused: bool, origin: Origin, styles: &Styles) {
    let snapshot = &history.snapshot;
    let clock = figures::clock(history.elapsed_ns());
    let state = match (history.is_empty(), history.ago_ns(), origin) {
        (true, ..) => Span::styled("waiting ", styles.dim),
        (_, Some(ago_ns), _) => {
            let ago = if ago_ns < 1_000_000_000 { "<1 s".to_owned() } else { figures::clock_short(ago_ns) };
            let kept = figures::clock_short(history.reach_ns());
            Span::styled(format!("◀ {ago} ago, {kept} kept "), styles.warn)
        }
        _ if paused => Span::styled("■ PAUSED ", styles.warn),
        (_, _, Origin::Live) => Span::styled("▶ live ", styles.good),
        (_, _, Origin::Recorded(bytes)) => {
            Span::styled(format!("● REC {} ", figures::bytes(bytes)), styles.bad)
        }
        (_, _, Origin::Replayed(playback)) if playback.plays => Span::styled("▶ replay ", styles.mark),
        (_, _, Origin::Replayed(playback)) if playback.is_at_end() => {
            Span::styled("■ replay, at its end ", styles.warn)
        }
        (_, _, Origin::Replayed(_)) => Span::styled("■ replay ", styles.warn),
    };
    let right = [state, Span::styled(clock, styles.plain), Span::raw(" ")];
    let needed: usize = right.iter().map(Span::width).sum();
    let room = pen.width().saturating_sub((needed as u16 + 1).max(20));
    pen.part(0, 0, room, 1).spans(1, 0, &target(history, room, styles));
    pen.spans_right(0, &right);
    trust(pen, 1, snapshot, styles);
}

/// What is watched.
fn target<'a>(history: &History, width: u16, styles: &Styles) -> Vec<Span<'a>> {
    let snapshot = &history.snapshot;
    let mut spans = vec![Span::styled("observer", styles.title), Span::raw("  ")];
    let Some(running) = demo::running(&history.backends) else {
        let what = match history.backends.error() {
            Some(_) => Span::styled("! demo-server does not answer", styles.bad),
            None => listeners(snapshot, styles),
        };
        spans.push(what);
        if width >= 70 && snapshot.unwatched().next().is_none() && !snapshot.meta.kernel.is_empty() {
            spans.push(Span::styled(format!("  kernel {}", snapshot.meta.kernel), styles.dim));
        }
        return spans;
    };
    spans.push(Span::styled("pattern ", styles.dim));
    spans.push(Span::styled(running.pattern_label(), styles.strong));
    if !running.faults.is_empty() {
        spans.push(Span::styled("  fault ", styles.dim));
        spans.push(Span::styled(running.faults_label(), styles.bad));
    }
    spans.push(Span::styled("  load ", styles.dim));
    spans.push(Span::raw(running.load.clone().unwrap_or_else(|| "none".to_owned())));
    if width >= 95 {
        let settings = &running.settings;
        let text = format!(
            "backlog {}  workers {}  work {}{}",
            settings.backlog,
            settings.workers,
            figures::duration(settings.work_us.saturating_mul(1_000)),
            match settings.sleep_us {
                0 => String::new(),
                us => format!("  sleep {}", figures::duration(us.saturating_mul(1_000))),
            },
        );
        spans.push(Span::styled(format!("  {text}"), styles.dim));
    }
    spans
}

/// How many listen, and how many of those are watched.
fn listeners<'a>(snapshot: &Snapshot, styles: &Styles) -> Span<'a> {
    let count = snapshot.listening_count();
    let (watched, all) = (figures::count(count.watched), figures::count(count.all()));
    match (count.unwatched, count.is_full) {
        (0, _) => Span::raw(figures::plural(count.watched as usize, "listener")),
        (_, true) => {
            let option = count.option();
            Span::styled(format!("▴ {watched} of {all} listeners watched: {option}"), styles.warn)
        }
        (_, false) => Span::styled(format!("▴ {watched} of {all} listeners watched"), styles.warn),
    }
}

/// Whether the books balance, whether anything was lost, and which signals are missing. The last two are short and
/// always whole; the books have the room that they leave.
fn trust(pen: &mut Pen<'_>, y: u16, snapshot: &Snapshot, styles: &Styles) {
    let loss = match snapshot.loss.total {
        0 => Span::styled("✓ nothing lost", styles.good),
        lost => Span::styled(format!("! LOST {} (6)", figures::count(lost)), styles.bad),
    };
    let signals = signals(snapshot, styles);
    const GAP: u16 = 3;
    let needed = (loss.width() + signals.width()) as u16 + 2 * GAP + 1;
    let books = books(snapshot, styles);
    let used = pen.text(1, y, pen.width().saturating_sub(needed), &books.content, books.style);
    pen.spans(1 + used + GAP, y, &[loss, Span::raw(" ".repeat(usize::from(GAP))), signals]);
}

/// Whether a signal is missing. What a hook that is there cannot see is told on the Probes screen: hardly any sees
/// everything.
fn signals<'a>(snapshot: &Snapshot, styles: &Styles) -> Span<'a> {
    let signals = &snapshot.meta.signals;
    match (signals.len(), signals.values().filter(|hook| hook.is_none()).count()) {
        (0, _) => Span::raw(""),
        (all, 0) => Span::styled(format!("✓ all {all} signals"), styles.good),
        (_, missing) => {
            Span::styled(format!("▴ {} missing", figures::plural(missing, "signal")), styles.warn)
        }
    }
}

/// A difference that lasts this long is none of the instant.
const LASTS_NS: u64 = 5_000_000_000;

/// How long a check has differed, if it is none of the instant.
pub(crate) fn lasts_ns(check: &LedgerCheck, now_ns: u64) -> Option<u64> {
    check.since_ns.map(|since_ns| now_ns.saturating_sub(since_ns)).filter(|lasts_ns| *lasts_ns >= LASTS_NS)
}

fn books<'a>(snapshot: &Snapshot, styles: &Styles) -> Span<'a> {
    let ledger = &snapshot.ledger;
    let differing = || ledger.iter().filter(|check| check.difference != 0);
    // A difference that nobody can explain is the one to show, then the one that has stayed longest.
    let shown = differing().min_by_key(|check| (check.reason.is_some(), check.since_ns));
    let Some(check) = shown else {
        return match ledger.len() {
            0 => Span::styled("· books: nothing to check yet", styles.dim),
            checks => {
                Span::styled(format!("✓ books balance ({})", figures::plural(checks, "check")), styles.good)
            }
        };
    };
    let by = signed(check.difference);
    match (&check.reason, lasts_ns(check, snapshot.time_ns)) {
        (None, _) => Span::styled(format!("≠ BOOKS DIFFER by {by}, unexplained (6)"), styles.bad),
        (_, Some(lasts_ns)) => {
            let lasts = figures::span(lasts_ns);
            Span::styled(format!("≠ BOOKS DIFFER by {by} for {lasts} (6)"), styles.bad)
        }
        // What is only between two readings is no difference of the books.
        (Some(_), None) => Span::styled("✓ books balance (settling)", styles.good),
    }
}

/// A difference with its sign.
pub(crate) fn signed(difference: i64) -> String {
    if difference > 0 { format!("+{}", figures::count(difference)) } else { figures::count(difference) }
}
