//! The link to the bundled backend: its changes as news, and requests to it. The control socket may be slow, absent
//! or come back later, so two threads do the waiting and the loop never does. Nobody vouches for what answers there: a
//! line has a longest length, and what is not taken in time waits in the socket and not in memory.

use std::{
    path::PathBuf,
    sync::mpsc::{self as blocking, TrySendError},
    thread,
    time::Duration,
};

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

/// News that wait for the loop. When there is no room, nothing more is read from the socket.
const WAITING: usize = 16;
/// Requests that wait for an answer to the one before.
const REQUESTS: usize = 16;
/// Characters of what the backend says of a change.
const LONGEST: usize = 512;

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
    news: mpsc::Receiver<News>,
    requests: blocking::SyncSender<Request>,
    demo: Demo,
}

impl Link {
    /// Begins to watch the socket.
    pub fn open(path: PathBuf) -> Result<Self> {
        let (sender, news) = mpsc::channel(WAITING);
        let (requests, wanted) = blocking::sync_channel(REQUESTS);
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
        self.requests.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => anyhow!("demo-server has not answered the last {REQUESTS} requests yet"),
            TrySendError::Disconnected(_) => anyhow!("the thread that asks demo-server has ended"),
        })
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
                    let reason: String = visible(reason).chars().take(LONGEST).collect();
                    self.demo.changes.push((now_ns().unwrap_or(0), reason));
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
fn watch(path: &PathBuf, news: &mpsc::Sender<News>) {
    loop {
        let outcome = Client::connect(path).and_then(Client::subscribe).and_then(|changes| {
            for change in changes {
                let change = change?;
                if news.blocking_send(News::Changed(change.reason, Box::new(change.state))).is_err() {
                    return Ok(());
                }
            }
            Err(anyhow!("demo-server ended"))
        });
        match outcome {
            Ok(()) => return,
            Err(error) if news.blocking_send(News::Lost(format!("{error:#}"))).is_err() => return,
            Err(_) => thread::sleep(RETRY),
        }
    }
}

/// Carries requests out, one at a time.
fn ask(path: &PathBuf, wanted: &blocking::Receiver<Request>, news: &mpsc::Sender<News>) {
    for request in wanted {
        let reply = Client::connect(path).and_then(|mut client| client.command(&request));
        let reply = reply.map(|_| ()).map_err(|error| format!("{error:#}"));
        if news.blocking_send(News::Reply(reply)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{ErrorKind, Write as _},
        os::unix::net::{UnixListener, UnixStream},
    };

    use super::*;

    /// A socket of this test alone, behind which somebody answers each client.
    fn peer(name: &str, answer: impl Fn(UnixStream) + Send + 'static) -> PathBuf {
        let path = std::env::temp_dir().join(format!("observer-demo-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        thread::spawn(move || listener.incoming().flatten().for_each(answer));
        path
    }

    /// The reply to `subscribe`, and an update.
    fn lines() -> (String, String) {
        let state = r#"{"version":"1","pid":1,"listen":"127.0.0.1:80","pattern":"p","settings":SETTINGS,
            "backlog_effective":1,"faults":[],"load":null,"last_load":null,"threads":[],"listeners":[],
            "counters":COUNTERS,"changes":1}"#;
        let settings = serde_json::to_string(&demo_server::settings::Settings::default()).unwrap();
        let counters = serde_json::to_string(&demo_server::control::Counters::default()).unwrap();
        let state = state.replace("SETTINGS", &settings).replace("COUNTERS", &counters).replace('\n', "");
        let reason = "x".repeat(4096);
        (
            format!("{{\"v\":1,\"ok\":true,\"state\":{state}}}\n"),
            format!("{{\"v\":1,\"reason\":\"{reason}\",\"state\":{state}}}\n"),
        )
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_an_error() {
        // Had it no limit, it would take all of this before it says anything.
        let path = peer("line", |mut client| {
            for _ in 0..64 {
                if client.write_all(&[b'x'; 1 << 20]).is_err() {
                    return;
                }
            }
        });
        let mut link = Link::open(path.clone()).unwrap();
        let Some(News::Lost(error)) = link.next().await else { panic!("no error") };
        assert!(error.contains("longer than 1048576 bytes"), "{error}");
        let _ = std::fs::remove_file(path);
    }

    #[tokio::test]
    async fn a_flood_waits_in_the_socket() {
        let (outcome, taken) = blocking::channel();
        let path = peer("flood", move |mut client| {
            let (reply, update) = lines();
            client.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
            client.write_all(reply.as_bytes()).unwrap();
            // Some 400 MB, of which the link takes a few and the socket's buffer some more.
            let refused = (0..100_000).find_map(|_| client.write_all(update.as_bytes()).err());
            let _ = outcome.send(refused.map(|error| error.kind()));
        });
        let mut link = Link::open(path.clone()).unwrap();
        assert_eq!(taken.recv().unwrap(), Some(ErrorKind::WouldBlock), "all of the flood is taken");
        // What was taken is there.
        for _ in 0..WAITING {
            let Some(News::Changed(..)) = link.next().await else { panic!("no news") };
        }
        let _ = std::fs::remove_file(path);
    }
}
