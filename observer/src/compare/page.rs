//! The comparison as a page: what was run, what differs, and what the figures look like.

use super::{
    figure::{FIGURES, Figure, Unit, Witness, change},
    outcome::{Cell, Comparison, Distribution, Kernel},
    statistics::median,
    verdict::{Judgement, values},
};
use crate::{
    figures,
    html::{
        Page, date, escape,
        plot::{
            self,
            axis::{self, Axis},
            bars::Bars,
            lines::{Line, Lines},
            strip::{self, Row},
        },
        table,
    },
};

/// The whole page.
pub fn draw(comparison: &Comparison) -> String {
    let title = format!("observer compare: {} patterns", comparison.plan.patterns.len());
    let profiles = comparison.plan.profiles.iter().map(|profile| {
        let cells: Vec<&Cell> = comparison.cells.iter().filter(|cell| cell.profile == profile.name).collect();
        let under = under_one_load(comparison, &cells);
        format!(
            "<h2>Load: {}</h2>\n<p>{}.</p>\n{under}",
            escape(profile.name),
            escape(&capital(&comparison.load_line(profile)))
        )
    });
    let body = [opening(comparison, &title), profiles.collect(), closing()].concat();
    Page { title: &title, body: &body }.to_string()
}

fn opening(comparison: &Comparison, title: &str) -> String {
    let plan = &comparison.plan;
    let patterns = plan
        .patterns
        .iter()
        .map(|pattern| format!("<li><b>{}</b>: {}</li>\n", escape(pattern.id), escape(pattern.line)));
    let settings = plan.settings;
    let rate = plan.overrides.rate.map(|rate| format!("; the rate is {rate} per second")).unwrap_or_default();
    format!(
        "<h1>{}</h1>\n<p class=\"soft\">{}. observer {} on Linux {}, {}. {} of {} per pattern and load, {}. \
         {} workers, backlog {}, {} µs of work and {} µs of sleep per request{rate}.</p>\n<ul>\n{}</ul>\n\
         <h2>What differs</h2>\n{}{}",
        escape(title),
        date(comparison.taken_unix_s),
        escape(&comparison.observer),
        escape(&comparison.kernel),
        figures::plural(comparison.processors, "processor"),
        figures::plural(plan.repetitions as usize, "repetition"),
        demo_server::duration::show(plan.duration),
        escape(&plan.order()),
        settings.workers,
        settings.backlog,
        settings.work_us,
        settings.sleep_us,
        patterns.collect::<String>(),
        differences(comparison),
        doubts(comparison),
    )
}

fn differences(comparison: &Comparison) -> String {
    let method = format!(
        "<p>All patterns are compared with <b>{}</b>. {}.</p>\n",
        escape(comparison.verdicts.baseline),
        escape(&comparison.verdicts.method())
    );
    method + &list(comparison.differences().iter().map(String::as_str))
}

fn doubts(comparison: &Comparison) -> String {
    let doubts = comparison.doubts();
    match doubts.is_empty() {
        true => {
            "<p>Nothing was lost, the observer's books balance, and the load generator kept up.</p>\n".into()
        }
        false => format!("<h3>What makes figures doubtful</h3>\n{}", list(doubts.iter().map(String::as_str))),
    }
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let items: String = items.map(|item| format!("<li>{}</li>\n", escape(item))).collect();
    if items.is_empty() { items } else { format!("<ul>\n{items}</ul>\n") }
}

