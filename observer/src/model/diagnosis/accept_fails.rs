//! accept(2) fails because something has run out, or is forbidden.

use super::{Figure, Finding, Need, Rule, backlog_lowered};
use crate::{
    figures,
    model::{
        evidence::{Facts, Member, Place},
        snapshot::AcceptedBy,
    },
};

pub(super) const RULE: Rule = Rule {
    name: "accept-fails",
    what: "accept(2) fails: descriptors or memory have run out, or a filter forbids it",
    when: "in two seconds accept(2) of a thread on this listener failed, not with EAGAIN or after a signal, and has not succeeded \
           since; and somebody waits, or some were accepted meanwhile",
    why: "accept(2) takes a descriptor before it looks at the queue (get_unused_fd_flags), so at the limit it fails and the queue \
          stays; poll(2) says at once that it is readable, so a loop that goes on spins",
    remedy: "see the error: EMFILE is the limit of the process (RLIMIT_NOFILE), ENFILE that of the system (fs.file-max)",
    seen: "a server at its limit of descriptors: nginx logs \"accept4() failed (24: Too many open files)\" and pauses, \
           Go tries again after longer and longer pauses, a plain loop spins",
    silent: "EAGAIN of a listener that does not block, calls that a signal interrupts, a failure after which the same \
             thread accepts",
    needs: &[Need::Signal("accept"), Need::Signal("queue_depth")],
    judge,
};

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter_map(|place| fails(facts, place)).collect()
}

/// A stable word, and what to do, for an error.
pub(super) fn cause(errno: &str) -> (&'static str, &'static str) {
    match errno {
        "EMFILE" => (
            "emfile",
            "raise RLIMIT_NOFILE (ulimit -n, LimitNOFILE=), close connections that idle, and see whether descriptors leak \
             (ls /proc/PID/fd)",
        ),
        "ENFILE" => ("enfile", "raise fs.file-max, and see which process holds so many files (fs.file-nr)"),
        "ENOBUFS" => ("enobufs", "see how much memory sockets take (net.ipv4.tcp_mem, the cgroup's limit)"),
        "ENOMEM" => ("enomem", "see the limit of its cgroup's memory, and what takes it"),
        "EPERM" => (
            "eperm",
            "see which filter forbids it: a firewall, an eBPF program, seccomp or a security module",
        ),
        _ => ("other_error", "see the error in accept(2)'s manual"),
    }
}

