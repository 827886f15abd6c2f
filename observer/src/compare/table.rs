//! The comparison as text.

use std::{collections::BTreeSet, fmt};

use demo_server::load::{Mode, Profile};

use super::{
    figure::{FIGURES, Figure, Witness, change},
    outcome::{Cell, Comparison, Repetition, Worker},
    statistics::median,
    verdict::{Judgement, values},
};
use crate::{figures, model::chance::Band};

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for profile in &self.plan.profiles {
            writeln!(f, "{}: {}", profile.name, self.load_line(profile))?;
            for (witness, title) in [(Witness::Client, "clients"), (Witness::Kernel, "kernel")] {
                write!(f, "\n{}", self.figures(profile.name, witness, title))?;
            }
            writeln!(f, "\n{}", self.shares_table(profile.name))?;
        }
        let (n, ms) = (self.plan.repetitions, self.plan.duration.as_millis());
        writeln!(
            f,
            "Medians of {} of {ms} ms. Against {}: + better, - worse, ~ noise; nothing: not known or too few.",
            figures::plural(n as usize, "repetition"),
            self.verdicts.baseline
        )?;
        writeln!(f, "{}.", self.verdicts.method())?;
        writeln!(f, "Order: {}.", self.plan.order())?;
        for sentence in self.differences() {
            writeln!(f, "- {sentence}")?;
        }
        for doubt in self.doubts() {
            writeln!(f, "doubt: {doubt}")?;
        }
        Ok(())
    }
}

impl Comparison {
    fn figures(&self, profile: &str, witness: Witness, title: &str) -> String {
        let shown: Vec<&Figure> = FIGURES.iter().filter(|figure| figure.by == witness).collect();
        let mut rows = vec![
            [vec![title.to_owned()], shown.iter().map(|figure| format!("{}  ", figure.head)).collect()]
                .concat(),
        ];
        for cell in self.cells.iter().filter(|cell| cell.profile == profile) {
            let mut row = vec![cell.pattern.to_owned()];
            row.extend(shown.iter().map(|figure| {
                let sign = self.judgement(cell, figure).map_or(" ", Judgement::sign);
                format!("{} {sign}", figure.unit.show_or_dash(median(&values(figure, cell))))
            }));
            rows.push(row);
        }
        aligned(&rows)
    }

    /// What follows for a figure of a cell; nothing for the baseline.
    pub fn judgement(&self, cell: &Cell, figure: &Figure) -> Option<Judgement> {
        Some(self.verdicts.on(cell.profile, cell.pattern, figure)?.judgement)
    }

    fn shares_table(&self, profile: &str) -> String {
        let head = ["who", "accepts", "reads", "books", "drops by cause, all rounds"].map(str::to_owned);
        let mut rows = vec![head.to_vec()];
        for cell in self.cells.iter().filter(|cell| cell.profile == profile) {
            rows.push(vec![
                cell.pattern.to_owned(),
                cell.dealt(|worker| worker.accepts).to_string(),
                cell.dealt(|worker| worker.reads).to_string(),
                cell.books(),
                cell.drops(),
            ]);
        }
        aligned(&rows)
    }

    /// What a load is, and what replaces its own parameters.
    pub fn load_line(&self, profile: &Profile) -> String {
        let rate = self.plan.overrides.rate.map(|rate| format!("; here {rate} a second")).unwrap_or_default();
        let pace = match profile.mode {
            Mode::Closed => "; a slower server gets fewer requests",
            Mode::Open | Mode::Burst => "",
        };
        format!("{}{rate}{pace}", profile.line)
    }

    /// What differs and what does not, a sentence for each pattern under each load.
    pub fn differences(&self) -> Vec<String> {
        // Where nothing can be told, that was said already.
        let told = self.verdicts.count(Judgement::TooFew) < self.verdicts.comparisons;
        let compared = self.cells.iter().filter(|cell| told && cell.pattern != self.verdicts.baseline);
        compared.map(|cell| self.sentence(cell)).collect()
    }