fn under_one_load(comparison: &Comparison, cells: &[&Cell]) -> String {
    let legend = plot::legend(cells.iter().map(|cell| cell.pattern));
    let strips = FIGURES.iter().map(|figure| strip(comparison, cells, figure));
    let distributions = [
        waits(
            cells,
            "Accept wait",
            "Part of all connections that left the accept queue within this time.",
            |kernel| &kernel.accept_wait_ns,
        ),
        waits(
            cells,
            "First-read wait",
            "Part of all connections that were read within this time after accept(2).",
            |kernel| &kernel.first_read_wait_ns,
        ),
        latency(
            cells,
            "Response time",
            "From the moment a request was due; the upper end is the slowest few.",
            |one| &one.client.response_ns,
        ),
        latency(cells, "Service time", "From the actual send; what waited to be sent is not in it.", |one| {
            &one.client.service_ns
        }),
    ];
    format!(
        "{}<h3>Every repetition</h3>\n<p>A dot is a repetition, the bar the median. Dots of two patterns that do not \
         overlap are what a difference looks like.</p>\n<div class=\"plots\">\n{}</div>\n\
         <h3>Distributions</h3>\n{legend}<div class=\"plots\">\n{}</div>\n\
         <h3>Accept queue over time</h3>\n<p>Most connections in one accept queue in each tenth of a second, a line for \
         each repetition. Exact peaks, not samples.</p>\n<div class=\"plots\">\n{}</div>\n\
         <h3>Who does it</h3>\n<p>Share of each thread of its kind, over all repetitions. Grey: the even share and two \
         standard deviations about it, which is how far chance alone takes a share if every connection goes to one of \
         the threads at random, as SO_REUSEPORT's hash deals them. One of twenty lies outside by chance. Where something \
         else decides, a share outside (!) tells that it does.</p>\n<div class=\"plots\">\n{}</div>\n",
        summary(comparison, cells),
        strips.collect::<String>(),
        distributions.concat(),
        queues(cells),
        shares(cells),
    )
}

/// All figures with median and range, and the verdicts.
fn summary(comparison: &Comparison, cells: &[&Cell]) -> String {
    let mut head = vec!["figure".to_owned()];
    head.extend(cells.iter().map(|cell| escape(cell.pattern)));
    let mut rows: Vec<Vec<String>> = Vec::new();
    for figure in FIGURES {
        let by = match figure.by {
            Witness::Client => "clients",
            Witness::Kernel => "kernel",
        };
        let mut row = vec![format!("{} <small class=\"soft\">{by}</small>", escape(figure.title))];
        row.extend(cells.iter().map(|cell| value(comparison, cell, figure)));
        rows.push(row);
    }
    table(&head, &rows)
        + "<p class=\"soft\">Median, below it the least and the most of the repetitions. ▲ better and ▼ worse than the \
           baseline, beyond chance; ~ not to be told from noise; no sign: too few repetitions, or not known.</p>\n"
        + &accounts(cells)
}

/// What is told in words.
fn accounts(cells: &[&Cell]) -> String {
    let head = ["pattern", "accepts", "reads", "the observer's books", "drops by cause, all rounds"];
    let row = |cell: &&Cell| {
        let words = [
            cell.pattern.to_owned(),
            cell.dealt(|worker| worker.accepts).to_string(),
            cell.dealt(|worker| worker.reads).to_string(),
            cell.books(),
            cell.drops(),
        ];
        words.iter().map(|words| escape(words)).collect()
    };
    let rows: Vec<Vec<String>> = cells.iter().map(row).collect();
    format!("<div class=\"words\">{}</div>\n", table(&head.map(str::to_owned), &rows))
}

fn value(comparison: &Comparison, cell: &Cell, figure: &Figure) -> String {
    let all = values(figure, cell);
    let Some(middle) = median(&all) else { return "-".to_owned() };
    let show = |value| escape(&figure.unit.show(value));
    let sign = match comparison.judgement(cell, figure) {
        Some(Judgement::Better) => " <b class=\"good\">▲</b>",
        Some(Judgement::Worse) => " <b class=\"bad\">▼</b>",
        Some(Judgement::Noise) => " <span class=\"noise\">~</span>",
        _ => "",
    };
    let (least, most) =
        (all.iter().copied().fold(f64::MAX, f64::min), all.iter().copied().fold(0.0, f64::max));
    format!("{}{sign}<small>{} – {}</small>", show(middle), show(least), show(most))
}