fn fails(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let fails =
        |member: &&Member<'_>| facts.fails(member.listener) && !backlog_lowered::is_lowered(facts, member);
    let members: Vec<_> = place.members.iter().filter(fails).collect();
    let waits: u64 = members.iter().map(|member| u64::from(member.listener.accept_queue)).sum();
    let accepted: u64 = members.iter().map(|member| member.counted.accepted).sum();
    if waits == 0 && accepted == 0 {
        return None;
    }
    let failing: Vec<(u64, &AcceptedBy)> = members
        .iter()
        .flat_map(|member| member.listener.acceptors.alive.iter().map(|one| (member.listener, one)))
        .filter(|(listener, one)| facts.has_failed(listener, one))
        .map(|(listener, one)| (listener.cookie, one))
        .collect();
    let count: u64 = failing.iter().map(|(listener, one)| facts.failures(*listener, one)).sum();
    let (_, first) = *failing.iter().max_by_key(|(listener, one)| facts.failures(*listener, one))?;
    let errno = first.errno.as_deref().unwrap_or("an error");
    let (word, remedy) = cause(errno);
    let thread = facts.thread(first.pid, first.tid);
    let who = format!("{}/{}", first.comm, first.tid);
    let many = match failing.len() {
        1 => String::new(),
        2 => ", as that of 1 more thread".to_owned(),
        many => format!(", as that of {} more threads", many - 1),
    };
    let verb = if count > 0 { "fails" } else { "failed" };
    let mut text = format!("accept(2) of {who} {verb} with {errno}{many}");
    let mut evidence: Vec<(&'static str, Figure)> = vec![
        ("acceptor", who.into()),
        ("accept_errno", errno.to_owned().into()),
        ("accept_failures", count.into()),
        ("accept_failures_per_s", facts.rate(count).into()),
        ("accept_queue", waits.into()),
        ("accepted", accepted.into()),
    ];
    match (errno, first.descriptors) {
        ("EMFILE", Some(descriptors)) => {
            let in_between = match descriptors.used < descriptors.limit {
                true => " when it is looked at, and all of them in between",
                false => "",
            };
            text.push_str(&format!(
                ": {} of the {} descriptors that its process may have (RLIMIT_NOFILE) are used{in_between}",
                figures::count(descriptors.used),
                figures::count(descriptors.limit),
            ));
            evidence.push(("descriptors", descriptors.used.into()));
            evidence.push(("descriptors_limit", descriptors.limit.into()));
        }
        ("EMFILE", None) => {
            text.push_str(": the descriptors that its process may have (RLIMIT_NOFILE) are used")
        }
        _ => {}
    }
    let ago = first.failed_ns.map(|ns| figures::duration(facts.snapshot.time_ns.saturating_sub(ns)));
    match (count, ago) {
        (0, Some(ago)) => {
            let doing = thread.and_then(|thread| thread.doing.as_deref());
            let waits =
                doing.filter(|doing| *doing != "runs").map(|call| format!(" (it waits in {call}(2))"));
            let waits = waits.unwrap_or_default();
            text.push_str(&format!("; that was {ago} ago, and nobody has accepted since{waits}"));
        }
        _ => text.push_str(&format!(
            "; {} failed {} in the last {}",
            if failing.len() > 1 { "together they" } else { "it" },
            times(count),
            figures::duration(facts.window_ns)
        )),
    }
    if let Some(running) = thread.and_then(|thread| thread.rates.running) {
        evidence.push(("running", running.into()));
        if running >= 0.5 {
            text.push_str(&format!(" and takes {} of a processor", figures::percent(running.min(1.0))));
        }
    }
    text.push_str(&match waits {
        0 => String::new(),
        1 => ", while 1 connection waits".to_owned(),
        many => format!(", while {} connections wait", figures::count(many)),
    });
    let mut found = Finding::at(place, waits.max(1) as f64, format!("{text}."), []);
    found.evidence.extend(evidence);
    found.cause = Some(word);
    found.remedy = Some(remedy.into());
    if members.len() < place.members.len() {
        found.listeners = members.iter().map(|member| member.listener.cookie).collect();
    }
    Some(found)
}

fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{} times", figures::count(count)) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{
        super::tests::{NOW, found, listener, of},
        *,
    };
    use crate::model::{
        look::Descriptors,
        snapshot::{Listener, Snapshot},
    };

    fn state(failures: u64, depth: u32, still: bool) -> Snapshot {
        let mut listener = Listener { accepted: 5, ..listener(1, 64, depth) };
        listener.acceptors.alive = Arc::new([AcceptedBy {
            pid: 1,
            tid: 7,
            comm: "t7".to_owned(),
            accepts: 5,
            failures,
            failing_since_ns: still.then_some(1),
            failed_ns: Some(NOW - 1),
            errno: Some("EMFILE".to_owned()),
            descriptors: Some(Descriptors { used: 40, limit: 40 }),
            ..AcceptedBy::default()
        }]);
        of(vec![listener], Vec::new())
    }

    #[test]
    fn a_limit_that_is_reached_is_named_with_its_figures() {
        assert_eq!(
            found(&RULE, state(10, 25, true), state(110, 25, true)),
            [
                "accept(2) of t7/7 fails with EMFILE: 40 of the 40 descriptors that its process may have (RLIMIT_NOFILE) are \
                 used; it failed 100 times in the last 2.00 s, while 25 connections wait."
            ]
        );
    }

    #[test]
    fn a_failure_that_is_over_or_hurts_nobody_is_none() {
        assert_eq!(
            found(&RULE, state(10, 25, false), state(110, 25, false)).len(),
            0,
            "it has succeeded since"
        );
        assert_eq!(found(&RULE, state(10, 0, true), state(110, 0, true)).len(), 0, "nobody waits");
    }
}
