//! Reads of kernel structures at offsets from the running kernel's BTF.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::helpers::{
    bpf_probe_read_kernel,
    generated::{self, bpf_get_current_task_btf, bpf_task_pt_regs},
};

use crate::constants::{self as at, exists, value};

pub(crate) const TCP_ESTABLISHED: i32 = 1;
pub(crate) const TCP_SYN_RECV: i32 = 3;
pub(crate) const TCP_FIN_WAIT1: i32 = 4;
pub(crate) const TCP_FIN_WAIT2: i32 = 5;
pub(crate) const TCP_CLOSE: i32 = 7;
pub(crate) const TCP_CLOSE_WAIT: i32 = 8;
pub(crate) const TCP_LAST_ACK: i32 = 9;
pub(crate) const TCP_LISTEN: i32 = 10;
pub(crate) const TCP_CLOSING: i32 = 11;
pub(crate) const AF_INET: u16 = 2;
pub(crate) const AF_INET6: u16 = 10;
pub(crate) const IPPROTO_TCP: u16 = 6;
const IPPROTO_MPTCP: u16 = 262;
pub(crate) const ETIMEDOUT: i32 = 110;
pub(crate) const MSG_PEEK: i32 = 2;
pub(crate) const MSG_ERRQUEUE: i32 = 0x2000;

/// A pointer that the verifier knows the BTF type of, so that members of that type load directly.
#[derive(Clone, Copy)]
pub(crate) struct Typed(pub(crate) *const c_void);

impl Typed {
    /// Loads a member. Only for members that lie inside the pointer's own type.
    #[inline(always)]
    pub(crate) fn load<T: Copy>(self, offset: &'static u32) -> T {
        unsafe { self.0.cast::<u8>().add(value(offset) as usize).cast::<T>().read_volatile() }
    }

    /// Follows a member that is itself a pointer with a BTF type.
    #[inline(always)]
    pub(crate) fn follow(self, offset: &'static u32) -> Self {
        Self(self.load::<*const c_void>(offset))
    }

    /// The same pointer, for members past the end of its BTF type and for use as a key.
    #[inline(always)]
    pub(crate) fn address(self) -> Address {
        Address(self.0 as u64)
    }
}

/// What any bytes are a value of.
pub(crate) trait Number: Copy {}
impl Number for u8 {}
impl Number for u16 {}
impl Number for u32 {}
impl Number for u64 {}
impl Number for [u32; 4] {}

/// An address in the kernel of which the verifier knows nothing; reads of it are checked by the helper.
#[derive(Clone, Copy)]
pub(crate) struct Address(pub(crate) u64);

impl Address {
    /// Reads a member; `None` when the address is not mapped.
    #[inline(always)]
    pub(crate) fn read<T>(self, offset: &'static u32) -> Option<T> {
        unsafe { bpf_probe_read_kernel((self.0 + value(offset) as u64) as *const T) }.ok()
    }

    /// Reads a member of which every pattern of bits is a value; zeroes when the address is not mapped, as the helper
    /// leaves it then. Without a branch, of which the verifier would follow both ways.
    #[inline(always)]
    pub(crate) fn read_or_zero<T: Number>(self, offset: &'static u32) -> T {
        let mut member = MaybeUninit::<T>::zeroed();
        unsafe {
            generated::bpf_probe_read_kernel(
                member.as_mut_ptr().cast(),
                size_of::<T>() as u32,
                (self.0 + value(offset) as u64) as *const c_void,
            );
            member.assume_init()
        }
    }

    /// Follows a member that is itself a pointer.
    #[inline(always)]
    pub(crate) fn follow(self, offset: &'static u32) -> Option<Self> {
        self.read::<u64>(offset).filter(|address| *address != 0).map(Self)
    }

    /// The address of a structure embedded here.
    #[inline(always)]
    pub(crate) fn inner(self, offset: &'static u32) -> Self {
        Self(self.0 + value(offset) as u64)
    }
}

/// Whether a `struct sock` belongs to TCP. AF_UNIX and vsock listeners have state 10 too, so the state alone says
/// nothing. MPTCP's own socket has another protocol number; what is followed is its subflow, which is TCP.
#[inline(always)]
pub(crate) fn is_tcp(sock: Typed) -> bool {
    is_internet(sock.load(&at::SKC_FAMILY)) && sock.load::<u16>(&at::SK_PROTOCOL) == IPPROTO_TCP
}

