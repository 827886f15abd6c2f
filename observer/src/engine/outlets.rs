//! The outputs of an engine. One that fails gets nothing more; if others go on without it they hear of that.

use std::{future::poll_fn, sync::Arc, task::Poll};

use anyhow::{Error, Result};
use observer_ebpf::record;

use crate::{
    model::{
        Model,
        event::Event,
        snapshot::{Connection, Snapshot},
    },
    outputs::{News, Output, Wish},
};

/// Outputs, in the order in which they are told and end.
#[derive(Default)]
pub(super) struct Outlets {
    outputs: Vec<Box<dyn Output>>,
    /// Why an output failed without which the others do not go on.
    failure: Option<Error>,
    /// Why others failed, until the rest was told.
    beside: Vec<Error>,
}

impl Outlets {
    pub(super) fn add(&mut self, output: Box<dyn Output>) {
        self.outputs.push(output);
    }

    /// Every output does something; who cannot is left out from then on.
    fn each(&mut self, mut act: impl FnMut(&mut dyn Output) -> Result<()>) {
        let Self { outputs, failure, beside } = self;
        outputs.retain_mut(|output| match act(output.as_mut()) {
            Ok(()) => true,
            Err(error) => {
                match output.is_beside() {
                    true => beside.push(error),
                    false => _ = failure.get_or_insert(error),
                }
                false
            }
        });
    }

    /// Hands an event to the outputs and then to the model, and a connection that ended by it to all who want it.
    pub(super) fn take(&mut self, model: &mut Model, event: Event, ended: &mut dyn FnMut(&Connection)) {
        self.each(|output| output.event(&event));
        if let Some(connection) = model.apply(event) {
            self.each(|output| output.connection(&connection));
            ended(&connection);
        }
    }

    pub(super) fn snapshot(&mut self, snapshot: &Arc<Snapshot>, last: bool) {
        self.each(|output| output.snapshot(snapshot, last));
    }

    pub(super) fn open(&mut self, time_ns: u64, connection: &record::Connection) {
        self.each(|output| output.open(time_ns, connection));
    }

    /// Whether one of them wants the connections that are open at the end.
    pub(super) fn want_open(&self) -> bool {
        self.outputs.iter().any(|output| output.wants_open())
    }

    pub(super) fn tell(&mut self, news: &News<'_>) {
        self.each(|output| output.hear(news));
    }

    pub(super) fn flush(&mut self) {
        self.each(|output| output.flush());
    }

    /// Whether one of them needs room before anything more is read.
    pub(super) fn is_full(&self) -> bool {
        self.outputs.iter().any(|output| output.is_full())
    }

    /// Bytes of the recording that goes on, if one does.
    pub(super) fn recorded(&self) -> Option<u64> {
        self.outputs.iter().find_map(|output| output.recorded())
    }

    /// Waits until one of them asks for something. Safe to cancel.
    pub(super) async fn wish(&mut self) -> Result<Wish> {
        let mut wishes: Vec<_> = self.outputs.iter_mut().map(|output| output.wish()).collect();
        let (place, wish) = poll_fn(|context| {
            let ready =
                wishes.iter_mut().enumerate().find_map(|(place, wish)| match wish.as_mut().poll(context) {
                    Poll::Ready(wish) => Some((place, wish)),
                    Poll::Pending => None,
                });
            ready.map_or(Poll::Pending, Poll::Ready)
        })
        .await;
        drop(wishes);
        if wish.is_err() {
            self.outputs.remove(place);
        }
        wish
    }

    /// Takes out the recording that goes on.
    pub(super) fn take_recording(&mut self) -> Option<Box<dyn Output>> {
        let place = self.outputs.iter().position(|output| output.recorded().is_some())?;
        Some(self.outputs.remove(place))
    }

    /// Fails if an output has without which the others do not go on; of others the rest is told.
    pub(super) fn check(&mut self) -> Result<()> {
        for error in std::mem::take(&mut self.beside) {
            self.tell(&News::NotRecorded(&format!("{error:#}")));
        }
        self.failure.take().map_or(Ok(()), Err)
    }

    /// All of them, to be ended.
    pub(super) fn drain(&mut self) -> Vec<Box<dyn Output>> {
        std::mem::take(&mut self.outputs)
    }
}
