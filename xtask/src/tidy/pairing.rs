//! Rules about things that must go together: a file and its row, a line of output and its documentation.

use super::{Complaints, File};

const PATTERNS: &str = "demo-server/src/pattern.rs";
const PATTERN_FILES: &str = "demo-server/src/pattern/";

/// Every file of a pattern has its row in the table and is named as the pattern is. That every row has its file, the
/// compiler sees to.
pub(super) fn patterns_have_rows(files: &[File]) -> Complaints {
    let Some(table) = files.iter().find(|file| file.path == PATTERNS) else { return Vec::new() };
    let mut complaints = Vec::new();
    for file in files {
        let Some(name) = file.path.strip_prefix(PATTERN_FILES).and_then(|path| path.strip_suffix(".rs"))
        else {
            continue;
        };
        if name.contains('/') {
            continue;
        }
        if !table.text.contains(&format!(" {name}::PATTERN,")) {
            complaints
                .push(format!("{}: add the row `{name}::PATTERN` to PATTERNS in {PATTERNS}", file.path));
        }
        let id = format!("id: \"{}\"", name.replace('_', "-"));
        if !file.text.contains(&id) {
            complaints.push(format!("{}: its pattern must have the name of its file, `{id}`", file.path));
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
            file(PATTERNS, "static PATTERNS: &[Pattern] = &[\n    one_thread::PATTERN,\n    odd::PATTERN,\n"),
            file("demo-server/src/pattern/one_thread.rs", "id: \"one-thread\","),
            file("demo-server/src/pattern/new_one.rs", "id: \"new-one\","),
            file("demo-server/src/pattern/odd.rs", "id: \"even\","),
        ];
        assert_eq!(
            patterns_have_rows(&files),
            [
                "demo-server/src/pattern/new_one.rs: add the row `new_one::PATTERN` to PATTERNS in \
                 demo-server/src/pattern.rs",
                "demo-server/src/pattern/odd.rs: its pattern must have the name of its file, `id: \"odd\"`",
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
