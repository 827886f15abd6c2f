//! What can be told of this kernel without loading anything, and so without privilege.

use std::{fs, path::Path};

use crate::input;
use crate::visible::Shown;

/// What was looked at, and what came of it.
pub fn look(btf: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("BTF", readable(btf)),
        ("tracefs", readable(Path::new("/sys/kernel/tracing/events"))),
        ("cgroup2", readable(Path::new("/sys/fs/cgroup/cgroup.controllers"))),
        ("lockdown", lockdown()),
    ]
}

fn readable(path: &Path) -> String {
    let outcome = if path.is_dir() { fs::read_dir(path).map(drop) } else { input::open(path).map(drop) };
    match outcome {
        Ok(()) => format!("{} can be read", Shown(path)),
        Err(error) => format!("{} cannot be read: {error}", Shown(path)),
    }
}

/// `[none] integrity confidentiality`: the one in brackets holds. Under the last no program reads the kernel's memory.
fn lockdown() -> String {
    let Ok(text) = fs::read_to_string("/sys/kernel/security/lockdown") else { return "not known".to_owned() };
    let holds = text.split(['[', ']']).nth(1).unwrap_or("not known");
    holds.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_and_what_is_not() {
        let seen = look(Path::new("/nowhere/vmlinux"));
        assert!(seen[0].1.starts_with("/nowhere/vmlinux cannot be read: No such file"), "{seen:?}");
        assert_eq!(readable(Path::new("/proc/self/status")), "/proc/self/status can be read");
    }
}
