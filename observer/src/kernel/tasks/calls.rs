//! System calls in which servers wait, by their numbers.

use libc::c_long;

/// Number, name, and whether its first argument is the descriptor that it waits for.
const CALLS: &[(c_long, &str, bool)] = &[
    (libc::SYS_accept, "accept", true),
    (libc::SYS_accept4, "accept4", true),
    (libc::SYS_clock_nanosleep, "clock_nanosleep", false),
    (libc::SYS_connect, "connect", true),
    (libc::SYS_epoll_pwait, "epoll_pwait", false),
    (libc::SYS_epoll_pwait2, "epoll_pwait2", false),
    (libc::SYS_fcntl, "fcntl", true),
    (libc::SYS_fdatasync, "fdatasync", true),
    (libc::SYS_flock, "flock", true),
    (libc::SYS_fsync, "fsync", true),
    (libc::SYS_futex, "futex", false),
    (libc::SYS_io_getevents, "io_getevents", false),
    (libc::SYS_io_uring_enter, "io_uring_enter", false),
    (libc::SYS_ioctl, "ioctl", true),
    (libc::SYS_mq_timedreceive, "mq_timedreceive", true),
    (libc::SYS_msgrcv, "msgrcv", false),
    (libc::SYS_msync, "msync", false),
    (libc::SYS_nanosleep, "nanosleep", false),
    (libc::SYS_openat, "openat", false),
    (libc::SYS_ppoll, "ppoll", false),
    (libc::SYS_pread64, "pread64", true),
    (libc::SYS_pselect6, "pselect6", false),
    (libc::SYS_pwrite64, "pwrite64", true),
    (libc::SYS_read, "read", true),
    (libc::SYS_readv, "readv", true),
    (libc::SYS_recvfrom, "recvfrom", true),
    (libc::SYS_recvmmsg, "recvmmsg", true),
    (libc::SYS_recvmsg, "recvmsg", true),
    (libc::SYS_restart_syscall, "restart_syscall", false),
    (libc::SYS_rt_sigsuspend, "rt_sigsuspend", false),
    (libc::SYS_rt_sigtimedwait, "rt_sigtimedwait", false),
    (libc::SYS_semop, "semop", false),
    (libc::SYS_semtimedop, "semtimedop", false),
    (libc::SYS_sendfile, "sendfile", true),
    (libc::SYS_sendmmsg, "sendmmsg", true),
    (libc::SYS_sendmsg, "sendmsg", true),
    (libc::SYS_sendto, "sendto", true),
    (libc::SYS_splice, "splice", true),
    (libc::SYS_sync_file_range, "sync_file_range", true),
    (libc::SYS_wait4, "wait4", false),
    (libc::SYS_waitid, "waitid", false),
    (libc::SYS_write, "write", true),
    (libc::SYS_writev, "writev", true),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "epoll_wait", false),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_pause, "pause", false),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "poll", false),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_select, "select", false),
    (libc::SYS_clone, "clone", false),
    (libc::SYS_clone3, "clone3", false),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_vfork, "vfork", false),
];

/// The name of a call; none outside of any.
pub(crate) fn name(number: c_long) -> Option<String> {
    let name = CALLS.iter().find(|(call, ..)| *call == number).map(|(_, name, _)| (*name).to_owned());
    name.or_else(|| (number >= 0).then(|| format!("call {number}")))
}

/// Whether a call's first argument is the descriptor that it waits for.
pub(crate) fn takes_descriptor(name: &str) -> bool {
    CALLS.iter().any(|(_, call, takes)| *takes && *call == name)
}
