//! Refusals have causes: each against the kernel's own counters.

use crate::{
    counters::Counters,
    half_open,
    lines::{Host, Lines},
    namespace::{inode, isolated, proves, sysctl},
    observed::Observer,
    traffic::{Server, V4, connect, send, set_tcp},
    waiting::until,
};

/// Refusals of a listener by cause, all in all.
pub(crate) fn causes(lines: &Lines, cookie: u64) -> Vec<(String, u64)> {
    let mut causes = std::collections::BTreeMap::new();
    for line in lines.0.iter().filter(|line| line["type"] == "drop" && line["listener"] == cookie) {
        let (cause, count) =
            (line["cause"].as_str().expect("a cause"), line["count"].as_u64().expect("a count"));
        *causes.entry(cause.to_owned()).or_insert(0) += count;
    }
    causes.into_iter().collect()
}

/// Whether the observer sees each refused last ACK on this kernel.
fn sees_last_acks(lines: &Lines) -> bool {
    lines.meta()["signals"]["drop"] != "sample/sk_drops"
}

fn host(lines: &Lines) -> Host {
    let all: Vec<Host> = lines.of("host");
    all.into_iter().rfind(|host| host.netns == inode()).expect("a line of this namespace's own counters")
}

/// The queue fills between a SYN and its last ACK: TCP_DEFER_ACCEPT holds handshakes back until there is data.
#[track_caller]
fn refused_at_the_last_ack(abort: &str) {
    sysctl("ipv4.tcp_abort_on_overflow", abort);
    let before = Counters::read();
    let since = || Counters::read() - &before;
    let mut observer = Observer::shared();
    let server = Server::prepared(V4, 4, |socket| set_tcp(socket, libc::TCP_DEFER_ACCEPT, 30));
    observer.wait_until_it_knows(&server);
    // Two rounds, because requests beyond the backlog would be answered with cookies.
    let clients: Vec<_> = [4, 8]
        .into_iter()
        .flat_map(|upto| {
            let round: Vec<_> = (upto - 4..upto).map(|_| connect(server.address)).collect();
            assert_eq!(
                server.truth().receive_queue,
                upto - 4,
                "sock_diag: deferred, so not in the accept queue"
            );
            for client in &round {
                send(client, b"x");
            }
            until("the queue fills", || server.truth().receive_queue == upto.min(5));
            round
        })
        .collect();
    until("three last ACKs are refused", || since().of("ListenOverflows") >= 3);
    // They try again for as long as they live; figures can be equal only when nobody does.
    if abort == "1" {
        until("three clients are reset", || since().of("EmbryonicRsts") == 3);
    }
    let accepted: Vec<_> = (0..5).map(|_| server.accept()).collect();
    if abort == "0" {
        until("their repeated data completes them", || server.truth().receive_queue == 3);
    }
    observer.wait_for_next_lines();
    let (truth, counted) = (server.truth(), since());
    let lines = observer.finish();
    let overflows = counted.of("ListenOverflows");
    let listener = lines.listener(server.cookie);
    assert_eq!(listener.sk_drops, u64::from(truth.drops), "sk_drops");
    assert_eq!(listener.listen_drops as i64, counted.of("ListenDrops"), "ListenDrops");
    if sees_last_acks(&lines) {
        assert_eq!(causes(&lines, server.cookie), [("accept_queue_full_ack".to_owned(), overflows as u64)]);
    }
    assert_eq!(listener.overflows, Some(overflows as u64));
    let host = host(&lines);
    assert_eq!(
        (host.listen_overflows as i64, host.listen_drops as i64),
        (overflows, counted.of("ListenDrops"))
    );
    assert_eq!(host.embryonic_resets as i64, counted.of("EmbryonicRsts"));
    assert_eq!(host.deferred_acks as i64, counted.of("TCPDeferAcceptDrop"));
    drop((clients, accepted));
}

#[test]
fn at_the_last_ack() {
    proves(&["drop"], || refused_at_the_last_ack("0"));
}

#[test]
fn at_the_last_ack_with_a_reset() {
    isolated(|| refused_at_the_last_ack("1"));
}

const SYNS: u16 = 60;
const BACKLOG: u32 = 16;

