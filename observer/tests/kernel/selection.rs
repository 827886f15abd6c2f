//! What is not selected is not there: ports, processes, network namespaces, cgroups.

use std::{collections::BTreeSet, fs, path::PathBuf, thread};

use socket2::{Domain, Socket, Type};

use crate::{
    counters::Counters,
    lines::{Host, Lines},
    namespace::{THE_SAME, inode, isolated, natively},
    observed::{Observer, outside},
    processes::Acceptor,
    sock_diag,
    traffic::{Server, V4, V6, attempt, connect, receive_end},
    waiting::{interval, tid, until},
};

#[test]
fn only_the_selected_port() {
    natively(THE_SAME, || {
        let (before, other) = (Server::listen(V4, 4), Server::listen(V6, 4));
        let port = before.address.port().to_string();
        let mut observer = Observer::start_with(&[
            "--interval",
            interval(),
            "--netns",
            "/proc/self/ns/net",
            "--port",
            &port,
        ]);
        drop(other.pair());
        drop(before.pair());
        let remote_ended = 1;
        observer.wait_for_connections(remote_ended);
        let lines = observer.finish();
        assert_eq!(lines.cookies(), BTreeSet::from([before.cookie]));
        assert_eq!(lines.connections().len(), remote_ended);
    });
}

#[test]
fn only_the_selected_namespace() {
    natively(THE_SAME, || {
        let mut observer = Observer::start();
        let here = Server::listen(V4, 4);
        let elsewhere =
            thread::scope(|scope| scope.spawn(|| isolated(|| drop(Server::listen(V4, 4).pair()))).join());
        elsewhere.expect("a namespace beside this one");
        drop(here.pair());
        observer.wait_for_connections(1);
        let lines = observer.finish();
        assert_eq!(lines.cookies(), BTreeSet::from([here.cookie]));
        assert_eq!(lines.connections().len(), 1);
        // All of its listeners are watched, so its books are kept.
        let opens = lines.0.iter().rfind(|line| line["type"] == "ledger" && line["check"] == "passive_opens");
        let opens = opens.expect("a check of the namespace");
        assert_eq!((&opens["ours"], &opens["difference"]), (&1.into(), &0.into()), "{opens}");
        assert_eq!(opens["netns"], inode(), "{opens}");
    });
}

#[test]
fn another_namespace_seen_from_outside() {
    natively(THE_SAME, || {
        let path = format!("/proc/{}/task/{}/ns/net", std::process::id(), tid());
        let netns = inode();
        // The observer runs in a namespace of its own, and looks into ours.
        let mut observer = outside(&["--interval", interval(), "--netns", &path]);
        let line = |lines: &Lines| lines.of::<Host>("host").into_iter().rfind(|host| host.netns == netns);
        // In here is nobody but this thread, of which it has not heard.
        observer.wait_for("the counters of this namespace", |lines| line(lines).is_some());
        let server = Server::listen(V4, 2);
        let clients = server.queue(2);
        drop(clients.into_iter().map(|client| (client, server.accept())).collect::<Vec<_>>());
        observer.wait_for_connections(2);
        let lines = observer.finish();
        let listener = lines.listener(server.cookie);
        assert_eq!((listener.netns, listener.enqueued, listener.accepted), (netns, 2, 2));
        assert_eq!(lines.books_of(server.cookie).difference, 0);
        assert_eq!(line(&lines).map(|host| host.passive_opens), Some(2));
    });
}

/// Listeners of this process and of another one, which exist before the observer starts, or are opened after.
#[track_caller]
fn only_the_selected_process(before: bool) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    socket.bind(&std::net::SocketAddr::from((V4, 0)).into()).expect("bind");
    let address = socket.local_addr().expect("getsockname").as_socket().expect("an internet address");
    let cookie = socket.cookie().expect("SO_COOKIE");
    let fork = |socket: &Socket| {
        let acceptor = Acceptor::fork(socket);
        until("the other process listens", || {
            sock_diag::sockets(&[sock_diag::LISTEN]).iter().any(|listener| listener.cookie == cookie)
        });
        acceptor
    };
    let start = |pid: u32| {
        let pid = pid.to_string();
        Observer::start_with(&["--interval", interval(), "--netns", "/proc/self/ns/net", "--pid", &pid])
    };
    // It lives to the end: a listener that is left to another is the other's.
    let (mut observer, expected, _acceptor) = if before {
        let (acceptor, own) = (fork(&socket), Server::listen(V4, 4));
        let observer = start(acceptor.pid());
        receive_end(&connect(address));
        drop(own.pair());
        (observer, (cookie, acceptor.pid()), acceptor)
    } else {
        let observer = start(std::process::id());
        let mut acceptor = None;
        // This process holds it until then, and who holds a listener is looked up now and then.
        observer.stopped(|| {
            acceptor = Some(fork(&socket));
            drop(socket);
        });
        let (acceptor, own) = (acceptor.expect("it was forked"), Server::listen(V4, 4));
        receive_end(&connect(address));
        drop(own.pair());
        (observer, (own.cookie, std::process::id()), acceptor)
    };
    observer.wait_for_connections(1);
    let lines = observer.finish();
    assert_eq!(lines.cookies(), BTreeSet::from([expected.0]));
    assert_eq!(lines.listener(expected.0).pid, expected.1);
    let connections = lines.connections();
    assert_eq!(connections.len(), 1);
    assert_eq!(connections[0].listener, Some(expected.0));
}

