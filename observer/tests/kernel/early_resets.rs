//! Handshakes that come to nothing without harm: reset by their client, or waiting for its first data.

use crate::{
    counters::Counters,
    namespace::isolated,
    observed::Observer,
    traffic::{Server, V4, connect, reset, send, set_tcp},
    waiting::until_equal,
};

#[test]
fn handshakes_that_their_client_resets_are_told_and_are_no_refusals() {
    isolated(|| {
        const RESETS: u64 = 14;
        let mut observer = Observer::shared();
        // To the client it is a connection; here it is a handshake until there is data.
        let server = Server::prepared(V4, 64, |socket| set_tcp(socket, libc::TCP_DEFER_ACCEPT, 30));
        let healthy = Server::listen(V4, 64);
        observer.wait_until_it_knows(&server);
        let before = Counters::read();
        let clients: Vec<_> = (0..RESETS).map(|_| connect(server.address)).collect();
        until_equal("requests in the SYN queue", || u64::from(server.syn_queue()), RESETS);
        observer.wait_for("those that sent nothing yet", |lines| {
            lines.listener_fields(server.cookie)["deferred"] == RESETS
        });
        let ignored = u64::from(server.truth().drops);
        clients.into_iter().for_each(reset);
        until_equal("EmbryonicRsts", || (Counters::read() - &before).of("EmbryonicRsts"), RESETS as i64);
        // A connection that is served, beside them.
        let pair = healthy.pair();
        send(&pair.0, b"x");
        drop(pair);
        observer.wait_for("the rate of resets", |lines| {
            let lines = lines.0.iter().filter(|line| line["type"] == "listener");
            let mut own = lines.filter(|line| line["cookie"] == server.cookie);
            own.any(|line| line["rates"]["reset_early"].as_f64() > Some(0.0))
        });
        observer
            .wait_for("an empty SYN queue", |lines| lines.listener_fields(server.cookie)["deferred"] == 0);
        let drops = u64::from(server.truth().drops);
        let lines = observer.finish();
        let listener = lines.listener(server.cookie);
        assert_eq!((listener.sk_drops, drops - ignored), (drops, RESETS), "each is a discarded segment");
        assert_eq!((listener.listen_drops, listener.enqueued, listener.state.as_str()), (0, 0, "idle"));
        let fields = lines.listener_fields(healthy.cookie);
        assert_eq!(
            (&fields["rates"]["reset_early"], &fields["deferred"]),
            (&0.0.into(), &().into()),
            "{fields}"
        );
    });
}