/// More half-open handshakes than the SYN queue holds.
#[track_caller]
fn flooded(cookies: &str) -> (Lines, Counters, u64, u32) {
    let _silence = half_open::silence();
    sysctl("ipv4.tcp_syncookies", cookies);
    let before = Counters::read();
    let since = || Counters::read() - &before;
    let mut observer = Observer::shared();
    let server = Server::listen(V4, BACKLOG);
    observer.wait_until_it_knows(&server);
    half_open::send(server.address.port(), SYNS);
    // In a queue that is more than half full, requests are given up after three seconds (`reqsk_timer_handler`).
    server.socket.listen(4096).expect("listen");
    until("every SYN is answered, queued or refused", || {
        let counted = since();
        let queued = i64::from(server.syn_queue());
        queued + counted.of("TCPReqQFullDrop") + counted.of("SyncookiesSent") == i64::from(SYNS)
    });
    observer.wait_for_next_lines();
    let (queued, counted) = (server.syn_queue(), since());
    let lines = observer.finish();
    let listener = lines.listener(server.cookie);
    assert_eq!(listener.syn_queue, queued, "sock_diag: requests");
    if !lines.meta()["signals"]["request"].is_null() {
        assert_eq!(listener.requests, u64::from(queued), "every request is still there");
    }
    let host = host(&lines);
    let ours = [host.syn_queue_full_drops, host.cookies_wanted, host.cookies_sent, host.listen_drops];
    let kernel = ["TCPReqQFullDrop", "TCPReqQFullDoCookies", "SyncookiesSent", "ListenDrops"];
    assert_eq!(ours.map(|count| count as i64), kernel.map(|name| counted.of(name)));
    cookies_are_the_listeners(&lines, &counted, server.cookie);
    (lines, counted, server.cookie, queued)
}

/// The only listener of a namespace sent and got all of its cookies, where this kernel tells which listener it was.
#[track_caller]
fn cookies_are_the_listeners(lines: &Lines, counted: &Counters, cookie: u64) {
    let listener = lines.listener(cookie);
    let [sent, failed] = ["SyncookiesSent", "SyncookiesFailed"].map(|name| counted.of(name) as u64);
    let told = lines.meta()["signals"]["cookie"].as_str().unwrap_or_default();
    let tells = |hook: &str, count: u64| told.contains(hook).then_some(count);
    assert_eq!(listener.cookies_sent, tells("tcp_make_synack", sent), "{told}");
    assert_eq!(listener.cookies_failed, tells("cookie_v4_check", failed), "{told}");
    let ledger = lines.of::<crate::lines::Ledger>("ledger");
    for (check, is_told) in [
        ("cookies_sent", listener.cookies_sent.is_some()),
        ("cookies_failed", listener.cookies_failed.is_some()),
    ] {
        let last =
            ledger.iter().rfind(|line| line.scope == "host" && line.netns == inode() && line.check == check);
        assert_eq!(last.map(|line| line.difference), is_told.then_some(0), "{check}");
    }
}

#[test]
fn a_full_syn_queue_without_cookies() {
    proves(&["drop", "request", "queue_depth"], || {
        let (lines, counted, cookie, queued) = flooded("0");
        let refused = counted.of("TCPReqQFullDrop");
        assert_eq!(refused, i64::from(SYNS) - i64::from(queued));
        assert_eq!(causes(&lines, cookie), [("syn_queue_full".to_owned(), refused as u64)]);
        assert_eq!(lines.listener(cookie).overflows, Some(0));
    });
}

#[test]
fn a_full_syn_queue_with_cookies() {
    proves(&["drop", "cookie"], || {
        let (lines, counted, cookie, queued) = flooded("1");
        assert!(queued >= BACKLOG, "{queued} requests queued");
        assert_eq!(counted.of("SyncookiesSent"), i64::from(SYNS) - i64::from(queued));
        assert_eq!(causes(&lines, cookie), []);
    });
}

#[test]
fn only_cookies() {
    isolated(|| {
        let (lines, counted, cookie, queued) = flooded("2");
        assert_eq!((queued, counted.of("SyncookiesSent")), (0, i64::from(SYNS)));
        assert_eq!(causes(&lines, cookie), []);
    });
}

#[test]
fn acks_that_are_no_cookies() {
    const ACKS: u16 = 7;
    proves(&["drop", "cookie"], || {
        let _silence = half_open::silence();
        // Each SYN is answered with a cookie, so the listener expects cookies.
        sysctl("ipv4.tcp_syncookies", "2");
        let before = Counters::read();
        let since = |name: &str| (Counters::read() - &before).of(name);
        let mut observer = Observer::shared();
        let server = Server::listen(V4, BACKLOG);
        observer.wait_until_it_knows(&server);
        half_open::send(server.address.port(), 3);
        until("three cookies", || since("SyncookiesSent") == 3);
        half_open::send_stray_acks(server.address.port(), ACKS);
        until("the ACKs are checked", || since("SyncookiesFailed") == i64::from(ACKS));
        observer.wait_for_next_lines();
        let lines = observer.finish();
        assert_eq!(host(&lines).cookies_failed, u64::from(ACKS));
        cookies_are_the_listeners(&lines, &(Counters::read() - &before), server.cookie);
    });
}

