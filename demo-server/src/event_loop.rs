//! One thread that minds many sockets: an epoll set with a listener, a mailbox, and open connections.
//!
//! Connections are level-triggered, as most servers use them: what was not finished is reported again. For a
//! listener there is a choice, because there the kernel's behaviour differs most.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use crate::accept_ring::AcceptRing;
use crate::connection::{Connection, Interest, Turn};
use crate::fault::Fault;
use crate::http::Request;
use crate::listener::Listener;
use crate::stage::{Mailbox, Member};

/// Names a connection of the loop: the number of its descriptor.
pub type Token = RawFd;

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Ready {
    /// The accept queue is not empty.
    Listener,
    /// Somebody has put connections into the mailbox.
    Mailbox,
    /// io_uring has accepted connections.
    Arrivals,
    /// There is something to do on this connection.
    Connection(Token),
}

/// How a listener is watched that other threads may watch too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// As long as its queue is not empty; an arrival wakes every thread that watches it.
    Level,
    /// The same with `EPOLLEXCLUSIVE`: an arrival wakes the first that waits. After so many accepts, if told so, the
    /// thread lines up anew, behind the others.
    Exclusive {
        /// Accepts until then.
        rejoin_after: Option<u32>,
    },
    /// Once for an arrival, with `EPOLLET`.
    Edge,
}

const WAKE: u64 = u64::MAX;
const LISTENER: u64 = u64::MAX - 1;
const MAILBOX: u64 = u64::MAX - 2;
const ARRIVALS: u64 = u64::MAX - 3;

/// Events fetched by one epoll_wait. Small, so that a thread told to stop is never far from looking up.
const BATCH: usize = 64;

/// The sockets of one thread. Connections that are still in it when it is dropped go back to the stage.
#[derive(Debug)]
pub struct EventLoop<'a> {
    member: &'a Member<'a>,
    epoll: OwnedFd,
    connections: HashMap<Token, (Connection, Interest)>,
    listener: Option<&'a Listener>,
    trigger: Trigger,
    /// Accepts since the thread last lined up.
    turns: u32,
    /// Whether the listener is in the epoll set; it is not while accepting is paused.
    accepting: bool,
    /// Whether connections are in the epoll set; they are not while nobody is to read.
    reading: bool,
    /// Connections that are to be looked at again without waiting for the kernel to report them.
    resumed: Vec<Ready>,
}

