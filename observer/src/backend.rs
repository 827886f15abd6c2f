//! The link to a bundled backend: its changes as news, and requests to it. The control socket may be slow, absent
//! or come back later, so two threads do the waiting and the loop never does. Nobody vouches for what answers there: a
//! line has a longest length, and what is not taken in time waits in the socket and not in memory.
//!
//! One connection carries both: changes come on it as they happen, and replies in the order of the requests.

mod said;

use std::{
    future::poll_fn,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self as blocking, TrySendError},
    },
    task::Poll,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
pub use demo_server::control::Request;
use demo_server::control::{Asker, Client, Message, State};
use tokio::sync::mpsc;

use crate::{
    kernel::clock::now_ns,
    model::{event::Event, mark::Mark},
    visible::visible,
};
pub use said::{Said, load_label};

/// Between two attempts to reach a backend that is not there.
const RETRY: Duration = Duration::from_secs(1);
/// How long a reply may take: longer than the longest request in hand that a switch waits for.
const PATIENCE: Duration = Duration::from_secs(30);
/// News that wait for the loop. When there is no room, nothing more is read from the socket.
const WAITING: usize = 16;
/// Requests that wait for an answer to the one before.
const REQUESTS: usize = 16;
/// Characters of what the backend says of a change.
const LONGEST: usize = 512;

/// Something about a backend.
#[derive(Debug)]
pub enum News {
    /// It changed, or came back: why, and its state.
    Changed(String, Box<State>),
    /// It cannot be reached.
    Lost(String),
    /// What came of a request.
    Reply(Result<(), String>),
}

/// The way to ask, while there is a connection.
type Way = Arc<Mutex<Option<Asker>>>;

/// A link to the control socket at a path.
#[derive(Debug)]
pub struct Link {
    news: mpsc::Receiver<News>,
    requests: blocking::SyncSender<Request>,
    said: Said,
}

impl Link {
    /// Begins to watch the socket of the backend with this number.
    ///
    /// # Errors
    /// Its threads cannot be started.
    pub fn open(path: PathBuf, backend: u32) -> Result<Self> {
        let (sender, news) = mpsc::channel(WAITING);
        let (requests, wanted) = blocking::sync_channel(REQUESTS);
        let (replied, replies) = blocking::channel();
        let (watched, answers) = (Way::default(), sender.clone());
        let asked = Arc::clone(&watched);
        thread::Builder::new()
            .name("demo-watch".into())
            .spawn(move || watch(&path, &watched, &replied, &sender))
            .context("cannot start the thread that watches demo-server")?;
        thread::Builder::new()
            .name("demo-ask".into())
            .spawn(move || ask(&asked, &wanted, &replies, &answers))
            .context("cannot start the thread that asks demo-server")?;
        Ok(Self { news, requests, said: Said { backend, ..Said::default() } })
    }

    /// Sends a request; what comes of it is [`News::Reply`].
    ///
    /// # Errors
    /// Too many are waited for already.
    pub fn request(&self, request: Request) -> Result<()> {
        self.requests.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => anyhow!("demo-server has not answered the last {REQUESTS} requests yet"),
            TrySendError::Disconnected(_) => anyhow!("the thread that asks demo-server has ended"),
        })
    }

    /// The next news. Safe to cancel.
    pub async fn next(&mut self) -> Option<News> {
        self.news.recv().await
    }

    /// What some news mean: nothing, if they change nothing.
    pub fn learn(&mut self, news: &News) -> Vec<Event> {
        let mut marks: Vec<Mark> = Vec::new();
        match news {
            News::Reply(_) => return Vec::new(),
            News::Lost(error) => {
                if self.said.error.as_ref() == Some(error) {
                    return Vec::new();
                }
                self.said.state = None;
                self.said.error = Some(error.clone());
            }
            News::Changed(reason, state) => {
                // Finding it is no change of it.
                if let Some(known) = self.said.state.as_ref().filter(|known| known.changes != state.changes) {
                    let reason: String = visible(reason).chars().take(LONGEST).collect();
                    marks = said::changes(known, state, &reason, now_ns().unwrap_or(0));
                }
                self.said.error = None;
                self.said.state = Some(state.clone());
            }
        }
        let marks = marks.into_iter().map(|mark| Event::Mark(Box::new(mark)));
        self.retell().into_iter().chain(marks).collect()
    }

    /// Why it cannot be reached.
    pub fn error(&self) -> Option<&str> {
        self.said.error.as_deref()
    }

    /// What it said last, for somebody who begins to listen now.
    pub fn retell(&self) -> Vec<Event> {
        let offered = self.said.state.as_deref().and_then(said::offered);
        let offered = Event::Offered { backend: self.said.backend, offered: offered.map(Box::new) };
        vec![offered, Event::Backend(Box::new(self.said.clone()))]
    }
}

