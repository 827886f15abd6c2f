//! A peer at the socket that does what a test tells it.

use std::{
    io::{BufRead as _, ErrorKind, Write as _},
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
    let mut link = Link::open(path.clone(), 0).unwrap();
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
    let mut link = Link::open(path.clone(), 0).unwrap();
    assert_eq!(taken.recv().unwrap(), Some(ErrorKind::WouldBlock), "all of the flood is taken");
    // What was taken is there.
    for _ in 0..WAITING {
        let Some(News::Changed(..)) = link.next().await else { panic!("no news") };
    }
    let _ = std::fs::remove_file(path);
}

#[tokio::test]
async fn one_connection_carries_changes_and_replies() {
    let clients = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&clients);
    let path = peer("both", move |client| {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let (reply, update) = lines();
        let mut answers = client.try_clone().unwrap();
        for (number, _) in std::io::BufReader::new(client).lines().map_while(Result::ok).enumerate() {
            let lines = match number {
                0 => reply.clone(),
                // A change that comes in between is not the reply.
                1 => [update.as_str(), &reply].concat(),
                _ => "{\"v\":1,\"ok\":false,\"error\":\"no\"}\n".to_owned(),
            };
            answers.write_all(lines.as_bytes()).unwrap();
        }
    });
    let mut link = Link::open(path.clone(), 3).unwrap();
    let Some(found @ News::Changed(..)) = link.next().await else { panic!("no state") };
    let [Event::Offered { backend: 3, offered: None }, Event::Backend(said)] = &link.learn(&found)[..] else {
        panic!("finding it is no change of it")
    };
    assert_eq!((said.backend, said.state.is_some()), (3, true));
    link.request(Request::State {}).unwrap();
    assert!(matches!(link.next().await, Some(News::Changed(..))));
    assert!(matches!(link.next().await, Some(News::Reply(Ok(())))));
    link.request(Request::Stop {}).unwrap();
    let Some(News::Reply(Err(error))) = link.next().await else { panic!("no refusal") };
    assert!(error.contains("refuses: no"), "{error}");
    assert_eq!(clients.load(std::sync::atomic::Ordering::SeqCst), 1);
    let _ = std::fs::remove_file(path);
}

#[tokio::test]
async fn who_is_not_there_cannot_be_asked() {
    let mut link = Link::open(std::env::temp_dir().join("observer-demo-nobody"), 0).unwrap();
    let Some(lost @ News::Lost(_)) = link.next().await else { panic!("no error") };
    assert_eq!(link.learn(&lost).len(), 2);
    assert!(link.learn(&lost).is_empty(), "that is known");
    link.request(Request::State {}).unwrap();
    let reply = loop {
        match link.next().await {
            Some(News::Reply(reply)) => break reply,
            Some(_) => {}
            None => panic!("no reply"),
        }
    };
    assert!(reply.unwrap_err().contains("cannot be reached now"));
}

#[test]
fn a_change_is_told_in_parts() {
    let (reply, _) = lines();
    let state =
        |line: &str| *serde_json::from_str::<demo_server::control::Reply>(line).unwrap().state.unwrap();
    let before = state(&reply);
    let mut now = before.clone();
    now.pattern = "q".to_owned();
    now.settings.workers += 3;
    let marks = said::changes(&before, &now, "in words", 7);
    let told: Vec<String> = marks.iter().map(ToString::to_string).collect();
    let workers = before.settings.workers;
    assert_eq!(told, ["pattern p → q".to_owned(), format!("workers {workers} → {}", workers + 3)]);
    let unknown = said::changes(&before, &before, "in words", 7);
    assert_eq!(unknown.iter().map(ToString::to_string).collect::<Vec<_>>(), ["in words"]);
}
