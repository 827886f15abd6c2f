//! Which listeners are watched. Everything else follows from that: a connection is followed only if it came out of a
//! watched listener, so what is not selected costs one lookup.

use observer_ebpf::loss;

use crate::{
    books::lost,
    constants::{self as at, exists, value},
    kernel::Address,
    maps::PORTS,
};

/// Whether a listener is selected. A port of 0 is not known yet (listen(2) without bind(2)): userspace decides when
/// the sampler has seen it.
#[inline(always)]
pub(crate) fn selected(sock: Address, port: u16, netns: u32, holder: u32) -> bool {
    let pid = value(&at::FILTER_PID);
    if pid != 0 && pid != holder {
        return false;
    }
    let wanted = value(&at::FILTER_NETNS);
    if wanted != 0 && wanted != netns {
        return false;
    }
    let cookie = value(&at::FILTER_NETNS_COOKIE);
    if cookie != 0 && exists(&at::NET_COOKIE) {
        let found = sock.follow(&at::SKC_NET).and_then(|net| net.read::<u64>(&at::NET_COOKIE));
        if found.is_some_and(|found| found != cookie) {
            lost(loss::OTHER_NAMESPACE);
            return false;
        }
    }
    if value(&at::FILTER_PORTS) != 0 && port != 0 && PORTS.get_ptr(port).is_none() {
        return false;
    }
    let cgroup = value(&at::FILTER_CGROUP);
    cgroup == 0 || cgroup_of(sock) == Some(cgroup)
}

/// Inode number of the cgroup that the socket was created in.
#[inline(always)]
fn cgroup_of(sock: Address) -> Option<u64> {
    sock.inner(&at::SK_CGRP_DATA)
        .follow(&at::CGRP_DATA_CGROUP)?
        .follow(&at::CGROUP_KN)?
        .read::<u64>(&at::KN_ID)
}
