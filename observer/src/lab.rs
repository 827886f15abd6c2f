//! The labs: one row each in [`LABS`], one file each in `lab/`.
//!
//! A lab asks a question, lets the kernel answer it in an arena of its own, and puts the figures beside what was to be
//! expected. The table feeds the command, the documents and the tests; a new lab is a new file and a new row.

use anyhow::Result;
use serde::Serialize;

use crate::trial::Trial;

mod abort_on_overflow;
mod backlog_off_by_one;
mod close_unread;
mod closing_shard;
mod connected_not_accepted;
mod coordinated_omission;
mod dead_in_queue;
mod first_in_line;
mod ghosts;
mod hidden_queue;
mod idempotency;
mod nagle;
mod second_queue;
mod slow_reader;
mod steering;
mod stranded;
mod stuck_shard;
mod syn_flood;
mod syn_retransmits;
mod thundering_herd;
mod time_wait;
mod udp_no_backlog;
mod who_dropped_me;

/// One guided experiment.
#[derive(Debug, Serialize)]
pub struct Lab {
    /// Its name on the command line; that of its file.
    pub name: &'static str,
    /// What it is about, in one line.
    pub title: &'static str,
    /// To be answered before the run.
    pub question: &'static str,
    /// What is done in the run.
    pub setup: &'static str,
    /// What is to be seen and why: functions of the kernel with the files they are in.
    pub why: &'static str,
    /// What to try next.
    pub next: &'static str,
    /// Signals without which the observer's figures in it would be wrong or missing.
    pub needs: &'static [&'static str],
    /// Runs it and notes the figures.
    #[serde(skip)]
    pub run: fn(&mut Trial<'_>) -> Result<()>,
}

/// Every lab there is, in the order in which they are best done.
pub static LABS: &[Lab] = &[
    backlog_off_by_one::LAB,
    syn_retransmits::LAB,
    who_dropped_me::LAB,
    abort_on_overflow::LAB,
    ghosts::LAB,
    syn_flood::LAB,
    connected_not_accepted::LAB,
    dead_in_queue::LAB,
    idempotency::LAB,
    second_queue::LAB,
    hidden_queue::LAB,
    thundering_herd::LAB,
    first_in_line::LAB,
    stranded::LAB,
    stuck_shard::LAB,
    closing_shard::LAB,
    steering::LAB,
    coordinated_omission::LAB,
    nagle::LAB,
    slow_reader::LAB,
    close_unread::LAB,
    time_wait::LAB,
    udp_no_backlog::LAB,
];

/// Finds a lab, or says which there are.
pub fn expect(name: &str) -> Result<&'static Lab, String> {
    LABS.iter().find(|lab| lab.name == name).ok_or_else(|| {
        let names: Vec<&str> = LABS.iter().map(|lab| lab.name).collect();
        format!("there is no lab `{name}`; there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::plan;

    #[test]
    fn every_row_is_complete_and_names_signals_of_the_plan() {
        for lab in LABS {
            assert_eq!(expect(lab.name).map(|found| found.title), Ok(lab.title));
            for text in [lab.title, lab.setup, lab.why, lab.next] {
                assert!(!text.is_empty() && !text.contains('\n'), "{}", lab.name);
            }
            assert!(lab.question.ends_with('?'), "{}", lab.name);
            assert!(lab.needs.iter().all(|signal| plan::signal(signal).is_some()), "{}", lab.name);
        }
        assert!(expect("").is_err());
    }
}
