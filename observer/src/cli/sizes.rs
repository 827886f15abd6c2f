//! How much is followed at one time: the same options for the kernel and for a recording.

use clap::Args;

use crate::model::bounds::{self, Bounds};

/// How much is followed at one time, of the kernel or of a recording.
#[derive(Debug, Clone, Copy, Args)]
pub struct Sizes {
    /// Most listeners that can be watched.
    #[arg(long, value_name = "N", default_value_t = bounds::LISTENERS, hide_short_help = true, value_parser = clap::value_parser!(u32).range(1..=1 << 16))]
    pub max_listeners: u32,
    /// Most open connections that can be followed.
    #[arg(long, value_name = "N", default_value_t = bounds::CONNECTIONS, hide_short_help = true, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    pub max_connections: u32,
    /// Most threads that can be counted.
    #[arg(long, value_name = "N", default_value_t = bounds::THREADS, hide_short_help = true, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub max_threads: u32,
}

impl From<Sizes> for Bounds {
    fn from(sizes: Sizes) -> Self {
        let Sizes { max_listeners: listeners, max_connections: connections, max_threads: threads } = sizes;
        Self { listeners, connections, threads }
    }
}
