//! The server: one service, one pattern at a time, changed while it runs.
//!
//! All changes pass through one lock and leave through one door: `Server::announce` counts them and tells the
//! subscribers, so that everybody sees the same changes in the same order.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::board::SharedBoard;
use crate::control::desk::Outbox;
use crate::control::protocol::{LoadRequest, State, Update, versioned_line};
use crate::fault::{self, Fault};
use crate::journal::Journal;
use crate::listener::effective_backlog;
use crate::load::Plan;
use crate::pattern::{self, Pattern};
use crate::service::Service;
use crate::settings::{Change, Settings};
use crate::visible::Shown;
use crate::wake::Wake;

mod drain;
mod engine;
mod load_child;
mod run;
mod state;

use engine::Engine;
use load_child::LoadChild;

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// What to run first.
    pub pattern: &'static Pattern,
    /// The settings at the start.
    pub settings: Settings,
    /// Where to write a line for each ended connection, if anywhere.
    pub journal: Option<PathBuf>,
    /// This program: started for load when asked to, and for each worker of a pattern that serves with processes.
    pub program: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            pattern: &pattern::PATTERNS[0],
            settings: Settings::default(),
            journal: None,
            // Still this program when its file has been replaced or removed meanwhile.
            program: PathBuf::from("/proc/self/exe"),
        }
    }
}

impl Config {
    /// Whether it can be asked for; the error says what is allowed.
    pub fn check(&self) -> Result<(), String> {
        self.settings.check()?;
        engine::check_descriptors(self.pattern, &self.settings, 0)
    }

    /// The same of a load to begin with.
    pub fn check_load(&self, load: &LoadRequest) -> Result<(), String> {
        // Which port it will be is not known if the kernel chooses; any will do to check by.
        let listen = SocketAddr::new(self.listen.ip(), self.listen.port().max(1));
        plan(listen, load).map(drop)
    }
}

/// What came of a request.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The state right after it; absent: the state when asked for.
    pub state: Option<State>,
    /// What is worth knowing.
    pub note: Option<String>,
}

/// How long requests in hand may take once the server is to end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A running server.
#[derive(Debug)]
pub struct Server {
    service: Arc<Service>,
    engine: Mutex<Engine>,
    load: LoadChild,
    subscribers: Mutex<Subscribers>,
    /// Becomes readable when the server is to end, or has failed.
    end: Arc<Wake>,
}

#[derive(Debug, Default)]
struct Subscribers {
    changes: u64,
    outboxes: Vec<Weak<Outbox>>,
}

impl Server {
    /// Opens the listener and starts the pattern.
    pub fn start(config: &Config) -> Result<Arc<Self>> {
        config.check().map_err(anyhow::Error::msg)?;
        let journal = config.journal.as_deref().map(|path| {
            Journal::create(path).with_context(|| format!("cannot write the journal {}", Shown(path)))
        });
        let board = SharedBoard::new().context("cannot make shared memory")?;
        let service = Arc::new(Service::new(board, journal.transpose()?, config.program.clone()));
        service.board.live.store(&config.settings);
        let end = Arc::new(Wake::new()?);
        let engine = Engine::start(config, &service, &end)?;
        let load = LoadChild::new(config.program.clone());
        let (engine, subscribers) = (Mutex::new(engine), Mutex::default());
        Ok(Arc::new(Self { service, engine, load, subscribers, end }))
    }

    /// Where it listens.
    pub fn local(&self) -> SocketAddr {
        self.engine().local()
    }

    /// Changes pattern and settings: all that is asked for or, after an error, nothing.
    pub fn set(&self, change: &Change) -> Result<Outcome, String> {
        let mut engine = self.changeable()?;
        let pattern = match &change.pattern {
            Some(name) => pattern::expect(name)?,
            None => engine.pattern(),
        };
        let settings = engine.settings().with(change);
        settings.check()?;
        let (old_pattern, old_settings) = (engine.pattern(), engine.settings());
        let note = engine.change(pattern, settings)?;
        let mut reasons = settings.differences(&old_settings);
        if old_pattern.id != pattern.id {
            reasons.insert(0, format!("pattern {} → {}", old_pattern.id, pattern.id));
        }
        let state = (!reasons.is_empty()).then(|| self.announce(&engine, &reasons.join(", ")));
        Ok(Outcome { state, note })
    }

