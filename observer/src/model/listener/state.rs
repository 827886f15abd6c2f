//! How a listener is, in a word: by what clients feel there.

use observer_ebpf::record::Sample;

use super::{RATE_WINDOW_NS, Watched};
use crate::model::{
    drops::Telling,
    snapshot::{Rates, State, are_left_unread},
};

/// Fewer that are turned away in a second are no state.
const TURNED_AWAY: u64 = 5;
/// Who waits for longer in the accept queue feels it.
const LONG_NS: u64 = 1_000_000_000;

impl Watched {
    /// How it is, in a word.
    pub(super) fn state(
        &self,
        sample: &Sample,
        rates: &Rates,
        telling: Telling,
        most_overflows: u64,
    ) -> State {
        let (depth, limit) = (sample.accept_queue, sample.limit);
        if self.is_closed() || self.shut_since(sample).is_some() {
            State::Idle
        } else if rates.dropped > 0.0 && (telling != Telling::Nothing || most_overflows > 0) {
            State::Overflowing
        } else if depth > limit {
            State::Saturated
        } else if self.nobody_accepts() || depth > 0 && rates.accepted == 0.0 && rates.enqueued == 0.0 {
            State::Stranded
        } else if self.turns_away() {
            State::TurningAway
        } else if self.is_unread() {
            State::Unread
        } else if self.waits_long(sample.time_ns) {
            State::Waiting
        } else if depth > 0 && u64::from(depth) * 2 > u64::from(limit) {
            State::Filling
        } else if rates.enqueued > 0.0 || rates.accepted > 0.0 || rates.reads > 0.0 || self.is_written() {
            State::Healthy
        } else {
            State::Idle
        }
    }

    /// Since when it has not listened. close(2) too passes through that state, for a moment: one sample tells nothing.
    pub(super) fn shut_since(&self, sample: &Sample) -> Option<u64> {
        self.shut_ns.filter(|since| sample.time_ns > *since)
    }

    /// A connection was written to within a window.
    pub(super) fn is_written(&self) -> bool {
        let (Some(first), Some(last)) = (self.past.front(), self.past.back()) else { return false };
        last.writes > first.writes
    }

    /// Accepted connections have data, and have had it for a window, and few of them are read.
    fn is_unread(&self) -> bool {
        let (Some(first), Some(last)) = (self.past.front(), self.past.back()) else { return false };
        let seconds = last.time_ns.saturating_sub(first.time_ns) as f64 / 1e9;
        let begun = last.first_reads.saturating_sub(first.first_reads) as f64 / seconds;
        seconds * 1e9 >= RATE_WINDOW_NS as f64
            && are_left_unread(first.unread, 0.0)
            && are_left_unread(last.unread, begun)
    }

    /// Half or more of those that ended within a window were closed unread by this side.
    fn turns_away(&self) -> bool {
        let (Some(first), Some(last)) = (self.past.front(), self.past.back()) else { return false };
        let closed = last.closed_unread.saturating_sub(first.closed_unread);
        closed >= TURNED_AWAY && closed * 2 >= last.ended.saturating_sub(first.ended)
    }

    /// Clients wait for seconds: the head of the queue does, or half of those that were accepted in the last window did.
    fn waits_long(&self, now_ns: u64) -> bool {
        self.course.oldest_waits_ns(now_ns).max(self.recent_wait_ns) >= Some(LONG_NS)
    }

    /// Some wait now, some waited a whole window ago, and none was accepted in between.
    fn nobody_accepts(&self) -> bool {
        let (Some(first), Some(last)) = (self.past.front(), self.past.back()) else { return false };
        first.depth > 0
            && last.depth > 0
            && first.accepted == last.accepted
            && last.time_ns.saturating_sub(first.time_ns) >= RATE_WINDOW_NS
    }
}

#[cfg(test)]
mod tests {
    use observer_ebpf::record::stage;

    use super::*;
    use crate::model::{listener::last_sample, snapshot::Meta};

    #[test]
    fn stranded_is_who_waits_for_a_second_though_others_arrive() {
        let entry = crate::model::tests::entry(1);
        let mut watched = Watched::new(&entry, false);
        let at = |time_ns: u64, depth: u32, accepted: u64| {
            let mut sample = last_sample(&entry, time_ns);
            (sample.accept_queue, sample.limit, sample.counters.accepted) = (depth, 100, accepted);
            sample.counters.enqueued = accepted + u64::from(depth);
            sample
        };
        let mut state = |sample: Sample| {
            watched.sampled(&sample, Telling::Nothing);
            watched.snapshot(sample.time_ns, &Meta::default(), None, 0, None).state
        };
        assert_eq!(state(at(2_000_000_000, 3, 0)), State::Healthy, "they have just come");
        assert_eq!(state(at(3_000_000_000, 9, 0)), State::Stranded);
        assert_eq!(
            state(at(4_000_000_000, 9, 5)),
            State::Waiting,
            "somebody accepts, and others have waited for a second"
        );
    }

    #[test]
    fn who_accepts_and_does_not_read_is_not_healthy() {
        let entry = crate::model::tests::entry(1);
        let state = |unread: [i64; 2], read: u64| {
            let mut watched = Watched::new(&entry, false);
            let mut state = State::Idle;
            for (second, unread) in [2, 3].into_iter().zip(unread) {
                let mut sample = last_sample(&entry, second * 1_000_000_000);
                (sample.limit, sample.counters.accepted) = (100, second * 50);
                (sample.counters.enqueued, sample.counters.unread) = (second * 50, unread);
                let mut entry = entry.clone();
                entry.histograms[stage::ACCEPT_TO_READ][0] = (second * read) as u32;
                watched.histograms(&entry);
                watched.sampled(&sample, Telling::Nothing);
                state = watched.snapshot(sample.time_ns, &Meta::default(), None, 0, None).state;
            }
            state
        };
        assert_eq!(state([8, 9], 20), State::Unread);
        assert_eq!(state([8, 7], 20), State::Healthy, "a few are always under way");
        assert_eq!(state([0, 40], 20), State::Healthy, "they have just come");
        assert_eq!(
            state([40, 40], 1000),
            State::Healthy,
            "who reads a thousand a second has forty under way"
        );
    }
}
