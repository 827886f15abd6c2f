//! A listener that is not watched refuses clients.

use super::{Evidence, Finding, Need, Rule};
use crate::{
    figures,
    model::{
        evidence::Facts,
        listening::{Cause, Count, Unwatched},
    },
};

pub(super) const RULE: Rule = Rule {
    name: "unwatched-refuses",
    what: "a listener that is not watched refuses connections, or its accept queue is full",
    when: "of a listener that is listed as not watched, `sk_drops` grew between the last two readings, or the accept queue is at \
           limit + 1",
    why: "sock_diag shows every listener, with its queue and what it refused. The probes watch those that have a place in their \
          map, and that a process holds as a descriptor; of others nobody knows who waits, and for how long",
    remedy: "start the observer with more places (--max-listeners), or select the listener with --port, --pid or --netns",
    seen: "a host with thousands of listeners (passive FTP, a service per customer) of which one that was left out overflows",
    silent: "listeners that are not watched and refuse nobody",
    needs: &[Need::Signal("listener")],
    judge,
};

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    let count = facts.snapshot.listening_count();
    let refuses = |listener: &&Unwatched| listener.listen_drops_last > 0 || listener.is_full();
    facts.snapshot.unwatched().filter(refuses).map(|listener| finding(listener, count)).collect()
}

fn finding(listener: &Unwatched, count: Count) -> Finding {
    let Unwatched { accept_queue, backlog_limit, listen_drops, cause, .. } = listener;
    let who = listener.who().map(|who| format!(" of {who}")).unwrap_or_default();
    let why = match cause {
        Cause::MaxListeners => {
            let (unwatched, all) = (figures::count(count.unwatched), figures::count(count.all()));
            format!("{unwatched} of {all} listeners are left out")
        }
        Cause::NoHolder => cause.reason().to_owned(),
    };
    let refused = match listen_drops {
        0 => "none was refused so far".to_owned(),
        many => format!("{} refusals so far", figures::count(*many)),
    };
    let mut evidence: Evidence = [
        ("accept_queue", (*accept_queue).into()),
        ("backlog_limit", (*backlog_limit).into()),
        ("listen_drops", (*listen_drops).into()),
        ("unwatched", count.unwatched.into()),
        ("listeners", count.all().into()),
    ]
    .into();
    evidence.extend(listener.who().map(|who| ("holder", who.into())));
    let remedy = match cause {
        Cause::MaxListeners => {
            format!("start the observer with {}, or with --port {}", count.option(), listener.port)
        }
        Cause::NoHolder => "look at it with `ss -ltn` and `nstat`; the observer cannot follow it".to_owned(),
    };
    Finding {
        place: listener.addr.clone(),
        netns: listener.netns,
        listeners: vec![listener.cookie],
        sentence: format!(
            "This listener{who} is not watched ({why}): its accept queue holds {accept_queue} at a limit of {backlog_limit}, {refused}."
        ),
        evidence,
        extent: *listen_drops as f64,
        cause: Some(match cause {
            Cause::MaxListeners => "max-listeners",
            Cause::NoHolder => "no-holder",
        }),
        remedy: Some(remedy.into()),
        member: None,
        happened: false,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, of},
        *,
    };
    use crate::model::{listening::Listening, snapshot::Snapshot};

    fn state(listener: Unwatched) -> Snapshot {
        let here = Listening {
            kernel: 1500,
            watched: 1024,
            unwatched: 1500,
            listeners: vec![listener],
            ..Listening::default()
        };
        Snapshot { listening: vec![here], ..of(Vec::new(), Vec::new()) }
    }

    #[test]
    fn the_one_that_refuses_is_named() {
        let quiet = Unwatched {
            addr: "127.0.0.1:21499".to_owned(),
            pid: Some(7),
            comm: Some("srv".to_owned()),
            accept_queue: 8,
            backlog_limit: 8,
            listen_drops: 21,
            cause: Cause::MaxListeners,
            ..Unwatched::default()
        };
        let full = Unwatched { accept_queue: 9, ..quiet.clone() };
        assert_eq!(
            found(&RULE, state(quiet.clone()), state(full)),
            [
                "This listener of srv/7 is not watched (1,500 of 1,500 listeners are left out): its accept queue holds 9 at a \
                 limit of 8, 21 refusals so far."
            ]
        );
        let refuses = Unwatched { listen_drops_last: 1, ..quiet.clone() };
        assert_eq!(found(&RULE, state(quiet.clone()), state(refuses)).len(), 1);
        assert!(
            found(&RULE, state(quiet.clone()), state(quiet)).is_empty(),
            "it refused before, and has room"
        );
    }
}
