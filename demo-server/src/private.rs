//! Directories of our own: under a name that nobody can guess, for nobody else to enter, gone with us.

use std::env;
use std::fs::{self, DirBuilder};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// A directory that was made by this process. Dropping it removes it with what is in it.
///
/// In a directory where anybody may write, a name that can be guessed can be taken before, and what lies there be a
/// trap. So the name is by chance, as mkdtemp(3) makes it, and what exists is never used or removed.
#[derive(Debug)]
pub struct PrivateDirectory(PathBuf);

impl PrivateDirectory {
    /// Makes one below the directory for temporary files.
    pub fn new() -> io::Result<Self> {
        loop {
            let chance = RandomState::new().hash_one(std::process::id());
            let path = env::temp_dir().join(format!("observer-{chance:016x}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
                }
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A name in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // Nobody else may enter it, so there is nothing in it but what we put there. Links in it are not followed.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_ours_alone_and_goes_with_what_is_in_it() {
        let (one, other) = (PrivateDirectory::new().unwrap(), PrivateDirectory::new().unwrap());
        assert_ne!(one.path(), other.path());
        assert_eq!(fs::metadata(one.path()).unwrap().permissions().mode() & 0o7777, 0o700);
        assert!(!one.path().to_string_lossy().contains(&std::process::id().to_string()), "a name to guess");
        let file = one.join("x");
        fs::write(&file, "x").unwrap();
        drop(one);
        assert!(!file.exists());
    }
}
