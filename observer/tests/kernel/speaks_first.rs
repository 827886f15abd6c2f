//! Servers that speak first: the time until they do, and what the threads that do are called.

use std::{sync::mpsc::channel, thread};

use crate::{
    namespace::isolated,
    observed::Observer,
    traffic::{Server, V4, own, receive, send},
    waiting::{now_ns, tid},
};

const BANNER: &[u8] = b"220 ready\r\n";

#[test]
fn the_time_to_the_first_write_is_that_of_a_server_that_speaks_first() {
    isolated(|| {
        let mut observer = Observer::shared();
        let server = Server::listen(V4, 8);
        let before_ns = now_ns();
        let (client, accepted) = server.pair();
        let accepted_ns = now_ns();
        // It takes its time: as long as the observer takes for its next lines.
        observer.wait_for_next_lines();
        let (told, ask) = channel();
        let (least_ns, most_ns) = thread::scope(|scope| {
            let writer = scope.spawn(|| {
                told.send(tid()).expect("it listens");
                let least = now_ns() - accepted_ns;
                send(&accepted, BANNER);
                (least, now_ns() - before_ns)
            });
            writer.join().expect("it writes")
        });
        let writer = ask.recv().expect("its id");
        receive(&client, BANNER.len());
        let remote = own(&client);
        // What answers is another connection, which is read before it is written to.
        let asked = server.pair();
        send(&asked.0, b"question");
        receive(&asked.1, 8);
        let worker = thread::scope(|scope| {
            let worker = scope.spawn(|| {
                send(&asked.1, b"answer");
                tid()
            });
            worker.join().expect("it writes")
        });
        receive(&asked.0, 6);
        drop((client, accepted, asked));
        observer.wait_for_connections(2);
        let lines = observer.finish();
        assert_eq!(lines.connection_from(remote).reads, 0);
        let listener = lines.listener_fields(server.cookie);
        let stage = &listener["accept_to_write_ns"];
        assert_eq!(stage["count"], 1, "only where the write comes first: {listener}");
        let longest = stage["max"].as_u64().expect("a longest one");
        assert!((least_ns..=most_ns).contains(&longest), "{longest} is not in {least_ns}..={most_ns}");
        assert_eq!(lines.thread(writer).role, "writer");
        assert_eq!(lines.thread(worker).role, "worker");
    });
}
