//! Listeners and clients where the exact sequence of calls matters.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use demo_server::socket_option::{self, SocketOption};
use socket2::{Domain, SockRef, Socket, Type};

use super::Arena;

/// A listener on 127.0.0.1, at a port that the kernel chooses.
pub fn listen(backlog: u32) -> Result<TcpListener> {
    listen_with(backlog, |_| Ok(()))
}

/// The same, with something done to the socket before bind(2).
pub fn listen_with(backlog: u32, prepare: impl FnOnce(&Socket) -> io::Result<()>) -> Result<TcpListener> {
    listen_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), backlog, prepare)
}

/// A listener of which others at its address can be shards.
pub fn listen_shared(backlog: u32) -> Result<TcpListener> {
    listen_with(backlog, |socket| socket.set_reuse_port(true))
}

/// One more of those, at its address.
pub fn listen_beside(first: &TcpListener, backlog: u32) -> Result<TcpListener> {
    listen_at(address(first)?, backlog, |socket| socket.set_reuse_port(true))
}

fn listen_at(
    address: SocketAddr,
    backlog: u32,
    prepare: impl FnOnce(&Socket) -> io::Result<()>,
) -> Result<TcpListener> {
    let make = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        prepare(&socket)?;
        socket.bind(&address.into())?;
        socket.listen(clamped(backlog))?;
        Ok(socket.into())
    };
    make().with_context(|| format!("cannot listen on {}", address.ip()))
}

/// listen(2) once more, which sets another backlog.
pub fn listen_again(listener: &TcpListener, backlog: u32) -> Result<()> {
    SockRef::from(listener).listen(clamped(backlog)).context("cannot listen again")
}

/// Sets `TCP_DEFER_ACCEPT`: handshakes wait for data.
pub fn defer_accept(socket: &Socket) -> io::Result<()> {
    socket_option::set(socket, SocketOption::DeferAccept(30))
}

/// The port of a listener.
pub fn port(listener: &TcpListener) -> Result<u16> {
    Ok(address(listener)?.port())
}

/// The address of a listener.
pub fn address(listener: &TcpListener) -> Result<SocketAddr> {
    listener.local_addr().context("cannot ask a listener for its address")
}

/// Connects, and waits for it.
pub fn connect(listener: &TcpListener) -> Result<TcpStream> {
    TcpStream::connect(address(listener)?).context("cannot connect to a listener of our own")
}

/// Sends a SYN and does not wait for what comes of it.
pub fn attempt(to: SocketAddr) -> Result<Socket> {
    attempt_with(to, |_| Ok(()))
}

/// The same, with something done to the socket before.
pub fn attempt_with(to: SocketAddr, prepare: impl FnOnce(&Socket) -> io::Result<()>) -> Result<Socket> {
    let begin = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        prepare(&socket)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&to.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            _ => Ok(socket),
        }
    };
    begin().with_context(|| format!("cannot begin to connect to {to}"))
}

/// Accepts one connection; it is an error if none comes. The listener does not block afterwards.
pub fn accept(listener: &TcpListener, arena: &Arena) -> Result<TcpStream> {
    listener.set_nonblocking(true).context("cannot set O_NONBLOCK")?;
    let mut accepted = None;
    arena.until("a connection to accept", || match listener.accept() {
        Ok((stream, _)) => {
            accepted = Some(stream);
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error).context("cannot accept"),
    })?;
    accepted.context("nothing was accepted")
}

/// A client and what the server accepted of it. Nobody else may be connecting.
pub fn pair(listener: &TcpListener) -> Result<(TcpStream, TcpStream)> {
    let client = connect(listener)?;
    let accepted = listener.accept().context("cannot accept from a listener of our own")?.0;
    Ok((client, accepted))
}

/// Writes until neither end's kernel takes any more, and returns how many bytes that were. The peer must not read. It
/// does not block afterwards.
pub fn fill(arena: &Arena, mut stream: &TcpStream) -> Result<u64> {
    stream.set_nonblocking(true).context("cannot set O_NONBLOCK")?;
    let mut taken = 0;
    let before = arena.counters()?;
    // A probe of the window is sent only when nothing has moved for a while.
    arena.until("the window to be closed", || {
        loop {
            match stream.write(&[0; 1 << 16]) {
                Ok(length) => taken += length as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(arena.counted_since(&before)?.of("TCPWinProbe") > Some(0));
                }
                Err(error) => return Err(error).context("cannot write"),
            }
        }
    })?;
    Ok(taken)
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: arena\r\nconnection: close\r\n\r\n";

/// Asks demo-server once on a connection of its own; returns when the server has closed it.
pub fn ask_once(to: SocketAddr) -> Result<()> {
    let mut answer = Vec::new();
    let length = Asked::new(to)?.0.read_to_end(&mut answer).context("cannot read demo-server's answer")?;
    ensure!(answer.starts_with(b"HTTP/1.1 200 "), "demo-server's answer of {length} bytes is none");
    Ok(())
}

/// A client that has sent demo-server its request and not read the answer.
#[derive(Debug)]
pub struct Asked(TcpStream);

impl Asked {
    /// Connects and asks.
    pub fn new(to: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(to).context("cannot connect to demo-server")?;
        stream.write_all(REQUEST).context("cannot ask demo-server")?;
        Ok(Self(stream))
    }

    /// Whether an answer, or an end, has come.
    pub fn is_answered(&self) -> bool {
        self.0.set_nonblocking(true).is_ok() && self.0.peek(&mut [0]).is_ok()
    }
}

/// Closes with a reset.
pub fn reset(stream: TcpStream) -> Result<()> {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).context("cannot set SO_LINGER")
}

fn clamped(backlog: u32) -> i32 {
    i32::try_from(backlog).unwrap_or(i32::MAX)
}
