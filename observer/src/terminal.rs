//! The terminal: set up for the screen, and put back on every way out.
//!
//! [`Terminal`] restores it when dropped, and a panic hook does so before the message of a panic is printed, which
//! would otherwise be lost on the alternate screen. Signals are the business of whoever holds it: leaving the loop
//! drops it, and [`Terminal::stop`] stops the process with its terminal put back. [`Keys`] reads what is typed on a thread of its own.
//!
//! When the window is closed the kernel hangs the terminal up: everything that is done to it fails from then on, and
//! SIGHUP comes to the leader of the session, which we may not be, and then only after that (`__tty_hangup`). So a
//! terminal that is hung up takes everything and shows nothing, and [`Keys`] have an end.

mod clamped;
pub mod writes;

use std::fs::File;
use std::io::{self, IsTerminal as _, Stdout};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd as _, OwnedFd};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once, mpsc as std_mpsc};
use std::time::Duration;

use anyhow::Context as _;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, DisableMouseCapture, EnableMouseCapture, Event};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, getpid, kill_process};
use tokio::sync::mpsc;
use tokio::time::{Interval, interval};

use crate::view::App;
use clamped::Clamped;
use writes::writing;

/// Whether the terminal is ours at the moment, for the panic hook and for restoring it only once.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal in raw mode on the alternate screen.
#[derive(Debug)]
pub struct Terminal {
    /// Never dropped: it would show the cursor, which [`restore`] does, and panic when that fails and stderr is gone too.
    inner: ManuallyDrop<ratatui::Terminal<Clamped<CrosstermBackend<Stdout>>>>,
    /// Mouse events were asked for.
    mouse: bool,
}

impl Terminal {
    /// Takes the terminal over, which must be one.
    pub fn take() -> anyhow::Result<Self> {
        restore_on_panic();
        let entered = enter().and_then(|()| {
            ratatui::Terminal::new(Clamped(CrosstermBackend::new(io::stdout())))
                .context("failed to learn the size of the terminal")
        });
        match entered {
            Ok(inner) => Ok(Self { inner: ManuallyDrop::new(inner), mouse: false }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// Draws the screen.
    pub fn draw(&mut self, app: &mut App) -> io::Result<()> {
        unless_hung_up(writing(|| self.inner.draw(|frame| app.draw(frame)).map(|_| ())))
    }

    /// Asks for mouse events, or no longer. Without them the terminal selects text as usual.
    pub fn mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        unless_hung_up(writing(|| match on {
            true => execute!(io::stdout(), EnableMouseCapture),
            false => execute!(io::stdout(), DisableMouseCapture),
        }))
    }

    /// Forgets what is on the terminal, so that the next frame is drawn in full.
    pub fn redraw(&mut self) -> io::Result<()> {
        // Not `clear`, which asks the terminal where the cursor is and waits for its answer among the keys, for two
        // seconds: some never answer, and then it fails.
        unless_hung_up(writing(|| self.inner.size().and_then(|size| self.inner.resize(size.into()))))
    }

    /// Puts the terminal back and stops the process, as SIGTSTP would. Takes it again when the process is continued.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        restore();
        // Not SIGTSTP again, which is caught.
        kill_process(getpid(), Signal::STOP).context("cannot stop")?;
        enter()?;
        if self.mouse {
            self.mouse(true).context("cannot ask for mouse events")?;
        }
        self.redraw().context("cannot draw on the terminal")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Takes the terminal: raw mode, and the alternate screen.
fn enter() -> anyhow::Result<()> {
    enable_raw_mode().context("failed to put the terminal into raw mode")?;
    TAKEN.store(true, Ordering::SeqCst);
    writing(|| execute!(io::stdout(), EnterAlternateScreen, cursor::Hide))
        .context("failed to switch to the alternate screen of the terminal")
}

/// Puts the terminal back as it was. Does nothing if it is not taken.
fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Whatever fails here, the rest is still worth trying, and there is nobody left to tell.
        let _ = writing(|| execute!(io::stdout(), DisableMouseCapture, LeaveAlternateScreen, cursor::Show));
        let _ = disable_raw_mode();
    }
}

/// Puts back what can be put back of a terminal that takes nothing: its modes.
pub fn abandon() {
    let _ = disable_raw_mode();
}

/// Whether the terminal is gone.
fn is_hung_up() -> bool {
    let stdout = io::stdout();
    let mut terminal = [PollFd::new(&stdout, PollFlags::empty())];
    poll(&mut terminal, Some(&Timespec::default())).is_ok()
        && terminal.iter().any(|terminal| terminal.revents().contains(PollFlags::HUP))
}

/// Not only EIO: to learn the size, crossterm opens the terminal again and then asks a program.
fn unless_hung_up(outcome: io::Result<()>) -> io::Result<()> {
    if outcome.is_err() && is_hung_up() { Ok(()) } else { outcome }
}

/// Puts a hook before the one that prints a panic.
fn restore_on_panic() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            restore();
            print(info);
        }));
    });
}

