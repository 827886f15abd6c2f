//! Just enough netlink: one request, its answers.
//!
//! Message layout: <https://docs.kernel.org/userspace-api/netlink/intro.html>.

use rustix::{
    io::Errno,
    net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with},
};

/// Protocol 0 of the family.
const NETLINK_ROUTE: Option<Protocol> = None;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
/// `NLM_F_ROOT | NLM_F_MATCH`.
pub(crate) const NLM_F_DUMP: u16 = 0x300;
/// `struct nlmsghdr`: length, type, flags, sequence, port.
const HEADER: usize = 16;

/// Sends one request and collects the bodies of its answers.
pub(crate) fn request(
    family: Option<Protocol>,
    kind: u16,
    flags: u16,
    body: &[u8],
) -> Result<Vec<Vec<u8>>, Errno> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, family)?;
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((flags | NLM_F_REQUEST).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    send(&socket, &message, SendFlags::empty())?;
    let mut answers = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let (length, _) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = &buffer[..length];
        while rest.len() >= HEADER {
            let length = word(rest, 0) as usize;
            let body = rest[HEADER..length].to_vec();
            match u16::from_ne_bytes([rest[4], rest[5]]) {
                NLMSG_DONE => return Ok(answers),
                NLMSG_ERROR => {
                    return match word(&body, 0).cast_signed() {
                        0 => Ok(answers),
                        error => Err(Errno::from_raw_os_error(-error)),
                    };
                }
                _ => answers.push(body),
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

/// The 32-bit word at an offset.
pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Gives an interface of this thread's namespace an address, to be used at once.
pub(crate) fn add_address(ip: std::net::Ipv6Addr, interface: u32) {
    const RTM_NEWADDR: u16 = 20;
    const NLM_F_CREATE: u16 = 0x400;
    const IFA_F_NODAD: u8 = 2;
    const SCOPE_LINK: u8 = 253;
    const IFA_LOCAL: u16 = 2;
    // `struct ifaddrmsg`: family, bits of the prefix, flags, scope, interface.
    let mut body = vec![10, 64, IFA_F_NODAD, SCOPE_LINK];
    body.extend(interface.to_ne_bytes());
    body.extend(20u16.to_ne_bytes());
    body.extend(IFA_LOCAL.to_ne_bytes());
    body.extend(ip.octets());
    request(NETLINK_ROUTE, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE, &body).expect("cannot add an address");
}
