//! A place of its own for an experiment: a network namespace with loopback, ports, settings and counters that nobody
//! else uses, a backend and load in it, and an observation of it.
//!
//! Everything goes with the thread that made it: sockets and settings with the namespace, child processes by
//! `PR_SET_PDEATHSIG`, which follows that thread. So nothing has to be restored, however an experiment ends.
//!
//! # Layout
//! - [`backend`]: demo-server and its load as children
//! - [`watch`]: the observer's own view of what happens here
//! - [`counters`], [`sockets`]: the kernel's view
//! - [`traffic`]: listeners and clients of an experiment's own

pub mod backend;
pub mod counters;
pub mod sockets;
pub mod traffic;
pub mod watch;

use std::{
    fs,
    marker::PhantomData,
    os::unix::fs::MetadataExt as _,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use demo_server::namespace;

use crate::failure::Failure;

/// Between two looks at something that is waited for. It only spares the processor; nothing depends on its length.
pub const LOOK: Duration = Duration::from_millis(2);

/// The namespace that the calling thread is in.
#[derive(Debug)]
pub struct Arena {
    netns: u32,
    patience: Duration,
    /// Settings, counters and new sockets are those of the thread's namespace, so this stays with its thread.
    stays: PhantomData<*const ()>,
}

/// Runs an experiment on a thread of its own in a new network namespace. What is waited for in vain for `patience`
/// is an error.
///
/// # Errors
/// [`Failure::Privilege`] when this process may not make a namespace; and what the experiment returns.
pub fn run<T: Send>(patience: Duration, experiment: impl FnOnce(&Arena) -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("arena".into())
            .spawn_scoped(scope, || experiment(&Arena::enter(patience)?))
            .context("cannot start the thread of the experiment")?;
        thread.join().unwrap_or_else(|_| Err(anyhow!("the experiment's thread has panicked")))
    })
}

impl Arena {
    /// Leaves the calling thread's namespace for a new one, with loopback up.
    fn enter(patience: Duration) -> Result<Self> {
        namespace::enter().map_err(|error| {
            Failure::Privilege(format!(
                "cannot make a network namespace: {error}; it needs CAP_SYS_ADMIN, run it with sudo"
            ))
        })?;
        let namespace =
            fs::metadata("/proc/thread-self/ns/net").context("cannot look at /proc/thread-self/ns/net")?;
        let netns = u32::try_from(namespace.ino()).context("the inode number of the network namespace")?;
        Ok(Self { netns, patience, stays: PhantomData })
    }

    /// Inode number of the namespace.
    pub fn netns(&self) -> u32 {
        self.netns
    }

    /// How long to wait for what should happen soon.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Sets `net.<name>` here; the name with dots, as for sysctl(8).
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        fs::write(path(name), value).with_context(|| format!("cannot set net.{name} to {value}"))
    }

    /// The value of `net.<name>` here; none where this kernel has no such setting.
    pub fn setting(&self, name: &str) -> Option<String> {
        fs::read_to_string(path(name)).ok().map(|value| value.trim().to_owned())
    }

    /// Waits until it is so.
    pub fn until(&self, what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + self.patience;
        while !is_so()? {
            if Instant::now() > deadline {
                bail!("waited {} s in vain for {what}", self.patience.as_secs());
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

fn path(name: &str) -> String {
    format!("/proc/sys/net/{}", name.replace('.', "/"))
}
