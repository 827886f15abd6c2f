//! Listeners and clients where the exact sequence of calls matters.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use demo_server::socket_option::{self, SocketOption};
use socket2::{Domain, SockRef, Socket, Type};

/// A listener on 127.0.0.1, at a port that the kernel chooses.
pub fn listen(backlog: u32) -> Result<TcpListener> {
    listen_with(backlog, |_| Ok(()))
}

/// The same, with something done to the socket before bind(2).
pub fn listen_with(backlog: u32, prepare: impl FnOnce(&Socket) -> io::Result<()>) -> Result<TcpListener> {
    let make = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        prepare(&socket)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        socket.listen(clamped(backlog))?;
        Ok(socket.into())
    };
    make().context("cannot listen on 127.0.0.1")
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
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).context("cannot make a socket")?;
    socket.set_nonblocking(true).context("cannot set O_NONBLOCK")?;
    match socket.connect(&to.into()) {
        Ok(()) => Ok(socket),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(socket),
        Err(error) => bail!("cannot begin to connect to {to}: {error}"),
    }
}

/// A client and what the server accepted of it. Nobody else may be connecting.
pub fn pair(listener: &TcpListener) -> Result<(TcpStream, TcpStream)> {
    let client = connect(listener)?;
    let accepted = listener.accept().context("cannot accept from a listener of our own")?.0;
    Ok((client, accepted))
}

/// Closes with a reset.
pub fn reset(stream: TcpStream) -> Result<()> {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).context("cannot set SO_LINGER")
}

fn clamped(backlog: u32) -> i32 {
    i32::try_from(backlog).unwrap_or(i32::MAX)
}
