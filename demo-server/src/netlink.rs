//! Just enough of rtnetlink(7): an interface up, a route more, a route less.
//!
//! Messages and attributes: <https://docs.kernel.org/userspace-api/netlink/intro.html>.

use std::io;
use std::net::Ipv4Addr;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

/// What is asked for, by its number in the kernel's `linux/rtnetlink.h`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Message {
    SetLink = 16,
    AddRoute = 24,
    DeleteRoute = 25,
}

/// The index that loopback has in every namespace (`LOOPBACK_IFINDEX`).
pub(crate) const LOOPBACK: u32 = 1;

const NLMSG_ERROR: u16 = 2;
/// Request, acknowledge; for a route more also: create.
const FLAGS: u16 = 1 | 4;
const CREATE: u16 = 0x400;
/// `struct nlmsghdr`.
const HEADER: usize = 16;

/// Sends one request and waits for its acknowledgement.
pub(crate) fn request(message: Message, body: &[u8]) -> io::Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let length = u32::try_from(HEADER + body.len()).map_err(io::Error::other)?;
    let flags = if matches!(message, Message::AddRoute) { FLAGS | CREATE } else { FLAGS };
    let mut packet = length.to_ne_bytes().to_vec();
    packet.extend((message as u16).to_ne_bytes());
    packet.extend(flags.to_ne_bytes());
    // Sequence number and port: one request on a socket of its own needs neither.
    packet.extend([0; 8]);
    packet.extend(body);
    send(&socket, &packet, SendFlags::empty())?;
    let mut answer = [0; 1024];
    let (length, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    let answer = answer.get(..length).unwrap_or_default();
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let code = answer.get(HEADER..HEADER + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(code)) => Err(Errno::from_raw_os_error(-code).into()),
        _ => Err(io::Error::other(format!("the kernel's answer to {message:?} is not understood"))),
    }
}

/// `struct ifinfomsg`: family, padding, type, index, flags, and which of the flags to change.
pub(crate) fn link_up(interface: u32) -> Vec<u8> {
    const IFF_UP: u32 = 1;
    let mut body = vec![0; 4];
    [interface, IFF_UP, IFF_UP].iter().for_each(|word| body.extend(word.to_ne_bytes()));
    body
}

/// Addresses that are this machine's own.
pub(crate) fn local(to: Ipv4Addr, bits: u8) -> Vec<u8> {
    // RT_TABLE_LOCAL, RT_SCOPE_HOST, RTN_LOCAL.
    route(to, bits, 255, 254, 2)
}

/// Addresses that are somebody else's, beyond the loopback device.
pub(crate) fn into_loopback(to: Ipv4Addr, bits: u8) -> Vec<u8> {
    // RT_TABLE_MAIN, RT_SCOPE_LINK, RTN_UNICAST.
    route(to, bits, 254, 253, 1)
}

/// `struct rtmsg` (family, bits of destination and source, tos, table, protocol, scope, type, flags) with a destination
/// and a device.
fn route(to: Ipv4Addr, bits: u8, table: u8, scope: u8, kind: u8) -> Vec<u8> {
    const AF_INET: u8 = 2;
    // RTPROT_KERNEL for a local route, as the kernel's own; else RTPROT_BOOT, as ip(8) writes.
    let protocol = if kind == 2 { 2 } else { 3 };
    let mut body = vec![AF_INET, bits, 0, 0, table, protocol, scope, kind, 0, 0, 0, 0];
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    const RTA_PREFSRC: u16 = 7;
    let mut attribute = |kind: u16, value: [u8; 4]| {
        body.extend(8_u16.to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(value);
    };
    attribute(RTA_DST, to.octets());
    attribute(RTA_OIF, LOOPBACK.to_ne_bytes());
    if kind == 2 {
        attribute(RTA_PREFSRC, Ipv4Addr::LOCALHOST.octets());
    }
    body
}