/// How long it may take to notice that the terminal is gone, or for the reading thread that nobody listens any more.
const NOTICE: Duration = Duration::from_millis(50);
/// How long to look for what has been typed, and for a new size of the window.
const GLANCE: Duration = Duration::from_micros(100);
/// How long to wait for it to end. It may be in the middle of a key of which the rest never comes.
const PATIENCE: Duration = Duration::from_millis(500);
/// Keys that may wait to be handled; a held key must not pile up more.
const PENDING: usize = 64;

/// What is typed, clicked and resized, as a channel.
#[derive(Debug)]
pub struct Keys {
    events: mpsc::Receiver<Event>,
    stop: Arc<AtomicBool>,
    /// Disconnected once the reading thread has ended.
    ended: std_mpsc::Receiver<()>,
    /// When to see whether the terminal is gone. The reading thread cannot: crossterm takes the end of the file for
    /// nothing to read (crossterm 0.29, `UnixInternalEventSource::try_read`).
    looks: Interval,
}

impl Keys {
    /// Begins to read. Stops when dropped.
    pub fn read() -> anyhow::Result<Self> {
        let (sender, events) = mpsc::channel(PENDING);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (running, ended) = std_mpsc::channel();
        std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || {
                forward(&sender, &stopped);
                drop(running);
            })
            .context("failed to start the thread that reads keys")?;
        Ok(Self { events, stop, ended, looks: interval(NOTICE) })
    }

    /// The next event; none once the terminal is gone. Safe to cancel.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::select! {
                biased;
                event = self.events.recv() => return event,
                _ = self.looks.tick() => if is_hung_up() { return None },
            }
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // The thread may be waiting for room in the channel.
        self.events.close();
        // Nothing is ever sent: either it ends and disconnects, or it is left behind.
        if !is_hung_up() {
            let _ = self.ended.recv_timeout(PATIENCE);
        }
    }
}

/// Where keys come from, as crossterm chooses it: stdin, or the session's terminal if stdin is none.
fn typed_at() -> io::Result<OwnedFd> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        stdin.as_fd().try_clone_to_owned()
    } else {
        File::open("/dev/tty").map(Into::into)
    }
}

fn forward(sender: &mpsc::Sender<Event>, stopped: &AtomicBool) {
    let Ok(keyboard) = typed_at() else { return };
    while !stopped.load(Ordering::SeqCst) {
        match event::poll(GLANCE) {
            // Not by a longer look: of its time crossterm spends the last millisecond in a busy loop (filedescriptor
            // 0.8, `poll_impl` cuts what is left to whole ones), which is a fiftieth of a processor.
            Ok(false) => {
                let mut keyboard = [PollFd::new(&keyboard, PollFlags::IN)];
                let most = Timespec { tv_sec: 0, tv_nsec: i64::from(NOTICE.subsec_nanos()) };
                let _ = poll(&mut keyboard, Some(&most));
                let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
                if keyboard.iter().any(|keyboard| keyboard.revents().intersects(gone)) {
                    return;
                }
            }
            Ok(true) => {
                if event::read().map(|event| sender.blocking_send(event)).is_ok_and(|sent| sent.is_ok()) {
                    continue;
                }
                return;
            }
            // The terminal is gone. The channel closes with the sender, and the loop ends.
            Err(_) => return,
        }
    }
}
