//! Rules about things that must go together: a file and its row, a line of output and its documentation.

use super::{Complaints, File};

/// Things of which each is a file and a row in a table.
struct Kind {
    /// The file with the table.
    table: &'static str,
    /// Where the others are.
    files: &'static str,
    /// The constant of each, and the name of the table.
    row: &'static str,
    rows: &'static str,
    /// The field that holds its name.
    field: &'static str,
}

const KINDS: [Kind; 2] = [
    Kind {
        table: "demo-server/src/pattern.rs",
        files: "demo-server/src/pattern/",
        row: "PATTERN",
        rows: "PATTERNS",
        field: "id",
    },
    Kind {
        table: "observer/src/lab.rs",
        files: "observer/src/lab/",
        row: "LAB",
        rows: "LABS",
        field: "name",
    },
];

/// Every file of a kind has its row in the table, and what it holds is named as the file is. That every row has its
/// file, the compiler sees to.
pub(super) fn files_have_rows(files: &[File]) -> Complaints {
    KINDS.iter().flat_map(|kind| kind.complaints(files)).collect()
}

impl Kind {
    fn complaints(&self, files: &[File]) -> Complaints {
        let Kind { table, row, rows, field, .. } = self;
        let Some(text) = files.iter().find(|file| file.path == *table).map(|file| &file.text) else {
            return Vec::new();
        };
        let mut complaints = Vec::new();
        for file in files {
            let Some(name) = file.path.strip_prefix(self.files).and_then(|path| path.strip_suffix(".rs"))
            else {
                continue;
            };
            if name.contains('/') {
                continue;
            }
            if !text.contains(&format!(" {name}::{row},")) {
                complaints.push(format!("{}: add the row `{name}::{row}` to {rows} in {table}", file.path));
            }
            let named = format!("{field}: \"{}\"", name.replace('_', "-"));
            if !file.text.contains(&named) {
                complaints.push(format!("{}: name what is in it as the file is named, `{named}`", file.path));
            }
        }
        complaints
    }
}

/// The lines of `observer stream` are documented as long as they are written.
pub(super) fn the_schema_is_documented(files: &[File]) -> Complaints {
    const DOCUMENT: &str = "docs/stream.md";
    let written = files.iter().any(|file| file.path.starts_with("observer/src/outputs/stream"));
    let documented = files.iter().any(|file| file.path == DOCUMENT);
    match written && !documented {
        true => vec![format!(
            "{DOCUMENT}: describe there each line that `observer stream` writes, and its fields"
        )],
        false => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::file, *};

    #[test]
    fn a_file_needs_its_row_and_its_name() {
        let files = [
            file(
                KINDS[0].table,
                "static PATTERNS: &[Pattern] = &[\n    one_thread::PATTERN,\n    odd::PATTERN,\n",
            ),
            file("demo-server/src/pattern/one_thread.rs", "id: \"one-thread\","),
            file("demo-server/src/pattern/new_one.rs", "id: \"new-one\","),
            file("demo-server/src/pattern/odd.rs", "id: \"even\","),
        ];
        assert_eq!(
            files_have_rows(&files),
            [
                "demo-server/src/pattern/new_one.rs: add the row `new_one::PATTERN` to PATTERNS in \
                 demo-server/src/pattern.rs",
                "demo-server/src/pattern/odd.rs: name what is in it as the file is named, `id: \"odd\"`",
            ]
        );
    }

    #[test]
    fn a_schema_without_its_document() {
        let stream = file("observer/src/outputs/stream.rs", "");
        assert_eq!(the_schema_is_documented(std::slice::from_ref(&stream)).len(), 1);
        assert_eq!(the_schema_is_documented(&[stream, file("docs/stream.md", "x")]), Vec::<String>::new());
    }
}
