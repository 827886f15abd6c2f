//! Listeners, pattern and settings, and the switch from one to another.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::run::Run;
use super::{Config, drain};
use crate::connection::Connection;
use crate::descriptors;
use crate::fault::{Fault, FaultRow};
use crate::listener::{Listener, Listeners, Steering};
use crate::pattern::Pattern;
use crate::service::Service;
use crate::settings::Settings;
use crate::stage::{Failure, Role};
use crate::wake::Wake;

/// How long a handshake may take before its shard is closed.
const HANDSHAKE: Duration = Duration::from_millis(50);

/// What runs.
#[derive(Debug)]
pub(super) struct Engine {
    service: Arc<Service>,
    listeners: Listeners,
    pattern: &'static Pattern,
    settings: Settings,
    run: Run,
    end: Arc<Wake>,
}

impl Engine {
    pub(super) fn start(config: &Config, service: &Arc<Service>, end: &Arc<Wake>) -> Result<Self> {
        let Config { pattern, settings, .. } = *config;
        let mut listeners = Listeners::open(config.listen, settings.backlog).with_context(|| {
            let listen = config.listen;
            format!("cannot listen on {listen}; if the address is in use, stop what uses it or pass another --listen")
        })?;
        listeners
            .grow(pattern.listeners(settings.workers), settings.backlog)
            .context("cannot open the shards")?;
        listeners.set(&settings).context("cannot set the options of the listener")?;
        let run = Run::start(pattern, service, &listeners, settings.workers, Vec::new(), end)
            .map_err(|(failure, _)| io::Error::from(failure))
            .with_context(|| format!("cannot start {}", pattern.id))?;
        let (service, end) = (Arc::clone(service), Arc::clone(end));
        Ok(Self { service, listeners, pattern, settings, run, end })
    }

    /// Runs `pattern` with `settings` from now on, or, after an error, what ran before. May return a note.
    pub(super) fn change(
        &mut self,
        pattern: &'static Pattern,
        settings: Settings,
    ) -> Result<Option<String>, String> {
        let mut note = None;
        let refused = |error| format!("the kernel refuses a listener's settings: {error}");
        let back = |listeners: &Listeners, settings: &Settings| {
            // What was accepted a moment ago; an error could not be helped and is not the one to report.
            let _ = listeners.set(settings);
        };
        // Before the switch, which cannot be undone so easily.
        if let Err(error) = self.listeners.set(&settings) {
            back(&self.listeners, &self.settings);
            return Err(refused(error));
        }
        if pattern.id != self.pattern.id || settings.workers != self.settings.workers {
            match self.switch(pattern, settings.workers) {
                Ok(said) => note = said,
                Err(error) => {
                    back(&self.listeners, &self.settings);
                    return Err(error);
                }
            }
            // It was checked against the threads that are gone; the next pattern may have only one.
            self.service.board.faults.disarm_panic();
            // The shards that the switch has opened.
            self.listeners.set(&settings).map_err(refused)?;
        }
        self.settings = settings;
        self.service.board.live.store(&settings);
        self.follow_faults()?;
        Ok(note)
    }

    /// Ends the run, hands every open connection to the next one, and starts it.
    fn switch(&mut self, pattern: &'static Pattern, workers: u32) -> Result<Option<String>, String> {
        let settings = Settings { workers, ..self.settings };
        check_descriptors(pattern, &settings, self.service.board.counters.totals().open)?;
        let wanted = pattern.listeners(workers);
        self.listeners
            .grow(wanted, settings.backlog)
            .map_err(|error| format!("cannot open {wanted} listeners: {error}"))?;
        // While the old threads still accept, new clients go to the listener that stays.
        let steering = self.steer_away_from_shards(wanted);
        let mut open = self.run.stop();
        let (shards, rescued) = self.close_shards(wanted, &mut open);
        drop(steering);
        match Run::start(pattern, &self.service, &self.listeners, workers, open, &self.end) {
            Ok(run) => {
                self.run = run;
                (self.pattern, self.settings.workers) = (pattern, workers);
                Ok((shards > 0).then(|| {
                    format!(
                        "{shards} shards closed; {rescued} connections that waited in their accept queues were taken \
                         over; one whose handshake was under way is reset by the kernel unless \
                         net.ipv4.tcp_migrate_req is 1"
                    )
                }))
            }
            Err((failure, open)) => {
                let failure = format!("cannot start {}: {failure}", pattern.id);
                self.go_back(open).map_err(|worse| {
                    self.end.ring();
                    format!("{failure}; and cannot go back to {}: {worse}", self.pattern.id)
                })?;
                Err(failure)
            }
        }
    }

