//! Named states of the world, for the screen to show.

use observer::model::{
    listening::{Cause, Listening, Unwatched},
    mark::What,
    snapshot::LedgerCheck,
};
use observer::view::Options;

use crate::fixture::Scene;

/// One listener that keeps up, on a host without the bundled backend.
pub(crate) fn healthy(options: Options) -> Scene {
    let mut scene = Scene::new(options);
    let worker = scene.thread(991, 991, "nginx", "acceptor+reader+writer");
    let source = scene.listener(17, "0.0.0.0:443", 511, 300, 4_000);
    source.listener.pid = 991;
    source.listener.comm = "nginx".to_owned();
    (source.acceptors, source.readers, source.writers) = (vec![worker], vec![worker], vec![worker]);
    scene.run(20);
    scene
}

/// One thread that does everything, and more load than it can take; beside it listeners that are well.
pub(crate) fn overflowing(options: Options) -> Scene {
    let mut scene = Scene::new(options);
    let only = scene.thread(4_127, 4_127, "srv-0", "acceptor+reader+writer");
    let other = scene.thread(700, 700, "sshd", "idle");
    let source = scene.listener(17, "127.0.0.1:8080", 64, 400, 496);
    (source.acceptors, source.readers, source.writers) = (vec![only], vec![only], vec![only]);
    let source = scene.listener(3, "[::]:22", 128, 0, 100);
    source.listener.pid = 700;
    source.listener.comm = "sshd".to_owned();
    source.acceptors = vec![other];
    scene.backend("acceptor-readers", Some(400.0));
    scene.run(20);
    scene.backend("single-thread", Some(400.0));
    scene.change(What::Pattern, "acceptor-readers", "single-thread");
    scene.run(15);
    scene.backend("single-thread", Some(812.0));
    scene.change(What::Load, "steady 400/s", "steady 812/s");
    scene.sources[0].arrivals = 812;
    scene.run(10);
    scene
}

/// Four shards of one address, one of them stuck.
pub(crate) fn sharded(options: Options) -> Scene {
    let mut scene = Scene::new(options);
    for shard in 0..4 {
        let name = format!("shard-{shard}");
        let thread = scene.thread(4_127, 4_130 + shard, &name, "acceptor+reader+writer");
        let capacity = if shard == 2 { 0 } else { 400 };
        let source = scene.listener(20 + u64::from(shard), "127.0.0.1:8080", 16, 200 + shard * 8, capacity);
        source.listener.group = Some("127.0.0.1:8080".to_owned());
        source.listener.shard = Some(shard + 1);
        (source.acceptors, source.readers, source.writers) = (vec![thread], vec![thread], vec![thread]);
    }
    scene.backend("sharding", Some(800.0));
    scene.run(12);
    scene
}

/// One acceptor, two readers: who hands to whom.
pub(crate) fn handed_over(options: Options) -> Scene {
    let mut scene = Scene::new(options);
    let acceptor = scene.thread(4_127, 4_127, "acc-0", "acceptor");
    let readers = vec![
        scene.thread(4_127, 4_130, "rd-0", "reader+writer"),
        scene.thread(4_127, 4_131, "rd-1", "reader+writer"),
    ];
    let source = scene.listener(17, "127.0.0.1:8080", 128, 500, 2_000);
    (source.acceptors, source.readers, source.writers) = (vec![acceptor], readers.clone(), readers);
    scene.sources[0].listener.unread = 12;
    scene.backend("acceptor-readers", Some(500.0));
    scene.run(12);
    scene
}

/// A parent that listens and three children that accept.
pub(crate) fn prefork(options: Options) -> Scene {
    let mut scene = Scene::new(options);
    let children: Vec<usize> = (0..3)
        .map(|child| scene.thread(810 + child, 810 + child, "apache2", "acceptor+reader+writer"))
        .collect();
    scene.thread(800, 800, "apache2", "idle");
    let source = scene.listener(17, "0.0.0.0:80", 511, 400, 2_000);
    (source.listener.pid, source.listener.comm) = (800, "apache2".to_owned());
    // One is woken twice as often as the others.
    source.acceptors = vec![children[0], children[1], children[0], children[2]];
    (source.readers, source.writers) = (source.acceptors.clone(), source.acceptors.clone());
    scene.run(12);
    scene
}

/// A kernel that gives less, records that were lost, and books that do not balance.
pub(crate) fn degraded(options: Options) -> Scene {
    let mut scene = healthy(options);
    for signal in ["synack_retransmit", "reset"] {
        scene.meta.signals.insert(signal.to_owned(), None);
        let note = "this kernel has no tracepoint of this name, and fentry needs CONFIG_DYNAMIC_FTRACE";
        scene.meta.signal_notes.insert(signal.to_owned(), note.to_owned());
    }
    scene.meta.signal_notes.insert("read".to_owned(), "reads through io_uring are not seen".to_owned());
    scene.loss.counters.insert("ring_full".to_owned(), 1_234);
    scene.loss.total = 1_234;
    scene.ledger.push(LedgerCheck {
        scope: "host",
        listener: None,
        netns: 4_026_531_840,
        check: "listen_drops",
        ours: 40,
        kernel: 43,
        difference: -3,
        reason: Some("3 drops came before the observer attached".to_owned()),
        since_ns: Some(0),
    });
    scene.run(2);
    scene
}

/// Two listeners, none of them watched: the kernel's own, and one for which there was no place.
pub(crate) fn unwatched() -> Vec<Listening> {
    let nfs = Unwatched {
        cookie: 1,
        addr: "0.0.0.0:2049".to_owned(),
        port: 2049,
        backlog_limit: 64,
        cause: Cause::NoHolder,
        ..Unwatched::default()
    };
    let full = Unwatched {
        cookie: 2,
        addr: "127.0.0.1:9005".to_owned(),
        port: 9005,
        pid: Some(4711),
        comm: Some("gosrv".to_owned()),
        accept_queue: 9,
        backlog_limit: 8,
        listen_drops: 10,
        cause: Cause::MaxListeners,
        ..Unwatched::default()
    };
    vec![Listening { kernel: 2, unwatched: 2, listeners: vec![full, nfs], ..Listening::default() }]
}
