//! How the screen ends: by a key, by signals, and with its window.

use rustix::process::Signal;

use crate::{
    directory::Directory,
    namespace::{THE_SAME, natively},
    observed::binary,
    pty::{Window, in_shell, live},
};

#[test]
fn signals_end_it() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
            let window = Window::open(live(&directory.0));
            window.shows(" 1 Queues ");
            // With all that can be left behind.
            window.presses(b"m/");
            window.shows("Enter keeps");
            window.signals(signal);
            assert_eq!(window.ends_with(0), "");
        }
    });
}

#[test]
fn keys_end_it() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        for keys in [&b"q"[..], b"\x03", b"mq", b"/q\x03", b"?\x03"] {
            let window = Window::open(live(&directory.0));
            window.shows(" 1 Queues ");
            window.presses(keys);
            assert_eq!(window.ends_with(0), "");
        }
    });
}

#[test]
fn it_ends_with_its_window() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        for keys in [&b""[..], b"m", b"6", b" "] {
            let window = Window::open(live(&directory.0));
            window.shows(" 1 Queues ");
            window.presses(keys);
            window.closes();
        }
    });
}

#[test]
fn it_ends_with_its_window_also_when_nobody_says_so() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        // SIGHUP is for the leader of the session, a shell that does not pass it on.
        let script = "trap '' HUP; \"$0\" \"$@\"; exit $?";
        let window = Window::open(in_shell(script, &live(&directory.0)));
        window.shows(" 1 Queues ");
        window.closes();
    });
}

#[test]
fn a_recording_ends_with_the_window_too() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        let window = Window::open(live(&directory.0));
        window.shows(" 1 Queues ");
        window.presses(b"R");
        window.shows("● REC");
        window.closes();
        let files = directory.files("rec");
        let [file] = files.as_slice() else { panic!("{files:?}") };
        let output =
            binary().args(["stream", "--replay"]).arg(file).output().expect("cannot start the observer");
        // It has its end: nothing is said about one that is missing.
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    });
}