#[inline(always)]
pub(crate) fn is_internet(family: u16) -> bool {
    family == AF_INET || family == AF_INET6
}

/// The address that a socket is bound to; IPv4 in the first word.
#[inline(always)]
pub(crate) fn local_address(sock: Address, family: u16) -> [u32; 4] {
    if family == AF_INET6 {
        sock.read_or_zero(&at::SKC_V6_RCV_SADDR)
    } else {
        [sock.read_or_zero(&at::SKC_RCV_SADDR), 0, 0, 0]
    }
}

/// The TCP socket behind the socket that a program holds: itself, or the first subflow of an MPTCP socket, which is the
/// one that came out of the listener.
#[inline(always)]
pub(crate) fn flow(sock: Typed) -> Option<u64> {
    match sock.load::<u16>(&at::SK_PROTOCOL) {
        IPPROTO_TCP => Some(sock.0 as u64),
        IPPROTO_MPTCP if exists(&at::MPTCP_FIRST) => {
            sock.address().follow(&at::MPTCP_FIRST).map(|subflow| subflow.0)
        }
        _ => None,
    }
}

/// [`flow`] for an address of which the verifier knows nothing.
#[inline(always)]
pub(crate) fn flow_at(sock: Address) -> Option<Address> {
    match sock.read::<u16>(&at::SK_PROTOCOL)? {
        IPPROTO_TCP => Some(sock),
        IPPROTO_MPTCP if exists(&at::MPTCP_FIRST) => sock.follow(&at::MPTCP_FIRST),
        _ => None,
    }
}

/// Whether the peer's FIN has arrived: `tcp_fin` sets SOCK_DONE, the second of `enum sock_flags`.
#[inline(always)]
pub(crate) fn fin_arrived(sock: Address) -> Option<bool> {
    const SOCK_DONE: u64 = 1 << 1;
    sock.read::<u64>(&at::SKC_FLAGS).map(|flags| flags & SOCK_DONE != 0)
}

/// Inode number of a socket's network namespace, as `/proc/PID/ns/net` shows it.
#[inline(always)]
pub(crate) fn netns(sock: Address) -> u32 {
    sock.follow(&at::SKC_NET).and_then(|net| net.inner(&at::NET_NS).read::<u32>(&at::NS_INUM)).unwrap_or(0)
}

/// The task that runs.
#[inline(always)]
pub(crate) fn current() -> Typed {
    Typed(unsafe { bpf_get_current_task_btf() } as *const c_void)
}

/// `PF_EXITING` of the current task: it closes what its process left open.
#[inline(always)]
pub(crate) fn is_exiting() -> bool {
    const PF_EXITING: u32 = 4;
    current().load::<u32>(&at::TASK_FLAGS) & PF_EXITING != 0
}

/// First argument of the system call that the current task is in.
#[inline(always)]
pub(crate) fn system_call_argument(task: Typed) -> u64 {
    Typed(unsafe { bpf_task_pt_regs(task.0 as *mut _) } as *const c_void).load(&at::PT_REGS_ARGUMENT_1)
}

/// The `struct sock` behind a descriptor of the current task; `None` if it is not a socket, or gone.
///
/// `current->files->fdt->fd[n]->private_data` is the `struct socket` if the file is one. It is one if the socket
/// points back at the file: no other kind of private data does that at the same offset by chance.
#[inline(always)]
pub(crate) fn sock_of_descriptor(task: Typed, descriptor: u64) -> Option<Address> {
    let table = Address(task.follow(&at::TASK_FILES).follow(&at::FILES_FDT).load::<u64>(&at::FDT_FD));
    let file: u64 = unsafe { bpf_probe_read_kernel((table.0 + descriptor * 8) as *const u64) }.ok()?;
    let socket = Address(file).follow(&at::FILE_PRIVATE_DATA)?;
    if socket.read::<u64>(&at::SOCKET_FILE)? != file {
        return None;
    }
    socket.follow(&at::SOCKET_SK)
}
