//! The table of CONTRIBUTING.md, "where a new thing goes", held against what is there.

use super::{Complaints, File};

const DOCUMENT: &str = "CONTRIBUTING.md";
/// Its head.
const HEAD: &str = "| new | file | row |";
/// Directories that its paths begin with.
const PACKAGES: [&str; 4] = ["observer/", "observer-ebpf/", "demo-server/", "xtask/"];

/// What the table names is there: at least one file where a new one would go, and each table in the file that it is said to be in.
pub(super) fn what_it_names_is_there(files: &[File]) -> Complaints {
    let Some(document) = files.iter().find(|file| file.path == DOCUMENT) else { return Vec::new() };
    let rows = document.text.lines().skip_while(|line| *line != HEAD).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.flat_map(|row| row.trim_matches('|').split(" | ").collect::<Vec<_>>())
        .flat_map(|cell| of_cell(cell, files))
        .collect()
}

fn of_cell(cell: &str, files: &[File]) -> Complaints {
    // Every other part of a text that is cut at backticks stands between two of them.
    let spans: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
    let (mut complaints, mut named) = (Vec::new(), Vec::new());
    for path in spans.iter().filter(|span| PACKAGES.iter().any(|package| span.starts_with(package))) {
        for path in alternatives(path) {
            let there: Vec<&File> = files.iter().filter(|file| matches(&path, &file.path)).collect();
            if there.is_empty() {
                complaints.push(format!("{DOCUMENT}: no file is at `{path}`; say where a new one goes now"));
            }
            named.extend(there);
        }
    }
    let is_table = |span: &&&str| span.len() > 2 && span.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    for table in spans.iter().filter(is_table) {
        let is_in = |file: &&File| {
            ["const", "static"].iter().any(|kind| file.text.contains(&format!("{kind} {table}:")))
        };
        if !named.iter().any(is_in) {
            complaints.push(format!("{DOCUMENT}: `{table}` is not in the file that is named with it"));
        }
    }
    complaints
}

/// `a/{b,c}/d` as `a/b/d` and `a/c/d`.
fn alternatives(path: &str) -> Vec<String> {
    let parts = path.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    match parts {
        Some((before, (these, after))) => {
            these.split(',').flat_map(|one| alternatives(&format!("{before}{one}{after}"))).collect()
        }
        None => vec![path.to_owned()],
    }
}

/// Whether a file is at a path in which `<...>` stands for any name, or below it if that is a directory.
fn matches(pattern: &str, path: &str) -> bool {
    if pattern.ends_with('/') {
        return path.starts_with(pattern);
    }
    match pattern.split_once('<').and_then(|(before, rest)| Some((before, rest.split_once('>')?.1))) {
        Some((before, after)) => {
            let name = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
        }
        None => pattern == path,
    }
}

/// A kind of thing of which each file is chosen by a command.
const CHOSEN: [(&str, &[&str]); 2] = [
    // `pipe` is how lines come to stdout.
    ("observer/src/outputs/", &["pipe"]),
    ("observer/src/source/", &[]),
];
const COMMANDS: &str = "observer/src/commands/";

/// Every output and every source is chosen by a command.
pub(super) fn a_command_chooses_each(files: &[File]) -> Complaints {
    let mut complaints = Vec::new();
    for (directory, others) in CHOSEN {
        let names = files.iter().filter_map(|file| file.path.strip_prefix(directory)?.strip_suffix(".rs"));
        for name in names.filter(|name| !name.contains('/') && !others.contains(name)) {
            let used = format!("{name}::");
            let mut commands = files.iter().filter(|file| file.path.starts_with(COMMANDS));
            if !commands.any(|file| file.text.contains(&used)) {
                complaints.push(format!("{directory}{name}.rs: no file of {COMMANDS} chooses it"));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::{super::tests::file, *};

    fn document(row: &str) -> File {
        file(DOCUMENT, &format!("x\n{HEAD}\n|---|---|---|\n{row}\n\nmore `observer/src/gone.rs`\n"))
    }

    #[test]
    fn what_is_there_is_not_complained_of() {
        let row = "| x | `observer/src/lab/<lab>.rs` | `LABS` in `observer/src/{lab,view}.rs`; `UPDATE=1` does it |";
        let files = [
            document(row),
            file("observer/src/lab/nagle.rs", ""),
            file("observer/src/lab.rs", "pub const LABS: &[Lab] = &[];"),
            file("observer/src/view.rs", ""),
        ];
        assert_eq!(what_it_names_is_there(&files), Vec::<String>::new());
    }

    #[test]
    fn what_has_moved_is_named() {
        let row = "| x | `observer/src/lab/<lab>.rs` | `LABS` in `observer/src/lab.rs` |";
        let files = [document(row), file("observer/src/lab/a/b.rs", ""), file("observer/src/lab.rs", "LABS")];
        assert_eq!(
            what_it_names_is_there(&files),
            [
                "CONTRIBUTING.md: no file is at `observer/src/lab/<lab>.rs`; say where a new one goes now",
                "CONTRIBUTING.md: `LABS` is not in the file that is named with it"
            ]
        );
    }

    #[test]
    fn an_output_that_nobody_chooses_is_named() {
        let files = [
            file("observer/src/outputs/screen.rs", ""),
            file("observer/src/outputs/screen/picture.rs", ""),
            file("observer/src/outputs/pipe.rs", ""),
            file("observer/src/outputs/metrics.rs", ""),
            file("observer/src/commands/live.rs", "use crate::outputs::screen::Screen;"),
        ];
        let complaint = "observer/src/outputs/metrics.rs: no file of observer/src/commands/ chooses it";
        assert_eq!(a_command_chooses_each(&files), [complaint]);
    }
}
