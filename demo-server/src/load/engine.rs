//! The run: every client on one thread and one epoll set.
//!
//! Edge-triggered, registered once for both directions: a connection then costs one epoll_ctl, and a read that
//! returned less than it asked for has emptied the socket (epoll(7)).

use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};
use socket2::SockRef;

use super::client::{Client, Phase, ResponseReader};
use super::clients::Clients;
use super::dialer::Dialer;
use super::exchange::{self, Step};
use super::measure::Measure;
use super::plan::Plan;
use super::profile::{Manner, Mode};
use super::progress::{self, Progress};
use super::report::{Report, Usage};
use super::schedule::Schedule;

/// How long requests that are under way at the end may still take: long enough for a SYN to be sent a second time.
const GRACE: Duration = Duration::from_millis(1500);
/// How long a slow client pauses after each piece.
const PAUSE: Duration = Duration::from_millis(10);
/// What a slow reader reads in one piece.
const SIP: usize = 512;
/// How long a client of a closed loop waits after an error: a server that is down is not asked a million times.
const RETRY_AFTER: Duration = Duration::from_millis(10);
const STOP: u64 = u64::MAX;
const BATCH: usize = 256;

/// A run in progress.
#[derive(Debug)]
pub(super) struct Engine<'a> {
    plan: &'a Plan,
    epoll: OwnedFd,
    request: Vec<u8>,
    dialer: Dialer,
    /// Whether a request is sent without waiting for the news that its connection is established.
    sends_at_once: bool,
    clients: Clients,
    /// When clients that have failed try again, in order.
    retries: VecDeque<Instant>,
    /// When slow clients go on, in order.
    pauses: VecDeque<(Instant, RawFd)>,
    schedule: Option<Schedule>,
    measure: Measure,
    start: Instant,
    /// Set once nothing new is sent: when what is under way is given up.
    give_up: Option<Instant>,
    buffer: Box<[u8]>,
}

impl<'a> Engine<'a> {
    pub(super) fn new(plan: &'a Plan, stop: Option<BorrowedFd<'_>>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        if let Some(stop) = stop {
            epoll::add(&epoll, stop, EventData::new_u64(STOP), EventFlags::IN)?;
        }
        Ok(Self {
            plan,
            epoll,
            request: format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", plan.target).into_bytes(),
            dialer: Dialer::new(plan),
            // Not in a burst, all of whose connections are to be begun before any is completed.
            sends_at_once: plan.manner == Manner::Ask
                && plan.requests_per_connection == 1
                && plan.mode != Mode::Burst,
            clients: Clients::default(),
            retries: VecDeque::new(),
            pauses: VecDeque::new(),
            schedule: Schedule::of(plan),
            measure: Measure::new(),
            start: Instant::now(),
            give_up: None,
            buffer: vec![0; 64 * 1024].into_boxed_slice(),
        })
    }

    pub(super) fn run(mut self) -> io::Result<Report> {
        let processor = processor_time();
        self.start = Instant::now();
        if self.plan.mode == Mode::Closed {
            for _ in 0..self.plan.connections {
                self.open(self.start);
            }
        }
        let mut progress = Progress::new(self.plan, self.start);
        while let Some(timeout) = self.step() {
            self.poll(timeout.min(progress::INTERVAL))?;
            progress.show(&self.measure, self.in_flight());
        }
        for _ in 0..self.in_flight() {
            self.measure.error("unfinished");
        }
        let usage =
            Usage { elapsed: self.start.elapsed(), processor: processor_time().saturating_sub(processor) };
        Ok(Report::new(self.plan, &self.measure, usage))
    }

