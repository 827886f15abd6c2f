//! From what was typed to what the kernel selects by.

use std::{
    fs,
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use crate::{
    cli::{Selection, Tuning},
    failure::Failure,
    input,
    kernel::{namespaces, netns_cookie, probes::Options, tasks},
    model::snapshot::Filters,
    visible::{Shown, visible},
};

/// Most ports that can be selected; the size of the map.
const MOST_PORTS: usize = 256;

/// Resolves paths and process ids.
///
/// # Errors
/// [`Failure::Usage`] when something that is named does not exist.
pub fn options(selection: &Selection, tuning: &Tuning) -> Result<Options, Failure> {
    for (index, (signal, hook)) in tuning.hooks.iter().enumerate() {
        let mut others = tuning.hooks.iter().skip(index + 1);
        if let Some((_, other)) = others.find(|(other, _)| other.name == signal.name) {
            let (name, first, second) = (signal.name, hook.name, other.name);
            return Err(Failure::Usage(format!(
                "--hook asks for the signal `{name}` twice: by {first}, and by {second}"
            )));
        }
    }
    let filters = filters(selection)?;
    let entrance = selection.netns.as_deref().map(entrance);
    let selected = entrance.as_deref().zip(filters.netns);
    Ok(Options {
        btf: tuning.btf.clone(),
        netns_cookie: selected.and_then(|(path, netns)| netns_cookie::through(path, netns)),
        filters,
        entrance,
        max_listeners: tuning.sizes.max_listeners,
        max_connections: tuning.sizes.max_connections,
        max_threads: tuning.sizes.max_threads,
        ring_bytes: tuning.ring_kib * 1024,
        log: tuning.log_probes,
        hooks: tuning.hooks.clone(),
        silent: Vec::new(),
    })
}

fn filters(selection: &Selection) -> Result<Filters, Failure> {
    let mut ports = selection.ports.clone();
    ports.sort_unstable();
    ports.dedup();
    if ports.len() > MOST_PORTS {
        return Err(Failure::Usage(format!("{} ports selected; at most {MOST_PORTS} can be", ports.len())));
    }
    if let Some(pid) = selection.pid
        && !tasks::exists(pid)
    {
        return Err(Failure::Usage(format!("--pid {pid}: there is no such process")));
    }
    let netns = selection.netns.as_deref().map(netns).transpose()?;
    let cgroup = selection.cgroup.as_deref().map(cgroup).transpose()?;
    Ok(Filters { ports, pid: selection.pid, netns, cgroup })
}

/// Inode number of a network namespace, by path or by the process id of somebody in it.
fn netns(text: &str) -> Result<u32, Failure> {
    if let Ok(pid) = text.parse::<u32>() {
        return namespaces::of(pid).ok_or_else(|| {
            Failure::Usage(format!("--netns {pid}: there is no such process, or it may not be read"))
        });
    }
    let usage = |why: &str| Failure::Usage(format!("--netns {}: {why}; see /run/netns", visible(text)));
    let file = input::open(Path::new(text)).map_err(|error| usage(&error.to_string()))?;
    let metadata = file.metadata().map_err(|error| usage(&error.to_string()))?;
    match u32::try_from(metadata.ino()) {
        Ok(inode) if is_netns(&file) => Ok(inode),
        _ => Err(usage("that is no network namespace")),
    }
}

/// The file that leads into it.
fn entrance(text: &str) -> PathBuf {
    text.parse::<u32>().map_or_else(|_| text.into(), |pid| format!("/proc/{pid}/ns/net").into())
}

/// Whether an open file is a network namespace: `ioctl_nsfs(2)`, NS_GET_NSTYPE, which other files do not know.
fn is_netns(file: &fs::File) -> bool {
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: this request takes no argument, and the descriptor is open.
    #[expect(unsafe_code, reason = "std has no ioctl")]
    let kind = unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) };
    kind == libc::CLONE_NEWNET
}

/// The cgroup's id is the inode number of its directory.
fn cgroup(path: &Path) -> Result<u64, Failure> {
    let metadata =
        fs::metadata(path).map_err(|error| Failure::Usage(format!("--cgroup {}: {error}", Shown(path))))?;
    if !path.join("cgroup.procs").exists() {
        return Err(Failure::Usage(format!(
            "--cgroup {}: that is no directory of a cgroup2 file system",
            Shown(path)
        )));
    }
    Ok(metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_exist_is_named() {
        for (selection, named) in [
            (Selection { pid: Some(u32::MAX), ..Selection::default() }, "--pid 4294967295"),
            (Selection { netns: Some("/nowhere".into()), ..Selection::default() }, "--netns /nowhere"),
            (Selection { netns: Some(u32::MAX.to_string()), ..Selection::default() }, "--netns 4294967295"),
            (Selection { netns: Some("/etc/passwd".into()), ..Selection::default() }, "no network namespace"),
            (
                Selection { netns: Some("/proc/self/ns/mnt".into()), ..Selection::default() },
                "no network namespace",
            ),
            (Selection { cgroup: Some("/proc".into()), ..Selection::default() }, "--cgroup /proc"),
        ] {
            let error = filters(&selection).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
            assert!(matches!(error, Failure::Usage(_)));
        }
    }

    #[test]
    fn ports_are_sorted_and_each_is_there_once() {
        let selection = Selection { ports: vec![443, 80, 443], ..Selection::default() };
        assert_eq!(filters(&selection).unwrap().ports, [80, 443]);
    }

    #[test]
    fn this_process_has_a_namespace() {
        let netns =
            filters(&Selection { netns: Some(std::process::id().to_string()), ..Selection::default() });
        assert_eq!(netns.unwrap().netns, namespaces::of(std::process::id()));
    }
}
