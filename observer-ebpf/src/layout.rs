//! The kernel structure members that the programs read.
//!
//! Rust for BPF has no CO-RE, so the loader looks every offset up in the running kernel's BTF and hands it to the
//! programs as a constant of the same name. [`kernel_fields`](crate::kernel_fields) is the one list; the programs
//! expand it into globals, the loader into a lookup table. A member that the kernel does not have disables the
//! signals that read it, nothing else.

/// One member of a kernel structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Name of the global in the eBPF object.
    pub global: &'static str,
    /// Kernel structure.
    pub structure: &'static str,
    /// Member of it; members of anonymous unions and structures inside count as its own.
    pub member: &'static str,
    /// Names of that member on other kernels or architectures, looked up in this order where there is no `member`.
    pub otherwise: &'static [&'static str],
}

impl Field {
    /// Every name of the member, in the order in which they are looked up.
    pub fn members(&self) -> impl Iterator<Item = &'static str> {
        core::iter::once(self.member).chain(self.otherwise.iter().copied())
    }
}

/// Calls the given macro with one row per field: `GLOBAL = structure.member;`, or `GLOBAL = structure.member | other;`
/// where it has another name elsewhere.
#[macro_export]
macro_rules! kernel_fields {
    ($consumer:ident) => {
        $consumer! {
            SKC_FAMILY = sock_common.skc_family;
            SKC_STATE = sock_common.skc_state;
            SKC_DPORT = sock_common.skc_dport;
            SKC_NUM = sock_common.skc_num;
            SKC_DADDR = sock_common.skc_daddr;
            SKC_RCV_SADDR = sock_common.skc_rcv_saddr;
            SKC_V6_DADDR = sock_common.skc_v6_daddr;
            SKC_V6_RCV_SADDR = sock_common.skc_v6_rcv_saddr;
            SKC_NET = sock_common.skc_net;
            SKC_COOKIE = sock_common.skc_cookie;
            SKC_FLAGS = sock_common.skc_flags;
            SKC_LISTENER = sock_common.skc_listener;
            SKC_REFCNT = sock_common.skc_refcnt;
            SKC_BOUND_DEV_IF = sock_common.skc_bound_dev_if;
            SK_PROTOCOL = sock.sk_protocol;
            SK_ACK_BACKLOG = sock.sk_ack_backlog;
            SK_MAX_ACK_BACKLOG = sock.sk_max_ack_backlog;
            SK_DROPS = sock.sk_drops;
            SK_ERR = sock.sk_err;
            SK_SOCKET = sock.sk_socket;
            SK_CGRP_DATA = sock.sk_cgrp_data;
            SK_REUSEPORT_CB = sock.sk_reuseport_cb;
            CGRP_DATA_CGROUP = sock_cgroup_data.cgroup;
            CGROUP_KN = cgroup.kn;
            KN_ID = kernfs_node.id;
            NET_NS = net.ns;
            NS_INUM = ns_common.inum;
            NET_COOKIE = net.net_cookie;
            ICSK_ACCEPT_QUEUE = inet_connection_sock.icsk_accept_queue;
            ICSK_ULP_OPS = inet_connection_sock.icsk_ulp_ops;
            RSKQ_QLEN = request_sock_queue.qlen;
            RSKQ_YOUNG = request_sock_queue.young;
            RSKQ_DEFER_ACCEPT = request_sock_queue.rskq_defer_accept;
            RSKQ_ACCEPT_TAIL = request_sock_queue.rskq_accept_tail;
            REQ_SK = request_sock.sk;
            TREQ_SNT_SYNACK = tcp_request_sock.snt_synack;
            INET_MC_INDEX = inet_sock.mc_index;
            INET_PINET6 = inet_sock.pinet6;
            PINET6_MCAST_OIF = ipv6_pinfo.mcast_oif;
            TCP_SRTT_US = tcp_sock.srtt_us;
            TCP_TOTAL_RETRANS = tcp_sock.total_retrans;
            TASK_TGID = task_struct.tgid;
            TASK_COMM = task_struct.comm;
            TASK_FILES = task_struct.files;
            TASK_START = task_struct.start_boottime;
            TASK_FLAGS = task_struct.flags;
            TASK_STATE = task_struct.__state | state;
            FILES_FDT = files_struct.fdt;
            FDT_FD = fdtable.fd;
            FILE_PRIVATE_DATA = file.private_data;
            SOCKET_SK = socket.sk;
            SOCKET_FILE = socket.file;
            PT_REGS_ARGUMENT_1 = pt_regs.di | orig_x0;
            TCP_COPIED_SEQ = tcp_sock.copied_seq;
            TCP_RCV_NXT = tcp_sock.rcv_nxt;
            TCP_SND_UNA = tcp_sock.snd_una;
            TCP_SND_WND = tcp_sock.snd_wnd;
            TCP_WRITE_SEQ = tcp_sock.write_seq;
            TCP_PACKETS_OUT = tcp_sock.packets_out;
            TCP_NONAGLE = tcp_sock.nonagle;
            TCP_SND_NXT = tcp_sock.snd_nxt;
            TCP_SND_SML = tcp_sock.snd_sml;
            TCP_SND_CWND = tcp_sock.snd_cwnd;
            TCP_MSS_CACHE = tcp_sock.mss_cache;
            TCP_PUSHED_SEQ = tcp_sock.pushed_seq;
            TCP_WSTAMP_NS = tcp_sock.tcp_wstamp_ns;
            MPTCP_FIRST = mptcp_sock.first;
            NET_IPV4 = net.ipv4;
            NET_CORE = net.core;
            CORE_SOMAXCONN = netns_core.sysctl_somaxconn;
            IPV4_SYNCOOKIES = netns_ipv4.sysctl_tcp_syncookies;
            SKB_PROTOCOL = sk_buff.protocol;
            SKB_TRANSPORT_HEADER = sk_buff.transport_header;
            SKB_HEAD = sk_buff.head;
            SKB_END = sk_buff.end;
            SHINFO_GSO_SEGS = skb_shared_info.gso_segs;
            KIOCB_OPCODE = io_kiocb.opcode;
            CQE_RES = io_uring_cqe.res;
        }
    };
}

