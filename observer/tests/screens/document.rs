//! The document shows the screens as they are.

use std::{env, fs, path::Path};

use crate::difference;

const MARK: &str = "<!-- screen: ";

/// The document with the picture of each mark put below it, in place of the one that is there.
fn with_pictures(document: &str, pictures: &Path) -> String {
    let mut filled = String::new();
    let mut lines = document.lines().peekable();
    while let Some(line) = lines.next() {
        filled.push_str(line);
        filled.push('\n');
        let Some(name) = line.strip_prefix(MARK).and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        if lines.peek().is_some_and(|next| next.starts_with("```")) {
            lines.next();
            lines.by_ref().find(|line| line.starts_with("```"));
        }
        let path = pictures.join(format!("{name}.txt"));
        let picture = fs::read_to_string(&path).expect("every mark names a picture");
        filled.push_str(&format!("```text\n{}\n```\n", picture.trim_end()));
    }
    filled
}

#[test]
fn the_document_shows_the_screens_as_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("../docs/screens.md");
    let document = fs::read_to_string(&path).expect("docs/screens.md can be read");
    assert!(document.contains(MARK));
    let filled = with_pictures(&document, &root.join("tests/screens"));
    if env::var_os("UPDATE_SCREENS").is_some() {
        fs::write(&path, filled).expect("docs/screens.md can be written");
        return;
    }
    assert!(
        document == filled,
        "docs/screens.md shows other screens than these (UPDATE_SCREENS=1, twice, writes them anew):\n{}",
        difference(&document, &filled)
    );
}
