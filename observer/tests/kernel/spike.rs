//! A spike shorter than the sampling interval: no sample sees it, the peak does.

use crate::{
    namespace::{ALIKE, natively, proves},
    observed::Observer,
    traffic::{Server, V4, V6},
};

const SPIKE: u32 = 23;

#[track_caller]
fn check(ip: std::net::IpAddr) {
    // The only samples are those of the last lines: a minute is longer than the test may take.
    let observer = Observer::start_with(&["--interval", "1m", "--netns", "/proc/self/ns/net"]);
    let server = Server::listen(ip, 64);
    let clients = server.queue(SPIKE);
    let accepted: Vec<_> = clients.iter().map(|_| server.accept()).collect();
    assert_eq!(server.truth().receive_queue, 0, "sock_diag: depth");
    let lines = observer.finish();

    let over_time = lines.listener_over_time(server.cookie);
    assert_eq!(over_time.len(), 1, "the observer sampled before it was asked to end");
    assert_eq!((over_time[0].accept_queue, over_time[0].accept_queue_peak), (0, SPIKE));
    assert_eq!(u64::from(SPIKE), over_time[0].accepted);
    drop((clients, accepted));
}

#[test]
fn a_spike_between_two_samples_ipv4() {
    proves(&["enqueue"], || check(V4));
}

#[test]
fn a_spike_between_two_samples_ipv6() {
    natively(ALIKE, || check(V6));
}

#[test]
fn the_peak_is_that_of_the_interval() {
    proves(&["enqueue"], || {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 64);
        let clients = server.queue(SPIKE);
        observer.wait_for("the spike", |lines| {
            lines.of("listener").iter().any(|line: &crate::lines::Listener| line.accept_queue == SPIKE)
        });
        let accepted: Vec<_> = clients.iter().map(|_| server.accept()).collect();
        // The set that is being written may have begun before the queue was empty; the one after has not.
        observer.wait_for_next_lines();
        observer.wait_for_next_lines();
        let last = observer.finish().listener(server.cookie);
        assert_eq!((last.accept_queue, last.accept_queue_peak), (0, 0));
        drop((clients, accepted));
    });
}
