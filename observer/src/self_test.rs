//! `observer doctor --self-test`: attaching is not firing, so each hook is proved by connections of our own through
//! listeners of our own. One that stays silent is left out, and the next one of its signal is tried.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::linux::net::TcpStreamExt as _,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use demo_server::socket_option::{self, SocketOption};
use socket2::{Domain, Socket, Type};

use crate::{
    arena::traffic,
    engine::Engine,
    failure::Failure,
    kernel::{
        choice::{Chosen, Outcome},
        probes::Options,
    },
    model::{
        drops::Telling,
        snapshot::{Connection, End, Filters, Listener, Snapshot, stage},
    },
};

/// After so long a hook that has not fired will not. A SYN-ACK is sent again after one second.
const PATIENCE: Duration = Duration::from_secs(6);
const LOOK: Duration = Duration::from_millis(20);

/// What the self-test found out.
pub(super) struct Proven {
    /// What became of each signal, in the order of the plan.
    pub(super) outcomes: Vec<Outcome>,
    /// Whether each signal fired. Of one that needs a setting that is off here, that is not known.
    pub(super) fired: BTreeMap<&'static str, bool>,
}

/// Attaches, makes connections, and attaches again without the hooks that stayed silent, until none does.
///
/// # Errors
/// As [`Engine::attach`]; and when this machine's loopback takes no connections.
pub(super) fn run(options: &Options) -> Result<Proven> {
    let mut options = options.clone();
    // Nobody else's connections can stand in for ours.
    options.filters = Filters { pid: Some(std::process::id()), ..Filters::default() };
    loop {
        let proven = exercise(&options)?;
        let silent = |outcome: &Outcome| -> Option<Chosen> {
            let hook = outcome.hook.filter(|_| proven.fired.get(outcome.signal.name) == Some(&false))?;
            Some((outcome.signal, hook))
        };
        let silent: Vec<Chosen> = proven.outcomes.iter().filter_map(silent).collect();
        if silent.is_empty() {
            return Ok(proven);
        }
        // For what was asked for, and for what is essential, no other will do.
        let asked = |signal: &str| options.hooks.iter().any(|(asked, _)| asked.name == signal);
        if let Some((signal, hook)) = silent.iter().find(|(signal, _)| signal.essential || asked(signal.name))
        {
            return Err(Failure::Kernel(format!(
                "the hook {} for the signal `{}` attached, but stayed silent in the self-test",
                hook.name, signal.name
            ))
            .into());
        }
        options.silent.extend(silent);
    }
}

/// Listeners and clients of one run.
struct Stage {
    /// Made before the probes, with an accepted connection.
    before: TcpListener,
    _open: (TcpStream, TcpStream),
}

impl Stage {
    fn new() -> Result<Self> {
        let before = traffic::listen(4)?;
        let open = traffic::pair(&before)?;
        Ok(Self { before, _open: open })
    }
}

fn exercise(options: &Options) -> Result<Proven> {
    let stage = Stage::new()?;
    let mut engine = Engine::attach(options)?;
    let main = traffic::listen(4)?;
    talk(&main)?;
    let (client, accepted) = traffic::pair(&main)?;
    traffic::reset(client)?;
    drop(accepted);
    // One connection has data and is queued at once. Two handshakes wait for data for a second; then their SYN-ACKs are
    // sent again, and the last ACK of one finds the accept queue full.
    let narrow = deferred(1)?;
    let mut queued = traffic::connect(&narrow)?;
    queued.write_all(b"data").context("cannot write to a listener of our own")?;
    let _held = [traffic::connect(&narrow)?, traffic::connect(&narrow)?];
    // The second finds the SYN queue full. Without cookies it would wait there for ever, and there would be none to see.
    let flooded = deferred(0)?;
    let cookies = is_set("tcp_syncookies");
    let _cookies =
        if cookies { vec![traffic::connect(&flooded)?, traffic::connect(&flooded)?] } else { Vec::new() };
    let stalled = traffic::listen(4)?;
    let _stalled = stall(&stalled)?;
    let shards = if is_set("tcp_migrate_req") { Some(migrate()?) } else { None };
    let ports = [
        traffic::port(&stage.before)?,
        traffic::port(&main)?,
        traffic::port(&narrow)?,
        traffic::port(&stalled)?,
    ];
    let mut ended = Vec::new();
    let began = Instant::now();
    loop {
        let snapshot = engine.look(&mut |connection| ended.push(connection.clone()))?;
        let open = engine.open_connections()?;
        let seen = Seen { snapshot: &snapshot, ended: &ended, open: &open };
        let mut fired = seen.fired(ports, engine.meta().telling);
        let mut off = Vec::new();
        match cookies {
            true if seen.cookie_sent(traffic::port(&flooded)?) => _ = fired.insert("cookie"),
            true => {}
            false => off.push("cookie"),
        }
        match &shards {
            Some((shard, _)) if seen.migrated_to(traffic::port(shard)?) => _ = fired.insert("migration"),
            Some(_) => {}
            None => off.push("migration"),
        }
        let names = engine.outcomes().iter().filter(|outcome| outcome.hook.is_some());
        let tried = names.map(|outcome| outcome.signal.name).filter(|name| !off.contains(name));
        if tried.clone().all(|name| fired.contains(name)) || began.elapsed() > PATIENCE {
            let fired = tried.map(|name| (name, fired.contains(name))).collect();
            return Ok(Proven { outcomes: engine.outcomes().to_vec(), fired });
        }
        sleep(LOOK);
    }
}

/// What can be seen of the connections.
struct Seen<'a> {
    snapshot: &'a Snapshot,
    ended: &'a [Connection],
    open: &'a [Connection],
}

