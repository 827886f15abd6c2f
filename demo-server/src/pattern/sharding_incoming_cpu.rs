//! Sharding, steered by `SO_INCOMING_CPU`: each listener names the processor whose connections it wants.
//!
//! ```text
//!  kernel                                           process
//!  SYN on CPU 0 ──names CPU 0──► accept queue 0 ──► shard-0, bound to CPU 0
//!  SYN on CPU 1 ──names CPU 1──► accept queue 1 ──► shard-1, bound to CPU 1
//!  SYN on CPU 2 ──named by none: the hash──► either
//! ```
//!
//! The kernel prefers the listener of the group whose `sk_incoming_cpu` is the processor that handles the SYN
//! (`reuseport_select_sock_by_hash`), and falls back to the hash where none is: so with fewer shards than processors
//! nothing is lost, which a program would have to take care of itself. Before Linux 6.2 the option is not looked at
//! within a group once it is hashed, and the hash chooses.

use std::io;

use super::{Pattern, sharding};
use crate::socket_option::{self, SocketOption};
use crate::stage::Stage;

pub(super) const PATTERN: Pattern = Pattern {
    id: "sharding-incoming-cpu",
    number: None,
    title: "Sharding by CPU, with SO_INCOMING_CPU",
    line: "as sharding, but listener i asks for the connections whose SYN is handled on CPU i",
    real_users: "servers with a thread per core that do without BPF",
    when: "as sharding-cpu, with the hash as a fallback for CPUs that no listener has asked for",
    cost: "as sharding-cpu; kernels before 6.2 go on hashing",
    watch: "shard = CPU of the SYN where there is one of that number, else the hash; shards beyond the CPUs get nothing",
    shards: true,
    sound: true,
    process: None,
    run,
};

fn run(stage: &Stage) -> io::Result<()> {
    for (cpu, listener) in stage.listeners().iter().enumerate() {
        let cpu = i32::try_from(cpu).map_err(io::Error::other)?;
        socket_option::set(listener.as_ref(), SocketOption::IncomingCpu(Some(cpu)))?;
    }
    sharding::run_on_cpus(stage)
}
