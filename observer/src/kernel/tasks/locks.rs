//! Who holds the lock on a file that a process waits for, by /proc/locks.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
};

/// Longest table that is read.
const LONGEST_TABLE: u64 = 4 << 20;

/// The process that took the lock which one of this process's threads waits for; `None` when none waits, when the table does not
/// name it (locks of an open file description belong to none), or when it is of another PID namespace.
pub(crate) fn holder(waits: u32) -> Option<u32> {
    let table = File::open("/proc/locks").ok()?;
    in_table(BufReader::new(table.take(LONGEST_TABLE)).lines().map_while(Result::ok), waits)
}

/// `1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF`; behind each lock those that wait for it, with the same number and an
/// arrow, `1: -> FLOCK ...`.
fn in_table(lines: impl Iterator<Item = String>, waits: u32) -> Option<u32> {
    let mut held: Option<(String, Option<u32>)> = None;
    for line in lines {
        let mut words = line.split_whitespace().peekable();
        let number = words.next()?.to_owned();
        let is_waiter = words.next_if_eq(&"->").is_some();
        let pid = words.nth(3).and_then(|word| word.parse().ok()).filter(|pid| *pid != 0);
        match &held {
            Some((holding, holder)) if is_waiter && *holding == number => {
                if pid == Some(waits) {
                    return *holder;
                }
            }
            _ => held = Some((number, pid)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_stands_behind_who_holds() {
        let table = "1: POSIX  ADVISORY  WRITE 11 fe:00:1 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 22 fe:00:2 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 33 fe:00:2 0 EOF\n\
                     2: -> FLOCK  ADVISORY  READ 44 fe:00:2 0 EOF\n\
                     3: OFDLCK ADVISORY  WRITE -1 fe:00:3 0 EOF\n\
                     3: -> OFDLCK ADVISORY  WRITE 55 fe:00:3 0 EOF\n";
        let held = |waits| in_table(table.lines().map(str::to_owned), waits);
        assert_eq!([33, 44].map(held), [Some(22), Some(22)]);
        assert_eq!([11, 22, 55, 66].map(held), [None; 4]);
        assert_eq!(in_table(["oops".to_owned(), String::new()].into_iter(), 1), None);
    }
}
