//! Sharding, steered by a classic BPF program: the processor that handles the SYN chooses the shard.
//!
//! ```text
//!  kernel                                        process
//!  SYN on CPU 0 ──program──► accept queue 0 ──► shard-0, bound to CPU 0
//!  SYN on CPU 1 ──program──► accept queue 1 ──► shard-1, bound to CPU 1
//! ```
//!
//! `SO_ATTACH_REUSEPORT_CBPF` replaces the hash with a program (`reuseport_select_sock` → `run_bpf_filter`): load the
//! number of the processor, modulo the number of shards. A connection is then accepted and served where its packets
//! arrive. On loopback that is the processor of the client's thread.

use std::io;

use super::{Pattern, sharding};
use crate::socket_option::{self, SocketOption};
use crate::stage::Stage;

pub(super) const PATTERN: Pattern = Pattern {
    id: "sharding-cpu",
    number: None,
    title: "Sharding by CPU, with a BPF program",
    line: "as sharding, but the CPU that handles the SYN chooses the listener, by a classic BPF program",
    real_users: "QUIC and DNS servers that steer by CPU or by connection id, Seastar and others that own one core each",
    when: "one thread per core and as many receive queues in the network card: no connection crosses cores",
    cost: "balance is what the network card makes of it; more shards than CPUs idle, fewer share",
    watch: "shard = CPU of the SYN modulo shards, exactly; on loopback the client's CPU decides",
    shards: true,
    sound: true,
    process: None,
    run,
};

fn run(stage: &Stage) -> io::Result<()> {
    // Detached again by the next switch, and not here: until then clients may already be steered elsewhere.
    let shards = u32::try_from(stage.listeners().len()).map_err(io::Error::other)?;
    socket_option::set(stage.listener()?, SocketOption::ReuseportByCpu { shards })?;
    sharding::run_on_cpus(stage)
}
