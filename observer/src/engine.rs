//! The one loop: takes events from a source to the model, and what is known then to the outputs.

mod asked;
mod outlets;
mod stop;

use std::{future::pending, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Error, Result};
use tokio::time::{sleep_until, timeout};

use crate::{
    backend::{self, Link, News as OfBackend},
    model::{
        Model,
        bounds::Bounds,
        event::Event,
        snapshot::{Connection, Meta, Snapshot},
    },
    outputs::{News, Output, Wish, recording::Recording},
    recording::recorder::Target,
    source::{Due, Origin, Source, Step},
    terminal::writes::writing,
    visible::say,
};

pub use asked::Player;
use outlets::Outlets;
pub use stop::Stop;

/// After a signal, how long an output may take to end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A source, what is known through it, and who is told.
pub struct Engine<S> {
    source: S,
    model: Model,
    outlets: Outlets,
    /// One for each backend that is watched.
    backends: Vec<Link>,
    /// Why the source cannot be read any further.
    damage: Option<Error>,
}

/// What a step came to.
#[derive(Debug)]
pub enum Stepped {
    /// Something happened, or nothing.
    Events,
    /// This is known now.
    Known(Arc<Snapshot>),
    /// There is no more.
    End,
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// A signal asked for it.
    Told,
    /// The time is over, the source has no more, or the user has left.
    Over,
}

impl<S: Source> Engine<S> {
    /// Nothing is known yet, and nobody told.
    pub fn new(source: S) -> Self {
        let model = fresh(source.meta(), source.bounds());
        Self { source, model, outlets: Outlets::default(), backends: Vec::new(), damage: None }
    }

    /// Tells one output more.
    pub fn add(&mut self, output: impl Output + 'static) {
        self.outlets.add(Box::new(output));
    }

    /// Watches the backend at a control socket as well.
    ///
    /// # Errors
    /// As [`Link::open`].
    pub fn watch_backend(&mut self, socket: Option<PathBuf>) -> Result<()> {
        let number = u32::try_from(self.backends.len()).unwrap_or(u32::MAX);
        self.backends.extend(socket.map(|socket| Link::open(socket, number)).transpose()?);
        Ok(())
    }

    /// Where it comes from.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The same, to be controlled.
    pub fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// What does not change.
    pub fn meta(&self) -> &Arc<Meta> {
        self.source.meta()
    }

    /// What was left out so far, because it is more than is held at one time.
    pub fn left_out(&self) -> Vec<String> {
        self.source.bounds().map_or_else(Vec::new, |bounds| self.model.left_out().remarks(bounds))
    }

    /// One step of the source; ended connections are handed on as well.
    ///
    /// # Errors
    /// The source or an output cannot go on.
    pub fn step(&mut self, ended: &mut dyn FnMut(&Connection)) -> Result<Stepped> {
        let Self { source, model, outlets, .. } = self;
        let step = source.step(&mut |event| outlets.take(model, event, ended))?;
        let stepped = match step {
            Step::Events => Stepped::Events,
            Step::Instant(time_ns) => Stepped::Known(self.known(time_ns, self.source.ends_at(time_ns))),
            Step::Anew => {
                self.model = fresh(self.source.meta(), self.source.bounds());
                self.outlets.tell(&News::Anew);
                Stepped::Events
            }
            Step::Damaged(error) => {
                self.outlets.tell(&News::Done(&Err(format!("{error:#}"))));
                self.damage = Some(error);
                // Who can turn back from there does not end there.
                if self.source.due() == Due::Now { Stepped::End } else { Stepped::Events }
            }
            Step::End => Stepped::End,
        };
        self.outlets.check()?;
        Ok(stepped)
    }

