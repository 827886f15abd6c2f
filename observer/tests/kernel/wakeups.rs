//! How often a server's threads sleep and are woken, against the scheduler's own count for each of them.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use observer::kernel::{btf::Btf, probes::KERNEL_BTF};

use crate::{
    lines::{Lines, Thread},
    namespace::proves,
    observed::Observer,
    traffic::{Server, V4, connect},
    waiting::{self, interval, tid, until_blocked, until_equal},
};

/// A thread that accepts for ever, and drops what it gets.
struct Acceptor {
    tid: u32,
    ends: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Acceptor {
    fn start(server: &Server) -> Self {
        let socket = server.socket.try_clone().expect("dup");
        let ends = Arc::new(AtomicBool::new(false));
        let (told, tids) = std::sync::mpsc::channel();
        let shall_end = Arc::clone(&ends);
        let thread = thread::spawn(move || {
            told.send(tid()).expect("the test listens");
            while !shall_end.load(Ordering::Relaxed) {
                drop(socket.accept().expect("accept"));
            }
        });
        Self { tid: tids.recv().expect("a thread id"), ends, thread }
    }

    fn wait_until_it_sleeps(&self) {
        until_blocked(self.tid, libc::SYS_accept4);
    }

    /// The scheduler's own count.
    fn slept(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/self/task/{}/status", self.tid)).expect("its status");
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.and_then(|count| count.trim().parse().ok()).expect("a count")
    }

    /// The scheduler's own account: ran, and was ready and waited for a processor.
    fn spent(&self) -> [u64; 2] {
        let text = fs::read_to_string(format!("/proc/self/task/{}/schedstat", self.tid)).expect("its times");
        let mut words = text.split_whitespace().map(|word| word.parse().expect("nanoseconds"));
        [words.next().expect("run time"), words.next().expect("delay")]
    }

    /// What the observer said last.
    fn observed(&self, lines: &Lines) -> Option<Thread> {
        lines.of::<Thread>("thread").into_iter().rfind(|line| line.tid == self.tid)
    }

    /// Lets each of them accept one connection more, which ends them.
    fn end(acceptors: Vec<Self>, server: &Server) {
        acceptors.iter().for_each(|one| one.ends.store(true, Ordering::Relaxed));
        acceptors.iter().for_each(|_| drop(connect(server.address)));
        acceptors.into_iter().for_each(|one| one.thread.join().expect("an acceptor"));
    }
}

/// `signal=hook` of the hook that counts each switch here: before 5.18 the tracepoint has a parameter less.
fn at_each_switch() -> &'static str {
    let btf = fs::read(KERNEL_BTF).ok().and_then(|data| Btf::parse(data).ok());
    match btf.and_then(|btf| btf.arguments("sched_switch")) {
        Some(3) => "wakeups=tp_btf/sched_switch(3)",
        _ => "wakeups=tp_btf/sched_switch",
    }
}

