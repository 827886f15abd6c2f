//! The programs of the eBPF object: where each goes, and what it reads.

use super::{Attach, Fields, Program};

/// A listener has a connection more, or a connection has data.
const READABLE: &str = "sk_data_ready";

/// One program for both calls: the verifier takes longer over it than over any other.
const ACCEPT_RETURNS: Attach = Attach::Tracepoints("syscalls", &["sys_exit_accept", "sys_exit_accept4"]);

const IS_TCP: &[&str] = &["SKC_FAMILY", "SKC_STATE", "SK_PROTOCOL"];
const ADDRESSES: &[&str] =
    &["SKC_FAMILY", "SKC_NUM", "SKC_DPORT", "SKC_DADDR", "SKC_RCV_SADDR", "SKC_V6_DADDR", "SKC_V6_RCV_SADDR"];
const NETNS: &[&str] = &["SKC_NET", "NET_NS", "NS_INUM"];
const ACCEPT_QUEUE: &[&str] = &["SK_ACK_BACKLOG", "SK_MAX_ACK_BACKLOG"];
/// How far a socket has read and written.
const SEQUENCES: &[&str] = &["TCP_COPIED_SEQ", "TCP_RCV_NXT", "TCP_WRITE_SEQ", "SKC_FLAGS"];
/// Whose a record is.
const PEER: &[&str] = &["SKC_DPORT"];
/// What a sample has beside the accept queue.
const SAMPLE: &[&str] = &[
    "SKC_COOKIE",
    "SKC_STATE",
    "SKC_NUM",
    "ICSK_ACCEPT_QUEUE",
    "RSKQ_QLEN",
    "RSKQ_YOUNG",
    "SK_DROPS",
    "SKC_BOUND_DEV_IF",
    "SK_REUSEPORT_CB",
];
const HOLDER: &[&str] = &["SOCKET_SK", "TASK_TGID", "TASK_COMM"];
/// From the current task's descriptor to its socket.
const DESCRIPTOR: &[&str] =
    &["TASK_FILES", "FILES_FDT", "FDT_FD", "FILE_PRIVATE_DATA", "SOCKET_FILE", "SOCKET_SK", "SK_PROTOCOL"];

const READY: Fields = &[
    IS_TCP,
    ADDRESSES,
    &[
        "SKC_COOKIE",
        "SK_ACK_BACKLOG",
        "ICSK_ACCEPT_QUEUE",
        "RSKQ_ACCEPT_TAIL",
        "REQ_SK",
        "SKC_LISTENER",
        "TREQ_SNT_SYNACK",
        "TCP_SRTT_US",
        "TCP_TOTAL_RETRANS",
    ],
    SEQUENCES,
];
const ACCEPT_CALL: Fields =
    &[DESCRIPTOR, ADDRESSES, SEQUENCES, &["SKC_COOKIE", "PT_REGS_ARGUMENT_1", "TASK_START"]];
const COOKIE_CHECK: Fields = &[&["SKC_COOKIE", "SKB_HEAD", "SKB_TRANSPORT_HEADER"]];
const WINDOW: Fields = &[&["TCP_SND_UNA", "TCP_SND_WND", "TCP_WRITE_SEQ"]];
const TRANSFER: Fields = &[PEER, SEQUENCES, &["SK_PROTOCOL", "TASK_START"]];

const fn row(name: &'static str, attach: Attach, fields: Fields) -> Program {
    Program { name, attach, takes: None, event: None, fields, copies: &[] }
}

/// One with copies.
const fn copied(copies: &'static [&'static str], program: Program) -> Program {
    Program { copies, ..program }
}

/// One that was written for so many arguments or parameters.
const fn taking(takes: u32, program: Program) -> Program {
    Program { takes: Some(takes), ..program }
}

/// One of several for the same event.
const fn of_event(event: &'static str, program: Program) -> Program {
    Program { event: Some(event), ..program }
}

