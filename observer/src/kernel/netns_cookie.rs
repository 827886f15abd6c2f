//! The cookie of a network namespace. Its inode number is given to another one as soon as it is gone; the cookie never is.

use std::{
    fs,
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::fs::MetadataExt as _,
    },
    path::Path,
    thread,
};

use rustix::{
    net::{AddressFamily, SocketType, socket},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::namespaces;

/// Returns the cookie of the namespace that a file leads to, if that one has this inode number now; `None` if it has
/// another one, cannot be entered (which takes CAP_SYS_ADMIN, but for our own), or the kernel is older than 5.14.
pub fn through(path: &Path, netns: u32) -> Option<u64> {
    let file = fs::File::open(path).ok()?;
    // The open file keeps the namespace, and with it the number, until this returns.
    if file.metadata().ok()?.ino() != u64::from(netns) {
        return None;
    }
    if namespaces::of("thread-self") == Some(netns) {
        return here();
    }
    let inside = || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).ok()?;
        here()
    };
    thread::scope(|scope| scope.spawn(inside).join().ok().flatten())
}

/// Returns the cookie of the calling thread's namespace: that of any socket made in it.
pub(super) fn here() -> Option<u64> {
    /// `include/uapi/asm-generic/socket.h`
    const SO_NETNS_COOKIE: libc::c_int = 71;
    let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
    let mut cookie = 0_u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the pointers are to a value and its length, and both live through the call.
    #[expect(unsafe_code, reason = "neither rustix nor socket2 has this option")]
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    (outcome == 0 && cookie != 0).then_some(cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_needs_no_privilege() {
        let own = namespaces::of("thread-self").unwrap();
        let path = Path::new("/proc/thread-self/ns/net");
        assert_eq!(through(path, own), here());
        assert_eq!(through(path, own + 1), None);
        assert_eq!(through(Path::new("/nowhere"), own), None);
    }
}
