//! A private directory that is removed when we let go of it.

use std::{
    env, fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context as _, Result};

/// A directory that nobody else can enter.
#[derive(Debug)]
pub(crate) struct WorkDir {
    path: PathBuf,
}

impl WorkDir {
    /// Makes one; its name holds our process id.
    pub(crate) fn new() -> Result<Self> {
        let path = env::temp_dir().join(format!("observer-{}", process::id()));
        // Mode 0700, and an error if it exists: a name that can be guessed may have been taken by someone else.
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("could not make the directory {}", path.display()))?;
        Ok(Self { path })
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
        let dir = WorkDir::new().unwrap();
        let path = dir.join("x");
        fs::write(&path, "x").unwrap();
        drop(dir);
        assert!(!path.exists());
    }
}