fn each_sleep_is_counted(hook: Option<&str>) {
    const ACCEPTS: u64 = 23;
    let signals = match hook {
        None => &["wakeups=proc/voluntary_ctxt_switches", "activity"][..],
        Some(hook) => &[hook],
    };
    proves(signals, || {
        let mut options = vec!["--interval", interval(), "--netns", "/proc/self/ns/net"];
        options.extend(hook.iter().flat_map(|hook| ["--hook", hook]));
        let mut observer = Observer::start_with(&options);
        let server = Server::listen(V4, 64);
        let acceptors: Vec<_> = (0..3).map(|_| Acceptor::start(&server)).collect();
        let accept = |count: u64| {
            for _ in 0..count {
                acceptors.iter().for_each(Acceptor::wait_until_it_sleeps);
                drop(connect(server.address));
                until_equal("the accept queue", || server.truth().receive_queue, 0);
            }
            acceptors.iter().for_each(Acceptor::wait_until_it_sleeps);
        };
        // Those that sleep in accept(2) take turns, so each has a line after this.
        accept(acceptors.len() as u64);
        let settled = |lines: &Lines| acceptors.iter().all(|one| one.observed(lines).is_some());
        observer.wait_for("a line of each acceptor", settled);
        let before: Vec<u64> = acceptors.iter().map(Acceptor::slept).collect();
        let spent_before: Vec<[u64; 2]> = acceptors.iter().map(Acceptor::spent).collect();
        // They sleep, so any reading after this shows these counts; there is one a second.
        let then = waiting::now_ns() + 2_000_000_000;
        observer.wait_for("lines of two seconds later", |lines| {
            lines.0.iter().any(|line| line["type"] == "loss" && line["time_ns"].as_u64() > Some(then))
        });
        let seen_before: Vec<Thread> = acceptors.iter().filter_map(|one| one.observed(&observer)).collect();
        assert!(seen_before.iter().all(|one| one.doing.as_deref() == Some("accept4")), "{seen_before:?}");
        accept(ACCEPTS);
        // They began after the observer, so all that they did is counted, whenever it was that they were first looked at.
        let by_proc = hook.is_none();
        let idle = |one: &Thread| one.run_ns == Some(0) || by_proc && one.wakeups == Some(0);
        assert!(!observer.of::<Thread>("thread").iter().any(|one| one.accepts > 0 && idle(one)));
        let woken: Vec<u64> =
            acceptors.iter().zip(&before).map(|(one, before)| one.slept() - before).collect();
        observer.wait_for("the scheduler's counts", |lines| {
            let seen = acceptors.iter().filter_map(|one| one.observed(lines)?.wakeups);
            let before = seen_before.iter().filter_map(|one| one.wakeups);
            seen.zip(before).map(|(now, before)| now - before).eq(woken.iter().copied())
        });
        // The last line of each is of the same instant: nobody has run since.
        for ((one, seen_before), spent_before) in acceptors.iter().zip(&seen_before).zip(&spent_before) {
            let seen = one.observed(&observer).expect("its line");
            let since =
                |now: Option<u64>, before: Option<u64>| now.zip(before).map(|(now, before)| now - before);
            let ours = [since(seen.run_ns, seen_before.run_ns), since(seen.ready_ns, seen_before.ready_ns)];
            let now = one.spent();
            assert_eq!(ours, [Some(now[0] - spent_before[0]), Some(now[1] - spent_before[1])], "{seen:?}");
        }
        assert!(woken.iter().sum::<u64>() >= ACCEPTS, "each accept wakes somebody: {woken:?}");
        Acceptor::end(acceptors, &server);
        observer.finish();
    });
}

#[test]
fn read_from_proc() {
    each_sleep_is_counted(None);
}

#[test]
fn counted_at_each_switch() {
    each_sleep_is_counted(Some(at_each_switch()));
}

/// /proc never shows such a thread.
#[test]
fn of_threads_that_exit_at_once() {
    let hook = at_each_switch();
    proves(&[hook], || {
        let options = ["--interval", interval(), "--netns", "/proc/self/ns/net", "--hook", hook];
        let mut observer = Observer::start_with(&options);
        let server = Server::listen(V4, 64);
        let acceptor = Acceptor::start(&server);
        acceptor.wait_until_it_sleeps();
        let (tid, slept) = (acceptor.tid, acceptor.slept());
        Acceptor::end(vec![acceptor], &server);
        let line = |lines: &Lines| lines.of::<Thread>("thread").into_iter().rfind(|line| line.tid == tid);
        observer.wait_for("the acceptor's line", |lines| line(lines).is_some_and(|line| line.accepts > 0));
        let line = line(&observer.finish()).expect("its line");
        assert_eq!(line.accepts, 1);
        assert!(line.wakeups >= Some(1), "it slept {slept} times before it accepted: {line:?}");
    });
}