    /// Reads all that is to be had right now. None where nothing is left after the last step.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn read(&mut self, last: bool, ended: &mut dyn FnMut(&Connection)) -> Result<Option<Arc<Snapshot>>> {
        let Self { source, model, outlets, .. } = self;
        let time_ns = source.read(&mut |event| outlets.take(model, event, ended))?;
        let known = time_ns.map(|time_ns| self.known(time_ns, last));
        self.outlets.check()?;
        Ok(known)
    }

    fn known(&mut self, time_ns: u64, last: bool) -> Arc<Snapshot> {
        let snapshot = Arc::new(self.model.snapshot(time_ns));
        self.outlets.snapshot(&snapshot, last);
        snapshot
    }

    /// Tells the model something that does not come from the source.
    fn learn(&mut self, event: Event) {
        self.outlets.take(&mut self.model, event, &mut |_| {});
    }

    /// Runs until it is to stop, the source has no more, or the user leaves; then all outputs end.
    ///
    /// # Errors
    /// What made it stop before; or an output did not come to its end.
    pub async fn run(&mut self, stop: &mut Stop) -> Result<()> {
        let outcome = self.drive(stop).await;
        let told = matches!(outcome, Ok(Ending::Told));
        let finished = self.finish(told, stop).await;
        let damaged = self.damage.take().map_or(Ok(()), Err);
        outcome.map(|_| ()).and(finished).and(damaged)
    }

    async fn drive(&mut self, stop: &mut Stop) -> Result<Ending> {
        self.flush()?;
        loop {
            let due = self.source.due();
            let is_full = self.outlets.is_full();
            tokio::select! {
                biased;
                told = stop.told() => match told {
                    stop::Told::End => return Ok(Ending::Told),
                    stop::Told::Over => return Ok(Ending::Over),
                    stop::Told::Stop => self.outlets.tell(&News::Stop),
                },
                wish = self.outlets.wish() => if !self.grant(wish?).await? {
                    return Ok(Ending::Over);
                },
                () = until(due), if !is_full => match self.step(&mut |_| {})? {
                    Stepped::Events => {}
                    Stepped::Known(_) => self.source.check()?,
                    Stepped::End => return Ok(Ending::Over),
                },
                // Last: a backend that never stops talking must not keep the rest from its turn.
                (place, news) = backend::news(&mut self.backends) => self.heard(place, &news),
            }
            self.outlets.check()?;
            if self.source.due() != Due::Now {
                self.flush()?;
            }
        }
    }

    /// Everybody shows what there is by now.
    fn flush(&mut self) -> Result<()> {
        let origin = match (self.source.origin(), self.outlets.recorded()) {
            (Origin::Live, Some(bytes)) => Origin::Recorded(bytes),
            (origin, _) => origin,
        };
        self.outlets.tell(&News::Origin(origin));
        self.outlets.flush();
        self.outlets.check()
    }

    /// Does what an output asks for. `false` when the user wants to leave.
    async fn grant(&mut self, wish: Wish) -> Result<bool> {
        let replayed = matches!(self.source.origin(), Origin::Replayed(_));
        match wish {
            Wish::Room => {}
            Wish::Quit => return Ok(false),
            Wish::Control(control) => self.source.control(control),
            Wish::Record => {
                let outcome = match replayed {
                    true => Err("this is a recording already".to_owned()),
                    false => self.record().await.map_err(|error| format!("{error:#}")),
                };
                self.outlets.tell(&News::Done(&outcome));
            }
            Wish::Backend(request) => {
                let refused = match self.backends.first() {
                    Some(link) => match link.request(request) {
                        Ok(()) => return Ok(true),
                        Err(error) => format!("{error:#}"),
                    },
                    None if replayed => "this is a recording; nobody listens".to_owned(),
                    None => "no demo-server; start with --demo SOCKET".to_owned(),
                };
                self.outlets.tell(&News::Reply(&Err(refused)));
            }
        }
        Ok(true)
    }

    /// Begins a recording in the working directory, or ends the one that goes on. Says which.
    async fn record(&mut self) -> Result<String> {
        if self.outlets.recorded().is_some() {
            self.read(false, &mut |_| {})?;
            let Some(mut recording) = self.outlets.take_recording() else { return Ok(String::new()) };
            self.source.open(&mut |time_ns, connection| recording.open(time_ns, connection))?;
            return Ok(recording.end().await?.unwrap_or_default());
        }
        let name = self.begin_recording(Recording::here()?)?;
        Ok(format!("recording into {name}; R ends it"))
    }

    /// Begins a recording in the middle: with everything that is there now. Returns its name.
    ///
    /// # Errors
    /// It cannot begin.
    pub fn begin_recording(&mut self, target: Target) -> Result<String> {
        let Self { source, model, outlets, backends, .. } = self;
        let marks = model.marks().iter().map(|mark| Event::Mark(Box::new(mark.clone())));
        let there: Vec<Event> = std::iter::once(Event::Unrecorded(model.delivered()))
            .chain(marks)
            .chain(backends.iter().flat_map(Link::retell))
            .collect();
        let recording = Recording::in_the_middle(target, source.meta(), source.begun_ns(), &there)?;
        let name = recording.name();
        outlets.add(Box::new(recording));
        source.retell(&mut |event| outlets.take(model, event, &mut |_| {}));
        outlets.check()?;
        Ok(name)
    }

    fn heard(&mut self, place: usize, news: &OfBackend) {
        let Some(link) = self.backends.get_mut(place) else { return };
        let events = link.learn(news);
        if let Some(error) = link.error().filter(|_| !events.is_empty()) {
            self.outlets.tell(&News::NoBackend(error));
        }
        events.into_iter().for_each(|event| self.learn(event));
        if let OfBackend::Reply(reply) = news {
            self.outlets.tell(&News::Reply(reply));
        }
    }

    /// Hands over the connections that are open, if anybody wants them.
    fn hand_open_over(&mut self) -> Result<()> {
        let Self { source, outlets, .. } = self;
        if !outlets.want_open() {
            return Ok(());
        }
        let left_out = source.open(&mut |time_ns, connection| {
            outlets.open(time_ns, connection);
            Ok(())
        })?;
        left_out.iter().for_each(|remark| say(format_args!("observer: {remark}")));
        Ok(())
    }

    /// Hands over what is still to be had, and ends every output.
    async fn finish(&mut self, told: bool, stop: &mut Stop) -> Result<()> {
        let mut outcome = self.read(true, &mut |_| {}).map(|_| ());
        outcome = outcome.and(self.hand_open_over()).and(self.outlets.check());
        for output in self.outlets.drain() {
            let ended = match told {
                // Who does not take it by now is not waited for.
                true => timeout(LAST_WORDS, output.end()).await.unwrap_or(Ok(None)),
                false => tokio::select! {
                    biased;
                    () = stop.is_told() => Ok(None),
                    ended = output.end() => ended,
                },
            };
            match ended {
                // Perhaps on the terminal that takes nothing.
                Ok(said) => said.iter().for_each(|said| writing(|| say(format_args!("observer: {said}")))),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }
}

fn fresh(meta: &Arc<Meta>, bounds: Option<Bounds>) -> Model {
    match bounds {
        Some(bounds) => Model::bounded(Arc::clone(meta), bounds),
        None => Model::new(Arc::clone(meta)),
    }
}

async fn until(due: Due) {
    match due {
        Due::Now => tokio::task::yield_now().await,
        Due::At(instant) => sleep_until(instant).await,
        Due::Never => pending().await,
    }
}

#[cfg(test)]
mod tests;