    /// Does everything that is due now; returns how long nothing else will be, or None at the end.
    fn step(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let pause = self.end_pauses(now);
        if let Some(give_up) = self.give_up {
            let next = pause.map_or(give_up, |pause| pause.min(give_up));
            return (self.in_flight() > 0 && now < give_up).then(|| next.saturating_duration_since(now));
        }
        if self.used_up() && self.clients.is_empty() {
            return None;
        }
        let deadline = self.start + self.plan.duration;
        let mut next = pause.map_or(deadline, |pause| pause.min(deadline));
        // Even when the thread woke up late, all that was due before the deadline is sent or counted as dropped.
        while let Some(due) = self.next_due().filter(|due| *due < deadline) {
            if due > now {
                next = next.min(due);
                break;
            }
            let batch = self.schedule.as_mut().map_or(0, Schedule::take);
            (0..batch).for_each(|_| self.arrive(due));
        }
        if now >= deadline {
            self.wind_down(now);
            return (self.in_flight() > 0).then_some(PAUSE);
        }
        while let Some(due) = self.retries.front().copied() {
            if due > now {
                next = next.min(due);
                break;
            }
            self.retries.pop_front();
            self.open(now);
        }
        Some(next.saturating_duration_since(now))
    }

    fn poll(&mut self, timeout: Duration) -> io::Result<()> {
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        let mut events = [const { MaybeUninit::<Event>::uninit() }; BATCH];
        let events = match epoll::wait(&self.epoll, &mut events, Some(&timeout)) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for event in events.iter() {
            match event.data.u64() {
                STOP => self.wind_down(Instant::now()),
                client => {
                    if let Ok(fd) = RawFd::try_from(client) {
                        self.go_on(fd);
                    }
                }
            }
        }
        Ok(())
    }

    /// Goes on with the slow clients whose pause is over; returns when the next one is.
    fn end_pauses(&mut self, now: Instant) -> Option<Instant> {
        while let Some((end, fd)) = self.pauses.front().copied() {
            if end > now {
                return Some(end);
            }
            self.pauses.pop_front();
            // Should another client have got the descriptor meanwhile, it goes on a little early, and that is all.
            if let Some(client) = self.clients.get_mut(fd) {
                client.paused = false;
            }
            self.go_on(fd);
        }
        None
    }

    /// When the next request is due, in an open loop.
    fn next_due(&self) -> Option<Instant> {
        self.schedule.as_ref().and_then(|schedule| self.start.checked_add(schedule.due()))
    }

    /// One request is due, in an open loop.
    fn arrive(&mut self, due: Instant) {
        if self.in_flight() >= self.plan.in_flight_limit() as usize {
            self.measure.dropped += 1;
            return;
        }
        match self.clients.wake() {
            Some(fd) => {
                if let Some(client) = self.clients.get_mut(fd) {
                    client.intended = due;
                    client.phase = Phase::Sending(0);
                }
                self.go_on(fd);
            }
            None => self.open(due),
        }
    }

    /// Opens a connection for a request that was due at `intended`.
    fn open(&mut self, intended: Instant) {
        if self.used_up() {
            return;
        }
        let began = Instant::now();
        let socket = match self.dialer.dial() {
            Ok(socket) => socket,
            Err(error) => return self.failed(exchange::kind(&error)),
        };
        self.measure.opened += 1;
        let fd = socket.as_raw_fd();
        let mut client = Client {
            socket,
            phase: Phase::Connecting,
            began,
            intended,
            sent: began,
            answered: 0,
            paused: false,
            reader: ResponseReader::default(),
        };
        let mut flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        if !self.sends_at_once {
            flags |= EventFlags::OUT;
        } else {
            match exchange::send_at_once(&mut client, &self.request, &mut self.measure) {
                // The only request of its connection: room to write is not waited for any more.
                Ok(true) => {}
                Ok(false) => flags |= EventFlags::OUT,
                Err(kind) => return self.failed(kind),
            }
        }
        let data = EventData::new_u64(u64::from(fd.unsigned_abs()));
        match epoll::add(&self.epoll, &client.socket, data, flags) {
            Ok(()) => self.clients.insert(fd, client),
            Err(error) => self.failed(exchange::kind(&error.into())),
        }
    }