    /// Switches a fault on or off.
    pub fn fault(
        &self,
        name: &str,
        on: bool,
        index: Option<u32>,
        ms: Option<u64>,
    ) -> Result<Outcome, String> {
        let engine = self.changeable()?;
        if on {
            engine.check_place(fault::expect(name)?, index)?;
        }
        self.service.board.faults.set(name, on, index, ms)?;
        engine.follow_faults()?;
        if !self.service.board.faults.on(Fault::Leak) {
            self.service.close_leaked();
        }
        engine.ring();
        let reason = format!("fault {name} {}", if on { "on" } else { "off" });
        Ok(Outcome { state: Some(self.announce(&engine, &reason)), note: None })
    }

    /// Starts a load in place of what may run, or stops it.
    pub fn load(self: &Arc<Self>, request: &LoadRequest) -> Result<Outcome, String> {
        match (&request.profile, request.stop) {
            (None, true) => {
                let note = (!self.load.stop()).then(|| "no load was running".to_owned());
                Ok(Outcome { state: None, note })
            }
            (Some(_), false) => {
                let local = self.changeable()?.local();
                let plan = plan(local, request)?;
                let (server, name) = (Arc::clone(self), plan.profile);
                let ended = move || drop(server.announce(&server.engine(), &format!("load {name} ended")));
                self.load.start(&plan, ended).map_err(|error| format!("cannot start the load: {error}"))?;
                let state = self.announce(&self.engine(), &format!("load {name} started"));
                Ok(Outcome { state: Some(state), note: None })
            }
            _ => Err("load takes either a profile or stop".to_owned()),
        }
    }

    /// The state now.
    pub fn state(&self) -> State {
        self.state_of(&self.engine(), self.subscribers().changes)
    }

    /// Sends a line for every change from now on; returns the state they build on.
    pub fn subscribe(&self, outbox: &Arc<Outbox>) -> State {
        let engine = self.engine();
        let mut subscribers = self.subscribers();
        // Asking twice gives no line twice.
        let known =
            subscribers.outboxes.iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(outbox)));
        if !known {
            subscribers.outboxes.push(Arc::downgrade(outbox));
        }
        self.state_of(&engine, subscribers.changes)
    }

    /// Asks whoever runs the server to end it.
    pub fn request_end(&self) {
        self.end.ring();
    }

    /// Ends the server: no new connections, requests in hand are finished within a second, everything is closed.
    ///
    /// The error says why the pattern had ended before, if it had.
    pub fn end(&self) -> Result<()> {
        self.load.stop();
        self.service.board.ending.store(true, Ordering::SeqCst);
        let failure = self.engine().end(LAST_WORDS);
        match failure {
            Some(failure) => Err(io::Error::from(failure)).context("the pattern has ended by itself"),
            None => Ok(()),
        }
    }

    /// Counts a change and tells the subscribers. The lock on the engine keeps the order.
    fn announce(&self, engine: &Engine, reason: &str) -> State {
        let mut subscribers = self.subscribers();
        subscribers.changes += 1;
        let state = self.state_of(engine, subscribers.changes);
        subscribers.outboxes.retain(|outbox| outbox.strong_count() > 0);
        if !subscribers.outboxes.is_empty() {
            let update = Update { reason: reason.to_owned(), state: state.clone() };
            if let Ok(line) = versioned_line(&update) {
                let line: Arc<[u8]> = line.into();
                subscribers.outboxes.iter().filter_map(Weak::upgrade).for_each(|outbox| outbox.put(&line));
            }
        }
        state
    }

    fn state_of(&self, engine: &Engine, changes: u64) -> State {
        let (load, last_load) = self.load.state();
        state::assemble(state::Parts {
            engine,
            service: &self.service,
            backlog_effective: effective_backlog(engine.settings().backlog),
            load,
            last_load,
            changes,
        })
    }

    /// The engine, unless it is being ended: what were changed then would start again what has just stopped.
    fn changeable(&self) -> Result<MutexGuard<'_, Engine>, String> {
        let engine = self.engine();
        if self.service.board.ending.load(Ordering::SeqCst) {
            return Err("the server is ending".to_owned());
        }
        Ok(engine)
    }

    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscribers(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The run that a request asks for, against a server that listens there.
fn plan(listen: SocketAddr, request: &LoadRequest) -> Result<Plan, String> {
    let profile = request.profile.as_deref().ok_or("load takes a profile")?;
    Plan::new(reachable(listen), profile, &request.overrides())
}

/// An address at which a client on this machine reaches a listener: a wildcard stands for all of its addresses.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let loopback: IpAddr = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(loopback, listen.port())
}

impl AsFd for Server {
    /// Readable when the server is to end: a client has asked for it, or its pattern has failed.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}
