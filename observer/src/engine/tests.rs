//! A source and outputs that do what a test tells them.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, sync::Arc};

use anyhow::{Result, anyhow};
use observer_ebpf::record;

use super::*;
use crate::{
    model::tests::{entry, sample},
    outputs::Later,
    signals::Signals,
    source::Sink,
};

/// Steps that were thought out before.
struct Told {
    meta: Arc<Meta>,
    steps: VecDeque<(Vec<Event>, Step)>,
}

impl Source for Told {
    fn meta(&self) -> &Arc<Meta> {
        &self.meta
    }

    fn begun_ns(&self) -> u64 {
        1
    }

    fn due(&self) -> Due {
        Due::Now
    }

    fn step(&mut self, sink: Sink<'_>) -> Result<Step> {
        let Some((events, step)) = self.steps.pop_front() else { return Ok(Step::End) };
        events.into_iter().for_each(sink);
        Ok(step)
    }

    fn read(&mut self, _sink: Sink<'_>) -> Result<Option<u64>> {
        Ok(None)
    }

    fn retell(&mut self, _sink: Sink<'_>) {}

    fn open(&mut self, sink: &mut dyn FnMut(u64, &record::Connection) -> Result<()>) -> Result<Vec<String>> {
        sink(9, &record::Connection::BLANK)?;
        Ok(Vec::new())
    }
}

/// What an output was told, in its order.
type Heard = Rc<RefCell<Vec<String>>>;

/// Notes what it hears.
#[derive(Default)]
struct Notes {
    heard: Heard,
    /// It cannot take the snapshot of this time.
    fails_at_ns: Option<u64>,
    beside: bool,
    quits: bool,
    /// It has to be asked so often before it has room.
    full: usize,
}

impl Notes {
    fn note(&self, what: impl ToString) {
        self.heard.borrow_mut().push(what.to_string());
    }
}

impl Output for Notes {
    fn event(&mut self, event: &Event) -> Result<()> {
        if let Event::Sample(sample) = event {
            self.note(format!("depth {}", sample.accept_queue));
        }
        Ok(())
    }

    fn snapshot(&mut self, snapshot: &Arc<Snapshot>, _last: bool) -> Result<()> {
        if self.fails_at_ns == Some(snapshot.time_ns) {
            return Err(anyhow!("no room for {}", snapshot.time_ns));
        }
        self.note(format!("{}: {}", snapshot.time_ns, snapshot.listeners.len()));
        Ok(())
    }

    fn wants_open(&self) -> bool {
        true
    }

    fn open(&mut self, time_ns: u64, _connection: &record::Connection) -> Result<()> {
        self.note(format!("open {time_ns}"));
        Ok(())
    }

    fn hear(&mut self, news: &News<'_>) -> Result<()> {
        match news {
            News::NotRecorded(why) => self.note(why),
            News::Anew => self.note("anew"),
            News::Done(Err(error)) => self.note(error),
            _ => {}
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.full > 0
    }

    fn wish(&mut self) -> Later<'_, Result<Wish>> {
        Box::pin(async {
            if self.full > 0 {
                self.full -= 1;
                return Ok(Wish::Room);
            }
            match self.quits {
                true => Ok(Wish::Quit),
                false => pending().await,
            }
        })
    }

    fn is_beside(&self) -> bool {
        self.beside
    }

    fn end(self: Box<Self>) -> Later<'static, Result<Option<String>>> {
        self.note("end");
        Box::pin(async { Ok(None) })
    }
}

/// Two snapshots of one listener, and what else there is.
fn story(then: Vec<Step>) -> Engine<Told> {
    let mut first = vec![Event::Listener(entry(1))];
    first.push(sample(1, 1, 3, crate::model::tests::counters(3, 0)));
    let mut steps = VecDeque::from([(first, Step::Instant(2)), (Vec::new(), Step::Instant(3))]);
    steps.extend(then.into_iter().map(|step| (Vec::new(), step)));
    Engine::new(Told { meta: Arc::default(), steps })
}

/// Adds an output to it, and returns what that hears.
fn add(engine: &mut Engine<Told>, notes: Notes) -> Heard {
    let heard = Rc::clone(&notes.heard);
    engine.add(notes);
    heard
}

async fn run(engine: &mut Engine<Told>) -> Result<()> {
    engine.run(&mut Stop::at_signal(Signals::to_end()?)).await
}

const ALL: [&str; 5] = ["depth 3", "2: 1", "3: 1", "open 9", "end"];

#[tokio::test]
async fn every_output_is_told_the_same_and_ended() {
    let mut engine = story(Vec::new());
    let heard = [(); 2].map(|()| add(&mut engine, Notes::default()));
    run(&mut engine).await.unwrap();
    heard.iter().for_each(|heard| assert_eq!(*heard.borrow(), ALL));
}

#[tokio::test]
async fn one_that_is_full_is_waited_for() {
    let mut engine = story(Vec::new());
    let heard = add(&mut engine, Notes { full: 7, ..Notes::default() });
    run(&mut engine).await.unwrap();
    assert_eq!(*heard.borrow(), ALL);
}

#[tokio::test]
async fn one_that_fails_beside_another_is_left_out_and_told_of() {
    let mut engine = story(Vec::new());
    let goes_on = add(&mut engine, Notes::default());
    let failed = add(&mut engine, Notes { fails_at_ns: Some(3), beside: true, ..Notes::default() });
    run(&mut engine).await.unwrap();
    assert_eq!(*goes_on.borrow(), ["depth 3", "2: 1", "3: 1", "no room for 3", "open 9", "end"]);
    assert_eq!(*failed.borrow(), ["depth 3", "2: 1"]);
}

#[tokio::test]
async fn one_without_which_the_others_do_not_go_on_ends_them_in_order() {
    let mut engine = story(Vec::new());
    let other = add(&mut engine, Notes::default());
    let failed = add(&mut engine, Notes { fails_at_ns: Some(2), ..Notes::default() });
    let error = run(&mut engine).await.unwrap_err();
    assert_eq!(error.to_string(), "no room for 2");
    assert_eq!(*other.borrow(), ["depth 3", "2: 1", "open 9", "end"]);
    assert_eq!(*failed.borrow(), ["depth 3"]);
}

#[tokio::test]
async fn it_ends_when_the_user_leaves() {
    let mut engine = story(Vec::new());
    let heard = add(&mut engine, Notes { quits: true, ..Notes::default() });
    run(&mut engine).await.unwrap();
    assert_eq!(*heard.borrow(), ["open 9", "end"]);
}

#[tokio::test]
async fn what_is_of_another_time_is_forgotten() {
    let mut engine = story(vec![Step::Anew, Step::Instant(1)]);
    let heard = add(&mut engine, Notes::default());
    run(&mut engine).await.unwrap();
    assert_eq!(*heard.borrow(), ["depth 3", "2: 1", "3: 1", "anew", "1: 0", "open 9", "end"]);
}

#[tokio::test]
async fn a_source_that_is_damaged_ends_it_after_what_was_right() {
    let mut engine = story(vec![Step::Damaged(anyhow!("byte 7"))]);
    let heard = add(&mut engine, Notes::default());
    assert_eq!(run(&mut engine).await.unwrap_err().to_string(), "byte 7");
    assert_eq!(*heard.borrow(), ["depth 3", "2: 1", "3: 1", "byte 7", "open 9", "end"]);
}
