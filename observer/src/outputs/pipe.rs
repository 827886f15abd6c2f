//! Bytes on their way to stdout, by a thread of their own: a reader that does not read blocks that thread and not the
//! loop, which still hears signals.

use std::{io, io::Write as _, thread};

use anyhow::{Context as _, Result, anyhow};
use tokio::sync::{
    mpsc::{self, Permit},
    oneshot,
};

/// Sets of lines that wait for the thread. When it has none to spare, nothing more is taken out of the kernel, and what
/// then does not fit into the event ring is counted there as lost.
const WAITING: usize = 4;

/// The way to stdout.
pub struct Pipe {
    bytes: mpsc::Sender<Vec<u8>>,
    result: oneshot::Receiver<io::Result<()>>,
}

impl Pipe {
    /// Starts the thread. It ends when this is dropped and all is written, or at the first error.
    pub fn to_stdout() -> Result<Self> {
        let (bytes, mut incoming) = mpsc::channel::<Vec<u8>>(WAITING);
        let (outcome, result) = oneshot::channel();
        let write = move || {
            let mut out = io::stdout().lock();
            let mut written = Ok(());
            while let (Ok(()), Some(bytes)) = (&written, incoming.blocking_recv()) {
                written = out.write_all(&bytes).and_then(|()| out.flush());
            }
            // Nobody waits for it any more if a signal came meanwhile.
            let _ = outcome.send(written);
        };
        thread::Builder::new()
            .name("stdout".into())
            .spawn(write)
            .context("cannot start the thread for stdout")?;
        Ok(Self { bytes, result })
    }

    /// Waits until there is room for one more set of lines.
    ///
    /// # Errors
    /// stdout could not be written to.
    pub async fn room(&mut self) -> Result<Permit<'_, Vec<u8>>> {
        match self.bytes.reserve().await {
            Ok(permit) => Ok(permit),
            Err(_) => match (&mut self.result).await {
                Ok(Err(error)) => Err(error).context("cannot write to stdout"),
                _ => Err(anyhow!("the thread for stdout has ended")),
            },
        }
    }

    /// Writes the rest and waits until all is written.
    ///
    /// # Errors
    /// stdout could not be written to.
    pub async fn finish(mut self, last: Vec<u8>) -> Result<()> {
        self.room().await?.send(last);
        drop(self.bytes);
        match self.result.await {
            Ok(result) => result.context("cannot write to stdout"),
            Err(_) => Err(anyhow!("the thread for stdout has ended")),
        }
    }
}
