//! Signal: listeners that exist when the observer starts, with a process that holds them.
//!
//! Hook: the BPF iterator over all open files of all processes, which reaches every network namespace at once. What it
//! cannot see: listeners that no process holds as a descriptor (the kernel's own, or fixed files of an io_uring).

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_probe_read_kernel, generated::bpf_sock_from_file};
use observer_ebpf::record::COMM;

use super::listener::{Holder, register};
use crate::{
    constants::{self as at, value},
    kernel::{TCP_LISTEN, Typed, is_tcp},
};

/// `struct bpf_iter__task_file`.
#[repr(C)]
struct TaskFile {
    meta: *const c_void,
    task: *const c_void,
    descriptor: u64,
    file: *const c_void,
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
fn existing_listeners(ctx: *const TaskFile) -> i32 {
    let (task, file) = unsafe { ((*ctx).task, (*ctx).file) };
    if task.is_null() || file.is_null() {
        return 0;
    }
    let socket = unsafe { bpf_sock_from_file(file as *mut _) } as *const c_void;
    if socket.is_null() {
        return 0;
    }
    let sock = Typed(socket).follow(&at::SOCKET_SK);
    if sock.0.is_null() || !is_tcp(sock) || i32::from(sock.load::<u8>(&at::SKC_STATE)) != TCP_LISTEN {
        return 0;
    }
    let task = Typed(task);
    let comm = (task.0 as u64 + u64::from(value(&at::TASK_COMM))) as *const [u8; COMM];
    let holder = Holder {
        pid: task.load::<u32>(&at::TASK_TGID),
        tid: 0,
        comm: unsafe { bpf_probe_read_kernel(comm) }.unwrap_or([0; COMM]),
        opened_ns: 0,
    };
    register(sock, &holder);
    0
}
