//! A private directory that is removed when we let go of it.

use std::{
    env, fs,
    hash::{BuildHasher as _, RandomState},
    io::ErrorKind,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// A directory that nobody else can enter.
#[derive(Debug)]
pub(crate) struct WorkDir {
    path: PathBuf,
}

impl WorkDir {
    /// Makes one, under a name that nobody can guess, as mkdtemp(3) does.
    pub(crate) fn new() -> Result<Self> {
        loop {
            let chance = RandomState::new().hash_one(0);
            let path = env::temp_dir().join(format!("observer-{chance:016x}"));
            // Mode 0700, and never one that exists: it may be somebody else's.
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("could not make the directory {}", path.display()));
                }
            }
        }
    }

    /// A name in it.
    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("xtask: could not remove {}: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_removed_with_what_is_in_it() {
        let (dir, other) = (WorkDir::new().unwrap(), WorkDir::new().unwrap());
        assert_ne!(dir.join(""), other.join(""));
        let path = dir.join("x");
        fs::write(&path, "x").unwrap();
        drop(dir);
        assert!(!path.exists());
    }
}
