//! Rules of this repository that the compiler and clippy do not know, as code: each a small function with its test.
//!
//! A rule looks at the files under version control and returns complaints; each says where, what, and what to do. A
//! new rule is a file or a function in one, and a row in [`RULES`].

mod layers;
mod pairing;
mod source;
mod text;

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::{exec, workspace};

/// A file of the repository.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Its path from the root.
    pub(crate) path: String,
    /// Its contents.
    pub(crate) text: String,
}

/// Complaints of one rule.
type Complaints = Vec<String>;

/// Every rule.
const RULES: &[fn(&[File]) -> Complaints] = &[
    source::begins_with_its_purpose,
    source::is_short,
    source::has_a_name_from_the_field,
    text::has_no_trailing_space_or_tab,
    text::speaks_of_the_project_alone,
    layers::imports_stay_in_their_layer,
    pairing::patterns_have_rows,
    pairing::the_schema_is_documented,
];

/// Checks all rules.
pub(crate) fn run() -> Result<()> {
    let files = files(workspace::root())?;
    let complaints: Complaints = RULES.iter().flat_map(|rule| rule(&files)).collect();
    for complaint in &complaints {
        eprintln!("tidy: {complaint}");
    }
    match complaints.len() {
        0 => Ok(()),
        n => bail!("{n} rules of the repository are broken, see above"),
    }
}

/// What git tracks or would track; binary files and those deleted in the work tree are left out.
fn files(root: &Path) -> Result<Vec<File>> {
    let mut git = exec::command("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let list = exec::capture(&mut git).context("tidy needs git and a checkout")?;
    let mut files = Vec::new();
    for path in list.split('\0').filter(|path| !path.is_empty()) {
        let Ok(bytes) = fs::read(root.join(path)) else { continue };
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path: path.to_owned(), text });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    Ok(files)
}

impl File {
    /// Source code in Rust.
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file made of strings.
    pub(super) fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    #[test]
    fn files_are_those_of_the_repository() {
        let files = files(workspace::root()).unwrap();
        assert!(files.iter().any(|file| file.path == "xtask/src/tidy.rs"));
        assert!(!files.iter().any(|file| file.path.starts_with("target/")));
    }
}
