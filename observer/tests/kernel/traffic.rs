//! Listeners and clients.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    os::fd::AsRawFd as _,
    time::Duration,
};

use socket2::{Domain, SockRef, Socket, Type};

use crate::{sock_diag, waiting::until_equal};

/// 127.0.0.1
pub(crate) const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// ::1
pub(crate) const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// A listening socket of the test's own.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) socket: Socket,
    pub(crate) address: SocketAddr,
    pub(crate) cookie: u64,
}

impl Server {
    /// Listens on a port that the kernel chooses.
    pub(crate) fn listen(ip: IpAddr, backlog: u32) -> Self {
        Self::prepared(ip, backlog, |_| {})
    }

    /// The same, with something done to the socket before bind(2).
    pub(crate) fn prepared(ip: IpAddr, backlog: u32, prepare: impl FnOnce(&Socket)) -> Self {
        let address = SocketAddr::new(ip, 0);
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("socket");
        prepare(&socket);
        socket.bind(&address.into()).expect("bind");
        Self::listening(socket, backlog)
    }

    /// One more listener on the address of the first, both with SO_REUSEPORT.
    pub(crate) fn shard_of(first: &Self, backlog: u32) -> Self {
        let socket = Socket::new(Domain::for_address(first.address), Type::STREAM, None).expect("socket");
        socket.set_reuse_port(true).expect("SO_REUSEPORT");
        socket.bind(&first.address.into()).expect("bind");
        Self::listening(socket, backlog)
    }

    /// A socket that was something else before, on a port that the kernel chooses.
    pub(crate) fn again(socket: Socket, backlog: u32) -> Self {
        socket.bind(&SocketAddr::new(V4, 0).into()).expect("bind");
        Self::listening(socket, backlog)
    }

    fn listening(socket: Socket, backlog: u32) -> Self {
        socket.listen(backlog.try_into().expect("a backlog is an int")).expect("listen");
        let address = socket.local_addr().expect("getsockname").as_socket().expect("an internet address");
        let cookie = socket.cookie().expect("SO_COOKIE");
        Self { socket, address, cookie }
    }

    /// What sock_diag says of it.
    #[track_caller]
    pub(crate) fn truth(&self) -> sock_diag::Socket {
        sock_diag::listener(self.address.port())
    }

    /// Depth and limit of its accept queue, as TCP_INFO of a listening socket gives them.
    #[track_caller]
    pub(crate) fn tcp_info(&self) -> (u32, u32) {
        // The fields up to those two: eight bytes of small ones, then 32-bit words.
        const UNACKED: usize = 24;
        const SACKED: usize = 28;
        let mut info = [0u8; 104];
        let mut length = info.len() as libc::socklen_t;
        let fd = self.socket.as_raw_fd();
        #[expect(unsafe_code, reason = "no library here offers TCP_INFO")]
        // SAFETY: the pointers are to a buffer and to its length, which live through the call.
        let result = unsafe {
            let info = info.as_mut_ptr().cast();
            libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, info, &mut length)
        };
        assert_eq!(result, 0, "getsockopt: {}", std::io::Error::last_os_error());
        let word = |at: usize| crate::netlink::word(&info, at);
        (word(UNACKED), word(SACKED))
    }

    /// Requests in its SYN queue, by sock_diag.
    #[track_caller]
    pub(crate) fn syn_queue(&self) -> u32 {
        let requests = sock_diag::sockets(&[sock_diag::SYN_RECV]);
        requests.iter().filter(|request| request.local.port() == self.address.port()).count() as u32
    }

    /// Connects so many clients, each only when the one before is in the accept queue.
    #[track_caller]
    pub(crate) fn queue(&self, count: u32) -> Vec<TcpStream> {
        let before = self.truth().receive_queue;
        (1..=count)
            .map(|nth| {
                let client = connect(self.address);
                until_equal("depth of the accept queue", || self.truth().receive_queue, before + nth);
                client
            })
            .collect()
    }

    /// Accepts one connection.
    #[track_caller]
    pub(crate) fn accept(&self) -> TcpStream {
        self.socket.accept().expect("accept").0.into()
    }

    /// A client and what the server accepted of it. Nobody else may be connecting.
    #[track_caller]
    pub(crate) fn pair(&self) -> (TcpStream, TcpStream) {
        let client = connect(self.address);
        let accepted = self.accept();
        assert_eq!(accepted.peer_addr().expect("getpeername"), own(&client), "somebody else connected");
        (client, accepted)
    }
}

/// Connects, and waits for it.
#[track_caller]
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
}

/// Sends a SYN and does not wait for what comes of it.
#[track_caller]
pub(crate) fn attempt(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("socket");
    socket.set_nonblocking(true).expect("O_NONBLOCK");
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => socket,
        other => panic!("connect to {address} did not begin: {other:?}"),
    }
}

/// A socket's own address.
#[track_caller]
pub(crate) fn own(stream: &TcpStream) -> SocketAddr {
    stream.local_addr().expect("getsockname")
}

/// Closes with a reset.
pub(crate) fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
}

/// Writes all of it.
#[track_caller]
pub(crate) fn send(mut stream: &TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("write");
}

/// Reads exactly so many bytes.
#[track_caller]
pub(crate) fn receive(mut stream: &TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).expect("read");
    bytes
}

/// Reads the end of the stream, and nothing else.
#[track_caller]
pub(crate) fn receive_end(mut stream: &TcpStream) {
    assert_eq!(stream.read(&mut [0; 1]).expect("read"), 0, "there was more to read");
}

/// Sets a TCP option that takes an int.
#[track_caller]
pub(crate) fn set_tcp(socket: &Socket, option: libc::c_int, value: libc::c_int) {
    #[expect(unsafe_code, reason = "no library here offers these options")]
    // SAFETY: the pointer is to an int that lives through the call, and the length is that of an int.
    let result = unsafe {
        let length = size_of_val(&value) as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, option, (&raw const value).cast(), length)
    };
    assert_eq!(result, 0, "setsockopt {option}: {}", std::io::Error::last_os_error());
}
