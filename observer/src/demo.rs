//! The link to the bundled backend: its changes as news, and requests to it. The control socket may be slow, absent
//! or come back later, so two threads do the waiting and the loop never does.

use std::{path::PathBuf, sync::mpsc as blocking, thread, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use demo_server::{
    control::{Client, Request, State},
    visible::visible,
};
use tokio::sync::mpsc;

use crate::{kernel::clock::now_ns, model::snapshot::Demo};

/// Between two attempts to reach a backend that is not there.
const RETRY: Duration = Duration::from_secs(1);
/// Changes that are remembered.
const CHANGES: usize = 64;

/// Something about the backend.
#[derive(Debug)]
pub enum News {
    /// It changed, or came back: why, and its state.
    Changed(String, Box<State>),
    /// It cannot be reached.
    Lost(String),
    /// What came of a request.
    Reply(Result<(), String>),
}

/// A link to the control socket at a path.
#[derive(Debug)]
pub struct Link {
    news: mpsc::UnboundedReceiver<News>,
    requests: blocking::Sender<Request>,
    demo: Demo,
}

impl Link {
    /// Begins to watch the socket.
    pub fn open(path: PathBuf) -> Result<Self> {
        let (sender, news) = mpsc::unbounded_channel();
        let (requests, wanted) = blocking::channel();
        let (watched, asked, replies) = (path.clone(), path, sender.clone());
        thread::Builder::new()
            .name("demo-watch".into())
            .spawn(move || watch(&watched, &sender))
            .context("cannot start the thread that watches demo-server")?;
        thread::Builder::new()
            .name("demo-ask".into())
            .spawn(move || ask(&asked, &wanted, &replies))
            .context("cannot start the thread that asks demo-server")?;
        Ok(Self { news, requests, demo: Demo::default() })
    }

    /// Sends a request; what comes of it is [`News::Reply`].
    pub fn request(&self, request: Request) -> Result<()> {
        self.requests.send(request).map_err(|_| anyhow!("the thread that asks demo-server has ended"))
    }

    /// The next news. Safe to cancel.
    pub async fn next(&mut self) -> Option<News> {
        self.news.recv().await
    }

    /// What is known of the backend after some news of it; `None` if that changed nothing.
    pub fn learn(&mut self, news: &News) -> Option<Demo> {
        match news {
            News::Reply(_) => return None,
            News::Lost(error) => {
                if self.demo.error.as_ref() == Some(error) {
                    return None;
                }
                self.demo.state = None;
                self.demo.error = Some(error.clone());
            }
            News::Changed(reason, state) => {
                // Finding it is no change of it.
                if self.demo.state.as_ref().is_some_and(|known| known.changes != state.changes) {
                    if self.demo.changes.len() == CHANGES {
                        self.demo.changes.remove(0);
                    }
                    self.demo.changes.push((now_ns().unwrap_or(0), visible(reason)));
                }
                self.demo.error = None;
                self.demo.state = Some(state.clone());
            }
        }
        Some(self.demo.clone())
    }
}

/// News of the backend; never any when there is none.
pub async fn news(link: &mut Option<Link>) -> News {
    loop {
        match link {
            Some(open) => match open.next().await {
                Some(news) => return news,
                // Both threads are gone; the last word of them has been heard.
                None => *link = None,
            },
            None => std::future::pending().await,
        }
    }
}

/// Follows the backend until nobody listens any more.
fn watch(path: &PathBuf, news: &mpsc::UnboundedSender<News>) {
    loop {
        let outcome = Client::connect(path).and_then(Client::subscribe).and_then(|changes| {
            for change in changes {
                let change = change?;
                if news.send(News::Changed(change.reason, Box::new(change.state))).is_err() {
                    return Ok(());
                }
            }
            Err(anyhow!("demo-server ended"))
        });
        match outcome {
            Ok(()) => return,
            Err(error) if news.send(News::Lost(format!("{error:#}"))).is_err() => return,
            Err(_) => thread::sleep(RETRY),
        }
    }
}

/// Carries requests out, one at a time.
fn ask(path: &PathBuf, wanted: &blocking::Receiver<Request>, news: &mpsc::UnboundedSender<News>) {
    for request in wanted {
        let reply = Client::connect(path).and_then(|mut client| client.command(&request));
        let reply = reply.map(|_| ()).map_err(|error| format!("{error:#}"));
        if news.send(News::Reply(reply)).is_err() {
            return;
        }
    }
}
