//! Files for outputs: new, for their owner alone, and in their place only when there is something to put there.
//!
//! The observer runs as root as a rule, in directories where others may write. So a file is made under a name that
//! cannot be guessed, where nothing is (O_EXCL, O_NOFOLLOW), and takes its place by rename(2), which does not follow a
//! link that lies there.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    hash::{BuildHasher as _, RandomState},
    io::{self, Write as _},
    os::{
        fd::AsFd as _,
        unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, fchown},
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use crate::failure::Failure;
use crate::visible::Shown;

/// Only who owns it reads it: it tells who talks to whom.
const MODE: u32 = 0o600;

/// A file that can be written, and is not in its place yet. Dropped before that, it leaves nothing behind.
#[derive(Debug)]
pub struct OutputFile {
    file: File,
    path: PathBuf,
    /// Where it is until then; none for a device, which is in its place.
    draft: Option<PathBuf>,
    /// It may take the place of what is there.
    replace: bool,
}

impl OutputFile {
    /// Makes the file. With `force`, a file that is there will be replaced; an empty one will be in any case.
    ///
    /// # Errors
    /// [`Failure::Usage`] when something is there that must not be replaced; otherwise it cannot be made.
    pub fn create(path: &Path, force: bool) -> Result<Self> {
        let there = fs::symlink_metadata(path).ok();
        let device = there.as_ref().is_some_and(|there| there.file_type().is_char_device());
        let replace = there.as_ref().is_some_and(|there| force || is_empty(there));
        if let Some(there) = there.filter(|_| !device) {
            refuse(path, &there, force)?;
        }
        let failed = || format!("cannot write {}", Shown(path));
        if device {
            let open =
                OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NOCTTY).open(path);
            return Ok(Self { file: open.with_context(failed)?, path: path.into(), draft: None, replace });
        }
        let (file, draft) = draft(path).with_context(failed)?;
        Ok(Self { file, path: path.into(), draft: Some(draft), replace })
    }

    /// Writes a whole file, or nothing.
    ///
    /// # Errors
    /// As [`Self::create`]; or it cannot be written.
    pub fn write(path: &Path, force: bool, content: &[u8]) -> Result<()> {
        let mut output = Self::create(path, force)?;
        let written = output.file.write_all(content);
        written.with_context(|| format!("cannot write {}", Shown(path)))?;
        output.place()?;
        Ok(())
    }

    /// Puts the file in its place; what was there is gone then. Returns it, to be written.
    ///
    /// # Errors
    /// Something has come there meanwhile.
    pub fn place(mut self) -> Result<File> {
        let file = self.file.try_clone();
        let file = file.with_context(|| format!("cannot write {}", Shown(&self.path)))?;
        if let Some(draft) = &self.draft {
            let placed = if self.replace { fs::rename(draft, &self.path) } else { settle(draft, &self.path) };
            match placed {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(taken(&self.path).into());
                }
                placed => placed.with_context(|| format!("cannot write {}", Shown(&self.path)))?,
            }
            self.draft = None;
        }
        Ok(file)
    }

    /// Where it will be.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if let Some(draft) = &self.draft {
            // Nobody else knows the name; what cannot be removed is empty and ours.
            let _ = fs::remove_file(draft);
        }
    }
}

/// Whether two paths lead to one file.
pub fn is_same(one: &Path, other: &Path) -> bool {
    let of = |path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    of(one).is_some_and(|one| of(other) == Some(one))
}

fn is_empty(there: &Metadata) -> bool {
    there.is_file() && there.len() == 0
}

/// An error when what is there must not be replaced.
fn refuse(path: &Path, there: &Metadata, force: bool) -> Result<(), Failure> {
    let kind = there.file_type();
    let what = match () {
        () if kind.is_file() => None,
        // Nor is the link itself replaced: it may be one that the machine needs, such as /dev/stdout.
        () if kind.is_symlink() => Some("a symbolic link, which is not followed"),
        () if kind.is_dir() => Some("a directory"),
        () => Some("not a regular file"),
    };
    if let Some(what) = what {
        return Err(Failure::Usage(format!("{} is {what}; choose another name", Shown(path))));
    }
    if force || is_empty(there) {
        return Ok(());
    }
    Err(taken(path))
}

