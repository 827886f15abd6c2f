//! Handshakes that never complete: segments from addresses that do not answer, within loopback.

use std::net::{Ipv4Addr, SocketAddrV4};

use demo_server::{namespace::Silence, segment};

/// Makes the upper half of 127.0.0.0/8 a place that does not answer, until it is dropped.
#[track_caller]
pub(crate) fn silence() -> Silence {
    Silence::begin().expect("cannot change the routes")
}

/// Sends so many SYNs to a port of 127.0.0.1, each from another silent address.
#[track_caller]
pub(crate) fn send(port: u16, count: u16) {
    send_each(port, count, segment::SYN);
}

/// Sends so many ACKs that belong to nothing, each from another silent address.
#[track_caller]
pub(crate) fn send_stray_acks(port: u16, count: u16) {
    send_each(port, count, segment::ACK);
}

/// Sends so many segments that mean nothing to a listener in each of the ways that raise its `sk_drops`, and in one that
/// does not. Returns how many raise it.
#[track_caller]
pub(crate) fn send_strays(port: u16, count: u16) -> u16 {
    const FIN: u8 = 1;
    const RST: u8 = 4;
    let discarded = [RST, 0, segment::SYN | FIN];
    for flags in discarded.into_iter().chain([segment::ACK]) {
        send_each(port, count, flags);
    }
    count * discarded.len() as u16
}

#[track_caller]
fn send_each(port: u16, count: u16, flags: u8) {
    let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    segment::send_each(to, count, flags).expect("cannot send a packet");
}
