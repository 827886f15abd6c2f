//! A listener that others than its maker accept from: by fork, by exec, by SCM_RIGHTS.

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::TcpListener,
    os::{
        fd::{AsFd as _, FromRawFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Child, Command, Stdio},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use crate::{
    namespace::{isolated, proves},
    observed::Observer,
    traffic::{Server, V4, connect, own, receive_end},
};

/// Tells the child which of its descriptors to take, and as what.
const TAKE: &str = "OBSERVER_TEST_TAKE";

/// A process of this same program that accepts one connection, closes it, and ends.
#[track_caller]
fn heir(descriptor: OwnedFd, what: &str) -> Child {
    // The standard input is the one descriptor that needs no preparation between fork and exec.
    Command::new("/proc/self/exe")
        .args(["--ignored", "--exact", "inheritance::heir_of_another_test"])
        .env(TAKE, what)
        .stdin(Stdio::from(descriptor))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("cannot start an heir")
}

#[test]
#[ignore = "runs only as the child of another test"]
fn heir_of_another_test() {
    let Ok(what) = std::env::var(TAKE) else { return };
    #[expect(unsafe_code, reason = "the descriptor comes from the process that started this one")]
    // SAFETY: nobody else in this process uses the standard input.
    let input = unsafe { OwnedFd::from_raw_fd(0) };
    let listener = if what == "listener" { input } else { received(&input) };
    drop(TcpListener::from(listener).accept().expect("accept"));
}

fn received(socket: &OwnedFd) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::empty()).expect("recvmsg");
    let message = control.drain().next().expect("a control message");
    match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next().expect("a descriptor"),
        _ => panic!("another kind of control message"),
    }
}

/// One connection that the heir accepts, and one that the test itself accepts.
#[track_caller]
fn check(mut observer: Observer, server: &Server, mut heir: Child) {
    let client = connect(server.address);
    receive_end(&client);
    let (pid, remote) = (heir.id(), own(&client));
    assert!(heir.wait().expect("wait").success(), "the heir failed");
    drop(client);
    let (client, accepted) = server.pair();
    let ours = own(&client);
    drop((client, accepted));
    observer.wait_for_connections(2);
    let lines = observer.finish();
    let acceptor = |remote| lines.connection_from(remote).acceptor.expect("its acceptor is not known").pid;
    assert_eq!((acceptor(remote), acceptor(ours)), (pid, std::process::id()));
    let listener = lines.listener(server.cookie);
    assert_eq!((listener.accepted, listener.accepted_unseen), (2, 0));
    assert_eq!(listener.pid, std::process::id(), "the process that called listen(2)");
    assert_eq!(lines.books_of(server.cookie).difference, 0);
}

#[test]
fn by_exec() {
    proves(&["accept"], || {
        let observer = Observer::shared();
        let server = Server::listen(V4, 8);
        let shared = server.socket.try_clone().expect("dup").into();
        check(observer, &server, heir(shared, "listener"));
    });
}

#[test]
fn by_scm_rights() {
    isolated(|| {
        let observer = Observer::shared();
        let server = Server::listen(V4, 8);
        let (own, other) = UnixStream::pair().expect("socketpair");
        let heir = heir(other.into(), "message");
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let listener = [server.socket.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&listener)), "no room for a descriptor");
        sendmsg(&own, &[IoSlice::new(b"x")], &mut control, SendFlags::empty()).expect("sendmsg");
        check(observer, &server, heir);
    });
}