/// One constant of a kernel enumeration, whose value moves between kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enumerator {
    /// Name of the global in the eBPF object.
    pub global: &'static str,
    /// Name of the constant in the kernel.
    pub name: &'static str,
}

/// Calls the given macro with one row per constant: `GLOBAL = name;`.
#[macro_export]
macro_rules! kernel_enumerators {
    ($consumer:ident) => {
        $consumer! {
            REASON_NOT_SPECIFIED = SKB_DROP_REASON_NOT_SPECIFIED;
            REASON_NO_SOCKET = SKB_DROP_REASON_NO_SOCKET;
            REASON_CHECKSUM = SKB_DROP_REASON_TCP_CSUM;
            REASON_SOCKET_FILTER = SKB_DROP_REASON_SOCKET_FILTER;
            REASON_POLICY = SKB_DROP_REASON_XFRM_POLICY;
            REASON_FLAGS = SKB_DROP_REASON_TCP_FLAGS;
            REASON_WINDOW = SKB_DROP_REASON_TCP_OVERWINDOW;
            REASON_TIMESTAMP = SKB_DROP_REASON_TCP_RFC7323_PAWS;
            REASON_ECHO = SKB_DROP_REASON_TCP_RFC7323_TSECR;
            REASON_RESET = SKB_DROP_REASON_TCP_RESET;
            REASON_LISTEN_OVERFLOW = SKB_DROP_REASON_TCP_LISTEN_OVERFLOW;
        }
    };
}

macro_rules! table {
    ($($global:ident = $structure:ident . $member:ident $(| $other:ident)* ;)*) => {
        /// Every field, in the order of the list.
        pub const FIELDS: &[Field] = &[
            $(Field {
                global: stringify!($global),
                structure: stringify!($structure),
                member: stringify!($member),
                otherwise: &[$(stringify!($other)),*],
            }),*
        ];
    };
}
kernel_fields!(table);

macro_rules! enumerators {
    ($($global:ident = $name:ident ;)*) => {
        /// Every constant, in the order of the list.
        pub const ENUMERATORS: &[Enumerator] = &[
            $(Enumerator { global: stringify!($global), name: stringify!($name) }),*
        ];
    };
}
kernel_enumerators!(enumerators);
