//! Threads, as /proc shows them.

mod calls;
mod locks;

use std::{fs, io, os::unix::fs::MetadataExt as _};

pub(super) use calls::{name as call_name, takes_descriptor};
pub(super) use locks::holder as lock_holder;

use crate::model::name;

/// What /proc tells of a thread now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its name, as [`name::spelled`] has it.
    pub comm: String,
    /// Times that it gave up the processor by itself, which a sleeping server thread does once per wake-up.
    pub voluntary_switches: u64,
    /// Times that it was switched away otherwise.
    pub other_switches: u64,
    /// The kernel's letter: R runs, or is ready and waits for a processor; S sleeps; T is stopped.
    pub state: char,
}

/// How a thread spends its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Nanoseconds that it ran.
    pub run_ns: u64,
    /// Nanoseconds that it was ready and waited for a processor.
    pub ready_ns: u64,
    /// The system call that it waits in, `runs`, `stopped` or `traced`; none where the kernel does not say.
    pub doing: Option<String>,
}

/// How a thread spends its time; `None` when it is gone, or on a kernel without `CONFIG_SCHED_INFO`.
pub fn activity(pid: u32, tid: u32, state: char) -> Option<Activity> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/task/{tid}/{name}")).ok();
    let times = read("schedstat")?;
    let mut times = times.split_whitespace().map_while(|word| word.parse().ok());
    let (run_ns, ready_ns) = (times.next()?, times.next()?);
    Some(Activity { run_ns, ready_ns, doing: doing(pid, tid, state) })
}

/// What a thread in this state does: the system call that it waits in, or a word.
pub(super) fn doing(pid: u32, tid: u32, state: char) -> Option<String> {
    match state {
        'R' => Some("runs".to_owned()),
        // It shows the call that it was stopped in, and does not wait in it.
        'T' => Some("stopped".to_owned()),
        't' => Some("traced".to_owned()),
        _ => {
            let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).ok()?;
            waits_in(&text)
        }
    }
}

/// What `/proc/PID/task/TID/syscall` says: a number with arguments, -1 outside of any call, or that it runs.
fn waits_in(text: &str) -> Option<String> {
    calls::name(text.split_whitespace().next()?.parse().ok()?)
}

/// Whether this kernel says how long threads run.
pub fn has_times() -> bool {
    fs::read_to_string("/proc/self/schedstat").is_ok()
}

/// Reads a thread; `None` when it is gone.
///
/// # Errors
/// It may be there, but /proc cannot be read, or holds something else than was expected.
pub fn read(pid: u32, tid: u32) -> io::Result<Option<Task>> {
    match fs::read(format!("/proc/{pid}/task/{tid}/status")) {
        Ok(status) => parse(&status).map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into()),
        // ENOENT at open(2), ESRCH at read(2).
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The name is bytes that need not be UTF-8; all other lines are ASCII.
fn parse(status: &[u8]) -> Option<Task> {
    let lines = || status.split(|byte| *byte == b'\n');
    let value = |key: &str| lines().find_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b":\t"));
    let text = |key: &str| value(key).and_then(|value| str::from_utf8(value).ok());
    Some(Task {
        comm: name::spelled(&unescaped(value("Name")?)),
        voluntary_switches: text("voluntary_ctxt_switches")?.trim().parse().ok()?,
        other_switches: text("nonvoluntary_ctxt_switches")
            .and_then(|count| count.trim().parse().ok())
            .unwrap_or(0),
        state: text("State")?.chars().next()?,
    })
}

/// Undoes what `proc_task_name` does to a name in `status`: it escapes the newline and the backslash, nothing else.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'n') => b'\n',
                Some(escaped) => *escaped,
                None => b'\\',
            },
            byte => *byte,
        });
    }
    bytes
}

/// What a thread does now, by the kernel's letter: R runs, S sleeps until something wakes it.
pub fn state(pid: u32, tid: u32) -> Option<char> {
    let stat = fs::read(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
    after_name(&stat)?.chars().next()
}

/// The fields of a `stat` file after the name, which may hold any bytes and ends with the last parenthesis.
pub(super) fn after_name(stat: &[u8]) -> Option<&str> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    Some(str::from_utf8(stat.get(end + 1..)?).ok()?.trim())
}

/// A process, as its `stat` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its name, as [`name::spelled`] has it: that of its first thread.
    pub comm: String,
    /// When it began, in clock ticks since the start of the machine. exec(2) does not change that.
    pub began: u64,
}

