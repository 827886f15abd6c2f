//! A kernel setting, changed for a while.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

/// Holds a setting at a value; gives it back the one it had when let go of.
#[derive(Debug)]
pub(super) struct Sysctl {
    path: PathBuf,
    before: String,
}

impl Sysctl {
    /// Sets `name`, such as `kernel.bpf_stats_enabled`.
    pub(super) fn set(name: &str, value: &str) -> Result<Self> {
        Self::set_file(PathBuf::from("/proc/sys").join(name.replace('.', "/")), value)
    }

    fn set_file(path: PathBuf, value: &str) -> Result<Self> {
        let before =
            fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        fs::write(&path, value).with_context(|| format!("could not write {value} to {}", path.display()))?;
        Ok(Self { path, before })
    }
}

impl Drop for Sysctl {
    fn drop(&mut self) {
        if let Err(error) = fs::write(&self.path, &self.before) {
            eprintln!("bench: {} is not what it was, {}: {error}", self.path.display(), self.before.trim());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workdir::WorkDir;

    #[test]
    fn the_value_comes_back() {
        let dir = WorkDir::new().unwrap();
        let path = dir.join("setting");
        fs::write(&path, "0\n").unwrap();
        let held = Sysctl::set_file(path.clone(), "1").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1");
        drop(held);
        assert_eq!(fs::read_to_string(&path).unwrap(), "0\n");
    }
}
