//! Kernels that lack something, and errors that do not pass: said once, with an exit code, and never again and again.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output};

use rustix::net::{Shutdown, shutdown, sockopt::socket_acceptconn};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::program::{Served, program};

/// Runs the program where a system call is not implemented.
fn without(number: libc::c_long, arguments: &[&str]) -> Output {
    let statement =
        |code: u32, jump_if_not, k| libc::sock_filter { code: code as u16, jt: 0, jf: jump_if_not, k };
    let filter = [
        // The number of the call is what `struct seccomp_data` begins with.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, u32::try_from(number).unwrap()),
        statement(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned()),
        statement(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let mut command = program();
    command.args(arguments);
    filtered(&mut command, filter).output().unwrap()
}

/// Has a command's system calls pass a filter.
fn filtered(command: &mut Command, mut filter: [libc::sock_filter; 4]) -> &mut Command {
    let install = move || {
        let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
        // SAFETY: two system calls between fork and exec; the filter lives in this closure, and the kernel copies it.
        #[expect(unsafe_code, reason = "rustix has no seccomp")]
        let failed = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
        };
        if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: what runs there is two system calls.
    #[expect(unsafe_code, reason = "a filter of system calls is inherited, and must not be the tests' own")]
    unsafe {
        command.pre_exec(install)
    }
}

#[test]
fn no_io_uring_is_one_error_and_exit_code_4() {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--pattern", "uring-accept"];
    let output = without(libc::SYS_io_uring_setup, &arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains("cannot start uring-accept: srv-0: io_uring cannot be used"), "{error}");
    assert!(error.contains("Linux 5.19"), "{error}");
}

/// A listener that was shut down refuses every accept at once (`inet_csk_accept`: `EINVAL`), as kernels that know no
/// multishot accept refuse the request.
#[test]
fn an_accept_that_fails_whenever_it_is_asked_for_ends_the_server() {
    let served = Served::start(&["--pattern", "uring-accept"]);
    let pidfd = pidfd_open(Pid::from_raw(served.pid().cast_signed()).unwrap(), PidfdFlags::empty()).unwrap();
    let its = |number| match pidfd_getfd(&pidfd, number, PidfdGetfdFlags::empty()) {
        Err(rustix::io::Errno::PERM) => None,
        fd => Some(fd.ok()),
    };
    let Some(descriptors) = (0..64).map(its).collect::<Option<Vec<_>>>() else {
        println!(
            "SKIPPED: lacking::an_accept_that_fails_whenever_it_is_asked_for_ends_the_server: other processes' \
             descriptors cannot be had (ptrace_scope); run it as root"
        );
        return;
    };
    let listens = |fd: &_| socket_acceptconn(fd).unwrap_or(false);
    let listener = descriptors.into_iter().flatten().find(listens).unwrap();
    shutdown(&listener, Shutdown::Both).unwrap();
    let (code, error) = served.end();
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("accept by io_uring: Invalid argument"), "{error}");
    assert!(error.lines().count() <= 3, "{error}");
}
