//! Rules for files of source code.

use super::{Complaints, File};

/// Lines that a file may have.
const CEILING: usize = 400;
/// Names that say nothing about what is in a file.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "helpers", "helper", "common", "misc", "stuff"];

/// Each file says first what it is for.
pub(super) fn begins_with_its_purpose(files: &[File]) -> Complaints {
    let without = files.iter().filter(|file| file.is_rust() && !file.text.starts_with("//!"));
    without.map(|file| format!("{}: begin it with `//!` and what it is for", file.path)).collect()
}

/// A file that grows past the ceiling holds more than one thing.
pub(super) fn is_short(files: &[File]) -> Complaints {
    let long = files.iter().filter(|file| file.is_rust()).map(|file| (file, file.text.lines().count()));
    long.filter(|(_, lines)| *lines > CEILING)
        .map(|(file, lines)| {
            format!("{}: {lines} lines; split it by concept, {CEILING} is the ceiling", file.path)
        })
        .collect()
}

/// Names come from the field.
pub(super) fn has_a_name_from_the_field(files: &[File]) -> Complaints {
    let named = files.iter().filter(|file| file.is_rust()).filter_map(|file| {
        let mut parts = file.path.trim_end_matches(".rs").split('/');
        parts.find(|part| EMPTY_NAMES.contains(part)).map(|part| (file, part))
    });
    named.map(|(file, part)| format!("{}: name it for what is in it, not `{part}`", file.path)).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::file, *};

    #[test]
    fn a_file_without_a_purpose_is_named() {
        let files = [file("a.rs", "//! Purpose.\n"), file("b.rs", "// no\n"), file("c.md", "no")];
        assert_eq!(begins_with_its_purpose(&files), ["b.rs: begin it with `//!` and what it is for"]);
    }

    #[test]
    fn the_ceiling_is_inclusive() {
        let files = [
            file("a.rs", &"\n".repeat(400)),
            file("b.rs", &"\n".repeat(401)),
            file("c.md", &"\n".repeat(900)),
        ];
        assert_eq!(is_short(&files), ["b.rs: 401 lines; split it by concept, 400 is the ceiling"]);
    }

    #[test]
    fn empty_names_are_refused_as_file_and_as_folder() {
        let files = [file("x/src/utils.rs", ""), file("x/common/a.rs", ""), file("x/src/commonly.rs", "")];
        assert_eq!(has_a_name_from_the_field(&files).len(), 2);
    }
}