fn strip(comparison: &Comparison, cells: &[&Cell], figure: &Figure) -> String {
    let all = || cells.iter().flat_map(|cell| values(figure, cell));
    if all().next().is_none() {
        return String::new();
    }
    let (least, most) = (all().fold(f64::MAX, f64::min), all().fold(0.0, f64::max));
    let x = match figure.unit {
        // Times that lie far apart would be one dot at zero.
        Unit::Nanoseconds if most > 20.0 * least => Axis::log("", all(), axis::duration),
        Unit::Nanoseconds => Axis::from_zero("", most, axis::duration),
        Unit::PerSecond => Axis::from_zero("per second", most, axis::number),
        Unit::Count => Axis::from_zero("", most, axis::number),
    };
    let baseline = cells.first().and_then(|cell| median(&values(figure, cell)));
    let row = |cell: &&Cell| {
        let values = values(figure, cell);
        let middle = median(&values);
        let verdict = match (comparison.judgement(cell, figure), baseline, middle) {
            (Some(Judgement::Better | Judgement::Worse), Some(from), Some(to)) => {
                format!(", {}", change(from, to))
            }
            (Some(Judgement::Noise), ..) => ", noise".to_owned(),
            _ => String::new(),
        };
        let remark = figure.unit.show_or_dash(middle) + &verdict;
        Row { name: cell.pattern.to_owned(), remark, values, median: middle }
    };
    strip::draw(
        &capital(figure.title),
        &format!("{}.", capital(figure.meaning)),
        &x,
        &cells.iter().map(row).collect::<Vec<_>>(),
    )
}

fn waits(cells: &[&Cell], title: &str, note: &str, of: fn(&Kernel) -> &Distribution) -> String {
    let mut lines: Vec<Line> = cells
        .iter()
        .enumerate()
        .map(|(look, cell)| Line { look, points: cell.cumulated(of), steps: true, thin: false })
        .collect();
    let all = lines.iter().flat_map(|line| &line.points).map(|(ns, _)| *ns);
    let x = Axis::log("", all, axis::duration);
    for line in lines.iter_mut().filter(|line| !line.points.is_empty()) {
        line.points.insert(0, (0.0, 0.0));
        // All have left from there on.
        line.points.push((x.high(), 1.0));
    }
    let y =
        Axis::named("", 0.0, 1.0, [0.0, 0.25, 0.5, 0.75, 1.0].map(|part| (part, axis::percent(part))).into());
    Lines { title, note, x, y, lines, level: None, marks: Vec::new() }.draw()
}

