//! A table for people: columns aligned, numbers to the right.

use std::fmt;

/// Rows of cells under a head. Columns of quantities go to the right.
pub(crate) struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub(crate) fn new(head: impl Into<Vec<&'static str>>) -> Self {
        Self { head: head.into(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty, those beyond the head are dropped.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        let mut row: Vec<String> = cells.into_iter().map(Into::into).collect();
        row.resize(self.head.len(), String::new());
        self.rows.push(row);
    }

    /// The same as a table in Markdown.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = line(self.head.iter().map(ToString::to_string).collect());
        text += &line(self.head.iter().map(|_| "---".to_owned()).collect());
        for row in &self.rows {
            text += &line(row.iter().map(|cell| cell.replace('|', r"\|")).collect());
        }
        text
    }

    fn numeric(&self, column: usize) -> bool {
        let mut cells =
            self.rows.iter().map(|row| row[column].as_str()).filter(|cell| !matches!(*cell, "" | "-"));
        !self.rows.is_empty() && cells.all(is_quantity)
    }
}

/// A number, alone or with a unit: `12`, `-1.5 ms`.
fn is_quantity(cell: &str) -> bool {
    let (number, unit) = cell.split_once(' ').unwrap_or((cell, ""));
    number.parse::<f64>().is_ok() && unit.chars().count() <= 3
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |text: &str| text.chars().count();
        let columns = 0..self.head.len();
        let widths: Vec<usize> = columns
            .map(|column| {
                let cells = self.rows.iter().map(|row| length(&row[column]));
                cells.chain([length(self.head[column])]).max().unwrap_or(0)
            })
            .collect();
        let head = self.head.iter().map(ToString::to_string).collect();
        for row in [&head].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let gap = if column == 0 { "" } else { "  " };
                line += &if self.numeric(column) {
                    format!("{gap}{cell:>width$}")
                } else {
                    format!("{gap}{cell:<width$}")
                };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align() {
        let mut table = Table::new(["name", "n", "note"]);
        table.row(["a", "1", "yes"]);
        table.row(["long", "23", ""]);
        assert_eq!(table.to_string(), "name   n  note\na      1  yes\nlong  23\n");
        assert_eq!(
            table.markdown(),
            "| name | n | note |\n| --- | --- | --- |\n| a | 1 | yes |\n| long | 23 |  |\n"
        );
    }
}
