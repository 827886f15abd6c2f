//! A directory of one test alone, and a disk that is soon full.

use std::{fs, path::PathBuf};

use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::{UnshareFlags, unshare_unsafe},
};

use crate::waiting::tid;

/// A directory, gone with the test.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("observer-test-{}", tid()));
        fs::create_dir_all(&path).expect("a directory can be made");
        Self(path)
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a name in UTF-8").to_owned()
    }

    /// Names of the files in it that end so.
    pub(crate) fn files(&self, ending: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).expect("the directory").flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == ending))
            .collect()
    }

    /// A file system of so many bytes below it, for the calling thread and what it starts.
    pub(crate) fn small_disk(&self, size: &str) -> Self {
        // SAFETY: only the mounts are left, and with them what threads share of the file system's root.
        #[expect(unsafe_code, reason = "rustix marks all of unshare(2) so, for the sake of CLONE_FILES")]
        unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.expect("a mount namespace");
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
            .expect("private mounts");
        let path = self.0.join("disk");
        fs::create_dir(&path).expect("a directory can be made");
        let options = std::ffi::CString::new(format!("size={size}")).expect("no zero in it");
        mount("none", &path, "tmpfs", MountFlags::empty(), options.as_c_str()).expect("a small file system");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