/// The programs.
pub static PROGRAMS: &[Program] = &[
    copied(
        &["set_state_2"],
        row(
            "set_state",
            Attach::TpBtf("inet_sock_set_state"),
            &[
                ADDRESSES,
                NETNS,
                SEQUENCES,
                &[
                    "SK_PROTOCOL",
                    "SK_ERR",
                    "TASK_FLAGS",
                    "SK_SOCKET",
                    "SK_ACK_BACKLOG",
                    "SK_DROPS",
                    "TCP_SRTT_US",
                    "TCP_TOTAL_RETRANS",
                ],
            ],
        ),
    ),
    copied(&["data_ready_2"], of_event(READABLE, row("data_ready", Attach::TpBtf("sk_data_ready"), READY))),
    of_event(READABLE, row("def_readable", Attach::FEntry("sock_def_readable"), READY)),
    copied(
        &["destroy_sock_2", "destroy_sock_3"],
        // A listener is sampled a last time.
        row("destroy_sock", Attach::TpBtf("tcp_destroy_sock"), &[PEER, SEQUENCES, ACCEPT_QUEUE, SAMPLE]),
    ),
    copied(
        &["recv_length_2", "recv_length_3"],
        taking(3, row("recv_length", Attach::TpBtf("sock_recv_length"), TRANSFER)),
    ),
    taking(5, row("recvmsg", Attach::FExit("tcp_recvmsg"), TRANSFER)),
    taking(6, row("recvmsg_by_6", Attach::FExit("tcp_recvmsg"), TRANSFER)),
    taking(4, row("recvmsg_by_4", Attach::FExit("tcp_recvmsg"), TRANSFER)),
    row("rcv_space_adjust", Attach::TpBtf("tcp_rcv_space_adjust"), &[PEER, SEQUENCES, &["TASK_START"]]),
    copied(
        &["send_length_2", "send_length_3"],
        taking(3, row("send_length", Attach::TpBtf("sock_send_length"), TRANSFER)),
    ),
    taking(3, row("sendmsg", Attach::FExit("tcp_sendmsg"), TRANSFER)),
    taking(5, row("sendpage", Attach::FExit("tcp_sendpage"), TRANSFER)),
    taking(
        3,
        row(
            "migrate_sock",
            Attach::FExit("reuseport_migrate_sock"),
            &[PEER, &["SKC_COOKIE", "SK_ACK_BACKLOG"]],
        ),
    ),
    row("receive_reset", Attach::TpBtf("tcp_receive_reset"), &[PEER]),
    row("send_reset", Attach::TpBtf("tcp_send_reset"), &[PEER]),
    row("retransmit_synack", Attach::TpBtf("tcp_retransmit_synack"), &[&["SKC_COOKIE"]]),
    taking(6, row("make_synack", Attach::FEntry("tcp_make_synack"), &[&["SKC_COOKIE"]])),
    taking(2, row("check_cookie_v4", Attach::FEntry("cookie_v4_check"), COOKIE_CHECK)),
    taking(2, row("check_cookie_v6", Attach::FEntry("cookie_v6_check"), COOKIE_CHECK)),
    taking(2, row("cookie_checked_v4", Attach::FExit("__cookie_v4_check"), &[])),
    taking(2, row("cookie_checked_v6", Attach::FExit("__cookie_v6_check"), &[])),
    taking(3, row("cookie_checked_by_3_v4", Attach::FExit("__cookie_v4_check"), &[])),
    taking(3, row("cookie_checked_by_3_v6", Attach::FExit("__cookie_v6_check"), &[])),
    row("request_added", Attach::FEntry("inet_csk_reqsk_queue_hash_add"), &[&["SKC_COOKIE"]]),
    taking(
        4,
        row(
            "conn_request",
            Attach::FEntry("tcp_conn_request"),
            &[
                ACCEPT_QUEUE,
                &["SKC_COOKIE", "SKC_NET", "NET_IPV4", "IPV4_SYNCOOKIES", "ICSK_ACCEPT_QUEUE", "RSKQ_QLEN"],
            ],
        ),
    ),
    row("syn_recv_sock_v4", Attach::FEntry("tcp_v4_syn_recv_sock"), &[ACCEPT_QUEUE, &["SKC_COOKIE"]]),
    row(
        "syn_recv_sock_v6",
        Attach::FEntry("tcp_v6_syn_recv_sock"),
        &[ACCEPT_QUEUE, &["SKC_COOKIE", "SKB_PROTOCOL"]],
    ),
    row("probe_syn_recv_sock_v4", Attach::KProbe("tcp_v4_syn_recv_sock"), &[ACCEPT_QUEUE, &["SKC_COOKIE"]]),
    row(
        "probe_syn_recv_sock_v6",
        Attach::KProbe("tcp_v6_syn_recv_sock"),
        &[ACCEPT_QUEUE, &["SKC_COOKIE", "SKB_PROTOCOL"]],
    ),
    taking(
        4,
        row(
            "packet_dropped",
            Attach::TpBtf("kfree_skb"),
            &[&[
                "SKC_STATE",
                "SKC_COOKIE",
                "SKB_HEAD",
                "SKB_END",
                "SKB_TRANSPORT_HEADER",
                "SHINFO_GSO_SEGS",
                "REASON_NOT_SPECIFIED",
                "REASON_NO_SOCKET",
                "REASON_CHECKSUM",
                "REASON_SOCKET_FILTER",
                "REASON_POLICY",
                "REASON_FLAGS",
                "REASON_WINDOW",
                "REASON_TIMESTAMP",
                "REASON_ECHO",
                "REASON_RESET",
                "REASON_LISTEN_OVERFLOW",
            ]],
        ),
    ),
    row(
        "accept_returns",
        Attach::FExit("inet_accept"),
        &[ADDRESSES, SEQUENCES, &["SOCKET_SK", "SK_PROTOCOL", "SKC_COOKIE", "TASK_START"]],
    ),
    row("exit_accept", ACCEPT_RETURNS, ACCEPT_CALL),
    row("late_exit_accept", ACCEPT_RETURNS, ACCEPT_CALL),
    taking(
        3,
        row(
            "ring_completes",
            Attach::TpBtf("io_uring_complete"),
            &[DESCRIPTOR, PEER, &["KIOCB_OPCODE", "CQE_RES", "TASK_START"]],
        ),
    ),
    taking(4, row("switched", Attach::TpBtf("sched_switch"), &[&["TASK_START"]])),
    taking(3, row("switched_by_3", Attach::TpBtf("sched_switch"), &[&["TASK_START", "TASK_STATE"]])),
    row("sample_queues", Attach::OnDemand, &[ACCEPT_QUEUE, SAMPLE]),
    row("send_probe", Attach::FEntry("tcp_send_probe0"), WINDOW),
    row("look_at_windows", Attach::OnDemand, WINDOW),
    row("look_for_ends", Attach::OnDemand, &[PEER, &["SKC_REFCNT"]]),
    row(
        "existing_listeners",
        Attach::Iterator("task_file"),
        &[IS_TCP, HOLDER, NETNS, ADDRESSES, &["SKC_COOKIE", "SK_ACK_BACKLOG", "SK_DROPS"]],
    ),
    row(
        "existing_connections",
        Attach::Iterator("task_file"),
        &[IS_TCP, HOLDER, NETNS, ADDRESSES, SEQUENCES],
    ),
    row("listener_holders", Attach::Iterator("task_file"), &[IS_TCP, HOLDER, &["SKC_COOKIE"]]),
];
