//! Listening sockets: one, or one for each shard, on one address.
//!
//! The first listener lives as long as the server, whatever patterns come and go. The others exist only while a
//! pattern shards.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::connection::{Connection, Origin};
use crate::service::Service;
use crate::settings::Settings;
use crate::socket_option::{self, SocketOption};
use crate::stage::Member;

mod steer;

pub use steer::Steering;

/// One socket in the state `TCP_LISTEN`.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    shard: u32,
    cookie: u64,
    local: SocketAddr,
    /// Whether accept(2) on it returns at once; the flag belongs to the socket, not to the thread that calls.
    nonblocking: AtomicBool,
    /// Whether the last accept(2) failed for want of descriptors or memory; said once, not every time.
    short: AtomicBool,
    /// Closed by a fault, to be opened again.
    closed: AtomicBool,
}

impl Listener {
    /// Opens the first listener of an address, which must not be in use.
    ///
    /// `SO_REUSEPORT` is set after bind(2) and before listen(2). At bind it would let two servers of the same user
    /// share a port without either noticing; unset at listen, the socket could not be joined by shards later. The
    /// kernel allows it: the conflict check (`inet_csk_get_port`) looks at the flag at bind, the reuseport group is
    /// made when the socket is hashed (`inet_hash` → `inet_reuseport_add_sock`).
    pub fn first(address: SocketAddr, backlog: u32) -> io::Result<Self> {
        let socket = Self::socket(address)?;
        socket.bind(&address.into())?;
        socket.set_reuse_port(true)?;
        Self::listen(socket, 0, backlog)
    }

    /// Opens another listener on the address of `first`, as shard number `shard`.
    pub fn shard_of(first: &Self, shard: u32, backlog: u32) -> io::Result<Self> {
        let socket = Self::socket(first.local)?;
        socket.set_reuse_port(true)?;
        socket.bind(&first.local.into())?;
        Self::listen(socket, shard, backlog)
    }

    fn socket(address: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // Without it a restarted server could not bind while connections of the old one are in TIME-WAIT.
        socket.set_reuse_address(true)?;
        Ok(socket)
    }

    fn listen(socket: Socket, shard: u32, backlog: u32) -> io::Result<Self> {
        socket.listen(as_backlog(backlog))?;
        Self::around(socket, shard)
    }

    /// A listener that another process has opened.
    pub fn of(socket: OwnedFd, shard: u32) -> io::Result<Self> {
        Self::around(socket.into(), shard)
    }

    fn around(socket: Socket, shard: u32) -> io::Result<Self> {
        let local = socket
            .local_addr()?
            .as_socket()
            .ok_or_else(|| io::Error::other("the listener has no internet address"))?;
        Ok(Self {
            cookie: socket.cookie()?,
            socket,
            shard,
            local,
            nonblocking: AtomicBool::new(false),
            short: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        })
    }

    /// Takes one connection from the accept queue. None when there is none, when the call was interrupted, or when
    /// the connection ended before it was accepted.
    ///
    /// Running out of descriptors is not the end of the server: the thread says so, rests, and leaves the connection
    /// in the queue.
    pub fn accept(&self, member: &Member<'_>) -> io::Result<Option<Connection>> {
        match self.take(member.tid(), member.stage().service()) {
            // A fault has closed it under the thread's hands (`inet_csk_accept` of a socket that does not listen).
            Err(_) if self.is_closed() => Ok(None),
            // The same, by another process, of which this one is about to hear. The first shard is never closed.
            Err(error) if self.shard > 0 && Errno::from_io_error(&error) == Some(Errno::INVAL) => Ok(None),
            Err(error) => self.endure(error, member).map(|()| None),
            Ok(Some(connection)) => {
                self.short.store(false, Ordering::Relaxed);
                Ok(Some(connection))
            }
            Ok(None) => Ok(None),
        }
    }