#[test]
fn a_process_that_listens_already() {
    natively(THE_SAME, || only_the_selected_process(true));
}

#[test]
fn a_process_that_listens_later() {
    natively(THE_SAME, || only_the_selected_process(false));
}

/// A cgroup of threads below the one that this process is in; removed when it is let go of.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new() -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/self/mounts").map_err(|error| error.to_string())?;
        let of_v2 = |line: &&str| line.split(' ').nth(2) == Some("cgroup2");
        let mount = mounts.lines().find(of_v2).ok_or("no cgroup2 is mounted")?;
        let mount = mount.split(' ').nth(1).ok_or("a mount without a place")?;
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
        let own =
            own.lines().find_map(|line| line.strip_prefix("0::/")).ok_or("this process is in no cgroup2")?;
        let path = PathBuf::from(mount).join(own).join(format!("observer-test-{}", tid()));
        let say = |what: &str, error: std::io::Error| format!("{what} {}: {error}", path.display());
        fs::create_dir(&path).map_err(|error| say("cannot make", error))?;
        let cgroup = Self(path.clone());
        fs::write(path.join("cgroup.type"), "threaded")
            .map_err(|error| say("cannot make threaded", error))?;
        Ok(cgroup)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Its last thread may still be on its way out.
        until("the cgroup can be removed", || fs::remove_dir(&self.0).is_ok());
    }
}

#[test]
fn only_the_selected_cgroup() {
    isolated(|| {
        let cgroup = match Cgroup::new() {
            Ok(cgroup) => cgroup,
            Err(why) => return println!("SKIPPED: selection::only_the_selected_cgroup: {why}"),
        };
        let path = cgroup.0.to_str().expect("a path in UTF-8");
        let listen_inside = || {
            fs::write(cgroup.0.join("cgroup.threads"), tid().to_string()).expect("this thread can be moved");
            Server::listen(V4, 4)
        };
        let inside = || thread::scope(|scope| scope.spawn(listen_inside).join()).expect("a thread");
        let (before, other) = (inside(), Server::listen(V4, 4));
        let mut observer = Observer::start_with(&["--interval", interval(), "--cgroup", path]);
        let after = inside();
        for server in [&before, &other, &after] {
            drop(server.pair());
        }
        observer.wait_for_connections(2);
        let lines = observer.finish();
        assert_eq!(lines.cookies(), BTreeSet::from([before.cookie, after.cookie]));
        let listeners: BTreeSet<_> = lines.connections().iter().map(|one| one.listener).collect();
        assert_eq!(listeners, BTreeSet::from([Some(before.cookie), Some(after.cookie)]));
    });
}

#[test]
fn counters_of_the_selected_namespace_when_who_listens_is_gone() {
    natively(THE_SAME, || {
        let before = Counters::read();
        let path = format!("/proc/{}/task/{}/ns/net", std::process::id(), tid());
        let mut observer = outside(&["--interval", interval(), "--netns", &path]);
        let server = thread::scope(|scope| scope.spawn(|| Server::listen(V4, 0)).join()).expect("a thread");
        let queued = server.queue(1);
        let refused: Vec<_> = (0..3).map(|_| attempt(server.address)).collect();
        until("each is refused", || server.truth().drops >= 3);
        drop((queued, refused));
        let drops = (Counters::read() - &before).of("ListenDrops") as u64;
        let here = inode();
        observer.wait_for("all that was refused", |lines| {
            let hosts = lines.of::<Host>("host");
            hosts.iter().any(|host| host.netns == here && host.listen_drops == drops)
        });
        let lines = observer.finish();
        assert_eq!(lines.listener(server.cookie).listen_drops, drops);
    });
}

#[test]
fn counters_of_a_namespace_whose_listener_has_left_it() {
    natively(THE_SAME, || {
        let before = Counters::read();
        // The observer is elsewhere; who calls listen(2) is gone when it looks; the process that the thread belonged to
        // was never in here. Only the acceptor is.
        let mut observer = outside(&["--interval", interval()]);
        let server = thread::scope(|scope| scope.spawn(|| Server::listen(V4, 16)).join()).expect("a thread");
        let _acceptor = Acceptor::fork(&server.socket);
        let here = inode();
        let line = |lines: &Lines| lines.of::<Host>("host").into_iter().rfind(|host| host.netns == here);
        observer.wait_for("the counters of this namespace", |lines| line(lines).is_some());
        (0..5).for_each(|_| receive_end(&connect(server.address)));
        observer.wait_for("all that was counted", |lines| {
            line(lines).is_some_and(|host| host.passive_opens == 5)
        });
        let lines = observer.finish();
        assert_eq!((Counters::read() - &before).of("PassiveOpens"), 5);
        let checks = lines.of::<crate::lines::Ledger>("ledger");
        let check = |one: &&crate::lines::Ledger| one.netns == here && one.check == "passive_opens";
        assert_eq!(checks.iter().rfind(check).map(|check| check.difference), Some(0));
    });
}
