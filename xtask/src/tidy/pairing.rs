//! Rules about things that must go together: a file and its row, a line of output and its documentation.

use super::{Complaints, File};

/// A table, and the files that each have a row in it.
struct Table {
    /// Where the table is; the files lie in the directory of the same name.
    path: &'static str,
    /// What it is called.
    name: &'static str,
    /// What a file calls its row.
    row: &'static str,
    /// The field that holds the name.
    id: &'static str,
    /// Files there that have none.
    others: &'static [&'static str],
}

const TABLES: [Table; 3] = [
    Table { path: "demo-server/src/pattern.rs", name: "PATTERNS", row: "PATTERN", id: "id", others: &[] },
    Table { path: "observer/src/lab.rs", name: "LABS", row: "LAB", id: "name", others: &[] },
    Table {
        path: "observer/src/model/diagnosis.rs",
        name: "RULES",
        row: "RULE",
        id: "name",
        // `overflow` and `stuck` hold what several rules have in common.
        others: &["overflow", "stuck", "tests"],
    },
];

/// Every file of a table has its row and is named as what it holds. That every row has its file, the compiler sees to.
pub(super) fn files_have_rows(files: &[File]) -> Complaints {
    TABLES.iter().flat_map(|table| of_table(table, files)).collect()
}

fn of_table(table: &Table, files: &[File]) -> Complaints {
    let Table { path, name: table_name, row, id, others } = table;
    let Some(there) = files.iter().find(|file| file.path == *path) else { return Vec::new() };
    let mut complaints = Vec::new();
    for file in files {
        let directory = path.trim_end_matches(".rs");
        let name = file.path.strip_prefix(directory).and_then(|path| path.strip_prefix('/'));
        let Some(name) = name.and_then(|path| path.strip_suffix(".rs")) else { continue };
        if name.contains('/') || others.contains(&name) {
            continue;
        }
        if !there.text.contains(&format!(" {name}::{row},")) {
            complaints.push(format!("{}: add the row `{name}::{row}` to {table_name} in {path}", file.path));
        }
        let wanted = format!("{id}: \"{}\"", name.replace('_', "-"));
        if !file.text.contains(&wanted) {
            complaints.push(format!("{}: its row must have the name of its file, `{wanted}`", file.path));
        }
    }
    complaints
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
                "demo-server/src/pattern.rs",
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
                "demo-server/src/pattern/odd.rs: its row must have the name of its file, `id: \"odd\"`",
            ]
        );
    }

    #[test]
    fn rules_have_rows_too() {
        let table = file("observer/src/model/diagnosis.rs", "    found::RULE,\n");
        let of = |path: &str, text: &str| file(&format!("observer/src/model/diagnosis/{path}.rs"), text);
        let files = [table, of("found", "name: \"found\","), of("lost", "name: \"lost\","), of("tests", "")];
        let complaints = files_have_rows(&files);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].contains("`lost::RULE` to RULES"), "{complaints:?}");
    }

    #[test]
    fn a_schema_without_its_document() {
        let stream = file("observer/src/outputs/stream.rs", "");
        assert_eq!(the_schema_is_documented(std::slice::from_ref(&stream)).len(), 1);
        assert_eq!(the_schema_is_documented(&[stream, file("docs/stream.md", "x")]), Vec::<String>::new());
    }
}