/// The next news of any backend, and its place; never any when there is none.
pub async fn news(links: &mut [Link]) -> (usize, News) {
    poll_fn(|context| {
        for (place, link) in links.iter_mut().enumerate() {
            // None is the end of its threads; the last word of them has been heard.
            if let Poll::Ready(Some(news)) = link.news.poll_recv(context) {
                return Poll::Ready((place, news));
            }
        }
        Poll::Pending
    })
    .await
}

/// Follows the backend until nobody listens any more.
fn watch(
    path: &PathBuf,
    way: &Mutex<Option<Asker>>,
    replied: &blocking::Sender<Result<(), String>>,
    news: &mpsc::Sender<News>,
) {
    loop {
        let outcome = follow(path, way, replied, news);
        *way.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let Err(error) = outcome else { return };
        let error = format!("{error:#}");
        // Whoever waits for a reply gets none.
        let _ = replied.send(Err(error.clone()));
        if news.blocking_send(News::Lost(error)).is_err() {
            return;
        }
        thread::sleep(RETRY);
    }
}

/// Reads what one connection says, until it ends. `Ok` when nobody listens any more.
fn follow(
    path: &PathBuf,
    way: &Mutex<Option<Asker>>,
    replied: &blocking::Sender<Result<(), String>>,
    news: &mpsc::Sender<News>,
) -> Result<()> {
    let mut subscription = Client::connect(path)?.subscribe()?;
    *way.lock().unwrap_or_else(PoisonError::into_inner) = Some(subscription.asker()?);
    while let Some(message) = subscription.message() {
        let sent = match message? {
            Message::Changed(update) => {
                news.blocking_send(News::Changed(update.reason, Box::new(update.state))).is_ok()
            }
            // Nobody may wait for it any more.
            Message::Reply(reply) => {
                let _ =
                    replied.send(reply.state_or_refusal().map(|_| ()).map_err(|error| format!("{error:#}")));
                true
            }
        };
        if !sent {
            return Ok(());
        }
    }
    Err(anyhow!("demo-server ended"))
}

/// Carries requests out, one at a time.
fn ask(
    way: &Mutex<Option<Asker>>,
    wanted: &blocking::Receiver<Request>,
    replies: &blocking::Receiver<Result<(), String>>,
    news: &mpsc::Sender<News>,
) {
    for request in wanted {
        // What came when nobody had asked.
        while replies.try_recv().is_ok() {}
        let asked = match &mut *way.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(asker) => asker.ask(&request).map_err(|error| format!("{error:#}")),
            None => Err("demo-server cannot be reached now".to_owned()),
        };
        let reply = asked.and_then(|()| match replies.recv_timeout(PATIENCE) {
            Ok(reply) => reply,
            Err(_) => {
                // A reply that comes later must not be taken for the next one's.
                if let Some(asker) = way.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    asker.hang_up();
                }
                Err(format!("demo-server has not answered in {} s", PATIENCE.as_secs()))
            }
        });
        if news.blocking_send(News::Reply(reply)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
