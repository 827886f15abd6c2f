//! Which guest runs when: as many at once as the host has CPUs, because one thread emulates each.

use std::{
    num::NonZero,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// CPUs that this process may use.
pub(super) fn cpus() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Runs the jobs, each on a thread of its own, at most `at_once` of them at a time, and returns their results in the
/// order of the jobs. The order in which they start is that of `first`: indexes of jobs, the longest job first, so that
/// the short ones fill what is left.
///
/// The result of a job that panicked is `None`.
pub(super) fn run<J: Sync, R: Send>(
    jobs: &[J],
    first: &[usize],
    at_once: usize,
    work: impl Fn(&J) -> R + Sync,
) -> Vec<Option<R>> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<R>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..at_once.max(1) {
            scope.spawn(|| {
                while let Some(&index) = first.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (Some(job), Some(place)) = (jobs.get(index), results.get(index)) else { continue };
                    // A thread more, so that a panic ends this job alone.
                    let result = thread::scope(|inner| inner.spawn(|| work(job)).join().ok());
                    if let Ok(mut place) = place.lock() {
                        *place = result;
                    }
                }
            });
        }
    });
    results.into_iter().map(|place| place.into_inner().ok().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn results_have_the_order_of_the_jobs_and_the_longest_starts_first() {
        let started = Mutex::new(Vec::new());
        let work = |job: &u32| {
            started.lock().unwrap().push(*job);
            job * 2
        };
        let results = run(&[1, 9, 5], &[1, 2, 0], 1, work);
        assert_eq!(results, [Some(2), Some(18), Some(10)]);
        assert_eq!(started.into_inner().unwrap(), [9, 5, 1]);
    }

    #[test]
    fn two_run_at_once() {
        // Neither passes before the other has come.
        let both = Barrier::new(2);
        let work = |_: &()| both.wait().is_leader();
        let led = run(&[(), ()], &[0, 1], 2, work);
        assert_eq!(led.iter().filter(|one| **one == Some(true)).count(), 1);
    }

    #[test]
    fn a_panic_ends_its_job_alone() {
        let work = |job: &u32| match job {
            0 => panic!("on purpose"),
            one => *one,
        };
        assert_eq!(run(&[0, 1], &[0, 1], 1, work), [None, Some(1)]);
    }
}
