//! The comparison as text.

use std::{collections::BTreeSet, fmt};

use super::{
    figure::{Better, FIGURES, Figure, Witness, change},
    outcome::{Cell, Comparison},
    statistics::median,
    verdict::{Judgement, Verdict, values},
};
use crate::{model::chance::Band, view::figures};

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for profile in &self.plan.profiles {
            writeln!(f, "{}: {}", profile.name, profile.line)?;
            for (witness, title) in [(Witness::Client, "clients"), (Witness::Kernel, "kernel")] {
                writeln!(f, "\n{}", self.figures(profile.name, witness, title))?;
            }
            writeln!(f, "{}", self.shares_table(profile.name))?;
        }
        let (n, ms) = (self.plan.repetitions, self.plan.duration.as_millis());
        writeln!(
            f,
            "Medians of {} of {ms} ms. Against {}: + better, - worse, ~ noise; nothing: not known or too few.",
            figures::plural(n as usize, "repetition"),
            self.verdicts.baseline
        )?;
        writeln!(f, "{}.", capital(&self.verdicts.method()))?;
        writeln!(f, "Order: {}.", self.plan.order())?;
        for sentence in self.differences() {
            writeln!(f, "  {sentence}")?;
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
        let head = ["who", "accepts", "reads", "drops by cause", "books"].map(str::to_owned);
        let mut rows = vec![head.to_vec()];
        for cell in self.cells.iter().filter(|cell| cell.profile == profile) {
            rows.push(vec![
                cell.pattern.to_owned(),
                cell.dealt(|worker| worker.accepts).to_string(),
                cell.dealt(|worker| worker.reads).to_string(),
                cell.drops(),
                cell.books(),
            ]);
        }
        aligned(&rows)
    }

    /// What differs, a sentence each, the largest change first.
    pub fn differences(&self) -> Vec<String> {
        let found = |verdict: &&Verdict| matches!(verdict.judgement, Judgement::Better | Judgement::Worse);
        let mut found: Vec<&Verdict> = self.verdicts.verdicts.iter().filter(found).collect();
        let size = |verdict: &Verdict| {
            let (from, to) = (verdict.baseline.unwrap_or(0.0), verdict.median.unwrap_or(0.0));
            (to.max(f64::MIN_POSITIVE) / from.max(f64::MIN_POSITIVE)).ln().abs()
        };
        found.sort_by(|a, b| size(b).total_cmp(&size(a)));
        found.into_iter().filter_map(sentence).collect()
    }

    /// What makes figures doubtful, each once.
    pub fn doubts(&self) -> BTreeSet<String> {
        let mut doubts = BTreeSet::new();
        for cell in &self.cells {
            let name = format!("{} under {}", cell.pattern, cell.profile);
            for one in &cell.repetitions {
                doubts.extend(one.client.warnings.iter().map(|warning| format!("{name}: {warning}")));
                for (kind, count) in &one.client.errors {
                    doubts.insert(format!("{name}, round {}: clients saw {count} × {kind}", one.round));
                }
                for check in &one.kernel.differences {
                    let reason = check.reason.as_deref().unwrap_or("the reason is not known");
                    let (what, difference) = (check.check, check.difference);
                    doubts.insert(format!(
                        "{name}, round {}: {what} differs from the kernel's count by {difference}: {reason}",
                        one.round
                    ));
                }
                if one.kernel.lost > 0 {
                    doubts.insert(format!("{name}, round {}: {} records lost", one.round, one.kernel.lost));
                }
            }
            if cell.repetitions.iter().any(|one| one.kernel.wakeups.is_none() && one.kernel.accepted > 0) {
                doubts.insert(format!(
                    "{name}: wake-ups are not known: threads of the server came or went under load"
                ));
            }
        }
        doubts.extend(self.unavailable.iter().map(|(signal, why)| format!("signal {signal}: {why}")));
        doubts
    }
}

fn sentence(verdict: &Verdict) -> Option<String> {
    let figure = FIGURES.iter().find(|figure| figure.name == verdict.figure)?;
    let (from, to) = (verdict.baseline?, verdict.median?);
    let word = match (verdict.judgement, figure.better) {
        (Judgement::Better, Better::More) | (Judgement::Worse, Better::Less) => "more",
        _ => "less",
    };
    Some(format!(
        "{}, {}: {} {word}: {} → {} ({}, p {:.4} corrected)",
        verdict.profile,
        verdict.pattern,
        figure.title,
        figure.unit.show(from),
        figure.unit.show(to),
        change(from, to),
        verdict.p_corrected?
    ))
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
    pub fn dealt(&self, count: fn(&super::outcome::Worker) -> u64) -> Dealt {
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
        let lost: u64 = self.repetitions.iter().map(|one| one.kernel.lost).sum();
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
            ([(name, _)], _) => write!(f, "{name} alone"),
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

pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
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
        assert!(text.contains("steady, sharding: wake-ups per accept more: 1 → 1.01 (+1.2 %, p "), "{text}");
        assert!(text.contains("4: 23.3-26.4 % (25.0 ± "), "{text}");
        assert!(text.contains("doubt: sharding under steady: the generator was <busy>"), "{text}");
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