/// Reads a process; `None` when it is gone or /proc does not show it.
pub(super) fn process(pid: u32) -> Option<Process> {
    in_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

fn in_stat(stat: &[u8]) -> Option<Process> {
    /// `starttime`, the 22nd field, counted from the state, which is the third.
    const BEGAN: usize = 22 - 3;
    let start = stat.iter().position(|byte| *byte == b'(')? + 1;
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let began = after_name(stat)?.split_whitespace().nth(BEGAN)?.parse().ok()?;
    Some(Process { comm: name::spelled(stat.get(start..end)?), began })
}

/// A thread's name, as [`name::spelled`] has it; `None` when it is gone.
pub(super) fn name_of(pid: u32, tid: u32) -> Option<String> {
    let comm = fs::read(format!("/proc/{pid}/task/{tid}/comm")).ok()?;
    Some(name::spelled(comm.strip_suffix(b"\n").unwrap_or(&comm)))
}

/// Thread ids of a process; empty when it is gone.
pub fn threads_of(pid: u32) -> Vec<u32> {
    fs::read_dir(format!("/proc/{pid}/task"))
        .map(|entries| entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
        .unwrap_or_default()
}

/// Whether process and thread ids in the kernel's records are those of /proc: not inside a PID namespace, where the
/// records still hold the host's.
pub fn ids_are_the_hosts() -> bool {
    /// `PROC_PID_INIT_INO`
    const FIRST: u64 = 0xeffffffc;
    fs::metadata("/proc/self/ns/pid").map_or(true, |metadata| metadata.ino() == FIRST)
}

/// Whether there is such a process.
pub fn exists(pid: u32) -> bool {
    fs::metadata(format!("/proc/{pid}")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_file_is_read() {
        let status = b"Name:\trd-1\nUmask:\t0022\nState:\tR (running)\nvoluntary_ctxt_switches:\t42\nnonvoluntary_ctxt_switches:\t7\n";
        assert_eq!(
            parse(status),
            Some(Task { comm: "rd-1".into(), voluntary_switches: 42, other_switches: 7, state: 'R' })
        );
        assert_eq!(parse(b"Name:\tx\n"), None);
    }

    #[test]
    fn a_name_is_bytes_and_keeps_each_of_them() {
        let status = |name: &[u8]| [b"Name:\t", name, b"\nState:\tS\nvoluntary_ctxt_switches:\t1\n"].concat();
        for (written, comm) in [
            (&"обработчик".as_bytes()[..15], r"обработ\xd1"),
            (b"a\\\\n\\nb", r"a\\n\nb"),
            (b" a ", " a "),
            (b"State:\tR", r"State:\tR"),
            (b"", ""),
        ] {
            let task = parse(&status(written));
            assert_eq!(
                task,
                Some(Task { comm: comm.into(), voluntary_switches: 1, other_switches: 0, state: 'S' })
            );
        }
    }

    #[test]
    fn a_name_in_stat_is_bytes() {
        assert_eq!(after_name(b"7 (a) S \xd1) R 1 2\n"), Some("R 1 2"));
        assert_eq!(after_name(b"7 (a"), None);
    }

    #[test]
    fn a_process_has_a_name_and_a_beginning() {
        let stat = b"7 (a) S (\xd1) R 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 99 1\n";
        assert_eq!(in_stat(stat), Some(Process { comm: r"a) S (\xd1".into(), began: 4711 }));
        assert_eq!(in_stat(b"7 (a) R 1"), None);
        let pid = std::process::id();
        assert_eq!(process(pid).map(|process| process.comm), name_of(pid, pid));
        assert_eq!(process(u32::MAX), None);
    }

    #[test]
    fn what_it_waits_in_has_a_name() {
        assert_eq!(waits_in(&format!("{} 0x3 0x0", libc::SYS_accept4)).as_deref(), Some("accept4"));
        assert_eq!(waits_in("9999 0x0").as_deref(), Some("call 9999"));
        for text in ["-1 0x7f 0x7f", "running", ""] {
            assert_eq!(waits_in(text), None, "{text}");
        }
    }

    #[test]
    fn this_process_has_threads() {
        let pid = std::process::id();
        assert!(threads_of(pid).contains(&pid));
        assert!(read(pid, pid).unwrap().is_some());
        assert_eq!(read(u32::MAX, u32::MAX).unwrap(), None);
        assert!(state(pid, pid).is_some());
        assert!(exists(pid) && !exists(u32::MAX));
    }
}
