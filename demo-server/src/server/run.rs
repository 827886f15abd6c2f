//! One run of a pattern: started, stopped, and asked why it ended.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::connection::Connection;
use crate::listener::Listeners;
use crate::pattern::Pattern;
use crate::service::Service;
use crate::stage::{Failure, Stage};
use crate::wake::Wake;

/// One run of a pattern, and the thread that waits for its threads.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) stage: Arc<Stage>,
    host: Option<JoinHandle<()>>,
}

impl Run {
    /// Starts a pattern and waits until its threads run; the open connections come back if they do not.
    pub(super) fn start(
        pattern: &'static Pattern,
        service: &Arc<Service>,
        listeners: &Listeners,
        workers: u32,
        open: Vec<Connection>,
        end: &Arc<Wake>,
    ) -> Result<Self, (Failure, Vec<Connection>)> {
        listeners.choose_by_hash();
        let stage = Stage::new(pattern, service, listeners.all(), workers, open);
        let host = thread::Builder::new().name("pattern".to_owned()).spawn({
            let (stage, end) = (Arc::clone(&stage), Arc::clone(end));
            move || {
                // One that never began is told to whoever asked for it.
                if let Some(failure) = stage.play()
                    && stage.was_complete()
                {
                    eprintln!("demo-server: {}: {failure}", stage.pattern().id);
                    end.ring();
                }
            }
        });
        let mut run = match host {
            Ok(host) => Self { stage, host: Some(host) },
            Err(error) => return Err((error.into(), stage.leftovers())),
        };
        match run.stage.wait_until_complete() {
            Ok(()) => Ok(run),
            Err(failure) => Err((failure, run.stop())),
        }
    }

    /// Sends the threads home, waits for them, and returns the connections that are still open.
    pub(super) fn stop(&mut self) -> Vec<Connection> {
        self.stage.stop();
        self.stage.wait_until_over(None);
        if let Some(host) = self.host.take() {
            // The run is over, so the thread is about to end; should it have panicked, that was reported.
            let _ = host.join();
        }
        self.stage.leftovers()
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.stage.wait_until_complete().err()
    }
}
