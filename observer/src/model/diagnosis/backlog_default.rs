//! The accept queue overflows at a limit that a library or a server chose by itself.

use super::{Finding, Need, Rule, backlog_clamped, overflow};
use crate::model::evidence::Facts;

pub(super) const RULE: Rule = Rule {
    name: "backlog-default",
    what: "the accept queue overflows at a limit that libraries choose",
    when: "connections were refused for a full accept queue in two seconds, at a limit that is a known default: 5, 50, 100, 128, \
           511, 512, 1024 or 2048. The cause is a burst if the queue is emptied in between, and overload if it stays full or its \
           acceptors run all the time",
    why: "who does not ask for a length gets that of the library: 128 was SOMAXCONN before Linux 5.4, and others chose theirs as \
          long ago; net.core.somaxconn is 4096 since",
    remedy: "pass a longer backlog to listen(2); called again on an open listener it acts at once",
    seen: "Python's socketserver (5), Java's ServerSocket (50), Tomcat (100), nginx, Redis, Apache and Node (511), \
           gunicorn (2048)",
    silent: "the same limit without a refusal",
    needs: &[Need::Signal("queue_depth"), Need::Signal("drop")],
    judge,
};

/// A limit, whose default it is, and how to change it there.
const DEFAULTS: &[(u32, &str, &str)] = &[
    (
        5,
        "the default of Python's socketserver and http.server",
        "a longer backlog: request_queue_size of the server's class (Python); called again on an open listener listen(2) acts at \
         once",
    ),
    (
        50,
        "the default of Java's ServerSocket",
        "a longer backlog: the second argument of ServerSocket, acceptCount in Tomcat, acceptQueueSize in Jetty",
    ),
    (
        100,
        "the default of Python's asyncio and of Tomcat",
        "a longer backlog: backlog= of create_server (asyncio), acceptCount (Tomcat)",
    ),
    (
        128,
        "the default of many libraries",
        "pass a longer backlog to listen(2); called again on an open listener it acts at once. Rust's standard library takes none: \
         make the socket with socket2",
    ),
    (
        511,
        "the default of nginx, Apache, Node and Redis",
        "a longer backlog: listen ... backlog= (nginx), ListenBacklog (Apache), server.listen({backlog}) (Node), tcp-backlog \
         (Redis)",
    ),
    (
        512,
        "the default of .NET's Kestrel and others",
        "a longer backlog: Limits or ListenOptions.Backlog (Kestrel)",
    ),
    (
        1024,
        "the default of tokio's examples, memcached and others",
        "a longer backlog: TcpSocket::listen (tokio), -b (memcached)",
    ),
    (2048, "the default of gunicorn and uvicorn", "a longer backlog: --backlog (gunicorn, uvicorn)"),
];

/// Whose default a limit is, and how to change it there.
pub(super) fn chosen_by(limit: u32) -> Option<(&'static str, &'static str)> {
    DEFAULTS.iter().find(|(default, ..)| *default == limit).map(|(_, whose, how)| (*whose, *how))
}

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    let found = facts.places.iter().filter_map(|place| {
        let is_it = |member: &crate::model::evidence::Member<'_>| {
            chosen_by(member.listener.backlog_limit).is_some()
                && !backlog_clamped::is_clamped(member.listener)
        };
        let members = overflow::refusing(facts, place, is_it);
        let (whose, how) = chosen_by(members.first()?.listener.backlog_limit)?;
        overflow::finding(facts, place, &members, whose, how)
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, listener, of},
        *,
    };
    use crate::model::snapshot::{Listener, Snapshot};

    fn state(limit: u32, refused: u64) -> Snapshot {
        of(
            vec![Listener {
                accepted: refused,
                overflows_between: (refused, refused + 7),
                comm: "p".to_owned(),
                ..listener(1, limit, 0)
            }],
            Vec::new(),
        )
    }

    #[test]
    fn it_matters_only_when_it_overflows() {
        assert_eq!(
            found(&RULE, state(128, 10), state(128, 31)),
            [
                "21 attempts were refused by p/1 in the last 2.00 s at a limit of 128, the default of many libraries: more come at once \
                 than it holds, and it is emptied in between."
            ]
        );
        assert_eq!(found(&RULE, state(128, 10), state(128, 10)).len(), 0, "nothing was refused for certain");
        assert_eq!(found(&RULE, state(127, 10), state(127, 31)).len(), 0, "somebody chose that");
    }

    #[test]
    fn others_have_defaults_too() {
        for (limit, whose) in [(50, "Java"), (5, "http.server"), (511, "nginx"), (100, "asyncio")] {
            let sentence = found(&RULE, state(limit, 0), state(limit, 9)).concat();
            assert!(sentence.contains(whose), "{limit}: {sentence}");
        }
    }
}
