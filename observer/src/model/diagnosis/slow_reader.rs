//! Peers that do not read: their window is closed, and what was written waits in this kernel.

use super::{Finding, Need, Rule};
use crate::{
    figures,
    model::evidence::{Facts, Place},
};

pub(super) const RULE: Rule = Rule {
    name: "slow-reader",
    what: "peers do not read what the server sends them: their window is closed",
    when: "data waits for a closed window that the kernel has probed, and the peer has acknowledged nothing for a second or more",
    why: "a peer whose receive buffer is full advertises a window of zero (tcp_select_window); this kernel keeps what was written, \
          megabytes within tcp_wmem, and probes with growing distances for as long as the peer answers (tcp_send_probe0): for \
          ever; a thread that writes more blocks, or gets EAGAIN",
    remedy: "a deadline for writing, of the program's own or TCP_USER_TIMEOUT; SO_SNDBUF or TCP_NOTSENT_LOWAT bound what each \
             such peer holds",
    seen: "a download whose client has gone to sleep, a subscriber that does not read (Redis PUBSUB, server-sent \
           events)",
    silent: "a window that opens again before the kernel has probed it",
    needs: &[Need::Signal("closed_window")],
    judge,
};

/// A window that closes for less is that of a peer which is about to read.
const LONG_NS: u64 = 1_000_000_000;

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter_map(|place| closed(facts, place)).collect()
}

fn closed(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let listeners = || place.members.iter().map(|member| member.listener);
    let since = listeners().filter_map(|listener| listener.closed_window_since_ns).min()?;
    let longest = facts.snapshot.time_ns.saturating_sub(since);
    if longest < LONG_NS {
        return None;
    }
    let connections = listeners().filter_map(|listener| listener.closed_windows).fold(0, u64::saturating_add);
    let bytes = listeners().filter_map(|listener| listener.closed_window_bytes).fold(0, u64::saturating_add);
    let subject = match connections {
        1 => "1 peer has closed its window".to_owned(),
        _ => format!("{} peers have closed their windows, the longest", figures::count(connections)),
    };
    let sentence = format!(
        "{subject} for at least {}: {} wait in this kernel's send queues until somebody reads.",
        figures::duration(longest),
        figures::bytes(bytes),
    );
    let evidence = [
        ("closed_windows", connections.into()),
        ("closed_window_bytes", bytes.into()),
        ("longest_closed_ns", longest.into()),
    ];
    Some(Finding::at(place, connections as f64, sentence, evidence))
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{NOW, SECOND, found, listener, of},
        *,
    };
    use crate::model::snapshot::{Listener, Snapshot};

    /// Shards of one address, each with connections whose window is closed: how many, bytes, for how long.
    fn state(shards: &[(u64, u64, u64)]) -> Snapshot {
        let shard = |(cookie, (connections, bytes, age_ns)): (u64, &(u64, u64, u64))| Listener {
            shard: Some(cookie as u32),
            closed_windows: Some(*connections),
            closed_window_bytes: Some(*bytes),
            closed_window_since_ns: (*connections > 0).then(|| NOW - age_ns),
            ..listener(cookie, 64, 0)
        };
        of((1..).zip(shards).map(shard).collect(), Vec::new())
    }

    #[test]
    fn those_of_all_shards_are_told_together() {
        let before = || state(&[(0, 0, 0), (0, 0, 0), (0, 0, 0)]);
        assert_eq!(
            found(&RULE, before(), state(&[(2, 3 << 20, SECOND), (0, 0, 0), (1, 1 << 20, 12 * SECOND)])),
            [
                "3 peers have closed their windows, the longest for at least 12.0 s: 4.0 MiB wait in this kernel's send queues \
              until somebody reads."
            ]
        );
    }

    #[test]
    fn a_window_that_closes_for_a_moment_is_not_told() {
        let before = || state(&[(0, 0, 0)]);
        assert_eq!(found(&RULE, before(), state(&[(1, 5_000, SECOND)])).len(), 1);
        assert_eq!(found(&RULE, before(), state(&[(9, 5_000, SECOND - 1)])).len(), 0);
        assert_eq!(found(&RULE, before(), before()).len(), 0);
    }
}
