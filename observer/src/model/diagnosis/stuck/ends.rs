//! A thread that waits for the other end of one descriptor.

use std::net::SocketAddr;

use super::does::Does;
use crate::{
    figures,
    model::{
        evidence::Facts,
        look::On,
        snapshot::{Listener, Thread},
    },
};

/// Whose connection it is that a thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// A client's, accepted here.
    Client,
    /// Of a server that this side asks.
    Server,
    /// One or the other: its port is that of a listener from before the start, and it is not followed.
    Unknown,
}

/// Whose it is; none if it is no connection.
pub(super) fn whose(facts: &Facts<'_>, netns: u32, on: Option<&On>) -> Option<(Whose, SocketAddr)> {
    let Some(On::Connection { local, remote, accepted, .. }) = on else { return None };
    // All that are accepted of a listener that was seen to open are followed.
    let is_old = || facts.listening_at(netns, *local).is_some_and(|listener| listener.opened_ns.is_none());
    let whose = match accepted {
        true => Whose::Client,
        false if is_old() => Whose::Unknown,
        false => Whose::Server,
    };
    Some((whose, *remote))
}

/// It waits for a client of this listener.
pub(super) fn is_at_client(thread: &Thread, listener: &Listener) -> bool {
    let on = thread.looked.as_ref().and_then(|looked| looked.look.on.as_ref());
    match on {
        Some(On::Connection { local, listener: from, accepted: true, .. }) => match from {
            Some(cookie) => *cookie == listener.cookie,
            None => local.port() == listener.port,
        },
        _ => false,
    }
}

/// It waits for data of one descriptor.
pub(super) fn data(facts: &Facts<'_>, listener: &Listener, call: &str, on: Option<&On>, since: &str) -> Does {
    const BLOCKED: &str = "see what the other end does; a timeout, and a thread that does not accept";
    match whose(facts, listener.netns, on) {
        Some((Whose::Client, remote)) => {
            let (accepted_ns, has_data) = match on {
                Some(On::Connection { accepted_ns, has_data, .. }) => (*accepted_ns, *has_data),
                _ => (None, None),
            };
            let ago = accepted_ns.map(|ns| figures::duration(facts.snapshot.time_ns.saturating_sub(ns)));
            let from = match on {
                Some(On::Connection { listener: Some(cookie), .. }) if *cookie != listener.cookie => {
                    " at another listener"
                }
                _ => "",
            };
            let ago = ago.map(|ago| format!(" accepted {ago} ago{from},")).unwrap_or_default();
            let sent = match has_data {
                Some(false) => "which has sent nothing",
                Some(true) => "which sends no more",
                None => "which sends nothing now",
            };
            let text = format!("has waited in {call}(2){since} for the client {remote},{ago} {sent}");
            let remedy = "a timeout for clients that send nothing, a buffering proxy before it, or a thread for each connection";
            Does { waits_for: Some(remote.to_string()), ..Does::new("silent_client", text, remedy) }
        }
        Some((Whose::Server, remote)) => {
            let is_itself =
                facts.listening_at(listener.netns, remote).is_some_and(|it| it.cookie == listener.cookie);
            let (itself, remedy) = match is_itself {
                true => (
                    ", which is this listener: its own connection waits in the queue that it should empty",
                    "a server that asks itself needs another thread to answer it",
                ),
                false => ("", "a timeout for what it asks there; see why that server does not answer"),
            };
            let text = format!(
                "has waited in {call}(2){since} for an answer of {remote}, to which it is the client{itself}"
            );
            Does { waits_for: Some(remote.to_string()), ..Does::new("upstream", text, remedy) }
        }
        Some((Whose::Unknown, remote)) => {
            let text = format!("has waited in {call}(2){since} for {remote}, which sends nothing now");
            Does { waits_for: Some(remote.to_string()), ..Does::new("other_end", text, BLOCKED) }
        }
        None => behind(Does::new("other_end", format!("has waited in {call}(2){since}"), BLOCKED), on),
    }
}

/// It waits for room to write.
pub(super) fn room(call: &str, on: Option<&On>, since: &str) -> Does {
    let remedy = "a deadline for writing; a thread that does not accept";
    match on {
        Some(On::Connection { remote, .. }) => {
            let text = format!("has waited in {call}(2){since} for {remote} to read");
            Does { waits_for: Some(remote.to_string()), ..Does::new("slow_reader", text, remedy) }
        }
        _ => behind(Does::new("other_end", format!("has waited in {call}(2){since}"), remedy), on),
    }
}

/// It waits until a server takes its connection.
pub(super) fn connect(call: &str, on: Option<&On>, since: &str) -> Does {
    let text = format!("has waited in {call}(2){since} for a server that it connects to");
    let does = Does::new("upstream", text, "a timeout for what it asks; a thread that does not accept");
    behind(does, on)
}

/// Adds what the descriptor is that it waits for.
pub(super) fn behind(does: Does, on: Option<&On>) -> Does {
    let what = match on {
        Some(On::Other(what)) => what.clone(),
        Some(On::Connection { remote, .. }) if remote.port() != 0 => remote.to_string(),
        Some(On::Connection { local, .. }) => local.to_string(),
        Some(On::Nothing) | None => return does,
    };
    Does { text: format!("{} ({what})", does.text), waits_for: Some(what), ..does }
}
