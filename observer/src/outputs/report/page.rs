//! The page of a report.

use super::{Course, Report, Series};
use crate::{
    figures,
    html::{
        Page, date, escape,
        plot::{
            self,
            axis::{self, Axis},
            bars::Bars,
            lines::{Line, Lines},
        },
        table,
    },
    model::{
        chance::Band,
        diagnosis::Diagnosis,
        histogram::Histogram,
        mark::{Mark, What},
        snapshot::{Listener, Thread, stage},
    },
};

/// Listeners that have plots; the rest is in the table.
const PLOTTED: usize = 12;

/// What each stage is, at its index.
const STAGES: [(&str, &str); stage::STAGES] = [
    ("SYN wait", "From the first SYN-ACK to the end of the handshake: the network, and the client."),
    ("Accept wait", "In the accept queue: until the program calls accept(2)."),
    ("First-read wait", "From accept(2) to the first read."),
    ("Data wait", "From data in the receive queue to the read that took it."),
    ("Service", "From the first read to the first write."),
    ("First-write wait", "From accept(2) to the first write, where the server speaks first."),
    ("Lifetime", "From the accept queue to the end of the socket."),
];

pub(super) fn draw(report: &Report, remarks: &[String]) -> String {
    let title = "observer report";
    let body = [
        opening(report, title, remarks),
        summary(report),
        diagnoses(report),
        over_time(report),
        journeys(report),
        shares(report),
        slowest(report),
        books(report),
    ]
    .concat();
    Page { title, body: &body }.to_string()
}

fn opening(report: &Report, title: &str, remarks: &[String]) -> String {
    let meta = &report.last.meta;
    let begun = meta.boot_time_unix_ns.saturating_add(report.begun_ns) / 1_000_000_000;
    let remarks: String =
        remarks.iter().map(|remark| format!("<p class=\"bad\">{}</p>\n", escape(remark))).collect();
    let before = report.ran_before_ns.map_or_else(String::new, |ran_ns| {
        format!(
            "<p>The recording was begun when the observer had run for {}. What it had counted by then is left out here, but for the \
             books at the end.</p>\n",
            figures::span(ran_ns)
        )
    });
    format!(
        "<h1>{}</h1>\n<p class=\"soft\">{}, {}. Linux {}, observer {}. {}, {} accepted, {} that ended.</p>\n{before}{remarks}",
        escape(title),
        date(begun),
        figures::clock(report.last.time_ns.saturating_sub(report.begun_ns)),
        escape(&meta.kernel),
        escape(&meta.version),
        figures::plural(report.listeners.len(), "listener"),
        figures::count(
            report.listeners.values().map(|course| course.last.accepted).fold(0, u64::saturating_add)
        ),
        figures::count(report.last.loss.delivered.saturating_sub(report.before.delivered)),
    )
}

/// What a listener is called.
fn name(listener: &Listener) -> String {
    match listener.shard {
        Some(shard) => format!("{} #{shard}", listener.addr),
        None => listener.addr.clone(),
    }
}

fn cells<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}

fn summary(report: &Report) -> String {
    let head = [
        "listener",
        "program",
        "accepted",
        "wait p50",
        "wait p99",
        "wait max",
        "most queued",
        "full at",
        "refused",
    ];
    let row = |course: &&Course| {
        let listener = &course.last;
        let peak = course.peaks.points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        let causes: Vec<String> = listener
            .drops
            .iter()
            .map(|drop| format!("{} {}", figures::count(drop.count), figures::cause(drop.cause)))
            .collect();
        let class = if listener.listen_drops > 0 { "bad" } else { "good" };
        vec![
            escape(&name(listener)),
            escape(&format!("{}/{}", listener.comm, listener.pid)),
            figures::count(listener.accepted),
            figures::duration_or_dash(listener.accept_wait_ns.p50),
            figures::duration_or_dash(listener.accept_wait_ns.p99),
            figures::duration_or_dash(listener.accept_wait_ns.max),
            format!("{peak:.0}"),
            (u64::from(listener.backlog_limit) + 1).to_string(),
            format!(
                "<b class=\"{class}\">{}</b><small class=\"words\">{}</small>",
                figures::count(listener.listen_drops),
                escape(&causes.join(", "))
            ),
        ]
    };
    let rows: Vec<Vec<String>> = report.busiest().iter().map(row).collect();
    format!(
        "<h2>Listeners</h2>\n{}<p class=\"soft\">Counted within the recording. Waits are in the accept queue; a queue is full at \
         its limit + 1.</p>\n",
        table(&cells(head), &rows)
    )
}

