//! One thread accepts and starts a process for each connection.
//!
//! ```text
//!  kernel                      processes
//!  accept queue ──accept──► acc-0 ──fork, exec──► conn-0: read, work, write, until the client closes; then it ends
//!                              └────fork, exec──► conn-1: the same
//! ```
//!
//! The oldest way, and the one that isolates most: a connection has an address space of its own and can take down only
//! itself. A connection costs a process: page tables to copy, a program to start, an exit to clean up, all of it many
//! times the cost of the request. The acceptor passes the connection over a socket (`SCM_RIGHTS`) and closes its own
//! descriptor, without which the client would never see the end.
//!
//! At 256 processes the acceptor stops, as a database does at its `max_connections`, and further clients wait in the accept
//! queue.
//!
//! The process is started by fork(2) and execve(2), as inetd and sshd do, and not by fork(2) alone, as PostgreSQL does
//! from a program without threads.

use std::io;

use super::{Pattern, shared_accept};
use crate::process;
use crate::stage::{Role, Stage};

pub(super) const PATTERN: Pattern = Pattern {
    id: "process-per-connection",
    number: None,
    title: "Process per connection",
    line: "one thread accepts and starts a process for each connection, which serves it to the end",
    real_users: "PostgreSQL (fork), sshd and inetd (fork and exec), systemd sockets with Accept=yes, CGI",
    when: "connections are few and live long, and isolation is worth more than speed",
    cost: "a fork for each connection, hundreds of microseconds, which bounds the rate of accepts; memory per client",
    watch: "one tid accepts; every connection is read by a pid of its own; the accept queue grows with a storm of connects",
    shards: false,
    sound: true,
    process: Some(serve),
    run,
};

static ACCEPTOR: Role = Role { name: "acceptor", prefix: "acc", duties: &["accept"] };
static SERVER: Role = Role { name: "server", prefix: "conn", duties: &["read", "work", "write"] };

/// Processes at once, as `max_connections` of a database.
const MOST: usize = 256;

fn run(stage: &Stage) -> io::Result<()> {
    crate::signals::allow_interruption();
    let listener = stage.listener()?;
    listener.set_nonblocking(false)?;
    stage.crew(|crew| {
        let crew = *crew;
        crew.spawn(&ACCEPTOR, 0, move |member| {
            while let Some(connection) = shared_accept::next_connection(member, listener)? {
                let number = member.stage().free_number(&SERVER);
                let started = crew.spawn(&SERVER, number, move |own| {
                    // The run is complete without it: connections may come faster than processes start.
                    own.take_place();
                    // A process that cannot be started costs its client, not the server.
                    if let Err(error) = process::guard(own, None, vec![connection]) {
                        own.complain(&format!("a connection is closed unserved: {error}"));
                    }
                    Ok(())
                });
                if let Err(error) = started {
                    member.complain(&format!("a connection is closed unserved: no guard for it: {error}"));
                }
                member.wait_while(|| member.stage().crew_size() > MOST);
            }
            Ok(())
        })
    })
}

fn serve(stage: &Stage, index: u32) -> io::Result<()> {
    crate::signals::allow_interruption();
    stage.solo(&SERVER, index, |member| {
        member.goes_on();
        stage.take_inherited().map_or(Ok(()), |connection| shared_accept::serve(member, connection))
    })
}
