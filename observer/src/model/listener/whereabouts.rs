//! Where a listener listens, in which group, and whose it is.

use std::collections::HashMap;

use super::Watched;
use crate::model::{connection, look::Holding, name, shards::Place};
use crate::visible::visible;

impl Watched {
    /// Where it listens.
    pub(in crate::model) fn place(&self) -> Place {
        let identity = &self.identity;
        let address = connection::address(identity.family, identity.address, identity.port);
        (identity.netns, address, identity.device)
    }

    /// Its address as `ss` prints it: with the interface that it is bound to, if it is bound to one.
    pub(super) fn address(&self, device: Option<&str>) -> String {
        let address = self.place().1;
        match device {
            Some(device) => format!("{}%{device}:{}", ip(&address), address.port()),
            None => address.to_string(),
        }
    }

    /// Name of the interface that it is bound to, or its index where the name is not known; `None` for any.
    pub(in crate::model) fn device_name(&self, names: &HashMap<(u32, u32), String>) -> Option<String> {
        let (netns, _, index) = self.place();
        (index != 0).then(|| names.get(&(netns, index)).cloned().unwrap_or_else(|| format!("if{index}")))
    }

    /// The kernel's group that it is in, 0 if none; `None` before the first sample.
    pub(in crate::model) fn reuseport(&self) -> Option<u64> {
        self.reuseport
    }

    pub(in crate::model) fn shard(&self) -> Option<u32> {
        self.shard
    }

    /// Gives it its number, for as long as it lives.
    pub(in crate::model) fn number(&mut self, shard: u32) {
        self.shard = Some(shard);
    }

    /// Takes over who holds it. One that made it and holds it no more is not its process any longer; one that holds it keeps
    /// its name, which is that of a thread, and comes by itself when it changes.
    pub(in crate::model) fn held(&mut self, holders: &[Holding]) {
        let owner = self.owner().0;
        if let Some(first) = holders.first()
            && !holders.iter().any(|holder| holder.pid == owner)
        {
            self.holder = Some((first.pid, visible(&first.comm)));
        }
    }

    /// Takes over another name of its process.
    pub(in crate::model) fn renamed(&mut self, pid: u32, comm: &str) {
        if self.owner().0 == pid {
            self.holder = Some((pid, visible(comm)));
        }
    }

    /// Process, and its name.
    pub(super) fn owner(&self) -> (u32, String) {
        self.holder.clone().unwrap_or_else(|| (self.identity.pid, name::spelled(&self.identity.comm)))
    }
}

/// An address without its port, in brackets where it has colons.
fn ip(address: &std::net::SocketAddr) -> String {
    match address.ip() {
        std::net::IpAddr::V4(ip) => ip.to_string(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
    }
}
