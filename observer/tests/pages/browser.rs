//! Chromium without a window, told what to do by its DevTools protocol: JSON messages, each ended by a zero byte, on its
//! file descriptors 3 and 4 (`--remote-debugging-pipe`).

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// What it is called; the first one that is there is taken.
const PROGRAMS: [&str; 4] = ["chromium", "chromium-headless-shell", "chromium-browser", "google-chrome"];
/// It keeps to itself, and runs as root as well.
const FLAGS: [&str; 7] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
];
/// After this long, what did not happen never will.
const PATIENCE: Duration = Duration::from_secs(120);

fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let all = |name: &&str| {
        env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
    };
    PROGRAMS.iter().find_map(all)
}

fn command(program: &Path, profile: &Path) -> Command {
    // Descriptors 3 and 4 are what the shell has as 0 and 1: giving them to a child ourselves would need unsafe code.
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"]).arg(program).args(FLAGS);
    command.arg(format!("--user-data-dir={}", profile.display()));
    command
}

/// A running browser.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    /// Messages that came and nobody has asked for yet.
    events: Vec<Value>,
    calls: u64,
}

impl Browser {
    /// Starts one, with a directory of its own; none if there is none on this machine.
    pub(crate) fn start(profile: &Path) -> Option<Self> {
        let mut command = command(&program()?, profile);
        command.arg("--remote-debugging-pipe").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the browser starts");
        let (to, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let (sender, from) = mpsc::channel();
        thread::spawn(move || {
            for message in BufReader::new(output).split(0) {
                let Ok(message) = message else { return };
                let message = serde_json::from_slice(&message).expect("the browser writes JSON");
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Some(Self { child, to, from, events: Vec::new(), calls: 0 })
    }

    /// Opens a page on a screen of so many columns and rows of pixels, and waits until it is loaded.
    pub(crate) fn open(&mut self, page: &str, (width, height): (u32, u32), mobile: bool) -> Tab<'_> {
        let target = self.call(None, "Target.createTarget", json!({"url": "about:blank"}));
        let target = target["targetId"].clone();
        let session = self.call(None, "Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        let session = session["sessionId"].as_str().expect("a session has an id").to_owned();
        let mut tab = Tab { browser: self, session, target };
        for domain in ["Page", "Network", "Log", "Runtime"] {
            tab.call(&format!("{domain}.enable"), json!({}));
        }
        let screen = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        tab.call("Emulation.setDeviceMetricsOverride", screen);
        tab.browser.events.clear();
        let outcome = tab.call("Page.navigate", json!({"url": page}));
        assert!(outcome["errorText"].is_null(), "{page}: {outcome}");
        tab.wait_for("Page.loadEventFired");
        tab
    }

    fn receive(&mut self) -> Value {
        self.from.recv_timeout(PATIENCE).expect("the browser answers")
    }

    fn call(&mut self, session: Option<&str>, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let mut message = json!({"id": self.calls, "method": method, "params": parameters});
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        write!(self.to, "{message}\0").expect("the browser listens");
        loop {
            let mut received = self.receive();
            if received["id"] == self.calls {
                assert!(received["error"].is_null(), "{method}: {received}");
                return received["result"].take();
            }
            self.events.push(received);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The shell has become the browser, and its helpers end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A page that is open.
pub(crate) struct Tab<'a> {
    browser: &'a mut Browser,
    session: String,
    target: Value,
}

impl Tab<'_> {
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.browser.call(Some(&self.session), method, parameters)
    }

    fn wait_for(&mut self, event: &str) {
        while !self.browser.events.iter().any(|message| message["method"] == event) {
            let received = self.browser.receive();
            self.browser.events.push(received);
        }
    }

    /// What an expression gives in the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "returnByValue": true});
        let mut outcome = self.call("Runtime.evaluate", parameters);
        assert!(outcome["exceptionDetails"].is_null(), "{outcome}");
        outcome["result"]["value"].take()
    }

    /// Closes it, and returns what it asked for, and all that it or the browser complained about.
    pub(crate) fn close(self) -> (Vec<String>, Vec<String>) {
        let Self { browser, target, .. } = self;
        browser.call(None, "Target.closeTarget", json!({"targetId": target}));
        let (mut requests, mut complaints) = (Vec::new(), Vec::new());
        for event in browser.events.drain(..) {
            let url = event["params"]["request"]["url"].as_str().unwrap_or_default();
            match event["method"].as_str().unwrap_or_default() {
                "Network.requestWillBeSent" => requests.push(url.to_owned()),
                "Log.entryAdded" | "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" => {
                    complaints.push(event["params"].to_string());
                }
                _ => {}
            }
        }
        (requests, complaints)
    }
}

/// Prints a page, and counts the sheets.
pub(crate) fn printed_pages(page: &Path, directory: &Path) -> usize {
    let file = directory.join("printed.pdf");
    let program = program().expect("there is a browser");
    let mut print = command(&program, &directory.join("printer"));
    print.arg(format!("--print-to-pdf={}", file.display())).arg(format!("file://{}", page.display()));
    assert!(print.status().expect("the browser runs").success(), "{} cannot be printed", page.display());
    let pdf = fs::read(&file).expect("there is a PDF");
    assert!(pdf.starts_with(b"%PDF-"));
    // Each sheet is an object of this type; `/Pages` is the tree of them.
    let kind = b"/Type /Page";
    pdf.windows(kind.len() + 1).filter(|part| part.starts_with(kind) && part[kind.len()] != b's').count()
}
