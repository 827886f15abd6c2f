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

/// A length that some choose by themselves.
struct Default {
    limit: u32,
    /// Who else than the programs below has it, when the holder of the listener is none of them.
    among: &'static str,
    /// By the beginning of a process's name: whose default it is, and how to change it there.
    programs: &'static [(&'static str, &'static str, &'static str)],
}

const DEFAULTS: &[Default] = &[
    Default {
        limit: 5,
        among: "a length that libraries choose by themselves, Python's socketserver among them",
        programs: &[(
            "python",
            "the default of Python's socketserver and http.server",
            "a longer backlog: request_queue_size of the server's class; called again on an open listener listen(2) acts at once",
        )],
    },
    Default {
        limit: 50,
        among: "a length that libraries choose by themselves, Java's ServerSocket among them",
        programs: &[(
            "java",
            "the default of Java's ServerSocket",
            "a longer backlog: the second argument of ServerSocket, acceptQueueSize in Jetty",
        )],
    },
    Default {
        limit: 100,
        among: "a length that libraries choose by themselves, Python's asyncio and Tomcat among them",
        programs: &[
            ("python", "the default of Python's asyncio", "a longer backlog: backlog= of create_server"),
            ("java", "the default of Tomcat", "a longer backlog: acceptCount"),
        ],
    },
    Default { limit: 128, among: "the default of many libraries", programs: &[] },
    Default {
        limit: 511,
        among: "a length that programs choose by themselves, nginx, Apache, Node and Redis among them",
        programs: &[
            ("nginx", "the default of nginx", "a longer backlog: listen ... backlog="),
            ("apache", "the default of Apache", "a longer backlog: ListenBacklog"),
            ("httpd", "the default of Apache", "a longer backlog: ListenBacklog"),
            ("node", "the default of Node", "a longer backlog: server.listen({backlog})"),
            ("redis", "the default of Redis", "a longer backlog: tcp-backlog"),
            ("valkey", "the default of Valkey", "a longer backlog: tcp-backlog"),
        ],
    },
    Default {
        limit: 512,
        among: "a length that libraries choose by themselves, .NET's Kestrel among them",
        programs: &[(
            "dotnet",
            "the default of .NET's Kestrel",
            "a longer backlog: ListenOptions.Backlog, or Limits",
        )],
    },
    Default {
        limit: 1024,
        among: "a length that programs choose by themselves, memcached and servers on tokio among them",
        programs: &[("memcached", "the default of memcached", "a longer backlog: -b")],
    },
    Default {
        limit: 2048,
        among: "a length that programs choose by themselves, gunicorn and uvicorn among them",
        programs: &[
            ("gunicorn", "the default of gunicorn", "a longer backlog: --backlog"),
            ("uvicorn", "the default of uvicorn", "a longer backlog: --backlog"),
        ],
    },
];

/// What helps whoever it is.
const ANY: &str = "pass a longer backlog to listen(2); called again on an open listener it acts at once. Where a library takes \
                   none, as Rust's standard one, make the socket by another (socket2)";

/// Whose default a limit is, by the name of the process that holds the listener, and how to change it there.
pub(super) fn chosen_by(limit: u32, holder: &str) -> Option<(&'static str, &'static str)> {
    let default = DEFAULTS.iter().find(|default| default.limit == limit)?;
    let holder = holder.to_ascii_lowercase();
    let program = default.programs.iter().find(|(name, ..)| holder.starts_with(name));
    Some(program.map_or((default.among, ANY), |(_, whose, how)| (*whose, *how)))
}

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    let found = facts.places.iter().filter_map(|place| {
        let is_it = |member: &crate::model::evidence::Member<'_>| {
            chosen_by(member.listener.backlog_limit, &member.listener.comm).is_some()
                && !backlog_clamped::is_clamped(member.listener)
        };
        let members = overflow::refusing(facts, place, is_it);
        let first = members.first()?.listener;
        let (whose, how) = chosen_by(first.backlog_limit, &first.comm)?;
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
    fn whose_default_it_is_follows_from_who_listens() {
        let said = |limit, comm: &str| {
            let now = |refused| {
                let mut state = state(limit, refused);
                state.listeners.iter_mut().for_each(|listener| listener.comm = comm.to_owned());
                state
            };
            found(&RULE, now(0), now(9)).concat()
        };
        for (limit, comm, whose) in [
            (50, "java", "of 50, the default of Java's ServerSocket:"),
            (
                50,
                "python3",
                "of 50, a length that libraries choose by themselves, Java's ServerSocket among them:",
            ),
            (100, "python3.11", "of 100, the default of Python's asyncio:"),
            (511, "node", "of 511, the default of Node:"),
            (511, "redis-server", "of 511, the default of Redis:"),
            (511, "MainThread", "of 511, a length that programs choose by themselves"),
        ] {
            assert!(said(limit, comm).contains(whose), "{limit} {comm}: {}", said(limit, comm));
        }
    }
}