impl Seen<'_> {
    /// Signals that have shown what they should.
    fn fired(&self, [before, main, narrow, stalled]: [u16; 4], telling: Telling) -> BTreeSet<&'static str> {
        let on =
            |port| self.snapshot.listeners.iter().find(move |listener: &&Listener| listener.port == port);
        let main_is = |holds: fn(&Listener) -> bool| on(main).is_some_and(holds);
        let ended = |holds: fn(&Connection) -> bool| self.ended.iter().any(holds);
        let refused = on(narrow).is_some_and(|listener| match telling {
            Telling::Nothing => listener.listen_drops > 0,
            _ => listener.drops.iter().any(|drop| drop.cause == "accept_queue_full_ack"),
        });
        let held = self.open.iter().any(|one| one.holder.is_some() && one.local.port() == before);
        [
            ("listener", main_is(|listener| listener.opened_ns.is_some())),
            ("existing_listeners", on(before).is_some_and(|listener| listener.opened_ns.is_none())),
            ("existing_connections", held),
            (
                "queue_depth",
                main_is(|listener| listener.backlog_limit == 4) && on(narrow).is_some_and(is_full),
            ),
            ("request", main_is(|listener| listener.requests == 2)),
            ("enqueue", main_is(|listener| listener.enqueued == 2)),
            ("syn_wait", main_is(|listener| listener.stages[stage::SYN_WAIT].quantiles().count > 0)),
            ("accept", main_is(|listener| listener.accepted == 2 && listener.accepted_unseen == 0)),
            ("data_queued", ended(|one| one.first_data_ns.is_some())),
            ("read", ended(|one| one.bytes_read == 7)),
            ("write", ended(|one| one.bytes_written == 6)),
            ("held_write", ended(|one| one.held_writes == 1)),
            ("closed_window", on(stalled).is_some_and(|listener| listener.closed_windows == Some(1))),
            ("reset", ended(|one| one.end == End::RstIn)),
            ("close", ended(|one| one.end == End::Fin)),
            ("synack_retransmit", on(narrow).is_some_and(|listener| listener.synack_retransmits > 0)),
            ("drop", refused),
            ("activity", self.snapshot.threads.iter().any(|thread| thread.run_ns > Some(0))),
            ("wakeups", self.snapshot.threads.iter().any(|thread| thread.wakeups > Some(0))),
        ]
        .into_iter()
        .filter_map(|(name, fired)| fired.then_some(name))
        .collect()
    }

    /// Whether a shard at this port got connections from another.
    fn migrated_to(&self, port: u16) -> bool {
        self.snapshot.listeners.iter().any(|listener| listener.port == port && listener.migrated > 0)
    }

    /// Whether a cookie was seen: the listener's, where they are told by listener.
    fn cookie_sent(&self, port: u16) -> bool {
        let listener = self.snapshot.listeners.iter().find(|listener| listener.port == port);
        match listener.and_then(|listener| listener.cookies_sent) {
            Some(sent) => sent > 0,
            None => self.snapshot.hosts.iter().any(|host| host.cookies_sent > 0),
        }
    }
}

/// Two handshakes have completed, and nobody accepts them.
fn is_full(listener: &Listener) -> bool {
    (listener.accept_queue, listener.backlog_limit) == (2, 1)
}

/// Whether a setting of this network namespace, of those for IPv4, is on.
fn is_set(name: &str) -> bool {
    let setting = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}"));
    setting.is_ok_and(|setting| setting.trim() != "0")
}

/// A listener whose handshakes wait for data, for a second.
fn deferred(backlog: u32) -> Result<TcpListener> {
    traffic::listen_with(backlog, |socket| socket_option::set(socket, SocketOption::DeferAccept(1)))
}

/// A request, an answer, and an end in order.
fn talk(listener: &TcpListener) -> Result<()> {
    let (mut client, mut accepted) = traffic::pair(listener)?;
    let mut exchange = || -> std::io::Result<()> {
        // Its ACKs are delayed, so that Nagle holds the second part of the answer back.
        client.set_quickack(false)?;
        client.write_all(b"request")?;
        accepted.read_exact(&mut [0; 7])?;
        accepted.write_all(b"ans")?;
        accepted.write_all(b"wer")?;
        client.read_exact(&mut [0; 6])?;
        client.shutdown(std::net::Shutdown::Write)?;
        accepted.read_to_end(&mut Vec::new()).map(|_| ())
    };
    exchange().context("cannot talk to a listener of our own")
}

/// A client that does not read, and a server that has written more than the client's kernel takes.
fn stall(listener: &TcpListener) -> Result<(Socket, TcpStream)> {
    let make = || -> std::io::Result<(Socket, TcpStream)> {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        client.set_recv_buffer_size(4096)?;
        client.connect(&listener.local_addr()?.into())?;
        let mut accepted = listener.accept()?.0;
        accepted.set_nonblocking(true)?;
        while accepted.write(&[0; 1 << 16]).is_ok() {}
        Ok((client, accepted))
    };
    make().context("cannot write to a client of our own that does not read")
}

/// Clients of two shards, of which the first closes. Each client is as likely at one as at the other.
fn migrate() -> Result<(TcpListener, Vec<TcpStream>)> {
    const CLIENTS: u32 = 16;
    let first = traffic::listen_shared(CLIENTS)?;
    let second = traffic::listen_beside(&first, CLIENTS)?;
    let clients = (0..CLIENTS).map(|_| traffic::connect(&first)).collect::<Result<_>>()?;
    Ok((second, clients))
}
