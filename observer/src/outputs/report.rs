//! A recording as one page: what is true at its end, and how it came to that.

mod before;
mod page;

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Result;

use super::Output;
use crate::model::{
    bounds::{Bounds, LeftOut},
    diagnosis::Diagnosis,
    interval::Interval,
    snapshot::{Connection, LedgerCheck, Listener, Snapshot, Thread},
};
use before::Before;

/// Points of a line over time; more cannot be told apart on the page.
const POINTS: usize = 400;

/// What a report needs of all snapshots. It is bounded, however long the recording is and whatever it holds.
#[derive(Debug, Default)]
pub struct Report {
    begun_ns: u64,
    /// For how long the observer had run when a recording began in the middle.
    ran_before_ns: Option<u64>,
    before: Before,
    last: Arc<Snapshot>,
    listeners: BTreeMap<u64, Course>,
    threads: BTreeMap<(u32, u32), Thread>,
    /// The last of each check of a namespace, which may be gone at the end.
    checks: BTreeMap<(u32, &'static str), LedgerCheck>,
    /// Connections in the order of their wait in the accept queue, the longest first.
    slowest: Vec<Connection>,
    /// What was wrong, by rule and place: as it was at its worst, since it first was so, until it last was.
    diagnoses: BTreeMap<(&'static str, String), Diagnosis>,
    bounds: Bounds,
    left_out: LeftOut,
}

/// Connections that the page lists.
const SLOWEST: usize = 20;
/// Diagnoses that the page lists.
const DIAGNOSES: usize = 100;

/// Checks that are made of a namespace, and some to spare.
const CHECKS: usize = 8;

/// Whether there is room for what has this key.
fn has_room<K: Ord, V>(map: &BTreeMap<K, V>, key: &K, most: usize) -> bool {
    map.len() < most || map.contains_key(key)
}

/// A listener's course.
#[derive(Debug, Default)]
struct Course {
    last: Listener,
    /// Deepest queue over time.
    peaks: Series,
    /// Connections that arrived, and that were refused, per second over time.
    arrivals: Series,
    refusals: Series,
}

/// The greatest values over time, in ever wider steps.
#[derive(Debug)]
struct Series {
    /// Time and value.
    points: Vec<(u64, f64)>,
    /// Values that one point stands for.
    step: usize,
    /// Values in the last point.
    filled: usize,
}

impl Default for Series {
    fn default() -> Self {
        Self { points: Vec::new(), step: 1, filled: 1 }
    }
}

impl Series {
    fn add(&mut self, time_ns: u64, value: f64) {
        match self.points.last_mut() {
            Some(last) if self.filled < self.step => {
                self.filled += 1;
                last.1 = last.1.max(value);
            }
            _ => {
                self.points.push((time_ns, value));
                self.filled = 1;
            }
        }
        if self.points.len() > POINTS && self.filled == self.step {
            let pairs = self.points.chunks(2).map(|pair| {
                let greatest = pair.iter().map(|(_, value)| *value).fold(0.0, f64::max);
                (pair.first().map_or(0, |(time_ns, _)| *time_ns), greatest)
            });
            self.points = pairs.collect();
            // An odd one at the end stands for half as many.
            self.filled = if POINTS.is_multiple_of(2) { self.step } else { self.step * 2 };
            self.step *= 2;
        }
    }
}

impl Output for Report {
    fn connection(&mut self, connection: &Connection) -> Result<()> {
        let wait = connection.accept_wait_ns();
        let is_slow = self.slowest.len() < SLOWEST
            || self.slowest.last().is_some_and(|last| last.accept_wait_ns() < wait);
        if wait.is_some() && is_slow {
            let place = self.slowest.partition_point(|other| other.accept_wait_ns() >= wait);
            self.slowest.insert(place, connection.clone());
            self.slowest.truncate(SLOWEST);
        }
        Ok(())
    }

    fn snapshot(&mut self, snapshot: &Arc<Snapshot>, _last: bool) -> Result<()> {
        let time_ns = snapshot.time_ns;
        if self.begun_ns == 0 {
            self.begun_ns = time_ns;
            if self.ran_before_ns.is_some() {
                self.before = Before::of(snapshot);
            }
        }
        let before = std::mem::replace(&mut self.last, Arc::clone(snapshot));
        let interval = Interval::between(&before, snapshot);
        for listener in &snapshot.listeners {
            if !has_room(&self.listeners, &listener.cookie, self.bounds.most_listeners()) {
                self.left_out.listener(listener.cookie);
                continue;
            }
            let course = self.listeners.entry(listener.cookie).or_default();
            course.peaks.add(time_ns, interval.peak(listener).unwrap_or(0).max(listener.accept_queue).into());
            course.arrivals.add(time_ns, listener.rates.enqueued);
            course.refusals.add(time_ns, listener.rates.dropped);
            course.last = listener.clone();
        }
        for thread in
            snapshot.threads.iter().filter(|thread| thread.accepts + thread.reads + thread.writes > 0)
        {
            let ids = (thread.pid, thread.tid);
            if has_room(&self.threads, &ids, self.bounds.most_threads()) {
                self.threads.insert(ids, thread.clone());
            } else {
                self.left_out.threads = self.left_out.threads.saturating_add(1);
            }
        }
        for check in snapshot.ledger.iter().filter(|check| check.listener.is_none()) {
            let key = (check.netns, check.check);
            if has_room(&self.checks, &key, CHECKS * self.bounds.most_namespaces()) {
                self.checks.insert(key, check.clone());
            } else {
                self.left_out.namespaces = self.left_out.namespaces.saturating_add(1);
            }
        }
        for now in &snapshot.diagnoses {
            let key = (now.rule, now.place.clone());
            if let Some(known) = self.diagnoses.get_mut(&key) {
                let (since_ns, seen_ns) = (known.since_ns, now.seen_ns);
                if now.extent > known.extent {
                    *known = now.clone();
                }
                (known.since_ns, known.seen_ns) = (since_ns, seen_ns);
            } else if self.diagnoses.len() < DIAGNOSES {
                self.diagnoses.insert(key, now.clone());
            }
        }
        Ok(())
    }
}

impl Report {
    /// A report of a recording that began when the observer had run for so long, if it had, and of at most so much.
    pub fn of_recording(ran_before_ns: Option<u64>, bounds: Bounds) -> Self {
        Self { ran_before_ns, bounds, ..Self::default() }
    }

    /// What was left out of the report because it is more than is held.
    pub fn left_out(&self) -> Vec<String> {
        self.left_out.remarks(self.bounds)
    }

    /// The page. `remarks` is what is to be said of the recording itself.
    pub fn draw(mut self, remarks: &[String]) -> String {
        self.listeners.values_mut().for_each(|course| self.before.leave_listener(&mut course.last));
        self.threads.values_mut().for_each(|thread| self.before.leave_thread(thread));
        page::draw(&self, remarks)
    }

    /// Listeners, those that accepted most first.
    fn busiest(&self) -> Vec<&Course> {
        let mut courses: Vec<&Course> = self.listeners.values().collect();
        courses.sort_by_key(|course| (std::cmp::Reverse(course.last.enqueued), course.last.cookie));
        courses
    }

    /// Seconds since the first snapshot.
    fn seconds(&self, time_ns: u64) -> f64 {
        time_ns.saturating_sub(self.begun_ns) as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_keeps_its_greatest_and_stays_short() {
        let mut series = Series::default();
        for second in 0..10_000_u64 {
            series.add(second, if second == 7_777 { 99.0 } else { 1.0 });
        }
        assert!(series.points.len() <= POINTS + 1, "{}", series.points.len());
        assert_eq!(series.points.iter().map(|(_, value)| *value).fold(0.0, f64::max), 99.0);
        assert!(series.points.is_sorted_by_key(|(time, _)| *time));
        let at = series.points.iter().find(|(_, value)| *value > 1.0).map_or(0, |(time, _)| *time);
        assert!((7_777 - 64..=7_777).contains(&at), "{at}");
    }

    #[test]
    fn of_nothing_there_is_a_page_too() {
        let page = Report::default().draw(&["cut <here>".to_owned()]);
        crate::html::tests::check(&page);
        assert!(page.contains("cut &lt;here&gt;"));
    }
}