/// Quantiles that the generator reports, of which the rarest are only as good as the requests are many.
const QUANTILES: [(f64, &str); 5] =
    [(0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")];

fn latency(
    cells: &[&Cell],
    title: &str,
    note: &str,
    of: fn(&super::outcome::Repetition) -> &demo_server::load::Quantiles,
) -> String {
    // Each nine takes as much room as the one before.
    let place = |quantile: f64| -(1.0 - quantile).log10();
    let line = |(look, cell): (usize, &&Cell)| {
        let point = |(index, (quantile, _)): (usize, &(f64, &str))| {
            let at: Vec<f64> = cell
                .repetitions
                .iter()
                .map(of)
                .filter(|times| times.count as f64 * (1.0 - quantile) >= 1.0)
                .map(|times| [times.p50, times.p90, times.p99, times.p999, times.p9999][index] as f64)
                .collect();
            Some((place(*quantile), median(&at)?))
        };
        Line { look, points: QUANTILES.iter().enumerate().filter_map(point).collect(), ..Line::default() }
    };
    let lines: Vec<Line> = cells.iter().enumerate().map(line).collect();
    let last = lines.iter().flat_map(|line| &line.points).map(|(x, _)| *x).fold(1.0, f64::max);
    let ticks = QUANTILES.iter().map(|(quantile, name)| (place(*quantile), (*name).to_owned()));
    let y = Axis::log("", lines.iter().flat_map(|line| &line.points).map(|(_, ns)| *ns), axis::duration);
    Lines {
        title,
        note,
        x: Axis::named(
            "of requests took no longer",
            place(0.5),
            last,
            ticks.filter(|(place, _)| *place <= last + 0.01).collect(),
        ),
        y,
        lines,
        level: None,
        marks: Vec::new(),
    }
    .draw()
}

fn queues(cells: &[&Cell]) -> String {
    let all = || cells.iter().flat_map(|cell| &cell.repetitions).flat_map(|one| &one.kernel.queue);
    let most = f64::from(all().map(|depth| depth.peak).max().unwrap_or(0));
    let end = all().map(|depth| depth.time_ms).max().unwrap_or(0) as f64 / 1e3;
    let draw = |(look, cell): (usize, &&Cell)| {
        let line = |one: &super::outcome::Repetition| Line {
            look,
            points: one
                .kernel
                .queue
                .iter()
                .map(|depth| (depth.time_ms as f64 / 1e3, f64::from(depth.peak)))
                .collect(),
            steps: false,
            thin: true,
        };
        let limit = cell.repetitions.first().map_or(0, |one| one.kernel.backlog_limit);
        Lines {
            title: cell.pattern,
            note: "",
            x: Axis::from_zero("seconds", end, axis::number),
            y: Axis::from_zero("connections", most, axis::number),
            lines: cell.repetitions.iter().map(line).collect(),
            level: Some((f64::from(limit) + 1.0, format!("full at {}", limit + 1))),
            marks: Vec::new(),
        }
        .draw()
    };
    cells.iter().enumerate().map(draw).collect()
}

fn shares(cells: &[&Cell]) -> String {
    let mut plots = String::new();
    for (look, cell) in cells.iter().enumerate() {
        let (accepts, reads) = (cell.dealt(|worker| worker.accepts), cell.dealt(|worker| worker.reads));
        let mut draw = |what: &str, dealt: &super::table::Dealt| {
            let title = format!("{}: {what}", cell.pattern);
            plots += &Bars { title: &title, note: "", look, bars: &dealt.shares, band: dealt.band }.draw();
        };
        if accepts == reads {
            draw("accepts and reads", &accepts);
        } else {
            draw("accepts", &accepts);
            draw("reads", &reads);
        }
    }
    plots
}

fn closing() -> String {
    let figures = FIGURES.iter().map(|figure| {
        format!("<dt>{}</dt><dd>{}.</dd>\n", escape(&capital(figure.title)), escape(&capital(figure.meaning)))
    });
    format!(
        "<h2>How to read it</h2>\n<p>Every repetition runs in a network namespace of its own, with a server and an \
         observation of its own, so nothing of one is left for the next. The clients' figures are the load generator's; \
         the kernel's are counted by the observer's probes where the kernel handles the connection, whatever the server \
         says of itself.</p>\n\
         <p>A difference is called one only if chance does not explain it. For each figure the values of the repetitions \
         are put in order; the test counts in how many of all possible ways of giving out the two names among them they \
         would lie apart at least as far. That number is corrected for the number of comparisons made here (Holm), so \
         that all the differences named on this page together have at most one chance in twenty to contain a false one. \
         What is called noise may still be a difference, too small for so few repetitions; and a difference that is sure \
         may still be too small to matter. The repetitions say nothing about other machines or other loads.</p>\n\
         <dl>\n{}</dl>\n",
        figures.collect::<String>()
    )
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};
    use crate::html::tests::check;

    #[test]
    fn the_page_stands_alone() {
        for repetitions in [1, 7] {
            let page = draw(&fixture::comparison(repetitions));
            check(&page);
            assert!(page.contains("&lt;main&gt;-0") && !page.contains("<main>"), "names are escaped");
            assert!(page.contains("the generator was &lt;busy&gt;"));
        }
    }

    #[test]
    fn verdicts_are_signs_and_words() {
        let page = draw(&fixture::comparison(7));
        assert!(page.contains("▲") && page.contains("▼") && page.contains(", noise"));
        let few = draw(&fixture::comparison(2));
        assert!(!few.contains("class=\"good\">▲") && few.contains("Too few repetitions"));
    }

    #[test]
    fn nothing_measured_is_still_a_page() {
        check(&draw(&fixture::comparison(0)));
    }
}
