//! The state as the control protocol shows it.

use super::engine::Engine;
use crate::control::protocol::{ActiveLoad, ListenerState, State, ThreadState};
use crate::load::Report;
use crate::service::Service;

/// Where the parts of the state come from.
pub(super) struct Parts<'a> {
    pub(super) engine: &'a Engine,
    pub(super) service: &'a Service,
    pub(super) backlog_effective: u32,
    pub(super) load: Option<ActiveLoad>,
    pub(super) last_load: Option<Report>,
    pub(super) changes: u64,
}

/// Puts them together.
pub(super) fn assemble(parts: Parts<'_>) -> State {
    let Parts { engine, service, backlog_effective, load, last_load, changes } = parts;
    State {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        listen: engine.local(),
        pattern: engine.pattern().id.to_owned(),
        settings: engine.settings(),
        backlog_effective,
        faults: service.board.faults.active(),
        load,
        last_load,
        threads: engine
            .threads()
            .into_iter()
            .map(|(tid, name, role)| ThreadState {
                tid,
                name,
                role: role.name.to_owned(),
                duties: role.duties.iter().map(|duty| (*duty).to_owned()).collect(),
            })
            .collect(),
        listeners: engine
            .listeners()
            .iter()
            .map(|listener| ListenerState {
                shard: listener.shard(),
                cookie: listener.cookie(),
                local: listener.local(),
            })
            .collect(),
        counters: service.board.counters.totals(),
        changes,
    }
}
