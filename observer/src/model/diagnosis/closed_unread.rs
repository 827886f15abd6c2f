//! The program accepts connections and turns them away.

use super::{Finding, Need, Rule, accept_fails};
use crate::{
    figures,
    model::{
        evidence::{Facts, Place},
        snapshot::Listener,
    },
};

pub(super) const RULE: Rule = Rule {
    name: "closed-unread",
    what: "the program accepts connections and closes them unread",
    when: "of the accepted connections that ended in two seconds, 5 or more and one of 20 were closed or reset by this side first, \
           with neither a read nor a write: although data had come, or within a second. A client that leaves first, one that \
           has long sent nothing and a server that answers without reading are none. Where most were closed because their \
           process ended, that is said instead",
    why: "close(2) of a socket with unread data sends a reset (tcp_close), otherwise a FIN; for the kernel the connection was \
          served, and only its client knows that it was not",
    remedy: "see the program's own limit (connections, descriptors, MaxStartups), or what stands behind it: a proxy whose server \
             is down does the same, and so does a port that is only there to be connected to",
    seen: "sshd beyond MaxStartups, Node beyond server.maxConnections, a TCP proxy without a living server behind it",
    silent: "a service that speaks first and leaves (daytime), an answer that does not read the question, a timeout of clients \
             that send nothing, clients that left first",
    needs: &[Need::Signal("accept"), Need::Signal("close"), Need::Signal("read"), Need::Signal("write")],
    judge,
};

const FEW: u64 = 5;
/// One of so many.
const PART: u64 = 20;

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter_map(|place| turned_away(facts, place)).collect()
}

/// Whether so many of those that ended are worth a word.
fn are_many(closed: u64, ended: u64) -> bool {
    closed >= FEW && closed * PART >= ended
}

fn turned_away(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let counted = place.counted();
    let at_exit = counted.closed_unread_at_exit;
    if at_exit > counted.closed_unread.saturating_sub(at_exit) {
        return left_behind(facts, place);
    }
    let (closed, ended) = (counted.closed_unread.saturating_sub(at_exit), counted.ended);
    if !are_many(closed, ended) {
        return None;
    }
    let worst = place.members.iter().max_by_key(|member| member.counted.closed_unread)?;
    let who = worst.listener.acceptors.alive.first();
    let who = who.map_or_else(
        || format!("{}/{}", worst.listener.comm, worst.listener.pid),
        |one| format!("{}/{}", one.comm, one.tid),
    );
    let failed =
        worst.listener.acceptors.alive.iter().find(|one| facts.failures(worst.listener.cookie, one) > 0);
    let failed = failed.and_then(|one| one.errno.as_deref());
    let after = failed.map(|errno| format!(" after accept(2) failed with {errno}")).unwrap_or_default();
    let all = |of: fn(&Listener) -> u64| place.members.iter().map(|member| of(member.listener)).sum::<u64>();
    // Nobody was seen to be served: a port for checks of life does the same by design.
    let every = all(|listener| listener.closed_unread) == all(|listener| listener.ended);
    // Who is open may well be served.
    let concluded = if every && all(Listener::open) == 0 {
        "as was every one that has ended since this started: it turns all away, or is only there to be connected to"
    } else {
        "it turns them away"
    };
    let sentence = format!(
        "{} of {} accepted connections that ended in the last {} were closed unread and unanswered by the program itself \
         ({who}){after}: {concluded}.",
        figures::count(closed),
        figures::count(ended),
        figures::duration(facts.window_ns),
    );
    let evidence = [
        ("closed_unread", closed.into()),
        ("ended", ended.into()),
        ("accepted", counted.accepted.into()),
        ("acceptor", who.into()),
    ];
    let mut found = Finding::at(place, closed as f64, sentence, evidence);
    if let Some(errno) = failed {
        found.evidence.insert("accept_errno", errno.to_owned().into());
        let (word, remedy) = accept_fails::cause(errno);
        (found.cause, found.remedy) = (Some(word), Some(remedy.into()));
    }
    Some(found)
}

/// The process ended, and the kernel closed what it had open.
fn left_behind(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let counted = place.counted();
    let (closed, ended) = (counted.closed_unread_at_exit, counted.ended);
    if !are_many(closed, ended) {
        return None;
    }
    let sentence = format!(
        "{} of {} accepted connections that ended in the last {} were closed unread because a process that held them ended.",
        figures::count(closed),
        figures::count(ended),
        figures::duration(facts.window_ns),
    );
    let evidence = [
        ("closed_unread_at_exit", closed.into()),
        ("closed_unread", counted.closed_unread.into()),
        ("ended", ended.into()),
        ("accepted", counted.accepted.into()),
    ];
    let mut found = Finding::at(place, closed as f64, sentence, evidence);
    found.cause = Some("process_ended");
    found.remedy = Some(
        "see why it ended: the journal, dmesg (a crash, out of memory), its exit status; a server that is restarted finishes its \
         connections first if it is asked to (SIGTERM, not SIGKILL)"
            .into(),
    );
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, listener, of},
        *,
    };
    use crate::model::snapshot::{EndedBy, Snapshot};

    fn state(ended: u64, closed_unread: u64) -> Snapshot {
        let ended_by =
            EndedBy { rst_out: closed_unread, fin_peer: ended - closed_unread, ..EndedBy::default() };
        let listener =
            Listener { ended_by, ended, closed_unread, comm: "p".to_owned(), ..listener(1, 64, 0) };
        of(vec![listener], Vec::new())
    }

    #[test]
    fn who_is_turned_away_is_counted() {
        assert_eq!(
            found(&RULE, state(10, 5), state(110, 83)),
            [
                "78 of 100 accepted connections that ended in the last 2.00 s were closed unread and unanswered by the program itself (p/1): it \
                 turns them away."
            ]
        );
        let all = found(&RULE, state(0, 0), state(100, 100)).concat();
        assert!(all.ends_with("it turns all away, or is only there to be connected to."), "{all}");
        let mut serves_some = state(100, 100);
        serves_some.listeners[0].accepted = 102;
        let some = found(&RULE, state(0, 0), serves_some).concat();
        assert!(some.ends_with("it turns them away."), "two are open: {some}");
        let not_all = found(&RULE, state(1, 0), state(101, 100)).concat();
        assert!(not_all.ends_with("it turns them away."), "{not_all}");
        assert_eq!(found(&RULE, state(0, 0), state(100, 5)).len(), 1, "one of 20");
        assert_eq!(found(&RULE, state(0, 0), state(101, 5)).len(), 0, "fewer");
        assert_eq!(found(&RULE, state(0, 0), state(4, 4)).len(), 0, "too few");
    }

    #[test]
    fn what_a_process_left_behind_was_not_turned_away() {
        let now = |at_exit| {
            let mut state = state(10, 9);
            state.listeners.iter_mut().for_each(|one| one.closed_unread_at_exit = at_exit);
            found(&RULE, of(vec![listener(1, 64, 0)], Vec::new()), state).concat()
        };
        assert_eq!(
            now(7),
            "7 of 10 accepted connections that ended in the last 2.00 s were closed unread because a process that held them ended."
        );
        assert!(now(2).starts_with("7 of 10") && now(2).contains("turns them away"), "{}", now(2));
    }
}
