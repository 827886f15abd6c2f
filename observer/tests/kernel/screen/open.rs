//! Connections that are open, on a real terminal: who was accepted and has sent nothing is there.

use std::io::Write as _;

use rustix::process::Signal;

use crate::{
    directory::Directory,
    namespace::{THE_SAME, natively},
    pty::{Window, live},
    traffic::{Server, V4, connect},
};

#[test]
fn a_client_that_sends_nothing_is_told_from_one_that_does() {
    natively(THE_SAME, || {
        let directory = Directory::new();
        let window = Window::open(live(&directory.0));
        window.shows(" 1 Queues ");
        let server = Server::listen(V4, 16);
        let silent = connect(server.address);
        let accepted = server.accept();
        let mut speaks = connect(server.address);
        speaks.write_all(b"hello").expect("room for five bytes");
        let served = server.accept();
        window.presses(b"4o");
        let of = |client: &std::net::TcpStream| client.local_addr().expect("its address").to_string();
        let (silent_at, speaks_at) = (of(&silent), of(&speaks));
        window.shows_what("both, and which is silent", |text| {
            let says = |client: &str, end: &str| {
                text.lines().any(|line| line.contains(client) && line.trim_end().ends_with(end))
            };
            says(&silent_at, "no data") && says(&speaks_at, "open")
        });
        drop((silent, accepted));
        window.shows_what("one less", |text| !text.contains(&silent_at) && text.contains(&speaks_at));
        drop(served);
        window.signals(Signal::TERM);
        window.ends_with(0);
    });
}
