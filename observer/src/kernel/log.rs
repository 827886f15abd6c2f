//! What the programs log, for whoever mends them: `--log-probes`.

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};

use crate::visible::say;

/// Takes the lines out of their ring.
pub struct ProbeLog {
    logger: EbpfLogger<Stderr>,
}

impl ProbeLog {
    /// Opens the ring of a loaded object.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self> {
        let logger =
            EbpfLogger::init_with_logger(ebpf, Stderr).context("cannot read what the programs log")?;
        Ok(Self { logger })
    }

    /// Prints what has come.
    pub fn flush(&mut self) {
        self.logger.flush();
    }
}

/// Prints to stderr.
struct Stderr;

impl Log for Stderr {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        say(format_args!("probe: {}: {}", record.level(), record.args()));
    }

    fn flush(&self) {}
}
