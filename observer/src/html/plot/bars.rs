//! Parts of a whole as bars, with the band that chance explains.

use std::fmt::Write as _;

use super::{WIDTH, axis, figure, look_of, text};
use crate::model::chance::Band;

const LEFT: f64 = 96.0;
const RIGHT: f64 = 54.0;
const ROW: f64 = 20.0;
const BOTTOM: f64 = 24.0;
/// Rows past that say only how many they are.
const MOST: usize = 32;
/// Letters of a name that have room.
const LETTERS: usize = 14;

/// One group of bars.
#[derive(Debug)]
pub struct Bars<'a> {
    /// What it shows.
    pub title: &'a str,
    /// How to read it.
    pub note: &'a str,
    /// Number of its look.
    pub look: usize,
    /// Names and parts of one.
    pub bars: &'a [(String, f64)],
    /// What chance explains, if chance has a part in it.
    pub band: Option<Band>,
}

impl Bars<'_> {
    /// As a figure.
    pub fn draw(&self) -> String {
        let shown = self.bars.len().min(MOST);
        let more = self.bars.len() - shown;
        let height = (shown + usize::from(more > 0)) as f64 * ROW + BOTTOM;
        let floor = height - BOTTOM;
        let band_end = self.band.map_or(0.0, |band| band.even + band.two_sd);
        let longest = self.bars.iter().map(|(_, part)| *part).fold(band_end, f64::max);
        let x = axis::Axis::from_zero("", longest.min(1.0), axis::percent);
        let place = |part: f64| LEFT + x.place(part) * (WIDTH - LEFT - RIGHT);
        let mut svg = String::new();
        for (part, name) in &x.ticks {
            let at = place(*part);
            let _ = writeln!(svg, "<path class=\"grid\" d=\"M{at:.1} 0V{floor:.1}\"/>");
            svg += &text(at, height - 8.0, "middle", name);
        }
        for (index, (name, part)) in self.bars.iter().take(MOST).enumerate() {
            let top = index as f64 * ROW + 3.0;
            let length = place(*part) - LEFT;
            let name: String = name.chars().take(LETTERS).collect();
            svg += &text(LEFT - 6.0, top + 11.0, "end", &name);
            let _ = writeln!(
                svg,
                "<rect class=\"{} bar\" x=\"{LEFT}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"14\"/>",
                look_of(self.look)
            );
            // Beside the longest of them: never in the band, whose edges it would cover.
            let outside = self.band.is_some_and(|band| !band.holds(*part));
            let sign = if outside { " !" } else { "" };
            svg += &text(WIDTH - RIGHT + 6.0, top + 11.0, "start", &format!("{:.1} %{sign}", part * 100.0));
        }
        if more > 0 {
            svg += &text(LEFT, floor - 5.0, "start", &format!("and {more} more"));
        }
        if let Some(band) = self.band.filter(|_| shown > 0) {
            let (from, even, to) =
                (place(band.even - band.two_sd), place(band.even), place(band.even + band.two_sd));
            let height = shown as f64 * ROW;
            let _ = writeln!(
                svg,
                "<rect class=\"band\" x=\"{from:.1}\" y=\"0\" width=\"{:.1}\" height=\"{height:.1}\"/>\n\
                 <path class=\"level\" d=\"M{even:.1} 0V{height:.1}\"/>",
                to - from
            );
        }
        figure(self.title, self.note, height, &svg)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::tests::check, *};

    #[test]
    fn what_chance_does_not_explain_has_a_sign() {
        let bars = [("shard-0".to_owned(), 0.25), ("shard-1".to_owned(), 0.75)];
        let svg = Bars { title: "t", note: "n", look: 1, bars: &bars, band: Some(Band::new(100, 2)) }.draw();
        check(&svg);
        assert_eq!(svg.matches(" !").count(), 2);
        assert_eq!(svg.matches("class=\"band\"").count(), 1);
    }

    #[test]
    fn many_bars_are_cut_and_counted() {
        let bars: Vec<_> = (0..40).map(|n| (format!("a-thread-with-a-long-name-{n}"), 0.025)).collect();
        let svg = Bars { title: "t", note: "n", look: 0, bars: &bars, band: None }.draw();
        check(&svg);
        assert!(svg.contains("and 8 more"));
        check(&Bars { title: "t", note: "n", look: 0, bars: &[], band: None }.draw());
    }
}
