//! The probe plan: signal → ordered hooks. The loader takes the first hook whose programs all load and attach.
//!
//! A new signal is a file in `observer-ebpf/src/probes/` and a row here; another way to get it is a [`Hook`] more.

/// How a program is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attach {
    /// Tracepoint with BTF-typed arguments, by the tracepoint's name.
    TpBtf(&'static str),
    /// Tracepoint in tracefs: category and name.
    Tracepoint(&'static str, &'static str),
    /// Not attached: run on demand with `BPF_PROG_TEST_RUN`.
    OnDemand,
    /// BPF iterator, run once at the start.
    Iterator(&'static str),
}

/// A program of the eBPF object.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Function in the object.
    pub name: &'static str,
    /// Where it goes.
    pub attach: Attach,
    /// Globals with the offsets that it reads.
    pub fields: &'static [&'static str],
}

/// One way to get a signal.
#[derive(Debug, Clone, Copy)]
pub struct Hook {
    /// Name in `doctor` and in the `meta` line.
    pub name: &'static str,
    /// Programs that it takes; empty when userspace gets it without one.
    pub programs: &'static [&'static str],
    /// What it cannot see.
    pub blind: Option<&'static str>,
}

/// Something that we want to know.
#[derive(Debug, Clone, Copy)]
pub struct Signal {
    /// Name in `doctor` and in the `meta` line.
    pub name: &'static str,
    /// What it tells.
    pub what: &'static str,
    /// Ways to get it, the best first.
    pub hooks: &'static [Hook],
    /// Without it nothing else makes sense, so the observer does not start.
    pub essential: bool,
    /// What is unknown without it.
    pub without: &'static str,
}

const SOCK: [&str; 3] = ["SKC_FAMILY", "SKC_STATE", "SK_PROTOCOL"];

/// The programs.
pub static PROGRAMS: &[Program] = &[
    Program {
        name: "set_state",
        attach: Attach::TpBtf("inet_sock_set_state"),
        fields: &[
            "SKC_FAMILY",
            "SK_PROTOCOL",
            "SKC_NUM",
            "SKC_DPORT",
            "SKC_DADDR",
            "SKC_RCV_SADDR",
            "SKC_V6_DADDR",
            "SKC_V6_RCV_SADDR",
            "SKC_NET",
            "NET_NS",
            "NS_INUM",
            "SK_ERR",
            "SK_ACK_BACKLOG",
            "SK_DROPS",
            "TCP_SRTT_US",
            "TCP_TOTAL_RETRANS",
        ],
    },
    Program {
        name: "data_ready",
        attach: Attach::TpBtf("sk_data_ready"),
        fields: &[
            SOCK[0],
            SOCK[1],
            SOCK[2],
            "SKC_COOKIE",
            "SKC_NUM",
            "SK_ACK_BACKLOG",
            "ICSK_ACCEPT_QUEUE",
            "RSKQ_ACCEPT_TAIL",
            "REQ_SK",
            "TREQ_SNT_SYNACK",
            "TCP_BYTES_RECEIVED",
        ],
    },
    Program { name: "destroy_sock", attach: Attach::TpBtf("tcp_destroy_sock"), fields: &["SKC_COOKIE"] },
    Program {
        name: "recv_length",
        attach: Attach::TpBtf("sock_recv_length"),
        fields: &["SK_PROTOCOL", "TASK_START"],
    },
    Program {
        name: "send_length",
        attach: Attach::TpBtf("sock_send_length"),
        fields: &["SK_PROTOCOL", "TASK_START"],
    },
    Program { name: "receive_reset", attach: Attach::TpBtf("tcp_receive_reset"), fields: &[] },
    Program { name: "send_reset", attach: Attach::TpBtf("tcp_send_reset"), fields: &[] },
    Program {
        name: "retransmit_synack",
        attach: Attach::TpBtf("tcp_retransmit_synack"),
        fields: &["SKC_COOKIE"],
    },
    Program {
        name: "exit_accept",
        attach: Attach::Tracepoint("syscalls", "sys_exit_accept"),
        fields: ACCEPT_FIELDS,
    },
    Program {
        name: "exit_accept4",
        attach: Attach::Tracepoint("syscalls", "sys_exit_accept4"),
        fields: ACCEPT_FIELDS,
    },
    Program {
        name: "sample_queues",
        attach: Attach::OnDemand,
        fields: &[
            "SKC_COOKIE",
            "SKC_STATE",
            "SKC_NUM",
            "ICSK_ACCEPT_QUEUE",
            "RSKQ_QLEN",
            "RSKQ_YOUNG",
            "SK_ACK_BACKLOG",
            "SK_MAX_ACK_BACKLOG",
            "SK_DROPS",
        ],
    },
    Program {
        name: "existing_listeners",
        attach: Attach::Iterator("task_file"),
        fields: &[
            SOCK[0],
            SOCK[1],
            SOCK[2],
            "SOCKET_SK",
            "SKC_NUM",
            "SKC_NET",
            "NET_NS",
            "NS_INUM",
            "TASK_TGID",
            "TASK_COMM",
            "SK_ACK_BACKLOG",
            "SK_DROPS",
        ],
    },
];

