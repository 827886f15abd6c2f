//! Whose a listener is: the name that its process has now, not the one that it had at listen(2).

use std::os::fd::AsRawFd as _;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use socket2::{Domain, Socket, Type};

use crate::{
    namespace::{THE_SAME, natively},
    observed::Observer,
    processes::Acceptor,
    traffic::{Server, V4, connect, receive_end},
    waiting::until,
};

/// A process that calls listen(2), stops, and executes another program when it is told to go on.
struct Activated(Pid);

impl Activated {
    fn listen(socket: &Socket) -> Self {
        let fd = socket.as_raw_fd();
        let arguments = [c"sleep".as_ptr(), c"1000".as_ptr(), std::ptr::null()];
        #[expect(
            unsafe_code,
            reason = "only a child that executes another program after listen(2) is this case"
        )]
        // SAFETY: the child makes system calls and nothing else, so it matters not what locks other threads held.
        let pid = unsafe {
            let pid = libc::fork();
            if pid == 0 {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                // Sockets of other tests would stay open as long as this process lives.
                let only = fd.cast_unsigned();
                libc::close_range(0, only - 1, 0);
                libc::close_range(only + 1, u32::MAX, 0);
                libc::fcntl(fd, libc::F_SETFD, 0);
                libc::listen(fd, 8);
                libc::raise(libc::SIGSTOP);
                libc::execv(c"/bin/sleep".as_ptr(), arguments.as_ptr());
                libc::_exit(1);
            }
            pid
        };
        Self(Pid::from_raw(pid).expect("cannot fork"))
    }

    fn pid(&self) -> u32 {
        self.0.as_raw_nonzero().get().cast_unsigned()
    }

    /// Its name, by /proc.
    fn comm(&self) -> String {
        let comm = std::fs::read_to_string(format!("/proc/{}/comm", self.pid())).expect("comm");
        comm.trim_end().to_owned()
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
        let _ = waitpid(Some(self.0), WaitOptions::empty());
    }
}

#[test]
fn the_name_follows_exec() {
    natively(THE_SAME, || {
        let mut observer = Observer::shared();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
        socket.bind(&std::net::SocketAddr::new(V4, 0).into()).expect("bind");
        let cookie = socket.cookie().expect("SO_COOKIE");
        let owner = Activated::listen(&socket);
        let before = owner.comm();
        let named = |comm: String| {
            move |lines: &crate::lines::Lines| {
                let lines = lines.listener_over_time(cookie);
                lines.last().is_some_and(|line| line.comm == comm)
            }
        };
        observer.wait_for("its name at listen(2)", named(before.clone()));
        kill_process(owner.0, Signal::CONT).expect("cannot send SIGCONT");
        until("it executes the other program", || owner.comm() != before);
        observer.wait_for("its name now", named(owner.comm()));
        let lines = observer.finish();
        assert_eq!(lines.listener(cookie).pid, owner.pid());
    });
}

#[test]
fn the_name_follows_the_thread_and_then_the_process() {
    natively(THE_SAME, || {
        let mut observer = Observer::shared();
        let process = std::fs::read_to_string("/proc/self/comm").expect("comm");
        let (told, go_on) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("listens".to_owned());
            let server = thread.spawn_scoped(scope, || {
                let server = Server::listen(V4, 8);
                let cookie = server.cookie;
                told.wait();
                go_on.wait();
                (server, cookie)
            });
            let server = server.expect("cannot start a thread");
            told.wait();
            let named = |comm: &'static str| {
                move |lines: &crate::lines::Lines| {
                    let last = lines.0.iter().rev().find(|line| line["type"] == "listener");
                    last.is_some_and(|line| line["comm"] == comm)
                }
            };
            observer.wait_for("the name of the thread that listens", named("listens"));
            go_on.wait();
            let (_server, cookie) = server.join().expect("the thread that listens");
            observer.wait_for("the name of the process", |lines| {
                lines.listener_over_time(cookie).last().is_some_and(|line| line.comm == process.trim_end())
            });
        });
    });
}

#[test]
fn who_was_handed_a_listener_is_named_once_it_accepts() {
    natively(THE_SAME, || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 64);
        observer.wait_until_it_knows(&server);
        let (address, cookie) = (server.address, server.cookie);
        let heir = Acceptor::fork(&server.socket);
        drop(server);
        receive_end(&connect(address));
        observer
            .wait_for("the one that holds it", |lines| lines.listener_fields(cookie)["pid"] == heir.pid());
    });
}