    /// Goes on with a client whose socket has something to say, as far as it can.
    fn go_on(&mut self, fd: RawFd) {
        loop {
            let Some(client) = self.clients.get_mut(fd).filter(|client| !client.paused) else { return };
            let step = match client.phase {
                Phase::Connecting => exchange::connected(client, &mut self.measure),
                Phase::Sending(_) => {
                    let most = if self.plan.manner == Manner::SendSlowly { 1 } else { usize::MAX };
                    exchange::send(client, &self.request, most, &mut self.measure)
                }
                Phase::Receiving => {
                    let most = if self.plan.manner == Manner::ReadSlowly { SIP } else { self.buffer.len() };
                    exchange::receive(client, &mut self.buffer[..most], &mut self.measure)
                }
                Phase::Idle => exchange::closed_while_idle(client),
            };
            match step {
                Ok(Step::On) if client.phase == Phase::Sending(0) && self.plan.manner == Manner::Hold => {
                    // Connected, and that is all.
                    client.phase = Phase::Idle;
                    self.clients.rest(fd);
                }
                Ok(Step::On) if pauses(self.plan.manner, client.phase) => {
                    client.paused = true;
                    self.pauses.push_back((Instant::now() + PAUSE, fd));
                    return;
                }
                Ok(Step::On) => {}
                Ok(Step::Wait) if client.phase == Phase::Receiving && self.plan.manner == Manner::Abort => {
                    self.abort(fd);
                    return;
                }
                Ok(Step::Wait) => return,
                Ok(Step::Answered { closes }) => {
                    if !self.answered(fd, closes) {
                        return;
                    }
                }
                Ok(Step::Gone) => {
                    self.clients.remove_idle(fd);
                    return;
                }
                Err(kind) => {
                    self.clients.remove(fd);
                    self.failed(kind);
                    return;
                }
            }
        }
    }

    /// After a whole response: the next request at once (true), or later, or never on this connection (false).
    fn answered(&mut self, fd: RawFd, closes: bool) -> bool {
        let Some(client) = self.clients.get_mut(fd) else { return false };
        client.answered += 1;
        if closes || client.answered >= self.plan.requests_per_connection || self.give_up.is_some() {
            self.clients.remove(fd);
            if self.plan.mode == Mode::Closed && self.give_up.is_none() {
                self.open(Instant::now());
            }
            return false;
        }
        if self.plan.mode == Mode::Open {
            client.phase = Phase::Idle;
            self.clients.rest(fd);
            return false;
        }
        client.intended = Instant::now();
        client.phase = Phase::Sending(0);
        true
    }

    /// Resets a connection: with a linger time of 0 close(2) sends RST and forgets what is unsent (`tcp_close`).
    fn abort(&mut self, fd: RawFd) {
        if let Some(client) = self.clients.remove(fd) {
            let reset = SockRef::from(&client.socket).set_linger(Some(Duration::ZERO));
            match reset {
                Ok(()) => self.measure.aborted += 1,
                Err(error) => self.measure.error(exchange::kind(&error)),
            }
        }
    }

    fn failed(&mut self, kind: &'static str) {
        self.measure.error(kind);
        if self.plan.mode == Mode::Closed {
            self.retries.push_back(Instant::now() + RETRY_AFTER);
        }
    }

    /// Nothing new from now on; what is under way has a little time left.
    fn wind_down(&mut self, now: Instant) {
        if self.give_up.is_none() {
            self.give_up = Some(now + GRACE);
            while let Some(fd) = self.clients.wake() {
                self.clients.remove(fd);
            }
        }
    }

    fn in_flight(&self) -> usize {
        self.clients.in_flight()
    }

    fn used_up(&self) -> bool {
        self.plan.total_connections.is_some_and(|total| self.measure.opened >= total)
    }
}

/// Whether a client that could go on at once pauses instead.
fn pauses(manner: Manner, phase: Phase) -> bool {
    match manner {
        Manner::SendSlowly => matches!(phase, Phase::Sending(done) if done > 0),
        Manner::ReadSlowly => phase == Phase::Receiving,
        _ => false,
    }
}

/// Processor time of the calling thread.
pub(super) fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
