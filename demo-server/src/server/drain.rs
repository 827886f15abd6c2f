//! The last seconds of a server: what has been asked is answered, what has not been asked is closed.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::connection::Connection;
use crate::event_loop::{EventLoop, Ready};
use crate::pattern::Pattern;
use crate::service::Service;
use crate::stage::{Mailbox, Member, Role, Stage};

/// A pattern that only finishes; it cannot be chosen.
static DRAINING: Pattern = Pattern {
    id: "draining",
    number: None,
    title: "Draining",
    line: "one thread answers what has been asked and closes every connection",
    real_users: "every server that ends politely",
    when: "the server ends",
    cost: "a second at most",
    watch: "FIN on every connection, no RST",
    shards: false,
    sound: true,
    process: None,
    run,
};

static DRAINER: Role = Role { name: "drainer", prefix: "drain", duties: &["read", "work", "write"] };

/// Finishes `open` connections until `deadline`, then closes what is left.
pub(super) fn finish(service: &Arc<Service>, open: Vec<Connection>, deadline: Instant) {
    let stage = Stage::new(&DRAINING, service, Vec::new(), 1, open);
    let host = std::thread::Builder::new().name("pattern".to_owned()).spawn({
        let stage = Arc::clone(&stage);
        move || stage.play()
    });
    if let Ok(host) = host {
        stage.wait_until_over(Some(deadline));
        stage.stop();
        if stage.wait_until_over(Some(deadline)) {
            let _ = host.join();
        }
    }
    drop(stage.leftovers());
}

fn run(stage: &Stage) -> io::Result<()> {
    let mailboxes = stage.mailboxes(1)?;
    stage.crew(|crew| {
        for mailbox in &mailboxes {
            crew.spawn(&DRAINER, 0, move |member| drain(member, mailbox))?;
        }
        Ok(())
    })
}

fn drain(member: &Member<'_>, mailbox: &Mailbox<'_>) -> io::Result<()> {
    let mut sockets = EventLoop::new(member)?;
    for connection in mailbox.take() {
        // Served once without being asked: a request may have arrived unnoticed.
        if let Some(token) = sockets.insert(connection) {
            sockets.serve(token);
        }
    }
    let mut ready = Vec::new();
    while sockets.close_idle() > 0 && sockets.wait(&mut ready)? {
        for event in ready.drain(..) {
            if let Ready::Connection(token) = event {
                sockets.serve(token);
            }
        }
    }
    Ok(())
}