fn diagnoses(report: &Report) -> String {
    let mut all: Vec<&Diagnosis> = report.diagnoses.values().collect();
    all.sort_by_key(|diagnosis| (diagnosis.since_ns, &diagnosis.place));
    let item = |diagnosis: &&Diagnosis| {
        let at = |time_ns: u64| figures::clock(time_ns.saturating_sub(report.begun_ns));
        format!(
            "<li><b>{}</b>, {} to {}: {} <span class=\"soft\">{}</span></li>\n",
            escape(&diagnosis.place),
            at(diagnosis.since_ns),
            at(diagnosis.seen_ns),
            escape(&diagnosis.sentence),
            escape(&diagnosis.remedy)
        )
    };
    let items: String = all.iter().map(item).collect();
    let list = if items.is_empty() {
        "<p>No rule found anything.</p>\n".into()
    } else {
        format!("<ul>\n{items}</ul>\n")
    };
    format!(
        "<h2>What was wrong</h2>\n<p class=\"soft\">By rule and place, with the figures of when it was worst.</p>\n{list}"
    )
}

/// Instants at which another pattern began, and which.
fn marks(report: &Report) -> Vec<(f64, String)> {
    // What came before the recording has no place on its axis.
    let begun = |mark: &&Mark| mark.what == What::Pattern && mark.time_ns >= report.begun_ns;
    let those = report.last.marks.iter().filter(begun);
    those.map(|mark| (report.seconds(mark.time_ns), mark.to.clone().unwrap_or_default())).collect()
}

fn over_time(report: &Report) -> String {
    let end = report.seconds(report.last.time_ns);
    let marks = marks(report);
    let points = |series: &Series| -> Vec<(f64, f64)> {
        series.points.iter().map(|(time_ns, value)| (report.seconds(*time_ns), *value)).collect()
    };
    let greatest = |series: &Series| series.points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let mut plots = String::new();
    for course in report.busiest().into_iter().take(PLOTTED) {
        let full = f64::from(course.last.backlog_limit) + 1.0;
        let title = name(&course.last);
        plots += &Lines {
            title: &title,
            note: "Most connections in the accept queue: exact peaks, not samples.",
            x: Axis::from_zero("seconds", end, axis::number),
            y: Axis::from_zero("connections", greatest(&course.peaks).max(1.0), axis::number),
            lines: vec![Line { points: points(&course.peaks), ..Line::default() }],
            level: Some((full, format!("full at {full}"))),
            marks: marks.clone(),
        }
        .draw();
        plots += &Lines {
            title: &title,
            note: "Connections that arrived (line 1) and that were refused (line 2), per second.",
            x: Axis::from_zero("seconds", end, axis::number),
            y: Axis::from_zero(
                "per second",
                greatest(&course.arrivals).max(greatest(&course.refusals)).max(1.0),
                axis::number,
            ),
            lines: [&course.arrivals, &course.refusals]
                .into_iter()
                .enumerate()
                .map(|(look, series)| Line { look, points: points(series), ..Line::default() })
                .collect(),
            level: None,
            marks: marks.clone(),
        }
        .draw();
    }
    let more = report.listeners.len().saturating_sub(PLOTTED);
    let more = if more > 0 {
        format!("<p class=\"soft\">{} more are in the table only.</p>\n", more)
    } else {
        String::new()
    };
    format!(
        "<h2>Over time</h2>\n{}<div class=\"plots\">\n{plots}</div>\n{more}",
        plot::legend(["arrived, or queued", "refused"].into_iter())
    )
}

/// The part of all that took no longer, at the upper end of each bucket.
fn cumulated(histogram: &Histogram) -> Vec<(f64, f64)> {
    let (total, mut seen) = (histogram.total() as f64, 0.0);
    let point = |(_, high, count): (u64, u64, u64)| {
        seen += count as f64;
        (high.min(histogram.longest_ns().max(1)) as f64, seen / total)
    };
    histogram.buckets().map(point).collect()
}

fn journeys(report: &Report) -> String {
    let busiest: Vec<&Course> = report.busiest().into_iter().take(plot::LOOKS).collect();
    let names: Vec<String> = busiest.iter().map(|course| name(&course.last)).collect();
    let draw = |(index, (title, note)): (usize, &(&str, &str))| {
        let mut lines: Vec<Line> = busiest
            .iter()
            .enumerate()
            .map(|(look, course)| Line {
                look,
                points: cumulated(&course.last.stages[index]),
                steps: true,
                thin: false,
            })
            .collect();
        let x = Axis::log("", lines.iter().flat_map(|line| &line.points).map(|(ns, _)| *ns), axis::duration);
        for line in lines.iter_mut().filter(|line| !line.points.is_empty()) {
            line.points.insert(0, (0.0, 0.0));
            line.points.push((x.high(), 1.0));
        }
        let ticks = [0.0, 0.25, 0.5, 0.75, 1.0].map(|part| (part, axis::percent(part)));
        let y = Axis::named("", 0.0, 1.0, ticks.into());
        Lines { title, note, x, y, lines, level: None, marks: Vec::new() }.draw()
    };
    let plots: String = STAGES.iter().enumerate().map(draw).collect();
    format!(
        "<h2>Journey</h2>\n<p>Part of all connections that took no longer, stage by stage. \
         Counted in the kernel for every connection.</p>\n{}<div class=\"plots\">\n{plots}</div>\n",
        plot::legend(names.iter().map(String::as_str))
    )
}

