//! The few socket options for which neither socket2 nor rustix has a safe function.
#![expect(unsafe_code, reason = "setsockopt(2) for options that no dependency wraps")]

use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsFd, AsRawFd as _};

/// An option with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketOption {
    /// `SO_ATTACH_REUSEPORT_CBPF` with a program that returns 0: the first listener of the group gets every new
    /// connection (`reuseport_select_sock`). Allowed without privilege, since Linux 4.5.
    ReuseportAlwaysFirst,
    /// `SO_DETACH_REUSEPORT_BPF`: the hash over addresses and ports chooses again. Since Linux 5.3.
    ReuseportByHash,
    /// `IP_BIND_ADDRESS_NO_PORT`: bind(2) fixes the address only, and connect(2) chooses the port, which then has
    /// to be unique only together with the destination. Since Linux 4.2.
    BindAddressOnly,
}

/// Sets it.
pub fn set(socket: impl AsFd, option: SocketOption) -> io::Result<()> {
    let socket = socket.as_fd().as_raw_fd();
    match option {
        SocketOption::ReuseportAlwaysFirst => {
            // BPF_RET | BPF_K with the constant 0.
            let mut program = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 }];
            let program = libc::sock_fprog { len: 1, filter: program.as_mut_ptr() };
            set_raw(socket, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, &program)
        }
        SocketOption::ReuseportByHash => {
            set_raw(socket, libc::SOL_SOCKET, libc::SO_DETACH_REUSEPORT_BPF, &0_i32)
        }
        SocketOption::BindAddressOnly => set_raw(socket, libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT, &1_i32),
    }
}

fn set_raw<T>(socket: libc::c_int, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(value)).map_err(io::Error::other)?;
    // SAFETY: the caller borrows the socket, so the descriptor is open; the kernel reads `length` bytes of `value`,
    // and of a sock_fprog also the instructions it points to, which the caller keeps alive, and retains neither.
    let failed = unsafe { libc::setsockopt(socket, level, name, std::ptr::from_ref(value).cast(), length) };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
