//! Single values, row by row on one axis: how far repetitions lie apart, and whether two groups overlap.

use std::fmt::Write as _;

use super::{WIDTH, axis::Axis, figure, look_of, text};

const LEFT: f64 = 10.0;
const RIGHT: f64 = 10.0;
const ROW: f64 = 34.0;
/// Room below the rows, for the names of values, and for what they are.
const BOTTOM: f64 = 22.0;
const LABEL: f64 = 14.0;

/// One row.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What stands at its right, as the median or a verdict.
    pub remark: String,
    /// Its values.
    pub values: Vec<f64>,
    /// The one that is marked.
    pub median: Option<f64>,
}

/// Draws rows of values.
pub fn draw(title: &str, note: &str, x: &Axis, rows: &[Row]) -> String {
    let floor = rows.len() as f64 * ROW;
    let height = floor + BOTTOM + if x.label.is_empty() { 0.0 } else { LABEL };
    let place = |value: f64| LEFT + x.place(value) * (WIDTH - LEFT - RIGHT);
    let mut svg = String::new();
    for (value, name) in &x.ticks {
        let at = place(*value);
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{at:.1} 4V{floor:.1}\"/>");
        let class = match at {
            at if at < LEFT + 12.0 => "start",
            at if at > WIDTH - RIGHT - 12.0 => "end",
            _ => "middle",
        };
        svg += &text(at, floor + 14.0, class, name);
    }
    svg += &text(WIDTH / 2.0, height - 5.0, "middle label", &x.label);
    for (index, row) in rows.iter().enumerate() {
        let top = index as f64 * ROW;
        let middle = top + 25.0;
        svg += &text(LEFT, top + 14.0, "start name", &row.name);
        svg += &text(WIDTH - RIGHT, top + 14.0, "end", &row.remark);
        let _ = writeln!(svg, "<g class=\"{}\">", look_of(index));
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{LEFT} {middle:.1}H{:.1}\"/>", WIDTH - RIGHT);
        for value in &row.values {
            let _ = writeln!(
                svg,
                "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{middle:.1}\" r=\"4\"/>",
                place(*value)
            );
        }
        if let Some(median) = row.median {
            let at = place(median);
            let _ = writeln!(svg, "<path class=\"middle-mark\" d=\"M{at:.1} {:.1}v14\"/>", middle - 7.0);
        }
        svg += "</g>\n";
    }
    figure(title, note, height, &svg)
}

#[cfg(test)]
mod tests {
    use super::{super::super::tests::check, super::axis, *};

    #[test]
    fn a_dot_for_each_value() {
        let row =
            |values: Vec<f64>| Row { name: "a&b".into(), remark: "x".into(), median: Some(2.0), values };
        let x = Axis::from_zero("per second", 4.0, axis::number);
        let svg = draw("t", "n", &x, &[row(vec![1.0, 2.0, f64::NAN]), row(vec![])]);
        check(&svg);
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("cx=\"95.0\""), "{svg}");
    }
}
