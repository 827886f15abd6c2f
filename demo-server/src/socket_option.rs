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
    /// `SO_ATTACH_REUSEPORT_CBPF` with a program that returns the number of the processor modulo `shards`.
    ReuseportByCpu {
        /// Listeners in the group.
        shards: u32,
    },
    /// `SO_INCOMING_CPU`: the processor whose connections a listener prefers to get, or none. Within a reuseport
    /// group since Linux 6.2.
    IncomingCpu(Option<i32>),
    /// `TCP_DEFER_ACCEPT` in seconds, which the kernel turns into retransmits (`secs_to_retrans`); 0 is off.
    DeferAccept(i32),
    /// `TCP_FASTOPEN`: the length of a listener's Fast Open queue; 0 is off. A listener takes it while it listens.
    FastOpen(i32),
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
            attach(socket, &mut [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 }])
        }
        SocketOption::ReuseportByCpu { shards } => {
            // BPF_LD | BPF_W | BPF_ABS at SKF_AD_OFF + SKF_AD_CPU, BPF_ALU | BPF_MOD | BPF_K, BPF_RET | BPF_A. The
            // kernel refuses a modulus of 0 (`bpf_check_classic`).
            let cpu = (libc::SKF_AD_OFF + libc::SKF_AD_CPU).cast_unsigned();
            attach(
                socket,
                &mut [
                    libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: cpu },
                    libc::sock_filter { code: 0x94, jt: 0, jf: 0, k: shards },
                    libc::sock_filter { code: 0x16, jt: 0, jf: 0, k: 0 },
                ],
            )
        }
        SocketOption::IncomingCpu(cpu) => {
            set_raw(socket, libc::SOL_SOCKET, libc::SO_INCOMING_CPU, &cpu.unwrap_or(-1))
        }
        SocketOption::ReuseportByHash => {
            set_raw(socket, libc::SOL_SOCKET, libc::SO_DETACH_REUSEPORT_BPF, &0_i32)
        }
        SocketOption::DeferAccept(seconds) => {
            set_raw(socket, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, &seconds)
        }
        SocketOption::FastOpen(length) => set_raw(socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, &length),
        SocketOption::BindAddressOnly => set_raw(socket, libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT, &1_i32),
    }
}

fn attach(socket: libc::c_int, program: &mut [libc::sock_filter]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    set_raw(socket, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, &program)
}

fn set_raw<T>(socket: libc::c_int, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(value)).map_err(io::Error::other)?;
    // SAFETY: the caller borrows the socket, so the descriptor is open; the kernel reads `length` bytes of `value`,
    // and of a sock_fprog also the instructions it points to, which the caller keeps alive, and retains neither.
    let failed = unsafe { libc::setsockopt(socket, level, name, std::ptr::from_ref(value).cast(), length) };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
