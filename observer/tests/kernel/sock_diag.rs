//! What the kernel says of a socket through `NETLINK_SOCK_DIAG`: the truth that `ss` shows too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::net::netlink::SOCK_DIAG;

use crate::netlink::{NLM_F_DUMP, request, word};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const IPPROTO_TCP: u8 = 6;
const INET_DIAG_SKMEMINFO: u16 = 7;
/// Index of `sk_drops` in the attribute.
const SK_MEMINFO_DROPS: usize = 8;
/// `struct inet_diag_msg`.
const MESSAGE: usize = 72;

/// `TCP_SYN_SENT`.
pub(crate) const SYN_SENT: u8 = 2;
/// A request in a SYN queue.
pub(crate) const SYN_RECV: u8 = 3;
/// `TCP_LISTEN`.
pub(crate) const LISTEN: u8 = 10;

/// One TCP socket.
#[derive(Debug, Clone)]
pub(crate) struct Socket {
    /// Own address.
    pub(crate) local: SocketAddr,
    /// The peer's.
    pub(crate) remote: SocketAddr,
    /// Interface that it is bound to; 0 if none.
    pub(crate) device: u32,
    /// Its cookie.
    pub(crate) cookie: u64,
    /// Of a listener: depth of the accept queue. Else: bytes not read.
    pub(crate) receive_queue: u32,
    /// Of a listener: limit of the accept queue. Else: bytes not acknowledged.
    pub(crate) send_queue: u32,
    /// `sk_drops`.
    pub(crate) drops: u32,
}

/// All TCP sockets of this thread's namespace that are in one of these states.
pub(crate) fn sockets(states: &[u8]) -> Vec<Socket> {
    let mask = states.iter().fold(0u32, |mask, state| mask | 1 << state);
    [libc::AF_INET, libc::AF_INET6]
        .iter()
        .flat_map(|family| {
            // `struct inet_diag_req_v2`: family, protocol, extensions, padding, states, and an id of zeroes: any.
            let mut body = vec![*family as u8, IPPROTO_TCP, 1 << (INET_DIAG_SKMEMINFO - 1), 0];
            body.extend(mask.to_ne_bytes());
            body.extend([0; 48]);
            request(Some(SOCK_DIAG), SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &body)
                .expect("sock_diag does not answer")
        })
        .map(|answer| parse(&answer))
        .collect()
}

/// The listener on a port, if there is exactly one.
pub(crate) fn listener(port: u16) -> Socket {
    let all = sockets(&[LISTEN]);
    let mut here = all.iter().filter(|socket| socket.local.port() == port);
    match (here.next(), here.next()) {
        (Some(socket), None) => socket.clone(),
        _ => panic!("sock_diag does not show exactly one listener on port {port}: {all:?}"),
    }
}

fn parse(message: &[u8]) -> Socket {
    let family = message[0];
    let mut drops = 0;
    let mut attributes = &message[MESSAGE..];
    while attributes.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([attributes[0], attributes[1]]));
        if u16::from_ne_bytes([attributes[2], attributes[3]]) == INET_DIAG_SKMEMINFO {
            drops = word(attributes, 4 + 4 * SK_MEMINFO_DROPS);
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Socket {
        local: SocketAddr::new(address(family, &message[8..24]), port(message, 4)),
        remote: SocketAddr::new(address(family, &message[24..40]), port(message, 6)),
        device: word(message, 40),
        cookie: u64::from(word(message, 44)) | u64::from(word(message, 48)) << 32,
        receive_queue: word(message, 56),
        send_queue: word(message, 60),
        drops,
    }
}

fn port(message: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([message[at], message[at + 1]])
}

fn address(family: u8, bytes: &[u8]) -> IpAddr {
    if i32::from(family) == libc::AF_INET6 {
        Ipv6Addr::from(<[u8; 16]>::try_from(bytes).unwrap()).into()
    } else {
        Ipv4Addr::from(<[u8; 4]>::try_from(&bytes[..4]).unwrap()).into()
    }
}
