//! Members of kernel structures, found in BTF: what is read through them against what the kernel says of the same
//! socket through sock_diag.

use std::net::{IpAddr, TcpStream};

use observer::kernel::{btf::Btf, layout::Layout, probes::KERNEL_BTF};

use crate::{
    lines::Lines,
    namespace::{inode, isolated},
    observed::Observer,
    sock_diag::{SYN_SENT, Socket, sockets},
    traffic::{Server, V4, V6, attempt, own, send},
    waiting::{interval, until, until_equal},
};

#[test]
fn every_member_is_found() {
    let data = match std::fs::read(KERNEL_BTF) {
        Ok(data) => data,
        Err(error) => {
            println!("SKIPPED: offsets::every_member_is_found: cannot read {KERNEL_BTF}: {error}");
            return;
        }
    };
    let layout = Layout::of(&Btf::parse(data).expect("the kernel's own BTF is well-formed"));
    // Kernels before about 6.15 drop the last ACK without a reason of its own; one hook of the signal `drop` needs it,
    // and another reason that came with it.
    let came_late = ["REASON_LISTEN_OVERFLOW", "REASON_ECHO"];
    let missing: Vec<_> = layout.missing.iter().filter(|one| !came_late.contains(one)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// A listener with something in every field, and connections of it that are open.
struct Open {
    server: Server,
    truth: Socket,
    clients: Vec<TcpStream>,
    _accepted: [TcpStream; 2],
}

impl Open {
    #[track_caller]
    fn make(ip: IpAddr) -> Self {
        let server = Server::listen(ip, 2);
        let clients = server.queue(3);
        let refused = attempt(server.address);
        until("the refusal", || server.truth().drops >= 1);
        drop(refused);
        until_equal("clients that still try", || sockets(&[SYN_SENT]).len(), 0);
        send(&clients[0], b"hello");
        // Two of three, so that depth, limit and refusals are different numbers.
        let accepted = [server.accept(), server.accept()];
        let truth = server.truth();
        assert_eq!((truth.receive_queue, truth.send_queue), (1, 2), "sock_diag: depth and limit");
        Self { server, truth, clients, _accepted: accepted }
    }

    #[track_caller]
    fn check(&self, lines: &Lines) {
        let Self { server, truth, clients, .. } = self;
        let listener = lines.listener(server.cookie);
        assert_eq!(listener.cookie, truth.cookie, "sock_common.skc_cookie");
        assert_eq!(listener.addr, truth.local, "sock_common.skc_rcv_saddr, skc_num, skc_family");
        assert_eq!(listener.netns, inode(), "sock_common.skc_net, net.ns.inum");
        assert_eq!(listener.accept_queue, truth.receive_queue, "sock.sk_ack_backlog");
        assert_eq!(listener.backlog_limit, truth.send_queue, "sock.sk_max_ack_backlog");
        assert_eq!(listener.sk_drops, u64::from(truth.drops), "sock.sk_drops");
        assert_eq!(listener.closed_ns, None, "sock_common.skc_state");

        for client in clients {
            let connection = lines.connection_from(own(client));
            let all = sockets(&[1]);
            let truth = all
                .iter()
                .find(|socket| socket.remote == own(client))
                .expect("sock_diag shows the connection");
            assert_eq!(connection.local, truth.local, "sock_common.skc_rcv_saddr, skc_num");
            assert_eq!(connection.remote, truth.remote, "sock_common.skc_daddr, skc_dport");
            assert_eq!(connection.end, "open");
            assert_eq!(connection.synack_retransmits, 0, "tcp_sock.total_retrans");
        }
        let first = lines.connection_from(own(&clients[0]));
        assert!(first.acceptor.is_some(), "task_struct.files, fdtable.fd, file.private_data, socket.sk");
    }
}

#[test]
fn listener_and_connection() {
    isolated(|| {
        let observer =
            Observer::start_with(&["--interval", interval(), "--netns", "/proc/self/ns/net", "--open"]);
        let open = [V4, V6].map(Open::make);
        let lines = observer.finish();
        assert_eq!(
            lines.connections().len(),
            open.iter().map(|open| open.clients.len()).sum::<usize>(),
            "open connections"
        );
        open.iter().for_each(|open| open.check(&lines));
    });
}
