//! One shard of a group does not keep up while the others do.

use super::{Finding, Need, Rule, stuck};
use crate::{
    figures,
    model::evidence::{Facts, Member, Place},
};

pub(super) const RULE: Rule = Rule {
    name: "shard-stuck",
    what: "one shard is stuck while others idle",
    when: "some waited at both ends of two seconds and none was accepted in between, whatever its limit, while it is otherwise at \
           another shard: the cause is as for stranded-queue. Or its accept queue is over half full or it refused somebody, the other shards are at a quarter or less and refused \
           nobody, and it accepted fewer than an even share by more than two standard deviations",
    why: "with SO_REUSEPORT the kernel deals connections by the hash of their addresses and not by load \
          (reuseport_select_sock), and what waits at one shard cannot move to another",
    remedy: "depends on the cause, and net.ipv4.tcp_migrate_req=1 moves what waits when it closes; see what that shard's thread does (Workers); no queue length helps, one shared listener would",
    seen: "an old process that was not ended, with its SO_REUSEPORT socket still open beside the new one's (haproxy, \
           Go services)",
    silent: "shares that are uneven by chance; a shard whose queue is emptied; load on all shards alike",
    needs: &[Need::Signal("accept"), Need::Signal("enqueue"), Need::Signal("queue_depth")],
    judge,
};

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    let mut found = stuck::findings(facts, false);
    let many = facts.places.iter().filter(|place| place.members.len() > 1);
    found.extend(many.filter_map(|place| slow(facts, place)));
    found
}

/// A quarter of its limit is more than waits there.
fn is_free(member: &Member<'_>) -> bool {
    member.counted.overflows == 0 && member.listener.accept_queue <= member.listener.backlog_limit / 4
}

fn slow(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let mut busy = place.members.iter().filter(|member| !is_free(member));
    let (Some(member), None) = (busy.next(), busy.next()) else { return None };
    if stuck::is_stuck(facts, member) {
        return None;
    }
    let listener = member.listener;
    let waits = u64::from(listener.accept_queue) * 2 > u64::from(listener.backlog_limit);
    if !waits && member.counted.overflows == 0 {
        return None;
    }
    // One that goes on with a shorter queue than the others have is told of by the rules about limits.
    let others = place.members.iter().filter(|other| other.listener.cookie != listener.cookie);
    let shortest = others.map(|other| other.listener.backlog_limit).min()?;
    if member.counted.accepted > 0 && listener.backlog_limit < shortest / 4 {
        return None;
    }
    let all = place.counted().accepted;
    let even = 1.0 / place.members.len() as f64;
    let expected = all as f64 * even;
    let deviation = (all as f64 * even * (1.0 - even)).sqrt();
    let accepted = member.counted.accepted;
    if accepted as f64 >= expected - 2.0 * deviation {
        return None;
    }
    let shard = listener.shard.unwrap_or(0);
    let mut threads = facts.snapshot.recent.iter().rev();
    let who = threads
        .find(|connection| connection.listener == Some(listener.cookie))
        .and_then(|connection| connection.acceptor.as_ref())
        .map(|acceptor| format!(" ({}/{})", acceptor.comm, acceptor.tid))
        .unwrap_or_default();
    let refused = match member.counted.overflows {
        0 => String::new(),
        count => format!(" and refused {}", figures::count(count)),
    };
    let sentence = format!(
        "Shard {shard}{who} holds {} of {}{refused}, and took {} of {} accepts in {}, where chance gives {expected:.0} ± \
         {:.0}: it is stuck while the others are free, and what waits there cannot move to them.",
        listener.accept_queue,
        u64::from(listener.backlog_limit) + 1,
        figures::count(accepted),
        figures::count(all),
        figures::duration(facts.window_ns),
        2.0 * deviation,
    );
    let evidence = [
        ("shard", shard.into()),
        ("accept_queue", listener.accept_queue.into()),
        ("backlog_limit", listener.backlog_limit.into()),
        ("overflows", member.counted.overflows.into()),
        ("accepted", accepted.into()),
        ("accepted_by_all", all.into()),
        ("expected", expected.into()),
        ("two_sd", (2.0 * deviation).into()),
    ];
    let mut found = Finding::at(place, f64::from(listener.accept_queue), sentence, evidence);
    // As one whose queue is not emptied has it: it is one or the other.
    (found.listeners, found.member) = (vec![listener.cookie], Some(listener.cookie));
    found.remedy = Some(
        "see what that shard's thread does (Workers): no queue length helps; one shared listener would, or \
         net.ipv4.tcp_migrate_req=1 and closing it"
            .into(),
    );
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, listener, of, served},
        *,
    };
    use crate::model::snapshot::{Listener, Snapshot};

    fn shards(accepted: [u64; 4], depths: [u32; 4]) -> Snapshot {
        let shard = |nth: usize| Listener {
            shard: Some(nth as u32 + 1),
            accepted: accepted[nth],
            ..listener(nth as u64 + 1, 16, depths[nth])
        };
        Snapshot { recent: vec![served(3, 9, 0)], ..of((0..4).map(shard).collect(), Vec::new()) }
    }

    #[test]
    fn one_full_shard_among_free_ones_is_named() {
        assert_eq!(
            found(&RULE, shards([0; 4], [0; 4]), shards([49, 57, 0, 48], [0, 1, 17, 0])),
            [
                "Shard 3 (t9/9) holds 17 of 17, and took 0 of 154 accepts in 2.00 s, where chance gives 38 ± 11: it is \
              stuck while the others are free, and what waits there cannot move to them."
            ]
        );
    }

    #[test]
    fn hash_noise_is_nothing_and_neither_is_load_on_all() {
        let noise = shards([49, 57, 36, 48], [0, 1, 9, 0]);
        assert_eq!(
            found(&RULE, shards([0; 4], [0; 4]), noise).len(),
            0,
            "36 of 190 is within two deviations of 47.5"
        );
        let beyond = shards([49, 57, 35, 48], [0, 1, 9, 0]);
        assert_eq!(found(&RULE, shards([0; 4], [0; 4]), beyond).len(), 1, "35 of 189 is not");
        let half = shards([49, 57, 0, 48], [0, 1, 8, 0]);
        assert_eq!(found(&RULE, shards([0; 4], [0; 4]), half).len(), 0, "it holds half of its limit");
        let all = shards([9, 9, 0, 9], [17, 17, 17, 17]);
        assert_eq!(found(&RULE, shards([0; 4], [0; 4]), all).len(), 0, "all are full");
    }
}