    /// Starts again what ran before a switch that failed.
    fn go_back(&mut self, mut open: Vec<Connection>) -> Result<(), String> {
        let wanted = self.pattern.listeners(self.settings.workers);
        self.listeners.grow(wanted, self.settings.backlog).map_err(|error| error.to_string())?;
        self.close_shards(wanted, &mut open);
        let started =
            Run::start(self.pattern, &self.service, &self.listeners, self.settings.workers, open, &self.end);
        self.run = started.map_err(|(failure, _)| failure.to_string())?;
        Ok(())
    }

    /// If shards are about to close: steers new clients away from them, and gives handshakes that are under way the
    /// time to end, so that closing resets nobody.
    fn steer_away_from_shards(&self, wanted: usize) -> Option<Steering> {
        if self.listeners.all().len() <= wanted {
            return None;
        }
        match self.listeners.steer_to_first() {
            Ok(steering) => {
                // No file and no call tells how many handshakes of one listener are under way. On this machine they
                // take microseconds, or as long as softirqs are held up; from afar, a round trip.
                thread::sleep(HANDSHAKE);
                Some(steering)
            }
            Err(error) => {
                eprintln!("demo-server: clients cannot be steered away from shards that close: {error}");
                None
            }
        }
    }

    /// Closes the shards beyond `wanted`; how many those were, and how many queued connections they had.
    fn close_shards(&mut self, wanted: usize, open: &mut Vec<Connection>) -> (usize, usize) {
        let shards = self.listeners.all().len().saturating_sub(wanted);
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        let rescued = self.listeners.shrink(wanted, tid, &self.service);
        let count = rescued.len();
        open.extend(rescued);
        (shards, count)
    }

    /// Ends everything within `time`. Returns why the pattern had ended before, if it had.
    pub(super) fn end(&mut self, time: Duration) -> Option<Failure> {
        let deadline = Instant::now() + time;
        self.run.stage.stop();
        if !self.run.stage.wait_until_over(Some(deadline)) {
            eprintln!("demo-server: requests in hand did not end in time; they are cut off");
            return None;
        }
        let failure = self.run.failure();
        let open = self.run.stop();
        for listener in self.listeners.all() {
            listener.close();
        }
        drain::finish(&self.service, open, deadline);
        failure
    }

    /// Checks that the thread or shard that a fault names is there.
    pub(super) fn check_place(&self, row: &FaultRow, index: Option<u32>) -> Result<(), String> {
        if !row.takes_index {
            return Ok(());
        }
        let (name, pattern) = (row.name, self.pattern.id);
        let index = index.unwrap_or(row.default_index());
        if row.fault == Fault::CloseShard {
            let shards = self.listeners.all().len();
            return match index {
                _ if shards < 2 => {
                    Err(format!("{name} needs several shards, and {pattern} has one listener"))
                }
                0 => Err(format!("{name} cannot close shard 0, which stays through every switch")),
                _ if index as usize >= shards => {
                    Err(format!("{name}: there is no shard {index}; there are 1 to {}", shards - 1))
                }
                _ => Ok(()),
            };
        }
        let mut threads = self.threads();
        threads.retain(|(_, _, role)| role.duties.contains(&"work"));
        if row.fault == Fault::WorkerPanic && threads.len() < 2 {
            return Err(format!(
                "{name} needs two threads that work, so that one is left; {pattern} has {}",
                threads.len()
            ));
        }
        let named = |(_, name, role): &(i32, String, &Role)| *name == format!("{}-{index}", role.prefix);
        // Without a thread yet, as thread-per-connection without a connection, there is nothing to compare with.
        if threads.is_empty() || threads.iter().any(named) {
            return Ok(());
        }
        let names: Vec<_> = threads.iter().map(|(_, name, _)| name.as_str()).collect();
        Err(format!("{name}: {pattern} has no thread number {index}; there are {}", names.join(", ")))
    }

