//! Bytes that never pass through the program's own memory.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::fd::AsRawFd as _,
};

use crate::{
    lines::Lines,
    namespace::{isolated, proves},
    observed::Observer,
    traffic::{Server, V4, own, receive, send},
};

/// A file without a name that holds these bytes.
fn file(bytes: &[u8]) -> File {
    let path =
        std::env::temp_dir().join(format!("observer-test-{}-{}", std::process::id(), crate::waiting::tid()));
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).expect("a file");
    std::fs::remove_file(&path).expect("the file's name can be removed");
    file.write_all(bytes).expect("write");
    file
}

#[test]
fn sendfile_is_a_write() {
    proves(&["write"], || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 4);
        let (client, accepted) = server.pair();
        let file = file(&[7; 5000]);
        let mut offset = 0;
        #[expect(unsafe_code, reason = "no library here offers sendfile(2)")]
        // SAFETY: both descriptors are open, and the pointer is to an offset that lives through the call.
        let sent = unsafe { libc::sendfile(accepted.as_raw_fd(), file.as_raw_fd(), &mut offset, 5000) };
        assert_eq!(sent, 5000, "sendfile");
        receive(&client, 5000);
        let remote = own(&client);
        drop((client, accepted));
        observer.wait_for_connections(1);
        let lines = observer.finish();
        let hook = lines.meta()["signals"]["write"].as_str().unwrap_or_default().to_owned();
        // Kernels before 6.5 send it by tcp_sendpage; then the socket tells at the end that it happened.
        let seen = hook != "fexit/tcp_sendmsg"
            || lines.meta()["kernel"].as_str().is_some_and(|kernel| !kernel.starts_with("6.1."));
        let connection = lines.connection_from(remote);
        assert_eq!(connection.bytes_written, 5000, "{connection:?}");
        assert_eq!(connection.writes > 0, seen, "{connection:?}");
        assert_eq!(connection.first_write_ns.is_some(), seen, "{connection:?}");
        for what in ["writes", "first_write_ns"] {
            assert_eq!(connection.unseen.contains(&what.to_owned()), !seen, "{connection:?}");
        }
    });
}

/// Moves so many bytes out of a connection into a pipe.
fn splice(from: &TcpStream, length: usize) {
    let (_reader, writer) = std::io::pipe().expect("pipe");
    let mut moved = 0;
    while moved < length {
        #[expect(unsafe_code, reason = "no library here offers splice(2)")]
        // SAFETY: both descriptors are open; no pointer is passed but null.
        let step = unsafe {
            let (from, to) = (from.as_raw_fd(), writer.as_raw_fd());
            libc::splice(from, std::ptr::null_mut(), to, std::ptr::null_mut(), length - moved, 0)
        };
        moved += usize::try_from(step).expect("splice");
    }
}

#[test]
fn splice_reads_as_far_as_the_hook_sees_them() {
    proves(&["read"], || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 4);
        let (client, accepted) = server.pair();
        send(&client, &[7; 3000]);
        splice(&accepted, 3000);
        let remote = own(&client);
        drop(client);
        // The FIN takes a sequence number, and is no byte.
        assert_eq!((&accepted).read(&mut [0]).expect("read"), 0);
        drop(accepted);
        observer.wait_for_connections(1);
        let lines = observer.finish();
        let connection = lines.connection_from(remote);
        assert_eq!(connection.bytes_read, 3000, "{connection:?}");
        // Only this hook sees who did it; what the others cannot see they say in `meta`.
        let seen = lines.meta()["signals"]["read"] == "tp_btf/tcp_rcv_space_adjust";
        assert_eq!(connection.reads > 0, seen, "{connection:?}");
        assert_eq!(connection.first_read_ns.is_some(), seen, "{connection:?}");
        for what in ["reads", "first_read_ns"] {
            assert_eq!(connection.unseen.contains(&what.to_owned()), !seen, "{connection:?}");
        }
        if !seen {
            let note = lines.meta()["signal_notes"]["read"].as_str().unwrap_or_default().to_owned();
            assert!(note.contains("splice"), "{note}");
        }
        assert!(connection.first_data_ns.is_some(), "{connection:?}");
    });
}

#[test]
fn what_was_spliced_and_answered_is_not_unread() {
    isolated(|| {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 4);
        let (client, accepted) = server.pair();
        send(&client, &[7; 3000]);
        let unread = |lines: &Lines| lines.listener_over_time(server.cookie).last().map(|last| last.unread);
        observer.wait_for("unread data", |lines| unread(lines) == Some(1));
        splice(&accepted, 3000);
        send(&accepted, b"answer");
        observer.wait_for("nothing unread", |lines| unread(lines) == Some(0));
        drop((client, accepted));
        observer.wait_for_connections(1);
        assert_eq!(observer.finish().listener(server.cookie).unread, 0);
    });
}
