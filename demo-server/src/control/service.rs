//! The server's side of the control socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};

use super::desk::{attend, refusal};
use super::protocol::versioned_line;
use crate::server::Server;
use crate::wake::Wake;

/// Clients at one time. More than anybody needs, few enough that a loop that forgets to close harms nobody.
const MAX_CLIENTS: usize = 64;

/// An open control socket. Dropping it closes the socket, sends the clients away and removes the file.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    closing: Arc<Wake>,
    thread: Option<JoinHandle<()>>,
}

/// Opens the control socket of `server` at `path`, for its own user only.
///
/// A file that a dead server has left is replaced. One behind which a server answers, or that is no socket, is an
/// error.
pub fn serve(server: &Arc<Server>, path: &Path) -> Result<Control> {
    make_way(path)?;
    let listener =
        bind_private(path).with_context(|| format!("cannot open the control socket {}", path.display()))?;
    let closing = Arc::new(Wake::new()?);
    let thread = thread::Builder::new().name("control".to_owned()).spawn({
        let (server, closing) = (Arc::clone(server), Arc::clone(&closing));
        move || receive(&server, &listener, &closing)
    })?;
    Ok(Control { path: path.to_owned(), closing, thread: Some(thread) })
}

/// Removes what a dead server has left at `path`.
fn make_way(path: &Path) -> Result<()> {
    let shown = path.display();
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        bail!("{shown} exists and is no socket; name another path with --control");
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

/// Binds under a name of its own and renames when the mode is right, so that nobody can connect in between.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let mut private = path.as_os_str().to_owned();
    private.push(format!(".{}", std::process::id()));
    let private = PathBuf::from(private);
    let listener = UnixListener::bind(&private)?;
    let renamed = fs::set_permissions(&private, Permissions::from_mode(0o600))
        .and_then(|()| fs::rename(&private, path))
        .and_then(|()| listener.set_nonblocking(true));
    if renamed.is_err() {
        let _ = fs::remove_file(&private);
    }
    renamed.map(|()| listener)
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
        let _ = fs::remove_file(&self.path);
        self.closing.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