    /// Closes and opens shards as the faults say.
    pub(super) fn follow_faults(&self) -> Result<(), String> {
        for listener in self.listeners.all() {
            // The first is not a shard that can be spared: it stays through every switch.
            let closed = listener.shard() > 0 && self.service.board.faults.is_shut(listener.shard());
            listener
                .break_off(closed, &self.settings)
                .map_err(|error| format!("cannot open shard {} again: {error}", listener.shard()))?;
        }
        Ok(())
    }

    /// Makes every thread look at the faults.
    pub(super) fn ring(&self) {
        self.run.stage.ring();
    }

    pub(super) fn pattern(&self) -> &'static Pattern {
        self.pattern
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.listeners.first().local()
    }

    pub(super) fn listeners(&self) -> Vec<Arc<Listener>> {
        self.listeners.all()
    }

    pub(super) fn threads(&self) -> Vec<(i32, String, &'static Role)> {
        self.run.stage.threads()
    }
}

/// Each thread holds an epoll set, two eventfds and perhaps a listener.
pub(super) fn check_descriptors(pattern: &Pattern, settings: &Settings, open: u64) -> Result<(), String> {
    let needed = u64::from(settings.workers) * 4 + open + 128;
    descriptors::require(needed, &format!("{} with {} workers", pattern.id, settings.workers))
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;
    use crate::board::SharedBoard;
    use crate::pattern;

    /// Starts one thread that serves and another that cannot.
    static BROKEN: Pattern = Pattern {
        id: "broken",
        number: None,
        title: "",
        line: "",
        real_users: "",
        when: "",
        cost: "",
        watch: "",
        shards: true,
        sound: true,
        process: None,
        run: |stage| {
            static ROLE: Role = Role { name: "server", prefix: "srv", duties: &[] };
            stage.crew(|crew| {
                crew.spawn(&ROLE, 0, |member| {
                    while member.goes_on() {
                        member.wait_while(|| true);
                    }
                    Ok(())
                })?;
                crew.spawn(&ROLE, 1, |_| Err(io::Error::other("no epoll set to be had")))
            })
        },
    };

    fn ask(stream: &mut TcpStream) {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let mut text = [0; 17];
        stream.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"HTTP/1.1 200 OK\r\n");
    }

    #[test]
    fn a_pattern_that_cannot_start_leaves_everything_as_it_was() {
        // A worker process would be this test program.
        for pattern in pattern::PATTERNS.iter().filter(|pattern| pattern.process.is_none()) {
            let config = Config { listen: "127.0.0.1:0".parse().unwrap(), pattern, ..Config::default() };
            let service = Arc::new(Service::new(SharedBoard::new().unwrap(), None, "/proc/self/exe".into()));
            let mut engine = Engine::start(&config, &service, &Arc::new(Wake::new().unwrap())).unwrap();
            let listeners: Vec<_> = engine.listeners().iter().map(|listener| listener.cookie()).collect();
            let mut stream = TcpStream::connect(engine.local()).unwrap();
            ask(&mut stream);
            let changed = Settings { workers: 7, backlog: 9, ..config.settings };
            let error = engine.change(&BROKEN, changed).unwrap_err();
            assert_eq!(error, "cannot start broken: srv-1: no epoll set to be had");
            assert_eq!((engine.pattern().id, engine.settings()), (pattern.id, config.settings));
            let after: Vec<_> = engine.listeners().iter().map(|listener| listener.cookie()).collect();
            assert_eq!(after, listeners);
            let mut again = [0; 4096];
            let _rest = stream.read(&mut again).unwrap();
            ask(&mut stream);
            ask(&mut TcpStream::connect(engine.local()).unwrap());
            assert_eq!(engine.end(Duration::from_secs(1)), None);
        }
    }
}
