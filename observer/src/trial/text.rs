//! Labs and their runs as text for people.

use std::fmt::Write as _;

use super::{Verdict, figure::Figure, json::outcome};
use crate::lab::Lab;

/// Columns of text.
const WIDTH: usize = 78;

/// A lab in one line of the list.
pub fn row(lab: &Lab) -> String {
    format!("{:<24} {}", lab.name, lab.title)
}

/// A run in one line, and one more for each figure that is wrong.
pub fn line(lab: &Lab, result: &anyhow::Result<Verdict>) -> String {
    let mut text = format!("{:<8} {:<24} ", outcome(result), lab.name);
    match result {
        Ok(Verdict::Skipped(why)) => text.push_str(why),
        Err(error) => _ = write!(text, "{error:#}"),
        Ok(Verdict::Ran(figures)) => {
            let wrong: Vec<&Figure> = figures.iter().filter(|figure| !figure.is_fine()).collect();
            _ = write!(text, "{} of {} figures as expected", figures.len() - wrong.len(), figures.len());
            for figure in wrong {
                let (what, expected, seen) = (&figure.what, &figure.expected, figure.seen_text());
                _ = write!(text, "\n  {what}: {expected} expected, {seen} seen ({})", figure.from);
            }
        }
    }
    text
}

/// Figures as a table, with the reasons of the bands below.
pub fn table(figures: &[Figure]) -> String {
    let heads = ["figure", "expected", "seen", "from"].map(str::to_owned);
    let cells = |figure: &Figure| {
        let mark = if figure.is_fine() { "" } else { "  <-- not as expected" };
        let seen = figure.seen_text();
        [figure.what.clone(), figure.expected.to_string(), seen, format!("{}{mark}", figure.from)]
    };
    let rows: Vec<[String; 4]> = std::iter::once(heads).chain(figures.iter().map(cells)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (what, expected, seen) = (width(0), width(1), width(2));
    let mut text = String::new();
    for [a, b, c, d] in &rows {
        _ = writeln!(text, "  {a:<what$}  {b:<expected$}  {c:<seen$}  {d}");
    }
    for (figure, why) in figures.iter().filter_map(|figure| Some((figure, figure.expected.why()?))) {
        text.push_str(&wrapped(&format!("{}: {why}", figure.what), "  * "));
    }
    text
}

/// Paragraphs, broken at words, each line behind an indentation.
pub fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = String::new();
    let mut line = indent.to_owned();
    let next = " ".repeat(indent.chars().count());
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && !line.trim().is_empty() {
            _ = writeln!(lines, "{}", line.trim_end());
            line.clone_from(&next);
        }
        line.push_str(word);
        line.push(' ');
    }
    _ = writeln!(lines, "{}", line.trim_end());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_whole_and_lines_short() {
        let text = "word ".repeat(60);
        let lines = wrapped(&text, "  * ");
        assert!(lines.lines().all(|line| line.chars().count() <= WIDTH && line.starts_with("  ")));
        assert_eq!(lines.split_whitespace().filter(|word| *word == "word").count(), 60);
        assert_eq!(wrapped("", ""), "\n");
    }
}
