//! Rules of this repository that the compiler and clippy do not know, as code: each a small function with its test.
//!
//! A rule looks at the files under version control and returns complaints; each says where, what, and what to do. A
//! new rule is a file or a function in one, and a row in [`RULES`].

mod contributing;
mod layers;
mod pairing;
mod proofs;
mod source;
mod text;

use std::{fs, path::Path, process::Stdio};

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
    text::links_lead_somewhere,
    layers::imports_stay_in_their_layer,
    contributing::what_it_names_is_there,
    contributing::a_command_chooses_each,
    pairing::files_have_rows,
    pairing::the_schema_is_documented,
    proofs::every_hook_is_proven,
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

/// What git tracks or would track; of a copy without git, all but what is built. Binary files are left out.
fn files(root: &Path) -> Result<Vec<File>> {
    let mut git = exec::command("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    git.stderr(Stdio::null());
    let mut paths = match git.output() {
        Ok(output) if output.status.success() => {
            let list = String::from_utf8(output.stdout).context("a file's name is not UTF-8")?;
            list.split('\0').filter(|path| !path.is_empty()).map(Into::into).collect()
        }
        _ => walk(root, "")?,
    };
    paths.sort();
    paths.dedup();
    // A file that git knows may be gone from the work tree.
    let text = |path: String| {
        String::from_utf8(fs::read(root.join(&path)).ok()?).ok().map(|text| File { path, text })
    };
    Ok(paths.into_iter().filter_map(text).collect())
}

fn walk(root: &Path, below: &str) -> Result<Vec<String>> {
    let directory = root.join(below);
    let context = || format!("could not read {}", directory.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(&directory).with_context(context)? {
        let entry = entry.with_context(context)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        match entry.file_type().with_context(context)? {
            kind if kind.is_dir() && !matches!(name.as_str(), "target" | ".git") => {
                paths.extend(walk(root, &path)?)
            }
            kind if kind.is_file() => paths.push(path),
            _ => {}
        }
    }
    Ok(paths)
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
        let without_git = walk(workspace::root(), "").unwrap();
        assert!(files.iter().all(|file| without_git.contains(&file.path)));
    }
}
