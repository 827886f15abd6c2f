//! A terminal window with a command in it: what stands on the window is what a person would see there.

use std::{
    cell::{Cell, RefCell},
    fs::File,
    io::{ErrorKind, Read as _, Write as _},
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    path::Path,
    process::{Child, Command},
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, fcntl_setfl},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{InputModes, LocalModes, OutputModes, Winsize, tcgetattr, tcsetwinsize},
};
use vt100::{MouseProtocolMode, Parser};

use crate::{observed::binary, waiting::patience};

/// Columns and rows of a new window.
pub(crate) const SIZE: (u16, u16) = (80, 24);
/// Has everything drawn anew.
const CONTROL_L: &[u8] = b"\x0c";
/// Spares the processor between two looks; a terminal that becomes readable ends it early.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

/// A window. Whoever sits at it types, looks, and may close it.
pub(crate) struct Window {
    child: RefCell<Child>,
    master: File,
    /// Kept open, so that its modes can be looked at when the command has ended.
    slave: OwnedFd,
    before: Modes,
    emulator: RefCell<Parser>,
}

type Modes = (InputModes, OutputModes, LocalModes);

fn modes(terminal: &OwnedFd) -> Modes {
    let modes = tcgetattr(terminal).expect("the terminal has modes");
    (modes.input_modes, modes.output_modes, modes.local_modes)
}

/// `observer live` on the calling thread's network namespace, saving what it saves in this directory.
pub(crate) fn live(directory: &Path) -> Command {
    let mut command = binary();
    command.args(["live", "--netns", "/proc/self/ns/net", "--refresh", "50ms"]).current_dir(directory);
    command
}

/// The same command behind a shell that does something first.
pub(crate) fn in_shell(script: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(command.get_program()).args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    shell
}

impl Window {
    /// Runs a command in a new window.
    pub(crate) fn open(command: Command) -> Self {
        Self::open_with(command, |_| {})
    }

    /// The same, with something changed about the command when the terminal is its stdin, stdout and stderr.
    pub(crate) fn open_with(command: Command, change: impl FnOnce(&mut Command)) -> Self {
        Self::start(command, true, change)
    }

    /// The same, and it is not the terminal of the command's session, which has none.
    pub(crate) fn open_for_nobody(command: Command, change: impl FnOnce(&mut Command)) -> Self {
        Self::start(command, false, change)
    }