fn shares(report: &Report) -> String {
    let draw = |title: &str, count: fn(&Thread) -> u64, of_shards: bool| {
        let total = report.threads.values().map(count).fold(0, u64::saturating_add);
        let mut bars: Vec<(String, f64)> = report
            .threads
            .values()
            .filter(|thread| count(thread) > 0)
            .map(|thread| (format!("{}/{}", thread.comm, thread.tid), count(thread) as f64 / total as f64))
            .collect();
        bars.sort_by(|left, right| right.1.total_cmp(&left.1));
        let band = (of_shards && bars.len() > 1).then(|| Band::new(total, bars.len()));
        Bars { title, note: "", look: 0, bars: &bars, band }.draw()
    };
    // Chance deals connections to shards and to nobody else, and only as long as one pattern runs.
    let all_shards =
        !report.listeners.is_empty() && report.listeners.values().all(|course| course.last.shard.is_some());
    let one_pattern = marks(report).is_empty();
    format!(
        "<h2>Who does it</h2>\n<p>Share of each thread in all of its kind. Where all listeners are shards and one pattern ran, grey is \
         the even share and two standard deviations about it: how far SO_REUSEPORT's hash alone takes a share.</p>\n\
         <div class=\"plots\">\n{}{}{}</div>\n",
        draw("Accepts", |thread| thread.accepts, all_shards && one_pattern),
        draw("Reads", |thread| thread.reads, false),
        draw("Writes", |thread| thread.writes, false),
    )
}

fn slowest(report: &Report) -> String {
    if report.slowest.is_empty() {
        return String::new();
    }
    let row = |connection: &super::Connection| {
        let acceptor = connection.acceptor.as_ref();
        let since = connection.enqueued_ns.map_or(0.0, |then| report.seconds(then));
        vec![
            escape(&connection.remote.to_string()),
            format!("{since:.3} s"),
            figures::duration_or_dash(connection.accept_wait_ns()),
            connection.queue_at_arrival.map_or_else(|| "-".into(), |depth| depth.to_string()),
            acceptor.map_or_else(
                || "-".into(),
                |acceptor| escape(&format!("{}/{}", acceptor.comm, acceptor.tid)),
            ),
            figures::duration(connection.longest_read_wait_ns),
        ]
    };
    let rows: Vec<Vec<String>> = report.slowest.iter().map(row).collect();
    let head = ["client", "queued at", "waited", "queue it met", "accepted by", "longest data wait"];
    format!("<h2>Longest waits</h2>\n{}", table(&cells(head), &rows))
}

fn books(report: &Report) -> String {
    let last = &report.last;
    let row = |check: &crate::model::snapshot::LedgerCheck| {
        let known = check.listener.and_then(|cookie| report.listeners.get(&cookie));
        let of =
            known.map_or_else(|| format!("{} {}", check.scope, check.netns), |course| name(&course.last));
        let class = if check.difference == 0 { "good" } else { "bad" };
        vec![
            format!("{} <small class=\"soft\">{}</small>", escape(check.check), escape(&of)),
            figures::count(check.ours),
            figures::count(check.kernel),
            format!("<b class=\"{class}\">{}</b>", figures::count(check.difference)),
            format!("<span class=\"words\">{}</span>", escape(check.reason.as_deref().unwrap_or(""))),
        ]
    };
    let of_listeners = last.ledger.iter().filter(|check| check.listener.is_some());
    let rows: Vec<Vec<String>> = of_listeners.chain(report.checks.values()).map(row).collect();
    let lost: Vec<String> = last
        .loss
        .counters
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(what, count)| format!("{} {what}", figures::count(*count)))
        .collect();
    let lost =
        if lost.is_empty() { "Nothing was lost.".to_owned() } else { format!("Lost: {}.", lost.join(", ")) };
    let signals: Vec<Vec<String>> = last
        .meta
        .signals
        .iter()
        .map(|(signal, hook)| {
            let note = last.meta.signal_notes.get(signal).map_or("", String::as_str);
            let hook =
                hook.as_deref().map_or_else(|| "<b class=\"bad\">not available</b>".to_owned(), escape);
            vec![escape(signal), hook, format!("<span class=\"words\">{}</span>", escape(note))]
        })
        .collect();
    format!(
        "<h2>Can the figures be trusted?</h2>\n<p>{}</p>\n{}<h3>Signals</h3>\n{}",
        escape(&lost),
        table(&cells(["check", "ours", "the kernel's", "difference", "why"]), &rows),
        table(&cells(["signal", "hook", "what it cannot see, or why there is none"]), &signals)
    )
}
