//! One thread accepts and starts a thread for each connection.
//!
//! ```text
//!  kernel                      process
//!  accept queue ──accept──► acc-0 ──clone──► conn-0: read, work, write, until the client closes; then it ends
//!                              └────clone──► conn-1: the same
//! ```
//!
//! Plain blocking code and no queue inside the program, paid with a clone(2) for each connection and a stack for each
//! that is open. The number of threads is the number of connections, so it needs a bound: at 1024 the acceptor stops,
//! and the wait shows where it can be seen, in the accept queue.

use std::io;

use super::{Pattern, shared_accept};
use crate::stage::{Role, Stage};

pub(super) const PATTERN: Pattern = Pattern {
    id: "thread-per-connection",
    number: None,
    title: "Thread per connection",
    line: "one thread accepts and starts a thread for each connection, which serves it to the end",
    real_users: "MySQL and MariaDB in their default form, blocking Java servers, many a first server in any language",
    when: "connections are few and live long, and handlers block; nothing is simpler to write or to debug",
    cost: "a clone for each connection and a stack for each open one; at thousands the scheduler becomes the queue",
    watch: "one tid accepts and never reads; every connection has a reader of its own; threads = open connections",
    shards: false,
    sound: true,
    process: None,
    run,
};

static ACCEPTOR: Role = Role { name: "acceptor", prefix: "acc", duties: &["accept"] };
static SERVER: Role = Role { name: "server", prefix: "conn", duties: &["read", "work", "write"] };

/// Threads at once, as `max_connections` of a database: each holds an eventfd besides its connection.
const MOST: usize = 1024;

fn run(stage: &Stage) -> io::Result<()> {
    crate::signals::allow_interruption();
    let listener = stage.listener()?;
    listener.set_nonblocking(false)?;
    stage.crew(|crew| {
        let crew = *crew;
        crew.spawn(&ACCEPTOR, 0, move |member| {
            let mut number = 0;
            while let Some(connection) = shared_accept::next_connection(member, listener)? {
                let started = crew.spawn(&SERVER, number, move |own| shared_accept::serve(own, connection));
                number = number.wrapping_add(1);
                if let Err(error) = started {
                    member.complain(&format!("a connection is closed unserved: no thread for it: {error}"));
                }
                member.wait_while(|| member.stage().crew_size() > MOST);
            }
            Ok(())
        })
    })
}