    fn sentence(&self, cell: &Cell) -> String {
        let kinds = [
            (Judgement::Better, "better"),
            (Judgement::Worse, "worse"),
            (Judgement::Noise, "noise"),
            (Judgement::TooFew, "too few repetitions"),
            (Judgement::Unknown, "not known"),
        ];
        let parts = kinds.iter().filter_map(|(judgement, word)| {
            let judged = FIGURES.iter().filter_map(|figure| {
                let verdict = self.verdicts.on(cell.profile, cell.pattern, figure)?;
                (verdict.judgement == *judgement).then(|| {
                    match (judgement, verdict.baseline, verdict.median) {
                        (Judgement::Better | Judgement::Worse, Some(from), Some(to)) => {
                            format!("{} {}", figure.title, change(from, to))
                        }
                        _ => figure.title.to_owned(),
                    }
                })
            });
            let judged: Vec<String> = judged.collect();
            match judged.len() {
                0 => None,
                n if n == FIGURES.len() => Some(format!("{word}: everything")),
                _ => Some(format!("{word}: {}", judged.join(", "))),
            }
        });
        let parts: Vec<String> = parts.collect();
        format!("{} under {}: {}", cell.pattern, cell.profile, parts.join("; "))
    }

    /// What makes figures doubtful: each doubt once for a pattern under a load, as it first came up, and how often.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        for cell in &self.cells {
            let mut found: Vec<(String, usize)> = Vec::new();
            for doubt in cell.repetitions.iter().flat_map(Repetition::doubts) {
                match found.iter_mut().find(|(known, _)| without_figures(known) == without_figures(&doubt)) {
                    Some((_, times)) => *times += 1,
                    None => found.push((doubt, 1)),
                }
            }
            let all = cell.repetitions.len();
            doubts.extend(found.into_iter().map(|(doubt, times)| {
                format!("{} under {}, {times} of {all} repetitions: {doubt}", cell.pattern, cell.profile)
            }));
        }
        doubts.extend(self.unavailable.iter().map(|(signal, why)| format!("signal {signal}: {why}")));
        doubts
    }
}

/// Two doubts that differ in figures only are the same.
fn without_figures(doubt: &str) -> String {
    doubt.chars().filter(|c| !c.is_ascii_digit()).collect()
}

impl Repetition {
    fn doubts(&self) -> Vec<String> {
        let mut doubts = self.client.warnings.clone();
        doubts.extend(self.client.errors.iter().map(|(kind, count)| format!("clients saw {count} × {kind}")));
        doubts.extend(self.kernel.differences.iter().map(|check| {
            let reason = check.reason.as_deref().unwrap_or("the reason is not known");
            format!("{} differs from the kernel's count by {}: {reason}", check.check, check.difference)
        }));
        doubts.extend(self.kernel.lost.iter().map(|(what, count)| format!("{count} lost: {what}")));
        if self.kernel.wakeups.is_none() && self.kernel.accepted > 0 {
            doubts.push("wake-ups are not known: threads of the server came or went under load, or were not seen before it".to_owned());
        }
        doubts
    }
}

/// How something is dealt over the workers that do it.
#[derive(Debug, Clone, PartialEq)]
pub struct Dealt {
    /// Name and share of each of the kind, those that got nothing included.
    pub shares: Vec<(String, f64)>,
    /// How far chance alone takes them, had each connection gone to one of them at random; none for one worker.
    pub band: Option<Band>,
}

impl Cell {
    /// How accepts or reads are dealt.
    pub fn dealt(&self, count: fn(&Worker) -> u64) -> Dealt {
        let workers = self.workers();
        let kinds: BTreeSet<&str> =
            workers.iter().filter(|worker| count(worker) > 0).map(|worker| worker.kind()).collect();
        let total: u64 = workers.iter().map(count).sum();
        let of_the_kind = workers.iter().filter(|worker| kinds.contains(worker.kind()));
        let shares: Vec<_> = of_the_kind
            .map(|worker| (worker.comm.clone(), count(worker) as f64 / total.max(1) as f64))
            .collect();
        let band = (shares.len() > 1).then(|| Band::new(total, shares.len()));
        Dealt { shares, band }
    }

