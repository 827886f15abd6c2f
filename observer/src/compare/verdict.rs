//! What differs from the baseline, and what is noise.

use serde::Serialize;

use super::{
    figure::{Better, FIGURES, Figure},
    outcome::Cell,
    statistics::{self, ALPHA},
};

/// What was found out.
#[derive(Debug, Default, Serialize)]
pub struct Verdicts {
    /// Pattern with which all others are compared.
    pub baseline: &'static str,
    /// The test.
    pub test: &'static str,
    /// The correction for many comparisons.
    pub correction: &'static str,
    /// Chance of even one false alarm that was accepted.
    pub alpha: f64,
    /// Comparisons that were made, which the correction counts.
    pub comparisons: usize,
    /// Repetitions of each with which something could be told.
    pub fewest_repetitions: u32,
    /// Each of them.
    pub verdicts: Vec<Verdict>,
}

/// One figure of one pattern against the baseline's, under one load.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// The load.
    pub profile: &'static str,
    /// The pattern.
    pub pattern: &'static str,
    /// The figure.
    pub figure: &'static str,
    /// The baseline's median.
    pub baseline: Option<f64>,
    /// The pattern's median.
    pub median: Option<f64>,
    /// How far it lies above the baseline: the median of all differences between one repetition of each.
    pub shift: Option<f64>,
    /// Chance of values that fall apart at least as far, if the pattern made no difference.
    pub p: Option<f64>,
    /// The same, corrected.
    pub p_corrected: Option<f64>,
    /// What follows.
    pub judgement: Judgement,
}

/// What follows from a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// It differs, and for the better.
    Better,
    /// It differs, and for the worse.
    Worse,
    /// Chance explains it. That is no proof that there is no difference.
    Noise,
    /// With so few repetitions nothing could have been told.
    TooFew,
    /// A side is not known.
    Unknown,
}

impl Judgement {
    /// Behind a figure in a table.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Better => "+",
            Self::Worse => "-",
            Self::Noise => "~",
            Self::TooFew | Self::Unknown => " ",
        }
    }
}

impl Verdicts {
    /// Compares every cell with the baseline's under the same load.
    pub fn of(cells: &[Cell], baseline: &'static str) -> Self {
        let mut verdicts: Vec<(Verdict, &Figure, usize)> = Vec::new();
        for cell in cells.iter().filter(|cell| cell.pattern != baseline) {
            let base = cells.iter().find(|base| base.profile == cell.profile && base.pattern == baseline);
            let Some(base) = base else { continue };
            verdicts.extend(FIGURES.iter().map(|figure| {
                let verdict = Verdict::of(figure, base, cell);
                (verdict, figure, values(figure, base).len().min(values(figure, cell).len()))
            }));
        }
        let known: Vec<f64> = verdicts.iter().filter_map(|(verdict, ..)| verdict.p).collect();
        let comparisons = known.len();
        let mut corrected = statistics::holm(&known).into_iter();
        for (verdict, figure, repetitions) in &mut verdicts {
            let Some(p) = verdict.p.and_then(|_| corrected.next()) else { continue };
            verdict.p_corrected = Some(p);
            let hopeless = statistics::smallest_p(*repetitions, *repetitions) * comparisons as f64 > ALPHA;
            let more = verdict.shift.is_some_and(|shift| shift > 0.0);
            verdict.judgement = match (hopeless, p <= ALPHA, figure.better == Better::More) {
                (true, ..) => Judgement::TooFew,
                (_, false, _) => Judgement::Noise,
                (.., wanted) if more == wanted => Judgement::Better,
                _ => Judgement::Worse,
            };
        }
        Self {
            baseline,
            test: "exact two-sided Mann-Whitney test on one value per repetition",
            correction: "Holm, over all comparisons of the run",
            alpha: ALPHA,
            comparisons,
            fewest_repetitions: statistics::fewest_repetitions(comparisons.max(1)),
            verdicts: verdicts.into_iter().map(|(verdict, ..)| verdict).collect(),
        }
    }

    /// The verdict on one figure.
    pub fn on(&self, profile: &str, pattern: &str, figure: &Figure) -> Option<&Verdict> {
        let on = |verdict: &&Verdict| {
            verdict.profile == profile && verdict.pattern == pattern && verdict.figure == figure.name
        };
        self.verdicts.iter().find(on)
    }

    /// How many there are of a kind.
    pub fn count(&self, judgement: Judgement) -> usize {
        self.verdicts.iter().filter(|verdict| verdict.judgement == judgement).count()
    }

    /// What was asked of the figures and with which right the answers are given, in a sentence or two.
    pub fn method(&self) -> String {
        let (n, comparisons) = (self.fewest_repetitions, self.comparisons);
        let told = match comparisons {
            0 => return "There was nothing to compare".to_owned(),
            _ if self.count(Judgement::TooFew) == comparisons => format!(
                "Too few repetitions to tell anything apart: with {comparisons} comparisons it takes {n} of each"
            ),
            _ => format!(
                "{} of {comparisons} comparisons differ, {} are noise",
                self.count(Judgement::Better) + self.count(Judgement::Worse),
                self.count(Judgement::Noise)
            ),
        };
        format!(
            "{told}; {}, corrected for all {comparisons} ({}): at most {} % chance of even one false alarm",
            self.test,
            self.correction,
            self.alpha * 100.0
        )
    }
}

impl Verdict {
    fn of(figure: &Figure, base: &Cell, cell: &Cell) -> Self {
        let (left, right) = (values(figure, base), values(figure, cell));
        Self {
            profile: cell.profile,
            pattern: cell.pattern,
            figure: figure.name,
            baseline: statistics::median(&left),
            median: statistics::median(&right),
            shift: statistics::shift(&left, &right),
            p: statistics::mann_whitney(&left, &right),
            p_corrected: None,
            judgement: Judgement::Unknown,
        }
    }
}

/// The known values of a figure, one for each repetition.
pub fn values(figure: &Figure, cell: &Cell) -> Vec<f64> {
    cell.repetitions.iter().filter_map(|one| one.figures.get(figure.name).copied().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    fn judged(repetitions: u32) -> Verdicts {
        fixture::comparison(repetitions).verdicts
    }

    fn on(verdicts: &Verdicts, figure: &str) -> Judgement {
        let figure = FIGURES.iter().find(|known| known.name == figure).unwrap();
        verdicts.on("steady", "sharding", figure).unwrap().judgement
    }

    #[test]
    fn what_is_apart_differs_and_what_overlaps_is_noise() {
        let verdicts = judged(7);
        assert_eq!(on(&verdicts, "accept_wait_p99_ns"), Judgement::Better);
        assert_eq!(on(&verdicts, "wakeups_per_accept"), Judgement::Worse);
        assert_eq!(on(&verdicts, "responses_per_s"), Judgement::Noise);
        assert_eq!(on(&verdicts, "listen_drops"), Judgement::Noise);
    }

    #[test]
    fn too_few_repetitions_are_called_so() {
        let verdicts = judged(3);
        assert_eq!(on(&verdicts, "accept_wait_p99_ns"), Judgement::TooFew);
        assert!(
            verdicts.method().starts_with("Too few repetitions to tell anything"),
            "{}",
            verdicts.method()
        );
    }

    #[test]
    fn what_is_not_known_is_not_counted() {
        let verdicts = judged(7);
        assert_eq!(on(&verdicts, "cpu_per_request_ns"), Judgement::Unknown);
        // One pattern against the baseline, all figures but that one.
        assert_eq!(verdicts.comparisons, FIGURES.len() - 1);
    }
}