const ACCEPT_FIELDS: &[&str] = &[
    "TASK_FILES",
    "FILES_FDT",
    "FDT_FD",
    "FILE_PRIVATE_DATA",
    "SOCKET_FILE",
    "SOCKET_SK",
    "SKC_COOKIE",
    "PT_REGS_ARGUMENT_1",
    "TASK_START",
];

/// The plan.
pub static SIGNALS: &[Signal] = &[
    Signal {
        name: "listener",
        what: "a listener opens or closes",
        hooks: &[Hook {
            name: "tp_btf/inet_sock_set_state",
            programs: &["set_state", "destroy_sock"],
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
            programs: &["existing_listeners"],
            blind: Some("listeners that no process holds as a descriptor"),
        }],
        essential: false,
        without: "only listeners opened from now on are known",
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
        name: "enqueue",
        what: "a connection enters the accept queue, of which listener, how deep",
        hooks: &[Hook {
            name: "tp_btf/sk_data_ready",
            programs: &["set_state", "data_ready"],
            blind: Some(
                "connections accepted before the start; TCP Fast Open ones are counted but have no record",
            ),
        }],
        essential: false,
        without: "arrivals are not counted and no connection is followed",
    },
    Signal {
        name: "syn_wait",
        what: "time in the SYN queue, SYN-ACK retransmits, cookies",
        hooks: &[Hook {
            name: "tp_btf/inet_sock_set_state",
            programs: &["set_state", "data_ready"],
            blind: Some("a cookie has none; a repeated SYN-ACK's, if it is accepted within microseconds"),
        }],
        essential: false,
        without: "no SYN-queue times",
    },
    Signal {
        name: "accept",
        what: "accept(2) returned: when, and to which thread",
        hooks: &[Hook {
            name: "tracepoint/sys_exit_accept",
            programs: &["exit_accept", "exit_accept4"],
            blind: Some("accepts through io_uring or by the kernel: those show at their first read or write"),
        }],
        essential: false,
        without: "accepts show only at the first read or write, without time or acceptor",
    },
    Signal {
        name: "data_queued",
        what: "data for the program arrived",
        hooks: &[Hook { name: "tp_btf/sk_data_ready", programs: &["data_ready"], blind: None }],
        essential: false,
        without: "no data-to-read waits, no unread connections",
    },
    Signal {
        name: "read",
        what: "a thread read: bytes, when",
        hooks: &[Hook { name: "tp_btf/sock_recv_length", programs: &["recv_length"], blind: Some("splice") }],
        essential: false,
        without: "no readers, no bytes read",
    },
    Signal {
        name: "write",
        what: "a thread wrote: bytes, when",
        hooks: &[Hook {
            name: "tp_btf/sock_send_length",
            programs: &["send_length"],
            blind: Some("sendfile and splice on kernels that do not send those through sendmsg"),
        }],
        essential: false,
        without: "no writers, no bytes written",
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
            programs: &["set_state", "destroy_sock"],
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
        name: "drop",
        what: "a listener refused a SYN or a handshake",
        hooks: &[Hook {
            name: "sample/sk_drops",
            programs: &["sample_queues"],
            blind: Some("the cause, unless all refusals of the network namespace have the same"),
        }],
        essential: false,
        without: "refusals are unknown",
    },
    Signal {
        name: "wakeups",
        what: "how often a server thread slept and was woken",
        hooks: &[Hook { name: "proc/voluntary_ctxt_switches", programs: &[], blind: Some("why it slept") }],
        essential: false,
        without: "no wake-ups per accept",
    },
];

#[cfg(test)]
mod tests {
    use observer_ebpf::layout::FIELDS;

    use super::*;

    #[test]
    fn every_hook_names_programs_that_exist() {
        for hook in SIGNALS.iter().flat_map(|signal| signal.hooks) {
            for program in hook.programs {
                assert!(PROGRAMS.iter().any(|row| row.name == *program), "{program} of {}", hook.name);
            }
        }
    }

    #[test]
    fn every_program_serves_a_signal_and_reads_known_fields() {
        for program in PROGRAMS {
            assert!(
                SIGNALS
                    .iter()
                    .flat_map(|signal| signal.hooks)
                    .any(|hook| hook.programs.contains(&program.name)),
                "{} serves nothing",
                program.name
            );
            for field in program.fields {
                assert!(FIELDS.iter().any(|row| row.global == *field), "{field} of {}", program.name);
            }
        }
    }
}
