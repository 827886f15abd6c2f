//! The kernel's own list of TCP listeners (`NETLINK_SOCK_DIAG`), which `ss -ltn` shows too. Of each that is asked for,
//! the kernel makes the cookie if there was none.
//!
//! Message layout: `include/uapi/linux/inet_diag.h` and
//! <https://docs.kernel.org/userspace-api/netlink/intro.html>.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SOCK_DIAG, recv, send,
        socket_with,
    },
};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
/// `NLM_F_ROOT | NLM_F_MATCH`.
const NLM_F_DUMP: u16 = 0x300;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const IPPROTO_TCP: u8 = 6;
const TCP_LISTEN: u32 = 10;
/// `struct inet_diag_msg`.
const MESSAGE: usize = 72;
const INET_DIAG_SKMEMINFO: u16 = 7;
const INET_DIAG_CGROUP_ID: u16 = 21;
/// Place of `sk_drops` in that attribute: `SK_MEMINFO_DROPS`.
const DROPS: usize = 4 * 8;

/// A TCP listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its cookie.
    pub cookie: u64,
    /// Where it listens.
    pub address: SocketAddr,
    /// Connections in its accept queue.
    pub accept_queue: u32,
    /// Limit of that queue.
    pub limit: u32,
    /// `sk_drops`.
    pub drops: u32,
    /// Inode number of the socket.
    pub inode: u32,
    /// Inode number of the cgroup that it was made in, on kernels that tell.
    pub cgroup: Option<u64>,
}

/// All TCP listeners of the calling thread's network namespace.
///
/// # Errors
/// The kernel has no sock_diag for TCP, or does not answer.
pub fn listeners() -> Result<Vec<Listener>, Errno> {
    let mut found = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        dump(family as u8, &mut |message| found.extend(parse(message)))?;
    }
    Ok(found)
}

fn dump(family: u8, sink: &mut impl FnMut(&[u8])) -> Result<(), Errno> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?;
    // `struct inet_diag_req_v2`: family, protocol, extensions, padding, states, and an id of zeroes, which is any.
    let mut body = vec![family, IPPROTO_TCP, 1 << (INET_DIAG_SKMEMINFO - 1), 0];
    body.extend((1_u32 << TCP_LISTEN).to_ne_bytes());
    body.extend([0; 48]);
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend((NLM_F_DUMP | NLM_F_REQUEST).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    send(&socket, &message, SendFlags::empty())?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let (length, _) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        if rest.is_empty() {
            return Err(Errno::IO);
        }
        while let Some(length) = word(rest, 0).map(|length| length as usize) {
            let body = rest.get(HEADER..length).unwrap_or_default();
            match half(rest, 4) {
                Some(NLMSG_DONE) => return Ok(()),
                Some(NLMSG_ERROR) => {
                    let error = word(body, 0).map_or(0, u32::cast_signed);
                    return Err(Errno::from_raw_os_error(error.wrapping_neg()));
                }
                _ => sink(body),
            }
            rest = rest.get(length.max(HEADER).next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

/// One answer; `None` if it is too short.
fn parse(message: &[u8]) -> Option<Listener> {
    let port = u16::from_be_bytes(*message.get(4..)?.first_chunk()?);
    let address = if i32::from(*message.first()?) == libc::AF_INET6 {
        IpAddr::from(Ipv6Addr::from(*message.get(8..)?.first_chunk::<16>()?))
    } else {
        IpAddr::from(Ipv4Addr::from(*message.get(8..)?.first_chunk::<4>()?))
    };
    let mut listener = Listener {
        cookie: u64::from(word(message, 44)?) | u64::from(word(message, 48)?) << 32,
        address: SocketAddr::new(address, port),
        accept_queue: word(message, 56)?,
        limit: word(message, 60)?,
        drops: 0,
        inode: word(message, 68)?,
        cgroup: None,
    };
    let mut attributes = message.get(MESSAGE..)?;
    while let (Some(length), Some(kind)) = (half(attributes, 0), half(attributes, 2)) {
        let value = attributes.get(4..usize::from(length)).unwrap_or_default();
        match kind {
            INET_DIAG_SKMEMINFO => listener.drops = word(value, DROPS).unwrap_or(0),
            INET_DIAG_CGROUP_ID => listener.cgroup = value.first_chunk().map(|id| u64::from_ne_bytes(*id)),
            _ => {}
        }
        attributes = attributes.get(usize::from(length.max(4)).next_multiple_of(4)..).unwrap_or_default();
    }
    Some(listener)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_listener_of_this_process_is_listed() {
        let listening = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listening.local_addr().unwrap();
        let found = listeners().unwrap();
        let [listener] = found.iter().filter(|one| one.address == address).collect::<Vec<_>>()[..] else {
            panic!("not exactly one on {address}: {found:?}")
        };
        assert_eq!((listener.accept_queue, listener.drops), (0, 0));
        assert!(listener.cookie != 0 && listener.limit > 0 && listener.inode != 0, "{listener:?}");
    }

    #[test]
    fn answers_that_are_too_short_are_none() {
        for length in 0..MESSAGE {
            assert_eq!(parse(&vec![0; length]), None);
        }
        assert!(parse(&[0; MESSAGE]).is_some());
        assert!(parse(&[0; MESSAGE + 5]).is_some(), "an attribute of length 0 ends");
    }
}
