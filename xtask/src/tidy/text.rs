//! Rules for every text in the repository.

use super::{Complaints, File};

/// Words that belong to the machine of whoever wrote it, and what to write instead. Split, so that this file passes.
const FOREIGN: [(&str, &str, &str); 6] = [
    ("/wo", "rk/", "write the path from the root of the repository"),
    ("/ro", "ot/", "write ~ or a variable"),
    ("/tmp/", "target", "write target/"),
    ("/tmp/", "brief", "the repository speaks of the project alone"),
    ("index.cra", "tes.io-", "name the crate, not the place where cargo unpacked it"),
    ("deb.deb", "ian.org", "name the package, not the host that serves it"),
];
/// File names whose lines may end in spaces or hold tabs, because that is their format.
const OTHER_FORMATS: [&str; 5] = [".txt", ".snap", ".svg", "Cargo.lock", "Makefile"];

/// Space that nobody sees makes noise in differences.
pub(super) fn has_no_trailing_space_or_tab(files: &[File]) -> Complaints {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| !OTHER_FORMATS.iter().any(|end| file.path.ends_with(end))) {
        for (number, line) in (1..).zip(file.text.lines()) {
            if line.ends_with([' ', '\t']) {
                complaints.push(format!("{}:{number}: remove the space at the end of the line", file.path));
            }
            if file.is_rust() && line.contains('\t') {
                complaints.push(format!("{}:{number}: write \\t in a string, spaces elsewhere", file.path));
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            complaints.push(format!("{}: end the last line with a newline", file.path));
        }
    }
    complaints
}

/// No paths of one machine, no hosts of one registry.
pub(super) fn speaks_of_the_project_alone(files: &[File]) -> Complaints {
    let mut complaints = Vec::new();
    for file in files {
        for (number, line) in (1..).zip(file.text.lines()) {
            for (first, second, instead) in FOREIGN {
                if line.contains(&[first, second].concat()) {
                    complaints.push(format!("{}:{number}: `{first}{second}`: {instead}", file.path));
                }
            }
        }
    }
    complaints
}

/// Links in documents lead to files of the repository, or out of it.
pub(super) fn links_lead_somewhere(files: &[File]) -> Complaints {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        let directory = file.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        for (number, line) in (1..).zip(file.text.lines()) {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
            for target in targets.filter(|target| !target.is_empty() && !target.contains("://")) {
                let path = resolved(directory, target);
                if !files.iter().any(|file| file.path == path || file.path.starts_with(&format!("{path}/"))) {
                    complaints.push(format!("{}:{number}: there is no {path}; mend the link", file.path));
                }
            }
        }
    }
    complaints
}

/// The path of a link from the root of the repository.
fn resolved(directory: &str, target: &str) -> String {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::{super::tests::file, *};

    #[test]
    fn invisible_space_is_found() {
        let files =
            [file("a.rs", "x \n\ty\n"), file("b.md", "x\n\ty\n"), file("c.txt", "x \n"), file("d.md", "x")];
        assert_eq!(
            has_no_trailing_space_or_tab(&files),
            [
                "a.rs:1: remove the space at the end of the line",
                "a.rs:2: write \\t in a string, spaces elsewhere",
                "d.md: end the last line with a newline",
            ]
        );
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        let line = ["see /wo", "rk/main/x\nfine /workspace\n"].concat();
        let found = speaks_of_the_project_alone(&[file("a.md", &line)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("a.md:1: "), "{found:?}");
    }

    #[test]
    fn a_link_to_nowhere_is_found() {
        let text =
            "[a](b.md), [up](../README.md#x), [out](https://x.y/z), [here](#x)\n[dir](../src) [gone](c.md)\n";
        let files =
            [file("docs/a.md", text), file("docs/b.md", ""), file("README.md", ""), file("src/x.rs", "")];
        assert_eq!(links_lead_somewhere(&files), ["docs/a.md:2: there is no docs/c.md; mend the link"]);
    }
}
