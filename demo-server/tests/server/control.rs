//! The control socket: what it does, and what it does not do when it is misused.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;

use demo_server::control::{self, Client, Control, LoadRequest, Reply, Request, State};
use demo_server::load::Mode;
use demo_server::settings::{Change, Settings};

use crate::support::{PATIENCE, TestServer, ask, connect, pattern, wait_until};

struct Controlled {
    test: TestServer,
    _control: Control,
    path: PathBuf,
}

impl Controlled {
    fn start() -> Self {
        let test = TestServer::start(pattern("single-thread"), Settings::default());
        let path = test.scratch.path("control");
        let control = control::serve(&test.server, &path).unwrap();
        Self { test, _control: control, path }
    }

    fn client(&self) -> Client {
        Client::connect(&self.path).unwrap()
    }

    fn raw(&self) -> BufReader<UnixStream> {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        BufReader::new(stream)
    }
}

fn raw_reply(raw: &mut BufReader<UnixStream>, line: &[u8]) -> Reply {
    raw.get_mut().write_all(line).unwrap();
    raw.get_mut().write_all(b"\n").unwrap();
    let mut reply = String::new();
    raw.read_line(&mut reply).unwrap();
    assert!(reply.starts_with(r#"{"v":1,"ok":"#), "{reply}");
    serde_json::from_str(&reply).unwrap()
}

#[test]
fn every_setting_changes_live() {
    let controlled = Controlled::start();
    let mut client = controlled.client();
    let change = Change {
        pattern: Some("5".to_owned()),
        workers: Some(2),
        backlog: Some(65_535),
        work_us: Some(10),
        sleep_us: Some(20),
        response_bytes: Some(300),
        nodelay: Some(false),
        ..Change::default()
    };
    let state = client.command(&Request::Set(change)).unwrap();
    let expected = Settings {
        workers: 2,
        backlog: 65_535,
        work_us: 10,
        sleep_us: 20,
        response_bytes: 300,
        nodelay: false,
        ..Settings::default()
    };
    assert_eq!((state.pattern.as_str(), state.settings), ("sharding", expected));
    let somaxconn = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    assert_eq!(state.backlog_effective, somaxconn.trim().parse::<u32>().unwrap().min(65_535));
    assert_eq!(state.changes, 1);
    let response = ask(&mut connect(controlled.test.address())).unwrap();
    assert!(response.contains("content-length: 300\r\n"), "{response}");
    // Asking for what is so already is no change.
    let again = Change { pattern: Some("sharding".to_owned()), workers: Some(2), ..Change::default() };
    assert_eq!(client.command(&Request::Set(again)).unwrap().changes, 1);
}

#[test]
fn bad_lines_get_an_error_and_change_nothing() {
    let controlled = Controlled::start();
    let before = controlled.test.state();
    let mut raw = controlled.raw();
    let deep = "[".repeat(10_000);
    for (line, expected) in [
        ("", "not a JSON object"),
        ("\0\u{ff}", "not a JSON object"),
        ("GET / HTTP/1.1", "not a JSON object"),
        (deep.as_str(), "not a JSON object"),
        (r#"{"cmd":"state"}"#, "field v is missing"),
        (r#"{"v":2,"cmd":"state"}"#, "version 2"),
        (r#"{"v":1,"cmd":"dance"}"#, "dance"),
        (
            r#"{"v":1,"cmd":"set","pattern":"nonsense"}"#,
            "unknown pattern 'nonsense'; there are single-thread",
        ),
        (r#"{"v":1,"cmd":"set","workers":0}"#, "workers 0 is out of range: 1 to 1024"),
        (r#"{"v":1,"cmd":"set","workers":1025,"backlog":1}"#, "workers 1025 is out of range"),
        (r#"{"v":1,"cmd":"set","backlog":65536}"#, "backlog 65536 is out of range: 0 to 65535"),
        (r#"{"v":1,"cmd":"set","defer_accept_s":61}"#, "defer_accept_s 61 is out of range: 0 to 60"),
        (r#"{"v":1,"cmd":"set","fast_open":65536}"#, "fast_open 65536 is out of range: 0 to 65535"),
        (r#"{"v":1,"cmd":"set","keep_alive":"yes"}"#, "\"yes\""),
        (r#"{"v":1,"cmd":"load","profile":"steady","sources":0}"#, "sources 0 is out of range: 1 to 65534"),
        (r#"{"v":1,"cmd":"load","profile":"steady","sources":65535}"#, "sources 65535 is out of range"),
        (r#"{"v":1,"cmd":"set","backlog":1,"bogus":2}"#, "unknown field `bogus`"),
        (r#"{"v":1,"cmd":"fault","name":"flood","on":true}"#, "unknown fault 'flood'"),
        (r#"{"v":1,"cmd":"fault","name":"stall","on":true,"ms":60001}"#, "ms 60001 is out of range"),
        (r#"{"v":1,"cmd":"load"}"#, "either a profile or stop"),
        (r#"{"v":1,"cmd":"load","profile":"steady","stop":true}"#, "either a profile or stop"),
        (r#"{"v":1,"cmd":"load","profile":"tsunami"}"#, "unknown profile 'tsunami'"),
        (r#"{"v":1,"cmd":"load","profile":"steady","rate":0}"#, "rate 0 is out of range"),
        (r#"{"v":1,"cmd":"load","profile":"churn","rate":5}"#, "closed loop"),
        (r#"{"v":1,"cmd":"load","profile":"steady","duration":"2h"}"#, "duration 2h is out of range"),
        (r#"{"v":1,"cmd":"load","profile":"steady","duration":"soon"}"#, "'soon' is not a duration"),
        (r#"{"v":1,"cmd":"load","profile":"steady","connections":0}"#, "connections 0 is out of range"),
    ] {
        let reply = raw_reply(&mut raw, line.as_bytes());
        assert!(!reply.ok);
        let error = reply.error.unwrap();
        assert!(error.contains(expected), "{line}: {error}");
    }
    let reply = raw_reply(&mut raw, &vec![b'x'; 1_000_000]);
    assert!(reply.error.unwrap().contains("longer than 16384 bytes"));
    let reply = raw_reply(&mut raw, br#"{"v":1,"cmd":"state"}"#);
    assert_eq!(*reply.state.unwrap(), before, "the connection is still usable and nothing has changed");
}

#[test]
fn a_hanging_client_and_one_that_breaks_off_harm_nobody() {
    let controlled = Controlled::start();
    let mut hanging = controlled.raw();
    hanging.get_mut().write_all(b"{\"v\":1,").unwrap();
    let mut deaf = controlled.raw();
    assert!(raw_reply(&mut deaf, br#"{"v":1,"cmd":"subscribe"}"#).ok);
    drop({
        let mut gone = controlled.raw();
        gone.get_mut().write_all(b"{\"v\":1,\"cmd\":\"state\"}\n{\"v\":").unwrap();
        gone
    });
    let mut client = controlled.client();
    // More updates than the deaf client's socket and its outbox hold: it is cut off, and nobody waits for it.
    for count in 0..1_500 {
        let change = Change { response_bytes: Some(count), ..Change::default() };
        assert!(client.command(&Request::Set(change)).is_ok());
    }
    assert_eq!(client.state().unwrap().settings.response_bytes, 1_499);
    let mut rest = Vec::new();
    deaf.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"\n") || !rest.is_empty(), "cut off, with what it had got so far");
}

#[test]
fn too_many_clients_are_told_so() {
    let controlled = Controlled::start();
    let mut clients: Vec<_> = (0..64).map(|_| controlled.client()).collect();
    clients.iter_mut().for_each(|client| drop(client.state().unwrap()));
    let mut one_more = String::new();
    controlled.raw().read_line(&mut one_more).unwrap();
    assert!(one_more.contains("64 clients are connected"), "{one_more}");
    clients.clear();
    wait_until("room for another", || {
        Client::connect(&controlled.path).and_then(|mut client| client.state()).is_ok()
    });
}

#[test]
fn subscribers_see_every_change_in_order_whoever_made_it() {
    let controlled = Controlled::start();
    let mut updates = controlled.client().subscribe().unwrap();
    let first = updates.next().unwrap().unwrap();
    assert_eq!((first.reason.as_str(), first.state.changes), ("subscribed", 0));
    let mut client = controlled.client();
    let set = |pattern: &str| Request::Set(Change { pattern: Some(pattern.to_owned()), ..Change::default() });
    client.command(&set("2")).unwrap();
    let workers = Change { pattern: Some("sharding".to_owned()), workers: Some(2), ..Change::default() };
    client.command(&Request::Set(workers)).unwrap();
    let fault = Request::Fault { name: "no-read".to_owned(), on: true, index: None, ms: None };
    client.command(&fault).unwrap();
    let reply = client.request(&set("single-thread")).unwrap();
    assert!(reply.note.unwrap().starts_with("1 shards closed"));
    let seen: Vec<_> = (0..4).map(|_| updates.next().unwrap().unwrap()).collect();
    let reasons: Vec<_> = seen.iter().map(|update| update.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "pattern single-thread → acceptor-readers",
            "pattern acceptor-readers → sharding, workers 4 → 2",
            "fault no-read on",
            "pattern sharding → single-thread",
        ]
    );
    assert_eq!(seen.iter().map(|update| update.state.changes).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(seen[1].state.threads.len(), 2);
    assert_eq!(seen[2].state.faults[0].name, "no-read");
}

#[test]
fn load_is_started_seen_and_stopped() {
    let controlled = Controlled::start();
    let mut updates = controlled.client().subscribe().unwrap();
    let mut client = controlled.client();
    let request = LoadRequest { duration: Some("5m".to_owned()), ..LoadRequest::profile("keepalive") };
    let state = client.command(&Request::Load(request.clone())).unwrap();
    let load = state.load.unwrap();
    assert_eq!((load.profile.as_str(), load.mode, load.connections), ("keepalive", Mode::Closed, 32));
    // The kernel names a process a moment after execve(2) has let its parent go on.
    let comm = format!("/proc/{}/comm", load.pid);
    wait_until("the generator to have its name", || {
        std::fs::read_to_string(&comm).unwrap() == "demo-server\n"
    });
    controlled.test.wait_for("requests", |state| state.counters.requests > 100);
    // Another one takes its place.
    let again = client.command(&Request::Load(request)).unwrap();
    assert_ne!(again.load.unwrap().pid, load.pid);
    controlled.test.wait_for("requests", |state| state.counters.requests > 200);
    let state = client.command(&Request::Load(LoadRequest::stop())).unwrap();
    assert_eq!(state.load, None);
    let report = state.last_load.unwrap();
    assert!(report.responses > 0 && report.errors.is_empty(), "{report}");
    let reasons: Vec<_> = updates.by_ref().take(5).map(|update| update.unwrap().reason).collect();
    assert_eq!(
        reasons,
        [
            "subscribed",
            "load keepalive started",
            "load keepalive ended",
            "load keepalive started",
            "load keepalive ended"
        ]
    );
    let reply = client.request(&Request::Load(LoadRequest::stop())).unwrap();
    assert_eq!((reply.ok, reply.note.as_deref()), (true, Some("no load was running")));
}

#[test]
fn a_load_that_ends_by_itself_leaves_its_report_and_exact_counts() {
    let controlled = Controlled::start();
    let request = LoadRequest {
        total_connections: Some(23),
        requests_per_connection: Some(5),
        ..LoadRequest::profile("keepalive")
    };
    controlled.client().command(&Request::Load(request)).unwrap();
    let ended = |state: &State| state.load.is_none() && state.last_load.is_some() && state.counters.open == 0;
    let state = controlled.test.wait_for("the load to end", ended);
    let report = state.last_load.unwrap();
    assert_eq!((report.connections_opened, report.responses), (23, 115));
    assert_eq!((state.counters.accepted, state.counters.requests), (23, 115));
    assert_eq!(state.counters.bytes_read, report.bytes_sent);
    assert_eq!(state.counters.bytes_written, report.bytes_received);
}

#[test]
fn the_socket_is_private_replaces_a_stale_one_and_goes_with_the_server() {
    let test = TestServer::start(pattern("single-thread"), Settings::default());
    let path = test.scratch.path("control");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a stale socket");
    let control = control::serve(&test.server, &path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(Client::connect(&path).unwrap().state().is_ok());
    let error = control::serve(&test.server, &path).unwrap_err().to_string();
    assert!(error.contains("in use by a running server") && error.contains("--control"), "{error}");
    assert!(Client::connect(&path).unwrap().state().is_ok(), "the first is unharmed");
    drop(control);
    assert!(!path.exists());

    std::fs::write(&path, "precious").unwrap();
    let error = control::serve(&test.server, &path).unwrap_err().to_string();
    assert!(error.contains("is no socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    let error =
        format!("{:#}", control::serve(&test.server, &test.scratch.path("no/such/place")).unwrap_err());
    assert!(error.contains("cannot open the control socket") && error.contains("No such file"), "{error}");
}

#[test]
fn clients_at_once_do_not_get_in_each_others_way() {
    let controlled = Arc::new(Controlled::start());
    std::thread::scope(|scope| {
        for client in 0..4 {
            let controlled = &controlled;
            scope.spawn(move || {
                for round in 0..10 {
                    let id = (client + round) % 5 + 1;
                    let change = Change { pattern: Some(id.to_string()), ..Change::default() };
                    controlled.client().command(&Request::Set(change)).unwrap();
                }
            });
        }
    });
    assert!(ask(&mut connect(controlled.test.address())).is_some());
}
