//! System calls in which an acceptor can be found, by what they wait for.

/// What a call waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    /// Any of several events: the thread is free, and would know of the queue if it were told.
    Events,
    /// Data on a descriptor.
    Data,
    /// Room to write on a descriptor.
    Room,
    /// Another thread: a lock or a condition.
    Lock,
    /// A lock on a file.
    FileLock,
    /// A disk.
    Disk,
    /// A time.
    Time,
    /// A child process.
    Child,
    /// A signal.
    Signal,
    /// A new connection to another server.
    Connect,
    /// A connection of another listener.
    Accept,
}

const CALLS: &[(Waits, &[&str])] = &[
    (
        Waits::Events,
        &[
            "epoll_wait",
            "epoll_pwait",
            "epoll_pwait2",
            "poll",
            "ppoll",
            "select",
            "pselect6",
            "io_uring_enter",
            "io_getevents",
        ],
    ),
    (Waits::Data, &["read", "readv", "pread64", "recvfrom", "recvmsg", "recvmmsg"]),
    (Waits::Room, &["write", "writev", "pwrite64", "sendto", "sendmsg", "sendmmsg", "sendfile"]),
    (Waits::Lock, &["futex", "semop", "semtimedop"]),
    (Waits::FileLock, &["flock", "fcntl"]),
    (Waits::Disk, &["fsync", "fdatasync", "msync", "sync_file_range"]),
    (Waits::Time, &["nanosleep", "clock_nanosleep"]),
    (Waits::Child, &["wait4", "waitid", "vfork", "clone", "clone3"]),
    (Waits::Signal, &["pause", "rt_sigsuspend", "rt_sigtimedwait"]),
    (Waits::Connect, &["connect"]),
    (Waits::Accept, &["accept", "accept4"]),
];

/// What a call waits for; none if that is not known.
pub(super) fn of(call: &str) -> Option<Waits> {
    CALLS.iter().find(|(_, calls)| calls.contains(&call)).map(|(waits, _)| *waits)
}