impl<'a> EventLoop<'a> {
    /// Makes a loop that hears when somebody rings for `member`.
    pub fn new(member: &'a Member<'a>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, member.wake(), EventData::new_u64(WAKE), EventFlags::IN)?;
        let connections = HashMap::new();
        let reading = !member.fault(Fault::NoRead);
        Ok(Self {
            member,
            epoll,
            connections,
            listener: None,
            trigger: Trigger::Level,
            turns: 0,
            accepting: false,
            reading,
            resumed: Vec::new(),
        })
    }

    /// Minds a listener.
    pub fn watch_listener(&mut self, listener: &'a Listener, trigger: Trigger) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        self.trigger = trigger;
        self.listener = Some(listener);
        self.follow_faults()
    }

    /// Minds a mailbox.
    pub fn watch_mailbox(&mut self, mailbox: &Mailbox<'_>) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, mailbox, EventData::new_u64(MAILBOX), EventFlags::IN)?)
    }

    /// Minds what an io_uring accepts.
    pub fn watch_arrivals(&mut self, ring: &AcceptRing<'_>) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, ring, EventData::new_u64(ARRIVALS), EventFlags::IN)?)
    }

    /// Says that a connection was accepted: when it is time, the thread lines up behind the others.
    pub fn take_turns(&mut self) -> io::Result<()> {
        self.turns += 1;
        let Trigger::Exclusive { rejoin_after: Some(limit) } = self.trigger else { return Ok(()) };
        if let Some(listener) = self.listener.filter(|_| self.accepting && self.turns >= limit) {
            self.turns = 0;
            // EPOLL_CTL_MOD would leave it where it is, and is not allowed with EPOLLEXCLUSIVE.
            epoll::delete(&self.epoll, listener)?;
            epoll::add(&self.epoll, listener, EventData::new_u64(LISTENER), self.trigger.flags())?;
        }
        Ok(())
    }

    /// Sleeps until something is ready and puts it into `ready`; false when the thread is to leave.
    pub fn wait(&mut self, ready: &mut Vec<Ready>) -> io::Result<bool> {
        if !self.member.goes_on() {
            return Ok(false);
        }
        let mut events = [const { MaybeUninit::<Event>::uninit() }; BATCH];
        let timeout = (!self.resumed.is_empty()).then_some(&Timespec { tv_sec: 0, tv_nsec: 0 });
        let events = match epoll::wait(&self.epoll, &mut events, timeout) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        for event in events.iter() {
            match event.data.u64() {
                WAKE => {
                    self.member.wake().quiet();
                }
                LISTENER => ready.extend(self.may_accept().then_some(Ready::Listener)),
                MAILBOX => ready.push(Ready::Mailbox),
                ARRIVALS => ready.push(Ready::Arrivals),
                token => ready.extend(Token::try_from(token).ok().map(Ready::Connection)),
            }
        }
        self.follow_faults()?;
        ready.append(&mut self.resumed);
        Ok(self.member.goes_on())
    }

    fn may_accept(&self) -> bool {
        !self.member.fault(Fault::PauseAccept)
    }

    fn may_read(&self) -> bool {
        !self.member.fault(Fault::NoRead)
    }

    /// Adds a connection and, if an earlier owner left something to do, does it.
    pub fn adopt(&mut self, connection: Connection) {
        let unfinished = connection.has_unfinished();
        if let Some(token) = self.insert(connection)
            && unfinished
        {
            self.serve(token);
        }
    }

    /// Adds a connection. None when the kernel would not have it; it is then closed.
    pub fn insert(&mut self, mut connection: Connection) -> Option<Token> {
        let token = connection.as_fd().as_raw_fd();
        let added = connection
            .set_nonblocking(true)
            .and_then(|()| if self.reading { self.register(&connection, Interest::Read) } else { Ok(()) });
        if let Err(error) = added {
            self.member.complain(&format!("a connection is closed unserved: {error}"));
            return None;
        }
        self.connections.insert(token, (connection, Interest::Read));
        Some(token)
    }

    /// Goes as far as it can with a connection that is ready: reads once, answers every request that is complete.
    pub fn serve(&mut self, token: Token) {
        let (member, mut may_read) = (self.member, true);
        while let Some((connection, request)) = self.turn(token, &mut may_read) {
            connection.answer(member, &request);
        }
    }

    /// Takes a connection out, with its next request, if one is complete; otherwise sees to the rest itself.
    pub fn take_request(&mut self, token: Token) -> Option<(Connection, Request)> {
        let (_, request) = self.turn(token, &mut true)?;
        let (connection, _) = self.connections.remove(&token)?;
        // Its next owner may live in another epoll set, and this one must not report it meanwhile.
        let _ = epoll::delete(&self.epoll, &connection);
        Some((connection, request))
    }

    /// Closes every connection on which nothing is under way; returns how many are left.
    pub fn close_idle(&mut self) -> usize {
        self.connections.retain(|_, (connection, _)| connection.has_unfinished());
        self.connections.len()
    }

    /// Advances a connection until it has a request, and does what is to be done if it has none.
    fn turn(&mut self, token: Token, may_read: &mut bool) -> Option<(&mut Connection, Request)> {
        if self.reading != self.may_read() {
            // Not later: whoever has switched the fault on counts on it. An error shows again in `wait`.
            let _ = self.follow_faults();
        }
        let held = self.member.stage().stopping() || !self.reading;
        let (connection, interest) = self.connections.get_mut(&token).filter(|_| !held)?;
        if self.member.fault(Fault::CloseUnread) {
            self.connections.remove(&token);
            return None;
        }
        let turn = connection.advance(self.member, may_read);
        let (wanted, request) = match turn {
            Turn::Answer(request) => (None, Some(request)),
            Turn::Wait(wanted) => (Some(wanted), None),
            Turn::Close => {
                self.connections.remove(&token);
                return None;
            }
        };
        if let Some(wanted) = wanted.filter(|wanted| wanted != interest) {
            *interest = wanted;
            let event = (EventData::new_u64(token_data(token)), flags(wanted));
            if epoll::modify(&self.epoll, &*connection, event.0, event.1).is_err() {
                self.connections.remove(&token);
            }
            return None;
        }
        let request = request?;
        self.connections.get_mut(&token).map(|(connection, _)| (connection, request))
    }

    /// Puts listener and connections into the epoll set or takes them out, as the faults say.
    fn follow_faults(&mut self) -> io::Result<()> {
        let accepting = self.may_accept() && self.listener.is_some_and(|listener| !listener.is_closed());
        if let Some(listener) = self.listener.filter(|_| accepting != self.accepting) {
            if accepting {
                let flags = self.trigger.flags();
                epoll::add(&self.epoll, listener, EventData::new_u64(LISTENER), flags)?;
            } else {
                epoll::delete(&self.epoll, listener)?;
            }
            self.accepting = accepting;
        }
        let reading = self.may_read();
        if reading != self.reading {
            self.reading = reading;
            for (token, (connection, interest)) in &self.connections {
                if reading {
                    self.register(connection, *interest)?;
                    // What was read before the fault is not reported again by the kernel.
                    self.resumed.push(Ready::Connection(*token));
                } else {
                    epoll::delete(&self.epoll, connection)?;
                }
            }
        }
        Ok(())
    }

    fn register(&self, connection: &Connection, interest: Interest) -> io::Result<()> {
        let token = connection.as_fd().as_raw_fd();
        Ok(epoll::add(&self.epoll, connection, EventData::new_u64(token_data(token)), flags(interest))?)
    }
}

impl Drop for EventLoop<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // What a thread held when it died is closed, as in any program.
            return;
        }
        for (_, (connection, _)) in self.connections.drain() {
            self.member.stage().hand_back(connection);
        }
    }
}

impl Trigger {
    fn flags(self) -> EventFlags {
        match self {
            Self::Level => EventFlags::IN,
            Self::Exclusive { .. } => EventFlags::IN | EventFlags::EXCLUSIVE,
            Self::Edge => EventFlags::IN | EventFlags::ET,
        }
    }
}

fn flags(interest: Interest) -> EventFlags {
    match interest {
        Interest::Read => EventFlags::IN,
        Interest::Write => EventFlags::OUT,
    }
}

/// Descriptors are never negative, so the four names at the top of the range are free.
fn token_data(token: Token) -> u64 {
    u64::from(token.unsigned_abs())
}
