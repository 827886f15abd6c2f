//! The server's side of the control socket.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, fchmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use rustix::process::geteuid;

use super::desk::{attend, refusal};
use super::protocol::versioned_line;
use crate::server::Server;
use crate::visible::Shown;
use crate::wake::Wake;

/// Clients at one time. More than anybody needs, few enough that a loop that forgets to close harms nobody.
const MAX_CLIENTS: usize = 64;
/// Clients that may wait to be accepted, as std asks for them.
const PENDING: i32 = 128;

/// An open control socket. Dropping it closes the socket, sends the clients away and removes the file.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    /// Device and inode number of the file that is ours.
    file: (u64, u64),
    closing: Arc<Wake>,
    thread: Option<JoinHandle<()>>,
}

/// Opens the control socket of `server` at `path`, for its own user only.
///
/// A file that a dead server has left is replaced. One behind which a server answers, or that is no socket, is an
/// error.
pub fn serve(server: &Arc<Server>, path: &Path) -> Result<Control> {
    make_way(path)?;
    let (listener, file) =
        bind_private(path).with_context(|| format!("cannot open the control socket {}", Shown(path)))?;
    let closing = Arc::new(Wake::new()?);
    let thread = thread::Builder::new().name("control".to_owned()).spawn({
        let (server, closing) = (Arc::clone(server), Arc::clone(&closing));
        move || receive(&server, &listener, &closing)
    })?;
    Ok(Control { path: path.to_owned(), file, closing, thread: Some(thread) })
}

/// Removes what a dead server has left at `path`.
fn make_way(path: &Path) -> Result<()> {
    let shown = Shown(path);
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        bail!("{shown} exists and is no socket; name another path with --control");
    }
    if found.uid() != geteuid().as_raw() {
        bail!("{shown} belongs to somebody else; name another path with --control");
    }
    match UnixStream::connect(path) {
        Ok(_) => bail!(
            "the control socket {shown} is in use by a running server; stop it or name another path with --control"
        ),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).with_context(|| format!("cannot replace the stale control socket {shown}"))
        }
        Err(error) => {
            Err(error).with_context(|| format!("cannot tell whether the control socket {shown} is in use"))
        }
    }
}

/// Binds a socket whose file has the right mode from the start: bind(2) takes it from the socket's own
/// (`unix_bind_bsd`), and never takes a name that exists. Returns device and inode number of the file too, looked up
/// before anybody can connect: a client that is connected may remove the file at once.
fn bind_private(path: &Path) -> io::Result<(UnixListener, (u64, u64))> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    let file = fs::symlink_metadata(path)?;
    listen(&socket, PENDING)?;
    Ok((socket.into(), (file.dev(), file.ino())))
}

fn receive(server: &Arc<Server>, listener: &UnixListener, closing: &Wake) {
    let clients = AtomicUsize::new(0);
    thread::scope(|scope| {
        loop {
            let mut fds = [PollFd::new(listener, PollFlags::IN), PollFd::new(closing, PollFlags::IN)];
            let polled = poll(&mut fds, None);
            if polled.is_err() || !fds[1].revents().is_empty() {
                break;
            }
            let Ok((stream, _)) = listener.accept() else {
                // Nobody there any more, or no descriptor for it. The latter does not pass at once.
                thread::sleep(Duration::from_millis(10));
                continue;
            };
            if clients.fetch_add(1, Ordering::SeqCst) >= MAX_CLIENTS {
                clients.fetch_sub(1, Ordering::SeqCst);
                turn_away(stream);
                continue;
            }
            let clients = &clients;
            let thread = thread::Builder::new().name("control-client".to_owned());
            let spawned = thread.spawn_scoped(scope, move || {
                // A client that breaks off is no news.
                let _ = attend(server, stream, closing);
                clients.fetch_sub(1, Ordering::SeqCst);
            });
            if spawned.is_err() {
                clients.fetch_sub(1, Ordering::SeqCst);
            }
        }
    });
}

fn turn_away(stream: UnixStream) {
    use std::io::Write as _;
    let reply = refusal(format!("{MAX_CLIENTS} clients are connected, which is the limit; close one"));
    let sent = stream.set_nonblocking(true).is_ok();
    if let Some(line) = versioned_line(&reply).ok().filter(|_| sent) {
        let _ = (&stream).write_all(&line);
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Another server may have been given the name since.
        if fs::symlink_metadata(&self.path).is_ok_and(|file| (file.dev(), file.ino()) == self.file) {
            let _ = fs::remove_file(&self.path);
        }
        self.closing.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
