//! Lines over time, and of distributions.

use std::fmt::Write as _;

use super::{WIDTH, axis::Axis, figure, look_of, text};

/// Place of the axes within the plot.
const LEFT: f64 = 54.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 38.0;
const HEIGHT: f64 = 220.0;
/// Names of marks below each other, and how high and wide a letter of them is.
const ROWS: usize = 12;
const ROW: f64 = 11.0;
const LETTER: f64 = 6.6;

/// One line.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// Number of its look, which is that of its place in the legend.
    pub look: usize,
    /// Its points, in order.
    pub points: Vec<(f64, f64)>,
    /// A value holds until the next one, as in a cumulated distribution.
    pub steps: bool,
    /// Thin: one of several that say the same.
    pub thin: bool,
}

/// A plot of lines.
#[derive(Debug)]
pub struct Lines<'a> {
    /// What it shows.
    pub title: &'a str,
    /// How to read it.
    pub note: &'a str,
    /// Along.
    pub x: Axis,
    /// Up.
    pub y: Axis,
    /// All of them.
    pub lines: Vec<Line>,
    /// A level that means something, and its name.
    pub level: Option<(f64, String)>,
    /// Instants at which something happened, and what.
    pub marks: Vec<(f64, String)>,
}

impl Lines<'_> {
    /// As a figure.
    pub fn draw(&self) -> String {
        let mut svg = self.axes();
        if let Some((value, name)) = &self.level
            && *value <= self.y.high()
        {
            let y = self.y(*value);
            let _ = writeln!(svg, "<path class=\"level\" d=\"M{LEFT} {y:.1}H{:.1}\"/>", WIDTH - RIGHT);
            svg += &text(WIDTH - RIGHT, y - 4.0, "end", name);
        }
        svg += &self.marks();
        for line in self.lines.iter().filter(|line| !line.points.is_empty()) {
            let class = if line.thin { "thin line" } else { "line" };
            let _ =
                writeln!(svg, "<path class=\"{} {class}\" d=\"{}\"/>", look_of(line.look), self.path(line));
        }
        figure(self.title, self.note, HEIGHT, &svg)
    }

    /// The marks, their names below each other where they would stand over one another.
    fn marks(&self) -> String {
        let mut svg = String::new();
        // Where the name ends that was put last into each row, and where that of the level begins.
        let mut ends = [f64::MIN; ROWS];
        let level = self.level.as_ref().filter(|(value, _)| *value <= self.y.high());
        let level = level.map(|(value, name)| {
            (self.y(*value) - 4.0, WIDTH - RIGHT - name.chars().count() as f64 * LETTER)
        });
        for (value, name) in &self.marks {
            let x = self.x(*value);
            let _ = writeln!(svg, "<path class=\"mark\" d=\"M{x:.1} {TOP}V{:.1}\"/>", HEIGHT - BOTTOM);
            let width = name.chars().count() as f64 * LETTER;
            // At the right edge it stands before its mark.
            let (from, anchor) =
                if x + 3.0 + width > WIDTH { (x - 3.0 - width, "end") } else { (x + 3.0, "start") };
            // Without a row that is free it has no name: those before it tell what goes on.
            let line = |row: usize| TOP + 9.0 + row as f64 * ROW;
            let is_free = |row: usize, end: f64| {
                end < from
                    && level.is_none_or(|(y, begins)| (line(row) - y).abs() >= ROW || from + width < begins)
            };
            if let Some((row, end)) = ends.iter_mut().enumerate().find(|(row, end)| is_free(*row, **end)) {
                *end = from + width;
                let at = if anchor == "end" { x - 3.0 } else { from };
                svg += &text(at, line(row), anchor, name);
            }
        }
        svg
    }

    fn axes(&self) -> String {
        let mut svg = String::new();
        for (value, name) in &self.y.ticks {
            let y = self.y(*value);
            let _ = writeln!(svg, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/>", WIDTH - RIGHT);
            svg += &text(LEFT - 5.0, y + 4.0, "end", name);
        }
        for (value, name) in &self.x.ticks {
            let x = self.x(*value);
            let _ = writeln!(svg, "<path class=\"grid\" d=\"M{x:.1} {TOP}V{:.1}\"/>", HEIGHT - BOTTOM);
            // A name at the very end would be cut off.
            let class = if x > WIDTH - RIGHT - 14.0 { "end" } else { "middle" };
            let x = if class == "end" { WIDTH - 2.0 } else { x };
            svg += &text(x, HEIGHT - BOTTOM + 14.0, class, name);
        }
        let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
        svg + &text(middle, HEIGHT - 6.0, "middle label", &self.x.label)
            + &format!(
                "<text class=\"middle label\" transform=\"translate(11 {:.1}) rotate(-90)\">{}</text>\n",
                f64::midpoint(TOP, HEIGHT - BOTTOM),
                super::escape(&self.y.label)
            )
    }

    fn path(&self, line: &Line) -> String {
        let mut path = String::new();
        for (index, (x, y)) in line.points.iter().enumerate() {
            let (x, y) = (self.x(*x), self.y(*y));
            let _ = match (index, line.steps) {
                (0, _) => write!(path, "M{x:.1} {y:.1}"),
                (_, true) => write!(path, "H{x:.1}V{y:.1}"),
                (_, false) => write!(path, "L{x:.1} {y:.1}"),
            };
        }
        path
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(value) * (HEIGHT - TOP - BOTTOM)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::tests::check, super::axis, *};

    fn plot(points: Vec<(f64, f64)>, steps: bool) -> String {
        let lines = vec![Line { points, steps, ..Line::default() }];
        Lines {
            title: "a <b>",
            note: "n",
            x: Axis::from_zero("x", 10.0, axis::number),
            y: Axis::from_zero("y", 10.0, axis::number),
            lines,
            level: Some((5.0, "full at 5".into())),
            marks: vec![(3.0, "switch".into())],
        }
        .draw()
    }

    #[test]
    fn corners_are_where_the_axes_end() {
        let svg = plot(vec![(0.0, 0.0), (10.0, 10.0)], false);
        check(&svg);
        assert!(svg.contains("M54.0 182.0L348.0 10.0"), "{svg}");
        assert!(svg.contains("full at 5") && svg.contains("switch"));
    }

    #[test]
    fn steps_go_across_first() {
        assert!(plot(vec![(0.0, 0.0), (10.0, 10.0)], true).contains("M54.0 182.0H348.0V10.0"));
    }

    #[test]
    fn names_of_marks_do_not_stand_over_each_other() {
        let marks = [1.0, 1.1, 1.2, 9.9].map(|at| (at, format!("pattern {at}")));
        let plot = Lines {
            title: "t",
            note: "n",
            x: Axis::from_zero("x", 10.0, axis::number),
            y: Axis::from_zero("y", 10.0, axis::number),
            lines: Vec::new(),
            level: None,
            marks: marks.into(),
        };
        let svg = plot.draw();
        let rows: Vec<&str> = svg
            .lines()
            .filter(|line| line.contains("pattern"))
            .filter_map(|line| line.split(" y=\"").nth(1)?.split('"').next())
            .collect();
        assert_eq!(rows, ["19.0", "30.0", "41.0", "19.0"], "{svg}");
        assert!(svg.lines().any(|line| line.contains("pattern 9.9") && line.contains("end")), "{svg}");
    }

    #[test]
    fn nothing_and_odd_values_are_drawn_within() {
        check(&plot(Vec::new(), false));
        check(&plot(vec![(f64::NAN, f64::INFINITY), (-5.0, 1e300)], false));
    }
}
