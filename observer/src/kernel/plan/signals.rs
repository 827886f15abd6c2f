//! The signals, each with its hooks, the best first.

use super::{Hook, Signal, threads};

/// What tcp_recvmsg does not show, whatever the number of its parameters.
const BY_RECVMSG: &str = "kTLS, MPTCP; who reads by splice, sendfile or TCP_ZEROCOPY_RECEIVE, and when; that it happened \
                          shows at the first write or the end";

/// Which connections have no time in the SYN queue.
const NO_WAIT: &str = "a cookie has none; a repeated SYN-ACK's, if it is accepted within microseconds";

/// The plan.
pub static SIGNALS: &[Signal] = &[
    Signal {
        name: "listener",
        what: "a listener opens or closes",
        hooks: &[Hook {
            name: "tp_btf/inet_sock_set_state",
            // The end first: what opens and closes while these are attached must not be there for ever.
            programs: &["destroy_sock", "set_state"],
            blind: Some("a second listen(2) fires nothing; the sampler sees the new limit"),
        }],
        essential: true,
        without: "no listener is known",
    },
    Signal {
        name: "existing_listeners",
        what: "listeners from before the start, and who holds them",
        hooks: &[Hook {
            name: "iter/task_file",
            programs: &["existing_listeners", "listener_holders"],
            blind: Some("listeners that no process holds as a descriptor: they are listed as not watched"),
        }],
        essential: false,
        without: "only listeners opened from now on are known",
    },
    Signal {
        name: "existing_connections",
        what: "connections accepted before the start, and who holds them",
        hooks: &[Hook {
            name: "iter/task_file",
            programs: &["existing_listeners", "existing_connections"],
            blind: Some(
                "which shard they came out of, and everything that happened before; those of another port than their \
                 listener's, if their process does not hold it",
            ),
        }],
        essential: false,
        without: "connections accepted before the start are not followed",
    },
    Signal {
        name: "queue_depth",
        what: "depth and limit of both queues now",
        hooks: &[Hook {
            name: "raw_tp/on_demand",
            programs: &["sample_queues"],
            blind: Some("the SYN queue between two samples"),
        }],
        essential: true,
        without: "no queue depths",
    },
    Signal {
        name: "request",
        what: "a SYN got a request socket, and entered the SYN queue",
        hooks: &[Hook {
            name: "fentry/inet_csk_reqsk_queue_hash_add",
            programs: &["request_added"],
            blind: None,
        }],
        essential: false,
        without: "handshakes that never complete are not counted; the SYN queue's depth is sampled all the same",
    },
    Signal {
        name: "enqueue",
        what: "a connection enters the accept queue, of which listener, how deep",
        hooks: &[
            Hook { name: "tp_btf/sk_data_ready", programs: &["set_state", "data_ready"], blind: None },
            Hook {
                name: "fentry/sock_def_readable",
                programs: &["set_state", "def_readable"],
                blind: Some("listeners whose callback was replaced (MPTCP, sockmap)"),
            },
        ],
        essential: false,
        without: "arrivals are not counted and no connection is followed",
    },
    Signal {
        name: "migration",
        what: "a connection moved from the queue of a shard that closed to another's (net.ipv4.tcp_migrate_req)",
        hooks: &[
            Hook {
                name: "fexit/reuseport_migrate_sock",
                programs: &["migrate_sock"],
                blind: Some("connections from before the start: they are known when they are accepted"),
            },
            Hook {
                name: "tp_btf/sk_data_ready",
                programs: &["set_state", "data_ready"],
                blind: Some("what moves on kernels that do not tell the new listener, as most before 2026"),
            },
        ],
        essential: false,
        without: "a connection that moved looks as if the shard that closed still had it",
    },
    Signal {
        name: "syn_wait",
        what: "time in the SYN queue, SYN-ACK retransmits, cookies",
        hooks: &[
            Hook {
                name: "tp_btf/inet_sock_set_state+sk_data_ready",
                programs: &["set_state", "data_ready"],
                blind: Some(NO_WAIT),
            },
            Hook {
                name: "tp_btf/inet_sock_set_state+fentry/sock_def_readable",
                programs: &["set_state", "def_readable"],
                blind: Some(NO_WAIT),
            },
        ],
        essential: false,
        without: "no SYN-queue times",
    },
    Signal {
        name: "accept",
        what: "a connection was accepted: when, and by which thread",
        hooks: &[
            Hook {
                name: "tracepoint/sys_exit_accept+tp_btf/io_uring_complete",
                programs: &["exit_accept", "ring_completes"],
                blind: Some(
                    "accepts by the kernel itself, by 32-bit programs, and into fixed files of an io_uring: those show at \
                     their first read or write",
                ),
            },
            Hook {
                name: "fexit/inet_accept+tracepoint/sys_exit_accept",
                programs: &["accept_returns", "late_exit_accept"],
                blind: Some("an accept through io_uring, or by the kernel, that had begun before the start"),
            },
            Hook {
                name: "fexit/inet_accept",
                programs: &["accept_returns"],
                blind: Some(
                    "accepts that had begun before the start, and those of MPTCP where it goes round this function: \
                     they show at their first read or write",
                ),
            },
            Hook {
                name: "tracepoint/sys_exit_accept",
                programs: &["exit_accept"],
                blind: Some(
                    "accepts through io_uring, by 32-bit programs or by the kernel: those show at their first read or write",
                ),
            },
        ],
        essential: false,
        without: "accepts show only at the first read or write, without time or acceptor",
    },
    Signal {
        name: "data_queued",
        what: "data for the program arrived",
        hooks: &[
            Hook { name: "tp_btf/sk_data_ready", programs: &["data_ready"], blind: None },
            Hook {
                name: "fentry/sock_def_readable",
                programs: &["def_readable"],
                blind: Some("connections whose callback was replaced (MPTCP, kTLS, sockmap)"),
            },
        ],
        essential: false,
        without: "no data-to-read waits, no unread connections",
    },
    Signal {
        name: "read",
        what: "a thread read: bytes, when",
        hooks: &[
            Hook {
                name: "tp_btf/sock_recv_length",
                programs: &["recv_length"],
                blind: Some(
                    "who reads by splice, sendfile or TCP_ZEROCOPY_RECEIVE, and when; that it happened shows at \
                     the first write or the end",
                ),
            },
            Hook { name: "fexit/tcp_recvmsg", programs: &["recvmsg"], blind: Some(BY_RECVMSG) },
            Hook { name: "fexit/tcp_recvmsg(6)", programs: &["recvmsg_by_6"], blind: Some(BY_RECVMSG) },
            Hook { name: "fexit/tcp_recvmsg(4)", programs: &["recvmsg_by_4"], blind: Some(BY_RECVMSG) },
            Hook {
                name: "tp_btf/tcp_rcv_space_adjust",
                programs: &["rcv_space_adjust"],
                blind: Some(
                    "how many calls there were: one that reads several segments counts several times",
                ),
            },
        ],
        essential: false,
        without: "no readers, no bytes read",
    },
    Signal {
        name: "write",
        what: "a thread wrote: bytes, when",
        hooks: &[
            Hook {
                name: "tp_btf/sock_send_length",
                programs: &["send_length"],
                blind: Some(
                    "who writes by sendfile and splice on kernels that do not send those through sendmsg; that it \
                     happened shows at the end",
                ),
            },
            Hook {
                name: "fexit/tcp_sendmsg+tcp_sendpage",
                programs: &["sendmsg", "sendpage"],
                blind: Some("kTLS, MPTCP"),
            },
            Hook {
                name: "fexit/tcp_sendmsg",
                programs: &["sendmsg"],
                blind: Some(
                    "kTLS, MPTCP; who writes by sendfile and splice on kernels that do not send those through sendmsg; that \
                     it happened shows at the end",
                ),
            },
        ],
        essential: false,
        without: "no writers, no bytes written",
    },
    Signal {
        name: "held_write",
        what: "Nagle held a write back until the peer acknowledged what went before, and for how long",
        hooks: &[Hook {
            name: "btf/tcp_sock.nonagle",
            programs: &[],
            blind: Some(
                "a write whose bytes go without an ACK, or before which the peer speaks; the last one of a connection that \
                 this side closes",
            ),
        }],
        essential: false,
        without: "servers that hold their own answers back are not told from slow ones",
    },
    Signal {
        name: "closed_window",
        what: "a peer's window is closed, and how much waits for it",
        hooks: &[
            Hook {
                name: "fentry/tcp_send_probe0+raw_tp/on_demand",
                programs: &["send_probe", "look_at_windows"],
                blind: Some(
                    "a window until it is probed, 200 ms or more after it closed; connections accepted before the start",
                ),
            },
            Hook {
                name: "netstat/TCPWinProbe+raw_tp/on_demand",
                programs: &["look_at_windows"],
                blind: Some(
                    "a window until it is probed, 200 ms or more after it closed; connections accepted before the start; \
                     while windows are probed it looks at every open connection once a second",
                ),
            },
        ],
        essential: false,
        without: "peers that do not read are not told from slow servers",
    },
    Signal {
        name: "reset",
        what: "a reset, and by whom",
        hooks: &[Hook {
            name: "tp_btf/tcp_receive_reset",
            programs: &["receive_reset", "send_reset"],
            blind: None,
        }],
        essential: false,
        without: "resets look like other endings",
    },
    Signal {
        name: "close",
        what: "a connection ends, and how",
        hooks: &[Hook {
            name: "tp_btf/tcp_destroy_sock",
            programs: &["set_state", "destroy_sock", "look_for_ends"],
            blind: None,
        }],
        essential: true,
        without: "no records",
    },
    Signal {
        name: "synack_retransmit",
        what: "a SYN-ACK is sent again",
        hooks: &[Hook {
            name: "tp_btf/tcp_retransmit_synack",
            programs: &["retransmit_synack"],
            blind: Some("does not tell the timer from a repeated SYN"),
        }],
        essential: false,
        without: "retransmits are known only of connections that were established",
    },
    Signal {
        name: "cookie",
        what: "a SYN was answered with a cookie, and an ACK was none",
        hooks: &[
            Hook {
                name: "fentry/tcp_make_synack+fexit/__cookie_v4_check",
                programs: &[
                    "make_synack",
                    "check_cookie_v4",
                    "check_cookie_v6",
                    "cookie_checked_v4",
                    "cookie_checked_v6",
                ],
                blind: None,
            },
            Hook {
                name: "fentry/tcp_make_synack+fexit/__cookie_v4_check(3)",
                programs: &[
                    "make_synack",
                    "check_cookie_v4",
                    "check_cookie_v6",
                    "cookie_checked_by_3_v4",
                    "cookie_checked_by_3_v6",
                ],
                blind: None,
            },
            Hook {
                name: "fentry/tcp_make_synack",
                programs: &["make_synack"],
                blind: Some("at which listener a cookie failed: that is known of the network namespace"),
            },
            Hook {
                name: "netstat/SyncookiesSent",
                programs: &[],
                blind: Some("which listener it was: both are known of the network namespace"),
            },
        ],
        essential: false,
        without: "cookies are known by the connections that came of them",
    },
    Signal {
        name: "drop",
        what: "a listener refused a SYN or a handshake, and why",
        hooks: &[
            Hook {
                name: "fentry/tcp_conn_request+tcp_v4_syn_recv_sock",
                programs: &["conn_request", "syn_recv_sock_v4", "syn_recv_sock_v6", "sample_queues"],
                blind: Some("causes other than full queues: they are counted together"),
            },
            Hook {
                name: "fentry/tcp_conn_request+kprobe/tcp_v4_syn_recv_sock",
                programs: &[
                    "conn_request",
                    "probe_syn_recv_sock_v4",
                    "probe_syn_recv_sock_v6",
                    "sample_queues",
                ],
                blind: Some("causes other than full queues: they are counted together"),
            },
            Hook {
                name: "tp_btf/kfree_skb+sample/sk_drops",
                programs: &["packet_dropped", "sample_queues"],
                blind: Some(
                    "the cause of a refused SYN, unless all that its network namespace refused had the same",
                ),
            },
            Hook {
                name: "sample/sk_drops",
                programs: &["sample_queues"],
                blind: Some("the cause, unless all refusals of the network namespace have the same"),
            },
        ],
        essential: false,
        without: "refusals are unknown",
    },
    threads::WAKEUPS,
    threads::ACTIVITY,
];
