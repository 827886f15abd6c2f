//! The most that something was between any two instants of the last while.

/// Instants after which less was seen, each with the most up to there: the earlier, the more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peaks {
    /// Time and most, the oldest first. Each is more than all that come after it.
    falling: Vec<(u64, u32)>,
    /// Of the time before this nothing is known any more.
    known_since_ns: u64,
}

/// How many are kept: it falls as often without ever rising above what it was.
const KEPT: usize = 32;

impl Peaks {
    /// Notes the most since the instant that was noted last.
    pub fn note(&mut self, time_ns: u64, most: u32) {
        if most == 0 {
            return;
        }
        let higher = self.falling.iter().rposition(|(_, peak)| *peak > most);
        self.falling.truncate(higher.map_or(0, |place| place + 1));
        self.falling.push((time_ns, most));
        if self.falling.len() > KEPT {
            self.known_since_ns = self.falling.remove(0).0;
        }
    }

    /// The most after this instant; none if that is too long ago.
    pub fn since(&self, time_ns: u64) -> Option<u32> {
        let after = self.falling.iter().find(|(noted_ns, _)| *noted_ns > time_ns);
        (time_ns >= self.known_since_ns).then(|| after.map_or(0, |(_, peak)| *peak))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_most_of_what_came_after() {
        let mut peaks = Peaks::default();
        let noted = [3, 9, 0, 4, 7, 7, 2, 0, 1];
        for (time_ns, most) in (1..).zip(noted) {
            peaks.note(time_ns, most);
        }
        for since in 0..=noted.len() {
            let most = noted[since..].iter().copied().max().unwrap_or(0);
            assert_eq!(peaks.since(since as u64), Some(most), "since {since}");
        }
    }

    #[test]
    fn what_is_too_long_ago_is_unknown() {
        let mut peaks = Peaks::default();
        for time_ns in 1..=100 {
            peaks.note(time_ns, 1000 - time_ns as u32);
        }
        assert_eq!(peaks.since(0), None);
        assert_eq!((peaks.since(98), peaks.since(99)), (Some(901), Some(900)));
        assert_eq!(peaks.since(100), Some(0));
    }
}
