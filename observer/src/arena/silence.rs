//! Addresses that do not answer, and SYNs from them, all within loopback.
//!
//! A SYN from a spoofed address of 127.0.0.0/8 would be answered after all: the SYN-ACK reaches this machine, which
//! knows of no such connection, and its RST ends the request. So only 127.0.0.1 stays local, and the upper half
//! of 127.0.0.0/8 becomes a mere route into the loopback device: what goes there comes back in, is for nobody here,
//! and is discarded (`ip_route_input_slow`). Nothing can leave, as the namespace has no other device.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use anyhow::{Context as _, Result};
use socket2::{Domain, Protocol, Socket, Type};

use super::{Arena, netlink::Route};

/// Makes the upper half of 127.0.0.0/8 silent in this namespace.
pub fn make(_: &Arena) -> Result<()> {
    let change = || {
        Route { to: (Ipv4Addr::new(127, 0, 0, 0), 8), local: true }.remove()?;
        Route { to: (Ipv4Addr::LOCALHOST, 32), local: true }.add()?;
        Route { to: (Ipv4Addr::new(127, 128, 0, 0), 9), local: false }.add()
    };
    change().context("cannot change the routes of loopback")
}

/// Sends so many SYNs to a port of 127.0.0.1, each from another silent address.
pub fn send_syns(_: &Arena, port: u16, count: u16) -> Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))
        .context("cannot open a raw socket; it needs CAP_NET_RAW")?;
    let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    for number in 0..count {
        let [high, low] = number.to_be_bytes();
        let from = SocketAddrV4::new(Ipv4Addr::new(127, 200, high, low), 4000);
        socket.send_to(&syn(from, to), &SocketAddr::from(to).into()).context("cannot send a SYN")?;
    }
    Ok(())
}

/// A packet with headers of IPv4 and TCP, no options, no data.
fn syn(from: SocketAddrV4, to: SocketAddrV4) -> [u8; 40] {
    let mut packet = [0u8; 40];
    let (ip, tcp) = packet.split_at_mut(20);
    ip[0] = 0x45;
    ip[2..4].copy_from_slice(&40u16.to_be_bytes());
    ip[8] = 64;
    ip[9] = 6;
    ip[12..16].copy_from_slice(&from.ip().octets());
    ip[16..20].copy_from_slice(&to.ip().octets());
    tcp[0..2].copy_from_slice(&from.port().to_be_bytes());
    tcp[2..4].copy_from_slice(&to.port().to_be_bytes());
    tcp[12] = 5 << 4;
    tcp[13] = 2;
    tcp[14..16].copy_from_slice(&64_240u16.to_be_bytes());
    // The sum covers addresses, protocol and length too (RFC 9293); the kernel fills in that of the IP header.
    let sum = checksum(&[&ip[12..20], &[0, 6, 0, 20], tcp]);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks_exact(2));
    let sum: u32 = words.map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !(((folded & 0xffff) + (folded >> 16)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_with_its_checksum_sums_up_to_nothing() {
        let from = SocketAddrV4::new(Ipv4Addr::new(127, 200, 255, 3), 4000);
        let packet = syn(from, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080));
        assert_eq!(checksum(&[&packet[12..20], &[0, 6, 0, 20], &packet[20..]]), 0);
    }
}
