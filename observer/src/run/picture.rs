//! Saves the screen as files.

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::chown,
    path::Path,
};

use crate::view::Picture;

/// Writes a picture into the directory where the observer was started, as text and as SVG, and says what the files are
/// called. Files that are there are left alone.
pub(super) fn save(picture: &Picture) -> Result<String, String> {
    save_in(Path::new("."), picture)
}

fn save_in(directory: &Path, picture: &Picture) -> Result<String, String> {
    let name = free_name(directory, &picture.name);
    for (ending, content) in [("txt", &picture.text), ("svg", &picture.svg)] {
        let file = format!("{name}.{ending}");
        write(&directory.join(&file), content)
            .map_err(|error| format!("not saved: cannot write {file}: {error}"))?;
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

fn write(path: &Path, content: &str) -> std::io::Result<()> {
    // A new file or none: root must not be led to write through somebody's link.
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content.as_bytes())?;
    drop(file);
    // Under sudo the file belongs to who asked for it. If that fails it is root's, and still there.
    let id = |name: &str| env::var(name).ok()?.parse::<u32>().ok();
    if let (Some(uid), Some(gid)) = (id("SUDO_UID"), id("SUDO_GID")) {
        let _ = chown(path, Some(uid), Some(gid));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_overwritten_and_errors_name_the_file() {
        let directory = env::temp_dir().join(format!("observer-picture-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let picture = Picture { name: "screen".to_owned(), text: "a".to_owned(), svg: "<svg/>".to_owned() };
        assert_eq!(save_in(&directory, &picture).as_deref(), Ok("saved screen.txt and screen.svg"));
        assert_eq!(save_in(&directory, &picture).as_deref(), Ok("saved screen-2.txt and screen-2.svg"));
        assert_eq!(fs::read_to_string(directory.join("screen-2.svg")).unwrap(), "<svg/>");
        fs::remove_dir_all(&directory).unwrap();
        let error = save_in(&directory, &picture).unwrap_err();
        assert!(error.contains("cannot write screen.txt: No such file"), "{error}");
    }
}