    /// Rests a while if accept failed for want of descriptors or memory; any other error is the caller's.
    pub(crate) fn endure(&self, error: io::Error, member: &Member<'_>) -> io::Result<()> {
        match Errno::from_io_error(&error) {
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                if !self.short.swap(true, Ordering::Relaxed) {
                    member.complain(&format!(
                        "accept: {error}; clients wait; raise the limit with `ulimit -n`"
                    ));
                }
                let end = Instant::now() + Duration::from_millis(50);
                member.rest(|| end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()));
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// [`Listener::accept`] for a thread that belongs to no pattern.
    pub fn take(&self, tid: i32, service: &Arc<Service>) -> io::Result<Option<Connection>> {
        let nonblocking = self.nonblocking.load(Ordering::Relaxed);
        let flags = if nonblocking { SocketFlags::NONBLOCK } else { SocketFlags::empty() };
        let (socket, remote) = match acceptfrom_with(&self.socket, flags | SocketFlags::CLOEXEC) {
            Ok(accepted) => accepted,
            Err(error) if is_passing(error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let remote = remote.and_then(|address| SocketAddr::try_from(address).ok());
        Ok(Some(self.connection(socket, remote, tid, service, nonblocking)))
    }

    /// Takes charge of a nonblocking socket that was accepted by other means than accept(2).
    pub fn adopt(&self, socket: OwnedFd, remote: Option<SocketAddr>, member: &Member<'_>) -> Connection {
        self.short.store(false, Ordering::Relaxed);
        self.connection(socket, remote, member.tid(), member.stage().service(), true)
    }

    fn connection(
        &self,
        socket: OwnedFd,
        remote: Option<SocketAddr>,
        tid: i32,
        service: &Arc<Service>,
        nonblocking: bool,
    ) -> Connection {
        let socket = TcpStream::from(socket);
        let origin = Origin {
            // Unknown only where the client has reset the connection before anybody asked.
            remote: remote.or_else(|| socket.peer_addr().ok()).unwrap_or(self.local),
            local: self.local,
            shard: self.shard,
            listener_cookie: self.cookie,
            acceptor_tid: tid,
        };
        Connection::new(socket, origin, service, nonblocking)
    }

    /// Passes the settings that concern a listener to the kernel.
    pub fn set(&self, settings: &Settings) -> io::Result<()> {
        if self.is_closed() {
            return Ok(());
        }
        socket_option::set(self, SocketOption::DeferAccept(as_backlog(settings.defer_accept_s)))?;
        socket_option::set(self, SocketOption::FastOpen(as_backlog(settings.fast_open)))?;
        self.set_backlog(settings.backlog)
    }

    /// Whether a fault has closed it.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Takes note of what another process has done to the socket.
    pub(crate) fn note_closed(&self, closed: bool) {
        self.closed.store(closed, Ordering::SeqCst);
    }

    /// Closes it as a crash of its thread's process would, resetting what is queued; or opens it again, which works on
    /// the same socket because its port was bound by number (`inet_shutdown`, `inet_listen`).
    pub(crate) fn break_off(&self, closed: bool, settings: &Settings) -> io::Result<()> {
        if self.closed.swap(closed, Ordering::SeqCst) == closed {
            return Ok(());
        }
        if closed {
            self.close();
            return Ok(());
        }
        self.set(settings)
    }

    /// Calls listen(2) again: the kernel takes the new backlog at once, for connections already queued too.
    pub fn set_backlog(&self, backlog: u32) -> io::Result<()> {
        Ok(rustix::net::listen(&self.socket, as_backlog(backlog))?)
    }

    /// Makes accept(2) return at once, or wait.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)?;
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// Stops listening although others may still hold the socket: `TCP_LISTEN` → `TCP_CLOSE` (`inet_shutdown`).
    pub fn close(&self) {
        // The only error is that it does not listen any more.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Drops, without an answer, every packet that still reaches the listener.
    ///
    /// For the instant in which a listener has left its reuseport group and not yet the hash table
    /// (`reuseport_detach_sock`, `__sk_nulls_del_node_init_rcu` in `inet_unhash`) a lookup can find it by itself. A
    /// SYN that it answered then would be a connection that nobody knows a moment later, and be reset. A SYN that is
    /// dropped is sent again.
    fn deafen(&self) {
        // BPF_RET | BPF_K: keep 0 bytes of the packet. Without the filter the instant remains, and is short.
        let _ = self.socket.attach_filter(&[SockFilter::new(0x06, 0, 0, 0)]);
    }

    /// Number of the listener, 0 for the first.
    pub fn shard(&self) -> u32 {
        self.shard
    }

    /// `SO_COOKIE`, by which the kernel's tools name the socket.
    pub fn cookie(&self) -> u64 {
        self.cookie
    }

    /// The address it listens on, with the port that the kernel chose if 0 was asked for.
    pub fn local(&self) -> SocketAddr {
        self.local
    }
}

/// Whether an accept failed for a reason of its own, and the next need not.
pub(crate) fn is_passing(error: Errno) -> bool {
    matches!(error, Errno::AGAIN | Errno::INTR | Errno::CONNABORTED | Errno::PROTO)
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn as_backlog(backlog: u32) -> i32 {
    i32::try_from(backlog).unwrap_or(i32::MAX)
}

/// The limit that the kernel makes of a backlog: listen(2) clamps it to `net.core.somaxconn` (`__sys_listen`).
pub fn effective_backlog(backlog: u32) -> u32 {
    let somaxconn = std::fs::read_to_string("/proc/sys/net/core/somaxconn");
    let limit = somaxconn.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(u32::MAX);
    backlog.min(limit)
}

/// The listeners of a server. There is always at least one.
#[derive(Debug)]
pub struct Listeners {
    first: Arc<Listener>,
    others: Vec<Arc<Listener>>,
}

impl Listeners {
    /// Opens the first.
    pub fn open(address: SocketAddr, backlog: u32) -> io::Result<Self> {
        Ok(Self { first: Arc::new(Listener::first(address, backlog)?), others: Vec::new() })
    }

    /// All of them, by number.
    pub fn all(&self) -> Vec<Arc<Listener>> {
        std::iter::once(&self.first).chain(&self.others).cloned().collect()
    }

    /// The first.
    pub fn first(&self) -> &Listener {
        &self.first
    }

    /// Opens shards until there are `count`. After an error there are as many as before.
    pub fn grow(&mut self, count: usize, backlog: u32) -> io::Result<()> {
        let before = self.others.len();
        while self.others.len() + 1 < count {
            let shard = u32::try_from(self.others.len() + 1).unwrap_or(u32::MAX);
            match Listener::shard_of(&self.first, shard, backlog) {
                Ok(listener) => self.others.push(Arc::new(listener)),
                Err(error) => {
                    self.others.truncate(before);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Lets the kernel choose by hash among the listeners, whatever an earlier pattern has told it.
    pub fn choose_by_hash(&self) {
        // Fails only where there is nothing to detach, or on kernels that could not have attached it.
        let _ = socket_option::set(self.first.as_ref(), SocketOption::ReuseportByHash);
        for listener in self.all() {
            let _ = socket_option::set(listener.as_ref(), SocketOption::IncomingCpu(None));
        }
    }

    /// Sends every new client to the first listener until the result is dropped, so that others can be closed.
    pub fn steer_to_first(&self) -> io::Result<Steering> {
        Steering::to_first(&self.first)
    }

    /// Closes shards until there are `count`, and returns the connections that waited in their accept queues.
    ///
    /// Closing a listener resets what is queued on it (`inet_csk_listen_stop`), unless `net.ipv4.tcp_migrate_req`
    /// is set.
    pub fn shrink(&mut self, count: usize, tid: i32, service: &Arc<Service>) -> Vec<Connection> {
        if self.others.len() < count.max(1) {
            return Vec::new();
        }
        let leaving = self.others.split_off(count.max(1) - 1);
        let mut rescued = Vec::new();
        for listener in &leaving {
            if listener.set_nonblocking(true).is_err() {
                continue;
            }
            while let Ok(Some(connection)) = listener.take(tid, service) {
                rescued.push(connection);
            }
        }
        // The last first: when a socket leaves the group the kernel moves the last one into its place.
        for listener in leaving.iter().rev() {
            listener.deafen();
            // Explicitly, because the run that has just ended may still hold it.
            listener.close();
        }
        rescued
    }

    /// Passes settings to every listener.
    pub fn set(&self, settings: &Settings) -> io::Result<()> {
        self.all().iter().try_for_each(|listener| listener.set(settings))
    }
}