    fn start(mut command: Command, controls: bool, change: impl FnOnce(&mut Command)) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("cannot open a pseudo terminal");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        let name = ptsname(&master, Vec::new()).expect("ptsname");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(name, flags, Mode::empty()).expect("cannot open the terminal");
        fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK).expect("O_NONBLOCK");
        tcsetwinsize(&master, size(SIZE)).expect("the terminal takes a size");
        let terminal = || slave.try_clone().expect("cannot share the terminal");
        command.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR");
        command.stdin(terminal()).stdout(terminal()).stderr(terminal());
        change(&mut command);
        let controlling = terminal();
        // SAFETY: setsid(2) and ioctl(2) are async-signal-safe, and nothing else is done.
        #[expect(unsafe_code, reason = "only the child itself can make the terminal its own")]
        unsafe {
            command.pre_exec(move || {
                rustix::process::setsid()?;
                if controls {
                    rustix::process::ioctl_tiocsctty(&controlling)?;
                }
                Ok(())
            });
        }
        let before = modes(&slave);
        let child = RefCell::new(command.spawn().expect("cannot start the command"));
        // It holds the command's sides of the terminal.
        drop(command);
        let emulator = RefCell::new(Parser::new(SIZE.1, SIZE.0, 0));
        Self { child, master: File::from(master), slave, before, emulator }
    }

    /// What stands on it.
    pub(crate) fn text(&self) -> String {
        self.emulator.borrow().screen().contents()
    }

    /// Looks at it until it says what it should.
    #[track_caller]
    pub(crate) fn shows(&self, wanted: &str) {
        self.shows_what(wanted, |text| text.contains(wanted));
    }

    /// Looks at it until it is so.
    #[track_caller]
    pub(crate) fn shows_what(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        self.until(what, || is_so(&self.text()));
    }

    #[track_caller]
    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let start = Instant::now();
        loop {
            if is_so() {
                return;
            }
            self.look();
            let ended = self.child.borrow_mut().try_wait().expect("cannot wait for the command");
            // What it drew last was drawn before it ended.
            self.look();
            assert!(ended.is_none() || is_so(), "{what}: the command ended with {ended:?}:\n{}", self.text());
            assert!(start.elapsed() < patience(), "{what}: not on the window:\n{}", self.text());
        }
    }

    /// Takes in what was drawn. It must not pile up: whoever draws would wait.
    fn look(&self) {
        let _ = poll(&mut [PollFd::new(&self.master, PollFlags::IN)], Some(&LOOK));
        let mut buffer = [0; 1 << 14];
        loop {
            match (&self.master).read(&mut buffer) {
                // The window is closed.
                Ok(0) => return,
                Ok(length) => self.emulator.borrow_mut().process(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("cannot read from the terminal: {error}"),
            }
        }
    }

    /// Presses keys.
    #[track_caller]
    pub(crate) fn types(&self, keys: &[u8]) {
        let left = Cell::new(keys);
        self.until("keys are taken", || {
            match (&self.master).write(left.get()) {
                Ok(taken) => left.set(&left.get()[taken..]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("cannot write to the terminal: {error}"),
            }
            left.get().is_empty()
        });
    }

    /// Presses keys, and waits until they were read: an Esc that is read with what follows is another key.
    #[track_caller]
    pub(crate) fn presses(&self, keys: &[u8]) {
        self.types(keys);
        // Not FIONREAD, which leaves out what is still on its way through the terminal (n_tty_poll flushes that).
        let nothing = Timespec::default();
        self.until("the keys are read", || {
            poll(&mut [PollFd::new(&self.slave, PollFlags::IN)], Some(&nothing)).expect("poll") == 0
        });
    }

    /// Waits until the command has the terminal to itself.
    #[track_caller]
    pub(crate) fn takes_over(&self) {
        self.until("the other screen", || self.emulator.borrow().screen().alternate_screen());
    }

    /// Clicks on the first place that says so.
    #[track_caller]
    pub(crate) fn clicks_on(&self, wanted: &str) {
        self.shows(wanted);
        let text = self.text();
        let place = text.lines().enumerate().find_map(|(row, line)| {
            let column = line[..line.find(wanted)?].chars().count();
            Some((column + 1, row + 1))
        });
        let (column, row) = place.expect("what is there has a place");
        self.presses(format!("\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m").as_bytes());
    }

    /// Whether everything on it has the terminal's own colours.
    pub(crate) fn is_plain(&self) -> bool {
        let emulator = self.emulator.borrow();
        let screen = emulator.screen();
        let (rows, columns) = screen.size();
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let mut cells = cells.filter_map(|(row, column)| screen.cell(row, column));
        cells.all(|cell| cell.fgcolor() == vt100::Color::Default && cell.bgcolor() == vt100::Color::Default)
    }

    /// Whether clicks come as keys.
    pub(crate) fn takes_clicks(&self) -> bool {
        self.emulator.borrow().screen().mouse_protocol_mode() != MouseProtocolMode::None
    }

    /// Wipes the window and has the command draw it anew. When that is there, everything pressed before was answered.
    #[track_caller]
    pub(crate) fn is_drawn_anew(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        self.emulator.borrow_mut().process(b"\x1b[2J");
        self.presses(CONTROL_L);
        self.shows_what(what, is_so);
    }

    /// Changes its size.
    pub(crate) fn resizes(&self, columns: u16, rows: u16) {
        // A new one in the state of the old: vt100 0.16 panics when one shrinks, and when one has a single column.
        let mut emulator = Parser::new(rows.max(2), columns.max(2), 0);
        if self.emulator.borrow().screen().alternate_screen() {
            emulator.process(b"\x1b[?1049h\x1b[?25l");
        }
        emulator.process(&self.emulator.borrow().screen().input_mode_formatted());
        self.emulator.replace(emulator);
        tcsetwinsize(&self.master, size((columns, rows))).expect("the terminal takes a size");
    }

    /// Claims a size without having it.
    pub(crate) fn claims(&self, columns: u16, rows: u16) {
        tcsetwinsize(&self.master, size((columns, rows))).expect("the terminal takes a size");
    }

    /// Has everything drawn anew and takes nothing in, again and again until it is so.
    #[track_caller]
    pub(crate) fn is_not_read_until(&self, is_so: impl Fn() -> bool) {
        let start = Instant::now();
        let mut so = 0;
        // A write that goes on in two looks with keys in between waits, or is the last that does not.
        while so < 2 {
            // The keys may find no room: then it does not read them any more.
            let _ = (&self.master).write(CONTROL_L);
            let _ = poll(&mut [], Some(&LOOK));
            so = if is_so() { so + 1 } else { 0 };
            assert!(start.elapsed() < patience(), "it goes on though nobody reads");
        }
    }

    /// Waits until the command has ended, and still takes nothing in.
    #[track_caller]
    pub(crate) fn ends_unread(self, code: i32) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.borrow_mut().try_wait().expect("cannot wait for the command") {
                break status;
            }
            assert!(start.elapsed() < patience(), "the command does not end");
            let _ = poll(&mut [], Some(&LOOK));
        };
        assert_eq!(status.code(), Some(code), "{status}");
        assert!(modes(&self.slave) == self.before, "the terminal has other modes than before");
    }

    /// Finds the terminal as it was before, though the command has not ended.
    #[track_caller]
    pub(crate) fn is_put_back(&self) {
        self.look();
        let emulator = self.emulator.borrow();
        let screen = emulator.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor(), "{}", screen.contents());
        assert_eq!(screen.mouse_protocol_mode(), MouseProtocolMode::None);
        assert!(modes(&self.slave) == self.before, "the terminal has other modes than before");
    }

    /// Sends the command a signal.
    pub(crate) fn signals(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("cannot send a signal");
    }

    /// The command.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child.borrow())
    }

    /// Waits until the command has ended, finds the terminal as it was before, and returns what stands there.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> String {
        self.ended(code);
        self.look();
        let text = self.text();
        let emulator = self.emulator.borrow();
        let screen = emulator.screen();
        assert!(!screen.alternate_screen(), "the other screen is still there:\n{text}");
        assert!(!screen.hide_cursor(), "the cursor is still hidden:\n{text}");
        assert!(!screen.bracketed_paste() && !screen.application_cursor(), "keys are still changed:\n{text}");
        assert_eq!(screen.mouse_protocol_mode(), MouseProtocolMode::None, "clicks are still sent:\n{text}");
        assert_eq!((screen.fgcolor(), screen.inverse()), (vt100::Color::Default, false), "{text}");
        assert!(modes(&self.slave) == self.before, "the terminal has other modes than before:\n{text}");
        text.trim().to_owned()
    }

    /// Closes the window with the command in it, which has to end well.
    #[track_caller]
    pub(crate) fn closes(mut self) {
        self.master = File::open("/dev/null").expect("/dev/null");
        self.ended(0);
    }

    #[track_caller]
    fn ended(&self, code: i32) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.borrow_mut().try_wait().expect("cannot wait for the command") {
                self.look();
                assert_eq!(status.code(), Some(code), "{status}:\n{}", self.text());
                return;
            }
            assert!(start.elapsed() < patience(), "the command does not end:\n{}", self.text());
            self.look();
        }
    }
}

fn size((columns, rows): (u16, u16)) -> Winsize {
    Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Drop for Window {
    fn drop(&mut self) {
        // It may have ended already.
        let child = self.child.get_mut();
        let _ = child.kill();
        let _ = child.wait();
    }
}
