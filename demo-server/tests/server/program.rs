//! The program as it is started from a shell: exit codes, messages, signals.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use demo_server::control::{Client, LoadRequest, Request};
use demo_server::load::Report;
use rustix::{
    fs::{Mode, OFlags},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::support::{Scratch, ask, connect, wait_until};

pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_demo-server"))
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    program().args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// The program with so many open files at most; it cannot raise the limit.
fn limited(files: u32) -> Command {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        &format!("ulimit -n {files}; exec \"$0\" \"$@\""),
        env!("CARGO_BIN_EXE_demo-server"),
    ]);
    command
}

/// A server in a process of its own; killed if a test forgets it.
pub(crate) struct Served {
    child: Child,
    stderr: BufReader<ChildStderr>,
    pub(crate) address: SocketAddr,
}

impl Served {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_as(program(), arguments)
    }

    fn start_as(command: Command, arguments: &[&str]) -> Self {
        Self::start_if(command, arguments).unwrap()
    }

    /// The server, or None if it says that it lacks a privilege.
    pub(crate) fn try_start(arguments: &[&str]) -> Option<Self> {
        Self::start_if(program(), arguments)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn start_if(mut command: Command, arguments: &[&str]) -> Option<Self> {
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            if stderr.read_line(&mut line).unwrap() == 0 {
                assert_eq!(child.wait().unwrap().code(), Some(3));
                return None;
            }
        }
        let address = line.strip_prefix("demo-server: listening on ").unwrap().split(',').next().unwrap();
        assert!(line.trim_end().ends_with(&format!("pid {}", child.id())), "{line}");
        Some(Self { address: address.parse().unwrap(), child, stderr })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    /// Waits for the end; the exit code and the rest of standard error.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn wrong_usage_is_exit_code_2_and_says_what_is_wrong() {
    for (arguments, expected) in [
        (&["serve", "--pattern", "nonsense"][..], "unknown pattern 'nonsense'; there are single-thread"),
        (&["serve", "--pattern", "6"], "unknown pattern '6'"),
        (&["serve", "--workers", "0"], "0 is not in 1..=1024"),
        (&["serve", "--workers", "99999999999"], "99999999999 is not in 1..=1024"),
        (&["serve", "--backlog", "-1"], "-1 is not in 0..=65535"),
        (&["serve", "--work", "-1"], "-1 is not in 0..=10000000"),
        (&["serve", "--load", "steady,rate=-5"], "rate -5 is out of range"),
        (&["serve", "--load", "churn,rate=5"], "closed loop"),
        (&["serve", "--load", "flood"], "runs only in a network namespace that holds nothing but loopback"),
        (&["load", "--rate", "-1"], "rate -1 is out of range"),
        (&["load", "--connections", "-1"], "invalid value '-1' for '--connections"),
        (&["load", "--duration", "-5s"], "'-5s' is not a duration"),
        (&["serve", "--listen", "nowhere"], "--listen"),
        (&["serve", "--load", "tsunami"], "unknown profile 'tsunami'"),
        (&["serve", "--load", "steady,speed=9"], "speed"),
        (&["serve", "--load", "steady,rate"], "'rate' is not KEY=VALUE"),
        (&["load", "--target", "192.0.2.1:80"], "not an address of this machine"),
        (&["load", "--profile", "tsunami"], "unknown profile 'tsunami'; there are steady"),
        (&["load", "--duration", "2h"], "at most 1h"),
        (&["load", "--duration", "5"], "'5' is not a duration; write it as 200ms"),
        (&["load", "--rate", "nan"], "rate NaN is out of range"),
        (&["load", "--profile", "keepalive", "--poisson"], "poisson is for open loops"),
        (&["patterns", "--colour"], "--colour"),
        (&[], "Usage"),
    ] {
        let output = run(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_port_in_use_is_exit_code_1_with_a_remedy() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = Served::start(&["--pattern", "sharding"]);
    // Also when what uses it is a server like this one, whose shards do share the port with each other.
    for taken in [other.local_addr().unwrap(), ours.address] {
        for pattern in ["single-thread", "sharding"] {
            let output = run(&["serve", "--pattern", pattern, "--listen", &taken.to_string()]);
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{error}");
            assert!(error.contains(&taken.to_string()) && error.contains("--listen"), "{error}");
            assert!(error.contains("Address already in use"), "{error}");
        }
    }
    assert!(ask(&mut connect(ours.address)).is_some());
}

#[test]
fn a_control_socket_in_use_is_exit_code_1_and_names_it() {
    let scratch = Scratch::new();
    let path = scratch.path("control").display().to_string();
    let first = Served::start(&["--control", &path]);
    let output = run(&["serve", "--listen", "127.0.0.1:0", "--control", &path]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(&path) && error.contains("in use by a running server"), "{error}");
    assert_eq!(Client::connect(&path).unwrap().state().unwrap().pid, first.child.id());
    // After kill -9 the file stays, and the next server takes its place.
    first.signal(Signal::KILL);
    drop(first);
    assert!(std::fs::symlink_metadata(&path).is_ok());
    let next = Served::start(&["--control", &path]);
    assert_eq!(Client::connect(&path).unwrap().state().unwrap().pid, next.child.id());
}

#[test]
fn signals_and_the_stop_command_end_it_cleanly() {
    for how in ["TERM", "INT", "stop"] {
        let scratch = Scratch::new();
        let path = scratch.path("control");
        let served = Served::start(&["--control", path.to_str().unwrap(), "--pattern", "4"]);
        let mut open = connect(served.address);
        assert!(ask(&mut open).is_some());
        match how {
            "TERM" => served.signal(Signal::TERM),
            "INT" => served.signal(Signal::INT),
            _ => drop(Client::connect(&path).unwrap().command(&Request::Stop {}).unwrap()),
        }
        let (code, rest) = served.end();
        assert_eq!((code, rest.as_str()), (Some(0), ""), "{how}");
        assert!(!path.exists(), "{how}: the control socket is removed");
        assert_eq!(open.read(&mut [0]).unwrap(), 0, "{how}: closed with FIN");
    }
}

#[test]
fn too_few_descriptors_are_named_with_the_number_needed() {
    let output = limited(100).args(["serve", "--listen", "127.0.0.1:0"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("needs 144 open files and the limit is 100; raise it with `ulimit -n 144`"),
        "{error}"
    );
    let output = limited(100).args(["load", "--connections", "1000"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("this load needs 1032 open files and the limit is 100"), "{error}");
}

#[test]
fn running_out_of_descriptors_delays_clients_and_ends_nothing() {
    for pattern in ["1", "2", "3", "5"] {
        let mut served =
            Served::start_as(limited(150), &["--workers", "1", "--backlog", "1000", "--pattern", pattern]);
        let mut clients: Vec<_> = (0..200).map(|_| connect(served.address)).collect();
        let mut waiting = clients.split_off(199);
        if ask(&mut clients[0]).is_none() {
            let alive = served.child.try_wait();
            served.signal(Signal::TERM);
            let (code, rest) = served.end();
            panic!("{pattern}: one that got in is not served: {alive:?} {code:?} {rest}");
        }
        let mut complaint = String::new();
        served.stderr.read_line(&mut complaint).unwrap();
        assert!(complaint.contains("accept: Too many open files"), "{pattern}: {complaint}");
        // Room again: the one that waited in the accept queue all the time comes in.
        drop(clients);
        assert!(ask(&mut waiting[0]).is_some());
        served.signal(Signal::TERM);
        let (code, rest) = served.end();
        assert_eq!(code, Some(0), "{rest}");
    }
}

#[test]
fn load_dies_with_a_killed_server() {
    let scratch = Scratch::new();
    let path = scratch.path("control");
    let served = Served::start(&["--control", path.to_str().unwrap(), "--load", "keepalive,duration=10m"]);
    let mut client = Client::connect(&path).unwrap();
    let pid = client.state().unwrap().load.unwrap().pid;
    wait_until("load", || Client::connect(&path).unwrap().state().unwrap().counters.requests > 10);
    served.signal(Signal::KILL);
    let stat = format!("/proc/{pid}/stat");
    wait_until("the generator to be gone", || {
        std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))
    });
}

#[test]
fn load_reports_as_table_and_as_json_and_ends_at_sigint() {
    let served = Served::start(&[]);
    let target = served.address.to_string();
    let few = ["load", "--target", &target, "--profile", "churn", "--total-connections", "23"];
    let table = run(&few);
    assert_eq!(table.status.code(), Some(0));
    let text = String::from_utf8(table.stdout).unwrap();
    assert!(text.contains("23 responses") && text.contains("p99.9"), "{text}");
    let json = run(&[&few[..], &["--json"]].concat());
    let report: Report = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((report.responses, report.connections_opened), (23, 23));

    let mut command = program();
    command.args(["load", "--target", &target, "--profile", "keepalive", "--duration", "10m", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut clients = 0;
    wait_until("the load to be named and running", || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.into_iter().any(|name| name == "load-0\n")
    });
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::INT).unwrap();
    let mut text = String::new();
    clients += child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(clients > 0 && serde_json::from_str::<Report>(&text).is_ok(), "{text}");
    child.wait().unwrap();
}

#[test]
fn nothing_answered_is_exit_code_1() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = run(&["load", "--target", &free, "--duration", "100ms", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report.errors.contains_key("connection refused"));
    assert!(String::from_utf8(output.stderr).unwrap().contains("not one request"));
}

#[test]
fn patterns_are_listed_for_people_and_machines() {
    let text = String::from_utf8(run(&["patterns"]).stdout).unwrap();
    for pattern in demo_server::pattern::PATTERNS {
        assert!(text.contains(pattern.id) && text.contains(pattern.line), "{text}");
    }
    let json: serde_json::Value = serde_json::from_slice(&run(&["patterns", "--json"]).stdout).unwrap();
    assert_eq!(json[4]["id"], "sharding");
    assert_eq!(json[4]["number"], 5);
    assert!(json[0]["watch"].as_str().unwrap().contains("accept queue"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = program().args(["patterns", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    assert!(stdout.as_raw_fd() >= 0);
    drop(stdout);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn progress_is_shown_when_it_is_asked_for_and_not_otherwise() {
    let served = Served::start(&[]);
    let target = served.address.to_string();
    let run_for = |duration: &str, more: &[&str]| {
        let few = ["load", "--target", &target, "--rate", "50", "--json", "--duration", duration];
        let output = run(&[&few[..], more].concat());
        assert!(
            serde_json::from_slice::<Report>(&output.stdout).is_ok(),
            "the report alone on standard output"
        );
        String::from_utf8(output.stderr).unwrap()
    };
    let shown = run_for("2100ms", &["--progress"]);
    assert!(shown.starts_with("1 of 2 s: ") && shown.contains(" 0 dropped, 0 errors"), "{shown}");
    assert_eq!(run_for("2100ms", &[]), "", "standard error is no terminal");
}

/// Whoever starts the server in a terminal may look at something else there, as the observer's screen.
#[test]
fn a_load_of_the_server_says_nothing_on_its_terminal() {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let terminal = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let scratch = Scratch::new();
    let socket = scratch.path("control");
    let mut command = program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--control"]).arg(&socket).stderr(terminal);
    let mut child = command.stdin(Stdio::null()).spawn().unwrap();
    drop(command);
    wait_until("it listens", || Client::connect(&socket).is_ok());
    let state = |request| Client::connect(&socket).unwrap().command(&request).unwrap();
    // Long enough to tell how far it has come.
    let request = LoadRequest {
        profile: Some("steady".to_owned()),
        duration: Some("3s".to_owned()),
        ..LoadRequest::default()
    };
    state(Request::Load(request));
    wait_until("the load has ended", || state(Request::State {}).last_load.is_some());
    child.kill().unwrap();
    child.wait().unwrap();
    let mut seen = String::new();
    // When nobody holds the other end any more, the rest is followed by an error.
    let _ = std::fs::File::from(master).read_to_string(&mut seen);
    assert!(seen.contains("listening on"), "{seen}");
    assert_eq!(seen.lines().count(), 1, "{seen}");
}