/// The check of refusals against the namespace's `ListenDrops`.
fn listen_drops_check(lines: &Lines) -> i64 {
    let checks = lines.of::<crate::lines::Ledger>("ledger");
    let mut here = checks.iter().filter(|line| line.netns == inode() && line.check == "listen_drops");
    here.next_back().expect("a check").difference
}

#[test]
fn strays_refuse_nobody_and_hide_no_refusal() {
    proves(&["drop"], || {
        let _silence = half_open::silence();
        sysctl("ipv4.tcp_syncookies", "0");
        let before = Counters::read();
        let since = |name: &str| (Counters::read() - &before).of(name);
        let mut observer = Observer::shared();
        let server = Server::listen(V4, BACKLOG);
        observer.wait_until_it_knows(&server);
        let strays = u32::from(half_open::send_strays(server.address.port(), 10));
        until("the strays are discarded", || server.truth().drops == strays);
        observer.wait_for_next_lines();
        let meanwhile = observer.listener(server.cookie);
        assert_eq!((since("ListenDrops"), meanwhile.listen_drops), (0, 0));
        assert_eq!((meanwhile.state.as_str(), u64::from(strays)), ("idle", meanwhile.sk_drops));
        half_open::send(server.address.port(), SYNS);
        until("every SYN is queued or refused", || {
            i64::from(server.syn_queue()) + since("TCPReqQFullDrop") == i64::from(SYNS)
        });
        observer.wait_for_next_lines();
        let lines = observer.finish();
        let refused = since("ListenDrops");
        assert!(refused > 0, "ListenDrops");
        assert_eq!(lines.listener(server.cookie).listen_drops as i64, refused);
        assert_eq!(causes(&lines, server.cookie), [("syn_queue_full".to_owned(), refused as u64)]);
        if sees_last_acks(&lines) {
            assert_eq!(listen_drops_check(&lines), 0, "ledger");
        }
    });
}

#[test]
fn strays_of_one_listener_do_not_blur_the_refusals_of_another() {
    const REFUSED: u16 = 10;
    isolated(|| {
        let _silence = half_open::silence();
        let before = Counters::read();
        let since = |name: &str| (Counters::read() - &before).of(name);
        let mut observer = Observer::shared();
        let (calm, full) = (Server::listen(V4, BACKLOG), Server::listen(V4, 4));
        observer.wait_until_it_knows(&calm);
        let clients = full.queue(5);
        let strays = u32::from(half_open::send_strays(calm.address.port(), REFUSED));
        until("the strays are discarded", || calm.truth().drops == strays);
        half_open::send(full.address.port(), REFUSED);
        until("the SYNs are refused", || since("ListenOverflows") == i64::from(REFUSED));
        observer.wait_for_next_lines();
        let lines = observer.finish();
        let (calm, full) = (lines.listener(calm.cookie), lines.listener(full.cookie));
        if sees_last_acks(&lines) {
            assert_eq!((calm.overflows, calm.listen_drops, calm.state.as_str()), (Some(0), 0, "idle"));
            assert_eq!((full.overflows, full.listen_drops), (Some(REFUSED.into()), REFUSED.into()));
            assert_eq!(causes(&lines, full.cookie), [("accept_queue_full_syn".to_owned(), REFUSED.into())]);
            assert_eq!(listen_drops_check(&lines), 0, "ledger");
        } else {
            // sk_drops alone cannot tell; then neither is said to be certain.
            assert_eq!((calm.overflows, full.overflows), (None, None));
        }
        drop(clients);
    });
}

#[test]
fn repeated_syns_refuse_nobody() {
    isolated(|| {
        let _silence = half_open::silence();
        let before = Counters::read();
        let mut observer = Observer::shared();
        let server = Server::listen(V4, BACKLOG);
        observer.wait_until_it_knows(&server);
        half_open::send(server.address.port(), 5);
        until("five requests", || server.syn_queue() == 5);
        half_open::send(server.address.port(), 5);
        until("the repeated SYNs are discarded", || server.truth().drops >= 5);
        observer.wait_for_next_lines();
        let lines = observer.finish();
        assert_eq!((Counters::read() - &before).of("ListenDrops"), 0, "ListenDrops");
        let listener = lines.listener(server.cookie);
        assert_eq!((listener.sk_drops, listener.listen_drops, listener.overflows), (5, 0, Some(0)));
        assert_eq!(causes(&lines, server.cookie), []);
        let states = lines.listener_over_time(server.cookie);
        assert!(states.iter().all(|line| line.state != "overflowing"), "{states:?}");
    });
}
