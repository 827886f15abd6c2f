//! Terminals that can little, and standard streams that are none.

use std::process::Stdio;

use crate::{
    directory::Directory,
    namespace::{THE_SAME, natively},
    pty::{SIZE, Window, in_shell, live},
};

#[test]
fn without_stdin_the_keys_come_from_the_terminal() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        for script in ["exec \"$0\" \"$@\" < /dev/null", "exec \"$0\" \"$@\" <&-"] {
            let window = Window::open(in_shell(script, &live(&directory.0)));
            window.shows(" 1 Queues ");
            window.presses(b"2");
            window.shows("no journey");
            window.presses(b"q");
            assert_eq!(window.ends_with(0), "", "{script}");
        }
    });
}

#[test]
fn without_a_terminal_to_type_at_it_says_so() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        let window = Window::open_for_nobody(live(&directory.0), |command| {
            command.stdin(Stdio::null());
        });
        let said = window.ends_with(2);
        assert!(said.contains("stdin is none") && said.contains("observer stream"), "{said}");
    });
}

#[test]
fn without_a_terminal_to_draw_on_it_says_so() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        let window = Window::open_with(live(&directory.0), |command| {
            command.stdout(Stdio::piped());
        });
        let said = window.ends_with(2);
        assert!(said.contains("stdout is none") && said.contains("observer stream"), "{said}");
    });
}

#[test]
fn what_a_terminal_cannot_show_is_not_drawn() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        for (term, locale, colours) in [
            ("dumb", "C.UTF-8", false),
            ("dumb", "C", false),
            ("vt100", "POSIX", true),
            ("", "de_DE.ISO-8859-1", true),
        ] {
            let window = Window::open_with(live(&directory.0), |command| {
                command.env("TERM", term).env("LC_ALL", locale);
            });
            window.shows(" 1 Queues ");
            for screen in b"123456?" {
                window.presses(&[*screen]);
                window.is_drawn_anew("a screen", |text| text.contains(" 1 Queues "));
                let text = window.text();
                assert!(text.is_ascii(), "{term} {locale}: {text}");
                assert_eq!(window.is_plain(), !colours, "{term} {locale}: {text}");
            }
            // Whoever has no mouse never notices that there could be one.
            assert!(!window.takes_clicks());
            window.presses(b"qq");
            window.ends_with(0);
        }
    });
}

#[test]
fn a_terminal_that_does_not_know_its_size_yet() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        let window = Window::open(in_shell("stty rows 0 cols 0; exec \"$0\" \"$@\"", &live(&directory.0)));
        window.takes_over();
        window.resizes(SIZE.0, SIZE.1);
        window.shows(" 1 Queues ");
        window.presses(b"q");
        assert_eq!(window.ends_with(0), "");
    });
}