    /// Refusals by cause over all repetitions.
    pub fn drops(&self) -> String {
        let mut causes: Vec<(&str, u64)> = Vec::new();
        for (cause, count) in self.repetitions.iter().flat_map(|one| &one.kernel.drops) {
            match causes.iter_mut().find(|(known, _)| known == cause) {
                Some((_, sum)) => *sum += count,
                None => causes.push((cause, *count)),
            }
        }
        causes.retain(|(_, count)| *count > 0);
        match causes.is_empty() {
            true => "none".to_owned(),
            false => causes.iter().map(|(cause, n)| format!("{n} {cause}")).collect::<Vec<_>>().join(", "),
        }
    }

    /// Whether the observer's books balance.
    pub fn books(&self) -> String {
        let checks: usize = self.repetitions.iter().map(|one| one.kernel.checks).sum();
        let wrong: usize = self.repetitions.iter().map(|one| one.kernel.differences.len()).sum();
        let lost: u64 = self.repetitions.iter().flat_map(|one| one.kernel.lost.values()).sum();
        let books = match (checks, wrong) {
            (0, _) => "no books".to_owned(),
            (_, 0) => "balance".to_owned(),
            (checks, wrong) => format!("{wrong} of {checks} differ"),
        };
        if lost == 0 { books } else { format!("{books}, {lost} lost") }
    }
}

impl fmt::Display for Dealt {
    /// `shard-0 100 %`, or how many share between which shares, and how far chance alone goes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.shares.as_slice(), self.band) {
            ([], _) => f.write_str("nobody"),
            ([(name, _)], _) => write!(f, "{name} 100 %"),
            (several, band) => {
                let of = several.iter().map(|(_, share)| *share);
                let (least, most) = (of.clone().fold(1.0, f64::min), of.fold(0.0, f64::max));
                write!(f, "{}: {:.1}-{:.1} %", several.len(), least * 100.0, most * 100.0)?;
                match band {
                    Some(band) => write!(f, " ({:.1} ± {:.1})", band.even * 100.0, band.two_sd * 100.0),
                    None => Ok(()),
                }
            }
        }
    }
}

/// Columns, the first and all that hold words to the left, figures to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let length = |text: &str| text.chars().count();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| length(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let figure = |column: usize| {
        let ends_in_sign =
            |row: &Vec<String>| row.get(column).is_some_and(|cell| cell.ends_with([' ', '+', '-', '~']));
        column > 0 && rows.iter().skip(1).any(ends_in_sign)
    };
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - length(cell));
            match figure(column) {
                true => line += &format!("{padding}{cell}"),
                false => line += &format!("{cell}{padding}  "),
            }
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::fixture;

    #[test]
    fn a_row_for_each_pattern_and_a_sentence_for_each_difference() {
        let text = fixture::comparison(7).to_string();
        println!("{text}");
        let lines: Vec<&str> = text.lines().collect();
        let row = |start: &str| lines.iter().find(|line| line.starts_with(start)).copied().unwrap();
        assert!(row("single-thread ").contains("9.00 ms"));
        let sentence = row("- sharding under steady: better: accept wait p50 ÷");
        assert!(
            sentence.contains("; worse: wake-ups per accept +1.2 %; noise: responses per second, "),
            "{text}"
        );
        assert!(sentence.ends_with("not known: processor time per request"), "{text}");
        assert!(text.contains("4: 23.3-26.4 % (25.0 ± "), "{text}");
        assert!(row("doubt: sharding").ends_with("7 of 7 repetitions: the generator was <busy>"), "{text}");
        assert!(!text.contains("NaN") && !lines.iter().any(|line| line.ends_with(' ')), "{text}");
    }

    #[test]
    fn one_repetition_says_what_it_cannot_say() {
        let text = fixture::comparison(1).to_string();
        assert!(
            text.contains(
                "Too few repetitions to tell anything apart: with 10 comparisons it takes 6 of each"
            ),
            "{text}"
        );
        assert!(text.contains("Medians of 1 repetition of 3000 ms."), "{text}");
    }
}