fn taken(path: &Path) -> Failure {
    let shown = Shown(path);
    Failure::Usage(format!("{shown} is there already; choose another name, or --force to replace it"))
}

/// A new file beside the place where it is to be. It belongs to who called sudo.
fn draft(path: &Path) -> io::Result<(File, PathBuf)> {
    if path.file_name().is_none() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    loop {
        let draft = path.with_file_name(format!(".observer-{:016x}", RandomState::new().hash_one(path)));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(MODE).custom_flags(libc::O_NOFOLLOW);
        match options.open(&draft) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                give(&file);
                return Ok((file, draft));
            }
        }
    }
}

/// Gives the file to who called sudo. If that fails it is root's, and still there.
fn give(file: &File) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let id = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok().filter(|id| *id != u32::MAX);
    if let (Some(uid), Some(gid)) = (id("SUDO_UID"), id("SUDO_GID")) {
        let _ = fchown(file.as_fd(), Some(uid), Some(gid));
    }
}

/// Renames if nothing is there.
fn settle(draft: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE) {
        // Not every file system can; two steps do the same where it has links.
        Err(Errno::INVAL | Errno::NOSYS) => fs::hard_link(draft, path).and_then(|()| fs::remove_file(draft)),
        renamed => Ok(renamed?),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use demo_server::private::PrivateDirectory;

    use super::*;

    fn content(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[track_caller]
    fn refused(outcome: Result<()>, says: &str) {
        let error = outcome.unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(Failure::Usage(_))), "{error:#}");
        assert!(error.to_string().contains(says), "{error:#}");
    }

    #[test]
    fn what_is_there_is_replaced_only_by_force_and_leaves_nothing_beside() {
        let directory = PrivateDirectory::new().unwrap();
        let path = directory.join("page");
        OutputFile::write(&path, false, b"1").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        refused(OutputFile::write(&path, false, b"2"), "--force");
        assert_eq!(content(&path), "1");
        OutputFile::write(&path, true, b"3").unwrap();
        assert_eq!(content(&path), "3");
        drop(OutputFile::create(&path, true).unwrap());
        drop(OutputFile::create(&directory.join("other"), false).unwrap());
        assert_eq!(content(&path), "3", "what is not put in its place changes nothing");
        assert_eq!(names(directory.path()), ["page"]);
    }

    #[test]
    fn an_empty_file_has_nothing_to_lose() {
        let directory = PrivateDirectory::new().unwrap();
        let path = directory.join("made-by-mktemp");
        File::create(&path).unwrap();
        OutputFile::write(&path, false, b"1").unwrap();
        assert_eq!(content(&path), "1");
    }

    #[test]
    fn no_link_is_followed() {
        let directory = PrivateDirectory::new().unwrap();
        let (path, victim) = (directory.join("page"), directory.join("victim"));
        fs::write(&victim, "precious").unwrap();
        for (target, force) in [(&victim, true), (&directory.join("not-there"), false)] {
            symlink(target, &path).unwrap();
            refused(OutputFile::write(&path, force, b"1"), "a symbolic link");
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(content(&victim), "precious");
        assert_eq!(names(directory.path()), ["victim"]);
    }

    #[test]
    fn what_came_meanwhile_is_not_replaced() {
        let directory = PrivateDirectory::new().unwrap();
        let path = directory.join("page");
        let output = OutputFile::create(&path, false).unwrap();
        fs::write(&path, "precious").unwrap();
        refused(output.place().map(drop), "is there already");
        assert_eq!((content(&path).as_str(), names(directory.path()).len()), ("precious", 1));
    }

    #[test]
    fn what_is_no_file_is_refused_even_by_force() {
        let directory = PrivateDirectory::new().unwrap();
        refused(OutputFile::write(directory.path(), true, b"1"), "is a directory");
        let socket = directory.join("socket");
        let _bound = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        refused(OutputFile::write(&socket, true, b"1"), "not a regular file");
        OutputFile::write(Path::new("/dev/null"), true, b"1").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device(), "a device stays one");
    }
}
