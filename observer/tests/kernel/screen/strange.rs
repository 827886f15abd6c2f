//! Terminals that nobody reads or that lie about their size, and signals that stop the screen for a while.

use rustix::process::Signal;

use crate::{
    directory::Directory,
    namespace::{THE_SAME, natively},
    observed::binary,
    pty::{Window, live},
    waiting::until,
};

/// The recording that comes with the repository.
const BUNDLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../xtask/recordings/five-patterns.rec");

/// The state of a process in /proc: `T` when it is stopped.
fn state(window: &Window) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", window.pid().as_raw_nonzero())).unwrap();
    let (_, after_name) = stat.rsplit_once(") ").expect("a state");
    after_name.chars().next().expect("a state")
}

/// Whether its first thread is in write(2), as /proc says.
fn writes(window: &Window) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{}/syscall", window.pid().as_raw_nonzero()));
    call.is_ok_and(|call| call.starts_with(&format!("{} 0x1 ", libc::SYS_write)))
}

#[test]
fn signals_end_it_though_nobody_reads_its_terminal() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
            let window = Window::open(live(&directory.0));
            window.shows(" 1 Queues ");
            window.is_not_read_until(|| writes(&window));
            window.signals(signal);
            window.ends_unread(0);
        }
    });
}

#[test]
fn a_replay_ends_too() {
    natively(THE_SAME, || {
        let mut replay = binary();
        replay.args(["replay", BUNDLED]);
        let window = Window::open(replay);
        window.shows(" 1 Queues ");
        window.is_not_read_until(|| writes(&window));
        window.signals(Signal::TERM);
        window.ends_unread(0);
    });
}

#[test]
fn a_terminal_may_claim_any_size() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        let window = Window::open(live(&directory.0));
        window.shows(" 1 Queues ");
        // The window shows as much as is ever drawn; what is claimed would take 180 GB.
        window.resizes(1024, 512);
        window.claims(u16::MAX, u16::MAX);
        window.is_drawn_anew("the claimed size", |text| text.contains(" 1 Queues "));
        window.resizes(80, 24);
        window.is_drawn_anew("its own size", |text| text.contains(" 1 Queues "));
        window.signals(Signal::TERM);
        window.ends_with(0);
    });
}

#[test]
fn sigquit_ends_it_in_order() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        let window = Window::open(live(&directory.0));
        window.shows(" 1 Queues ");
        window.signals(Signal::QUIT);
        assert_eq!(window.ends_with(0), "");
    });
}

#[test]
fn sigtstp_stops_it_with_the_terminal_put_back() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        let window = Window::open(live(&directory.0));
        window.shows(" 1 Queues ");
        window.presses(b"m");
        window.is_drawn_anew("clicks", |_| window.takes_clicks());
        for _ in 0..2 {
            window.signals(Signal::TSTP);
            until("it is stopped", || state(&window) == 'T');
            window.is_put_back();
            window.signals(Signal::CONT);
            window.takes_over();
            window.shows(" 1 Queues ");
            window.is_drawn_anew("clicks again", |_| window.takes_clicks());
        }
        window.presses(b"q");
        assert_eq!(window.ends_with(0), "");
    });
}
