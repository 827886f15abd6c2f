//! In a time namespace, all times are still of the clock that the programs in the kernel read.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    namespace::{THE_SAME, natively},
    observed::binary,
    traffic::{Server, V4},
    waiting::now_ns,
};

/// Makes a command run in a time namespace whose clocks are a day and more off.
fn displaced(command: &mut Command) {
    let displace = || {
        // SAFETY: system calls without pointers, in a process of one thread; write(2) is std's.
        #[expect(unsafe_code, reason = "only a child of who calls unshare(2) is in the new time namespace")]
        unsafe {
            if libc::unshare(libc::CLONE_NEWTIME) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            fs::write("/proc/self/timens_offsets", "monotonic 100000 5\nboottime 200000 7\n")?;
            match libc::fork() {
                -1 => return Err(std::io::Error::last_os_error()),
                0 => {}
                child => {
                    // The pipes are the observer's alone, and so is the one by which std learns of the exec.
                    libc::close_range(0, u32::MAX, 0);
                    let mut status = 0;
                    libc::waitpid(child, &raw mut status, 0);
                    libc::_exit(libc::WEXITSTATUS(status));
                }
            }
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls; what fs::write allocates, the allocator of a forked child can give.
    #[expect(unsafe_code, reason = "std marks all that runs between fork and exec so")]
    unsafe {
        command.pre_exec(displace);
    }
}

#[test]
fn all_times_are_of_one_clock() {
    if !fs::exists("/proc/self/timens_offsets").expect("/proc can be read") {
        println!(
            "SKIPPED: time_namespace::all_times_are_of_one_clock: the kernel was built without CONFIG_TIME_NS"
        );
        return;
    }
    natively(THE_SAME, || {
        let server = Server::listen(V4, 16);
        let mut command = binary();
        command.args([
            "stream",
            "--netns",
            "/proc/self/ns/net",
            "--interval",
            "100ms",
            "--duration",
            "1500ms",
        ]);
        displaced(&mut command);
        let before = now_ns();
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("cannot start the observer");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map(|line| {
            serde_json::from_str::<Value>(&line.expect("the observer writes UTF-8")).expect("a line of JSON")
        });
        assert_eq!(lines.next().expect("a first line")["type"], "meta");
        drop(server.pair());
        let lines: Vec<Value> = lines.collect();
        assert!(child.wait().expect("wait").success());
        let during = before..=now_ns();
        let times = lines.iter().filter(|line| line["time_ns"] != 0).map(|line| line["time_ns"].as_u64());
        for time in times {
            assert!(time.is_some_and(|time| during.contains(&time)), "{time:?} is not in {during:?}");
        }
        let connection = lines.iter().find(|line| line["type"] == "connection").expect("a connection line");
        for stage in ["enqueued_ns", "accepted_ns", "closed_ns"] {
            assert!(connection[stage].as_u64().is_some_and(|time| during.contains(&time)), "{connection}");
        }
        let thread = lines.iter().find(|line| line["type"] == "thread" && line["accepts"] == 1);
        assert!(thread.is_some(), "a thread line");
    });
}
