//! Saves the screen as files.

use std::{fs, path::Path};

use crate::{output_file::OutputFile, view::Picture};

/// Writes a picture into the directory where the observer was started, as text and as SVG, and says what the files are
/// called. Files that are there are left alone.
pub(super) fn save(picture: &Picture) -> Result<String, String> {
    save_in(Path::new(""), picture)
}

fn save_in(directory: &Path, picture: &Picture) -> Result<String, String> {
    let name = free_name(directory, &picture.name);
    for (ending, content) in [("txt", &picture.text), ("svg", &picture.svg)] {
        let file = format!("{name}.{ending}");
        OutputFile::write(&directory.join(&file), false, content.as_bytes())
            .map_err(|error| format!("not saved: {error:#}"))?;
    }
    Ok(format!("saved {name}.txt and {name}.svg"))
}

/// The name, with a number if there are such files.
fn free_name(directory: &Path, name: &str) -> String {
    let taken = |name: &str| {
        ["txt", "svg"]
            .iter()
            .any(|ending| fs::symlink_metadata(directory.join(format!("{name}.{ending}"))).is_ok())
    };
    let numbered = (2..=99).map(|number| format!("{name}-{number}"));
    std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| !taken(name))
        .unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use demo_server::private::PrivateDirectory;

    use super::*;

    #[test]
    fn nothing_is_overwritten_and_errors_name_the_file() {
        let private = PrivateDirectory::new().unwrap();
        let directory = private.path();
        let picture = Picture { name: "screen".to_owned(), text: "a".to_owned(), svg: "<svg/>".to_owned() };
        assert_eq!(save_in(directory, &picture).as_deref(), Ok("saved screen.txt and screen.svg"));
        assert_eq!(save_in(directory, &picture).as_deref(), Ok("saved screen-2.txt and screen-2.svg"));
        assert_eq!(fs::read_to_string(directory.join("screen-2.svg")).unwrap(), "<svg/>");
        let error = save_in(&directory.join("nowhere"), &picture).unwrap_err();
        assert!(error.contains("nowhere/screen.txt: No such file"), "{error}");
    }
}
