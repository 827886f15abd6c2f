//! A network namespace with nothing in it but loopback: the one place from which nothing can leave.
//!
//! Made for floods. What is done to its routes here is undone, and gone with the namespace in any case.

use std::fs;
use std::io;
use std::net::Ipv4Addr;

use rustix::thread::UnshareFlags;

use crate::netlink::{self, Message};

/// Leaves the calling thread's network namespace for a new one, with loopback up. Threads and processes that it starts
/// afterwards are in there too. It needs `CAP_SYS_ADMIN`.
pub fn enter() -> io::Result<()> {
    leave_for(UnshareFlags::NEWNET)
}

/// The same for a process with one thread, which without `CAP_SYS_ADMIN` may make a user namespace besides.
pub fn enter_alone() -> io::Result<()> {
    match enter() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            leave_for(UnshareFlags::NEWNET | UnshareFlags::NEWUSER)
        }
        other => other,
    }
}

fn leave_for(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: only namespaces are left; the table of descriptors stays shared with the other threads.
    #[expect(unsafe_code, reason = "rustix marks all of unshare(2) so, for the sake of CLONE_FILES")]
    let left = unsafe { rustix::thread::unshare_unsafe(flags) };
    left?;
    netlink::request(Message::SetLink, &netlink::link_up(netlink::LOOPBACK))
}

/// The interfaces besides loopback that the calling thread's namespace has.
pub fn other_interfaces() -> io::Result<Vec<String>> {
    let table = fs::read_to_string("/proc/thread-self/net/dev")?;
    // Two lines of head; then `name: counters`.
    let names = table.lines().skip(2).filter_map(|line| line.split_once(':'));
    Ok(names.map(|(name, _)| name.trim().to_owned()).filter(|name| name != "lo").collect())
}

/// The upper half of 127.0.0.0/8 as a place that does not answer, until it is dropped.
///
/// An address that is routed into loopback and is not local: what is sent there is delivered to nobody and refused by
/// nobody (`ip_route_input_slow` takes it for a martian). A local address would answer a SYN-ACK with RST, for it has
/// no such connection, and the request would be gone. The lower half stays as it was.
#[derive(Debug)]
pub struct Silence(());

impl Silence {
    /// Makes it so.
    pub fn begin() -> io::Result<Self> {
        let silence = Self(());
        netlink::request(Message::AddRoute, &netlink::local(LOWER, 9))?;
        netlink::request(Message::AddRoute, &netlink::into_loopback(UPPER, 9))?;
        netlink::request(Message::DeleteRoute, &netlink::local(WHOLE, 8))?;
        Ok(silence)
    }
}

const WHOLE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 0);
const LOWER: Ipv4Addr = WHOLE;
const UPPER: Ipv4Addr = Ipv4Addr::new(127, 128, 0, 0);

impl Drop for Silence {
    fn drop(&mut self) {
        // Each may be missing where the beginning has failed.
        let _ = netlink::request(Message::AddRoute, &netlink::local(WHOLE, 8));
        let _ = netlink::request(Message::DeleteRoute, &netlink::into_loopback(UPPER, 9));
        let _ = netlink::request(Message::DeleteRoute, &netlink::local(LOWER, 9));
    }
}
