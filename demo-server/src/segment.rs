//! Single TCP segments through a raw socket, from addresses that do not answer: see [`Silence`](crate::namespace::Silence).

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use socket2::{Domain, Protocol, Socket, Type};

/// Flag of a segment that begins a connection.
pub const SYN: u8 = 2;
/// Flag of one that acknowledges.
pub const ACK: u8 = 16;

const TCP: u8 = 6;

/// A socket that takes whole packets.
pub fn raw_socket() -> io::Result<Socket> {
    Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW))).map_err(|error| {
        io::Error::new(error.kind(), format!("a raw socket, which needs CAP_NET_RAW: {error}"))
    })
}

/// Sends so many segments with these flags, each from another silent address, and always from the same ones.
pub fn send_each(to: SocketAddrV4, count: u16, flags: u8) -> io::Result<()> {
    let socket = raw_socket()?;
    for number in 0..count {
        let packet = segment(source(number.into()), to, flags);
        socket.send_to(&packet, &SocketAddr::from(to).into())?;
    }
    Ok(())
}

/// The address that segment number `number` comes from: 65,536 addresses of the silent half, then the next port.
pub(crate) fn source(number: u64) -> SocketAddrV4 {
    let [.., high, low] = number.to_be_bytes();
    let port = 1024 + u16::try_from((number >> 16) % 60_000).unwrap_or(0);
    SocketAddrV4::new(Ipv4Addr::new(127, 200, high, low), port)
}

/// A packet with the heads of IPv4 and TCP, no options and no data.
pub(crate) fn segment(from: SocketAddrV4, to: SocketAddrV4, flags: u8) -> [u8; 40] {
    let mut packet = [0; 40];
    let (ip, tcp) = packet.split_at_mut(20);
    ip[0] = 0x45; // Version 4, five words.
    ip[3] = 40;
    ip[8] = 64;
    ip[9] = TCP;
    ip[12..16].copy_from_slice(&from.ip().octets());
    ip[16..20].copy_from_slice(&to.ip().octets());
    tcp[0..2].copy_from_slice(&from.port().to_be_bytes());
    tcp[2..4].copy_from_slice(&to.port().to_be_bytes());
    tcp[12] = 5 << 4; // Five words.
    tcp[13] = flags;
    tcp[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
    // Over the addresses, the protocol and the length too (RFC 9293 section 3.1); IP's own the kernel fills in (raw(7)).
    let sum = checksum(ip[12..20].chunks(2).chain([&[0, TCP][..], &[0, 20]]).chain(tcp.chunks(2)));
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// The complement of the ones' complement sum of 16-bit words (RFC 1071).
fn checksum<'a>(words: impl Iterator<Item = &'a [u8]>) -> u16 {
    let mut sum: u32 = words.map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_with_its_checksum_sums_up_to_nothing() {
        let from = SocketAddrV4::new(Ipv4Addr::new(127, 200, 255, 3), 4000);
        let packet = segment(from, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080), SYN);
        let head = [&[0, TCP][..], &[0, 20]];
        assert_eq!(checksum(packet[12..20].chunks(2).chain(head).chain(packet[20..].chunks(2))), 0);
    }
}
