//! Opens a file that is to be read in any order. What is not a regular file is refused before open(2): that of a FIFO
//! waits for a writer, and that of a device may do something.

use std::{
    fs::{self, File, FileType, OpenOptions},
    io::{self, IsTerminal as _},
    os::{
        fd::AsFd as _,
        unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    },
    path::Path,
};

use crate::visible::Shown;

/// Opens a regular file to read it.
///
/// # Errors
/// It cannot be opened, or it is something else: what, and what to do.
pub fn open(path: &Path) -> io::Result<File> {
    check(fs::metadata(path)?.file_type())?;
    // It may have become another since.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    check(file.metadata()?.file_type())?;
    Ok(file)
}

/// What comes by stdin, to be read in any order: a regular file that stands there, or all that comes out of a pipe, kept in
/// a file without a name.
///
/// # Errors
/// It is a terminal; it cannot be read; or there is no room for it in the directory of temporary files.
pub fn stdin() -> io::Result<File> {
    let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    if stdin.is_terminal() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "stdin is a terminal; let a file or a pipe stand there",
        ));
    }
    if stdin.metadata()?.is_file() {
        return Ok(stdin);
    }
    let directory = std::env::temp_dir();
    let mut kept = OpenOptions::new()
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_TMPFILE)
        .open(&directory)?;
    io::copy(&mut stdin, &mut kept).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot keep it in {}: {error}", Shown(&directory)))
    })?;
    Ok(kept)
}

fn check(kind: FileType) -> io::Result<()> {
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "it is a directory, not a regular file"
    } else if kind.is_fifo() {
        "it is a FIFO, not a regular file; copy what comes out of it to one"
    } else if kind.is_socket() {
        "it is a socket, not a regular file"
    } else {
        "it is a device, not a regular file"
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        for (path, says) in
            [("/dev", "a directory"), ("/dev/null", "a device"), ("/nowhere/at/all", "No such file")]
        {
            let error = open(Path::new(path)).unwrap_err().to_string();
            assert!(error.contains(says), "{path}: {error}");
        }
        open(Path::new("/proc/self/exe")).unwrap();
        open(Path::new("/proc/self/ns/net")).unwrap();
    }
}
