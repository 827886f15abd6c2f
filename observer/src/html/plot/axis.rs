//! Axes: from values to places, and what is written along them.

use crate::figures;

/// How values are spread along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Linear,
    Log,
}

/// One axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What is along it.
    pub label: String,
    scale: Scale,
    low: f64,
    high: f64,
    /// Values that are named, and their names.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From zero to the highest value, in even steps.
    pub fn from_zero(label: &str, highest: f64, show: fn(f64) -> String) -> Self {
        let highest = if highest.is_finite() && highest > 0.0 { highest } else { 1.0 };
        let step = step(highest / 4.0);
        let count = (highest / step).ceil().max(1.0);
        let ticks = (0..=count as u32).map(|n| (f64::from(n) * step, show(f64::from(n) * step))).collect();
        Self { label: label.to_owned(), scale: Scale::Linear, low: 0.0, high: count * step, ticks }
    }

    /// Around all values, in powers of ten; zero and less are at its lower end.
    pub fn log(label: &str, values: impl Iterator<Item = f64>, show: fn(f64) -> String) -> Self {
        let positive = values.filter(|value| value.is_finite() && *value > 0.0);
        let (low, high) =
            positive.fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low <= high { (low, high) } else { (1.0, 10.0) };
        let (first, last) = (low.log10().floor(), high.log10().ceil());
        let last = last.max(first + 1.0);
        // Of many powers only some are named; of one or two also the halves and fifths.
        let every = ((last - first) / 5.0).ceil().max(1.0) as usize;
        let between: &[f64] = if last - first <= 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let powers = (0..=(last - first) as i32).step_by(every).map(|n| 10_f64.powi(first as i32 + n));
        let end = 10_f64.powf(last);
        let named = powers.flat_map(|power| between.iter().map(move |part| power * part));
        let ticks = named.filter(|value| *value <= end * 1.001).map(|value| (value, show(value))).collect();
        Self { label: label.to_owned(), scale: Scale::Log, low: 10_f64.powf(first), high: end, ticks }
    }

    /// From one value to another, with these names.
    pub fn named(label: &str, low: f64, high: f64, ticks: Vec<(f64, String)>) -> Self {
        Self { label: label.to_owned(), scale: Scale::Linear, low, high: high.max(low + f64::EPSILON), ticks }
    }

    /// Where a value is, from 0 to 1; values outside are at the ends.
    pub fn place(&self, value: f64) -> f64 {
        let part = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value <= 0.0 => 0.0,
            Scale::Log => (value / self.low).log10() / (self.high / self.low).log10(),
        };
        if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The largest value on it.
    pub fn high(&self) -> f64 {
        self.high
    }
}

/// 1, 2 or 5 times a power of ten, at least so much.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let part = [1.0, 2.0, 5.0, 10.0].into_iter().find(|part| part * power >= least * 0.999);
    part.unwrap_or(10.0) * power
}

/// Nanoseconds as an axis names them: `5 ms`, not `5.00 ms`.
pub fn duration(ns: f64) -> String {
    let text = figures::duration(ns.max(0.0).round() as u64);
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// A number as an axis names it.
pub fn number(value: f64) -> String {
    match value {
        value if value.abs() >= 10_000.0 => figures::short(value.abs().round() as u64),
        value if (value - value.round()).abs() < 1e-9 => figures::count(value.round() as i64),
        value => {
            let text = format!("{value:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

/// A part of one as an axis names it.
pub fn percent(part: f64) -> String {
    format!("{} %", number((part * 1e5).round() / 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, name)| name.as_str()).collect()
    }

    #[test]
    fn even_steps_are_round() {
        assert_eq!(names(&Axis::from_zero("", 129.0, number)), ["0", "50", "100", "150"]);
        assert_eq!(names(&Axis::from_zero("", 0.8, number)), ["0", "0.2", "0.4", "0.6", "0.8"]);
        assert_eq!(names(&Axis::from_zero("", 0.5, percent)), ["0 %", "20 %", "40 %", "60 %"]);
    }

    #[test]
    fn powers_are_named_in_units() {
        let values = [1_500.0, 40_000_000.0];
        assert_eq!(
            names(&Axis::log("", values.into_iter(), duration)),
            ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms"]
        );
        assert_eq!(names(&Axis::log("", [3e6].into_iter(), duration)), ["1 ms", "2 ms", "5 ms", "10 ms"]);
    }

    #[test]
    fn places_are_within() {
        let axis = Axis::log("", [1e3, 1e6].into_iter(), duration);
        assert_eq!(axis.place(1e3), 0.0);
        assert!((axis.place(1e6 / 31.622_776_6) - 0.5).abs() < 1e-6);
        for odd in [0.0, -1.0, 1e99, f64::NAN, f64::INFINITY] {
            assert!((0.0..=1.0).contains(&axis.place(odd)), "{odd}");
        }
        for nothing in [Axis::log("", [].into_iter(), duration), Axis::from_zero("", f64::NAN, number)] {
            assert!((0.0..=1.0).contains(&nothing.place(0.5)), "{nothing:?}");
        }
    }
}
