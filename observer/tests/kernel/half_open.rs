//! Handshakes that never complete: SYNs from addresses that do not answer, within loopback.
//!
//! 127.0.0.1 stays local and the upper half of 127.0.0.0/8 becomes a route into the loopback device: the SYN-ACKs go in
//! there and are discarded, since their destination is not local any more. Nothing leaves the test's namespace.

use std::net::{Ipv4Addr, SocketAddrV4};

use socket2::{Domain, Protocol, Socket, Type};

use crate::netlink;

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const NLM_F_ACK: u16 = 4;
const NLM_F_CREATE: u16 = 0x400;
const TABLE_MAIN: u8 = 254;
const TABLE_LOCAL: u8 = 255;
const SCOPE_LINK: u8 = 253;
const SCOPE_HOST: u8 = 254;
const UNICAST: u8 = 1;
const LOCAL: u8 = 2;
const LOOPBACK: u32 = 1;

/// A route of IPv4 to the loopback device.
struct Route {
    to: Ipv4Addr,
    bits: u8,
    table: u8,
    scope: u8,
    kind: u8,
}

impl Route {
    #[track_caller]
    fn change(&self, message: u16, flags: u16) {
        // Static; one that goes may be of any protocol.
        let protocol = if message == RTM_DELROUTE { 0 } else { 4 };
        // `struct rtmsg`: family, bits of destination and source, tos, table, protocol, scope, type, flags.
        let mut body =
            vec![libc::AF_INET as u8, self.bits, 0, 0, self.table, protocol, self.scope, self.kind];
        body.extend([0; 4]);
        let mut attribute = |kind: u16, value: [u8; 4]| {
            body.extend(8u16.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(value);
        };
        // RTA_DST, RTA_OIF.
        attribute(1, self.to.octets());
        attribute(4, LOOPBACK.to_ne_bytes());
        netlink::request(None, message, flags | NLM_F_ACK, &body).expect("cannot change a route");
    }
}

/// Makes the upper half of 127.0.0.0/8 a place that does not answer.
#[track_caller]
pub(crate) fn silence() {
    let all =
        Route { to: [127, 0, 0, 0].into(), bits: 8, table: TABLE_LOCAL, scope: SCOPE_HOST, kind: LOCAL };
    all.change(RTM_DELROUTE, 0);
    let own = Route { to: Ipv4Addr::LOCALHOST, bits: 32, table: TABLE_LOCAL, scope: SCOPE_HOST, kind: LOCAL };
    own.change(RTM_NEWROUTE, NLM_F_CREATE);
    let silent =
        Route { to: [127, 128, 0, 0].into(), bits: 9, table: TABLE_MAIN, scope: SCOPE_LINK, kind: UNICAST };
    silent.change(RTM_NEWROUTE, NLM_F_CREATE);
}

const SYN: u8 = 2;
const ACK: u8 = 16;

/// Sends so many SYNs to a port of 127.0.0.1, each from another silent address.
#[track_caller]
pub(crate) fn send(port: u16, count: u16) {
    send_each(port, count, SYN);
}

/// Sends so many ACKs that belong to nothing, each from another silent address.
#[track_caller]
pub(crate) fn send_stray_acks(port: u16, count: u16) {
    send_each(port, count, ACK);
}

#[track_caller]
fn send_each(port: u16, count: u16, flags: u8) {
    let socket =
        Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW))).expect("a raw socket");
    let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    for number in 0..count {
        let [high, low] = number.to_be_bytes();
        let packet = packet(SocketAddrV4::new([127, 200, high, low].into(), 4000), to, flags);
        socket.send_to(&packet, &std::net::SocketAddr::from(to).into()).expect("cannot send a packet");
    }
}

/// A packet with IPv4 and TCP headers, no options, no data.
fn packet(from: SocketAddrV4, to: SocketAddrV4, flags: u8) -> [u8; 40] {
    let mut packet = [0u8; 40];
    let (ip, tcp) = packet.split_at_mut(20);
    ip[0] = 0x45;
    ip[2..4].copy_from_slice(&40u16.to_be_bytes());
    ip[8] = 64;
    ip[9] = libc::IPPROTO_TCP as u8;
    ip[12..16].copy_from_slice(&from.ip().octets());
    ip[16..20].copy_from_slice(&to.ip().octets());
    tcp[0..2].copy_from_slice(&from.port().to_be_bytes());
    tcp[2..4].copy_from_slice(&to.port().to_be_bytes());
    tcp[12] = 5 << 4;
    tcp[13] = flags;
    tcp[14..16].copy_from_slice(&64_240u16.to_be_bytes());
    // The sum covers the addresses, the protocol and the length as well; the kernel fills in that of the IP header.
    let sum = checksum(&[&ip[12..20], &[0, libc::IPPROTO_TCP as u8, 0, 20], tcp]);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = words.map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
