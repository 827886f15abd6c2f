//! The few requests that only rtnetlink takes: loopback up, and routes. Message layout: rtnetlink(7).

use std::net::Ipv4Addr;

use rustix::{
    io::{Errno, Result},
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with},
};

const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_CREATE: u16 = 0x400;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
/// `struct nlmsghdr`: length, type, flags, sequence, port.
const HEADER: usize = 16;
/// Interface number of loopback in every namespace.
const LOOPBACK: u32 = 1;

/// Sends one request and waits for its acknowledgement.
fn request(kind: u16, flags: u16, body: &[u8]) -> Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((flags | NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0; 4096];
    let (length, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    // `struct nlmsgerr` begins with the negative error, 0 for success.
    match (answer.get(4..6), answer.get(HEADER..HEADER + 4)) {
        (Some(kind), Some(error)) if length >= HEADER + 4 && kind == NLMSG_ERROR.to_ne_bytes() => {
            let error = i32::from_ne_bytes([error[0], error[1], error[2], error[3]]);
            if error == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(-error)) }
        }
        _ => Err(Errno::BADMSG),
    }
}

/// Brings loopback up.
pub(super) fn loopback_up() -> Result<()> {
    const IFF_UP: u32 = 1;
    // `struct ifinfomsg`: family, padding, type, index, flags, mask of the flags to change.
    let mut body = vec![0; 4];
    for word in [LOOPBACK, IFF_UP, IFF_UP] {
        body.extend(word.to_ne_bytes());
    }
    request(RTM_NEWLINK, 0, &body)
}

/// A route of IPv4 to the loopback device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    /// The destination, and how many of its bits count.
    pub(super) to: (Ipv4Addr, u8),
    /// The destination is this machine (`RTN_LOCAL` in the table `local`), or only out there.
    pub(super) local: bool,
}

impl Route {
    /// Adds it.
    pub(super) fn add(&self) -> Result<()> {
        request(RTM_NEWROUTE, NLM_F_CREATE, &self.body(RTPROT_STATIC))
    }

    /// Removes it, whoever made it.
    pub(super) fn remove(&self) -> Result<()> {
        request(RTM_DELROUTE, 0, &self.body(0))
    }

    fn body(&self, protocol: u8) -> Vec<u8> {
        let (table, scope, kind) = if self.local { (255, 254, 2) } else { (254, 253, 1) };
        // `struct rtmsg`: family, bits of destination and source, tos, table, protocol, scope, type, flags.
        let mut body = vec![2, self.to.1, 0, 0, table, protocol, scope, kind];
        body.extend([0; 4]);
        // RTA_DST, RTA_OIF.
        for (attribute, value) in [(1u16, self.to.0.octets()), (4, LOOPBACK.to_ne_bytes())] {
            body.extend(8u16.to_ne_bytes());
            body.extend(attribute.to_ne_bytes());
            body.extend(value);
        }
        body
    }
}

const RTPROT_STATIC: u8 = 4;
