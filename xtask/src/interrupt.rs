//! SIGINT and SIGTERM as a flag, so that a command ends by returning and whatever it started is stopped on the way.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::exit::{Exit, Kind};

/// Remembers the last of these signals.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// From now on the signals no longer end this process.
    pub(crate) fn catch() -> Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM, SIGHUP] {
            let value = usize::try_from(number).unwrap_or_default();
            signal_hook::flag::register_usize(number, Arc::clone(&signal), value)
                .with_context(|| format!("could not handle signal {number}"))?;
        }
        Ok(Self { signal })
    }

    /// An error once a signal has come.
    pub(crate) fn check(&self) -> Result<()> {
        match self.signal.load(Ordering::Relaxed) {
            0 => Ok(()),
            number => {
                let number = u8::try_from(number).unwrap_or(u8::MAX);
                Err(Exit::new(Kind::Signal(number), format!("ended by signal {number}")).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_becomes_an_error() {
        let interrupt = Interrupt::catch().unwrap();
        assert!(interrupt.check().is_ok());
        signal_hook::low_level::raise(SIGHUP).unwrap();
        assert_eq!(interrupt.check().unwrap_err().to_string(), "ended by signal 1");
    }
}
