//! The second queue, inside the program: accepted connections whose data nobody has read yet.

use std::net::TcpStream;

use crate::{
    namespace::{isolated, proves},
    observed::Observer,
    sock_diag::sockets,
    traffic::{Server, V4, receive, send},
    waiting::until_equal,
};

const SILENT: usize = 2;
const TALKING: usize = 5;

/// Open connections of the server's side with bytes that nobody has read, as the kernel sees it.
fn unread(server: &Server) -> usize {
    let all = sockets(&[1, 8]);
    all.iter().filter(|socket| socket.local == server.address && socket.receive_queue > 0).count()
}

/// Waits until the observer says so too.
#[track_caller]
fn agrees(observer: &mut Observer, server: &Server, count: usize) {
    until_equal("connections with data not read", || unread(server), count);
    observer.wait_for_next_lines();
    assert_eq!(observer.listener(server.cookie).unread, count as u64);
}

/// Pairs of a client that has sent something and the connection accepted of it.
fn talking(server: &Server, send_first: bool) -> Vec<(TcpStream, TcpStream)> {
    let pair = |_| {
        if !send_first {
            let (client, accepted) = server.pair();
            send(&client, b"hello");
            return (client, accepted);
        }
        let client = server.queue(1).remove(0);
        send(&client, b"hello");
        (client, server.accept())
    };
    (0..TALKING).map(pair).collect()
}

#[track_caller]
fn check(send_first: bool) {
    let mut observer = Observer::shared();
    let server = Server::listen(V4, 16);
    let silent: Vec<_> = (0..SILENT).map(|_| server.pair()).collect();
    agrees(&mut observer, &server, 0);
    let mut talking = talking(&server, send_first);
    agrees(&mut observer, &server, TALKING);
    // One is read, one closed by the server without a read, one reset by the client; a second message changes nothing.
    receive(&talking[0].1, 5);
    agrees(&mut observer, &server, TALKING - 1);
    drop(talking.pop());
    agrees(&mut observer, &server, TALKING - 2);
    send(&talking[1].0, b"again");
    agrees(&mut observer, &server, TALKING - 2);
    talking.iter().skip(1).for_each(|(_, accepted)| drop(receive(accepted, 5)));
    // The second message of one of them waits still, but the program has read from it: it is not unread any more.
    until_equal("connections with data not read", || unread(&server), 1);
    observer.wait_for_next_lines();
    assert_eq!(observer.listener(server.cookie).unread, 0);
    drop((silent, talking));
    observer.wait_for_connections(SILENT + TALKING);
    let lines = observer.finish();
    assert_eq!(lines.listener(server.cookie).unread, 0);
}

#[test]
fn data_after_the_accept() {
    isolated(|| check(false));
}

#[test]
fn data_before_the_accept() {
    proves(&["data_queued", "read"], || check(true));
}

#[test]
fn queued_with_data_is_not_unread_until_it_is_accepted() {
    isolated(|| {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 16);
        let clients = server.queue(3);
        clients.iter().for_each(|client| send(client, b"hello"));
        until_equal("connections with data not read", || unread(&server), 3);
        observer.wait_for_next_lines();
        assert_eq!(observer.listener(server.cookie).unread, 0);
        let accepted: Vec<_> = clients.iter().map(|_| server.accept()).collect();
        agrees(&mut observer, &server, 3);
        drop(accepted);
        drop(clients);
        observer.wait_for_connections(3);
        assert_eq!(observer.finish().listener(server.cookie).unread, 0);
    });
}
