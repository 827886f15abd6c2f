//! Typed reading of the maps.

use anyhow::{Context as _, Result, anyhow};
use aya::{
    Ebpf,
    maps::{HashMap, MapData, PerCpuArray, RingBuf},
};
use observer_ebpf::{
    Plain, loss,
    record::{
        AcceptorEntry, AcceptorKey, ClosedWindow, Connection, HolderEntry, HolderKey, LeftOut, ListenerEntry,
        ThreadEntry, ThreadKey,
    },
};

/// A type of the contract between the halves, in aya's terms.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Wire<T>(pub T);

// SAFETY: `Plain` promises what `Pod` demands, and the wrapper is transparent.
#[expect(unsafe_code, reason = "the one place where the two promises meet")]
unsafe impl<T: Plain> aya::Pod for Wire<T> {}

/// The first word of a record: its kind.
pub fn kind(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<4>().map(|word| u32::from_ne_bytes(*word))
}

/// The maps.
pub struct Maps {
    /// Ended connections and listener changes.
    pub events: RingBuf<MapData>,
    /// Answers of the sampler.
    pub samples: RingBuf<MapData>,
    listeners: HashMap<MapData, u64, Wire<ListenerEntry>>,
    threads: HashMap<MapData, Wire<ThreadKey>, Wire<ThreadEntry>>,
    connections: HashMap<MapData, u64, Wire<Connection>>,
    max_connections: u32,
    windows: HashMap<MapData, u64, Wire<ClosedWindow>>,
    servers: HashMap<MapData, u32, u8>,
    acceptors: HashMap<MapData, Wire<AcceptorKey>, Wire<AcceptorEntry>>,
    holders: HashMap<MapData, Wire<HolderKey>, Wire<HolderEntry>>,
    left_out: HashMap<MapData, u64, Wire<LeftOut>>,
    counters: PerCpuArray<MapData, u64>,
}

impl Maps {
    /// Takes the maps out of a loaded object.
    pub fn take(ebpf: &mut Ebpf, max_connections: u32) -> Result<Self> {
        let mut take =
            |name: &str| ebpf.take_map(name).ok_or_else(|| anyhow!("the eBPF object has no map {name}"));
        Ok(Self {
            events: take("EVENTS")?.try_into().context("map EVENTS")?,
            samples: take("SAMPLES")?.try_into().context("map SAMPLES")?,
            listeners: take("LISTENERS")?.try_into().context("map LISTENERS")?,
            threads: take("THREADS")?.try_into().context("map THREADS")?,
            connections: take("CONNECTIONS")?.try_into().context("map CONNECTIONS")?,
            max_connections,
            windows: take("CLOSED_WINDOWS")?.try_into().context("map CLOSED_WINDOWS")?,
            servers: take("SERVERS")?.try_into().context("map SERVERS")?,
            acceptors: take("ACCEPTORS")?.try_into().context("map ACCEPTORS")?,
            holders: take("HOLDERS")?.try_into().context("map HOLDERS")?,
            left_out: take("LEFT_OUT")?.try_into().context("map LEFT_OUT")?,
            counters: take("COUNTERS")?.try_into().context("map COUNTERS")?,
        })
    }

    /// Cookies of the watched listeners.
    pub fn listener_cookies(&self) -> impl Iterator<Item = u64> {
        self.listeners.keys().filter_map(Result::ok)
    }

    /// A listener's entry.
    pub fn listener(&self, cookie: u64) -> Option<Box<ListenerEntry>> {
        self.listeners.get(&cookie, 0).ok().map(|entry| Box::new(entry.0))
    }

    /// Forgets a listener whose socket is gone.
    pub fn forget_listener(&mut self, cookie: u64) {
        // It may be gone already; there is nothing to do about it then.
        let _ = self.listeners.remove(&cookie);
    }

    /// Who holds a listener that found no place in the map.
    pub fn left_out(&self, cookie: u64) -> Option<LeftOut> {
        self.left_out.get(&cookie, 0).ok().map(|holder| holder.0)
    }

    /// Forgets some of the listeners that found no place.
    pub fn forget_left_out(&mut self, which: impl Fn(u64) -> bool) {
        let forgotten: Vec<u64> =
            self.left_out.keys().filter_map(Result::ok).filter(|cookie| which(*cookie)).collect();
        for cookie in forgotten {
            let _ = self.left_out.remove(&cookie);
        }
    }

    /// Threads and what they did.
    pub fn threads(&self) -> impl Iterator<Item = (ThreadKey, ThreadEntry)> {
        self.threads.iter().filter_map(Result::ok).map(|(key, entry)| (key.0, entry.0))
    }

    /// Forgets a thread that has exited.
    pub fn forget_thread(&mut self, key: ThreadKey) {
        let _ = self.threads.remove(&Wire(key));
    }

    /// Forgets a process that has exited.
    pub fn forget_server(&mut self, pid: u32) {
        let _ = self.servers.remove(&pid);
    }

    /// Who accepted from which listener, or tried to.
    pub fn acceptors(&self) -> impl Iterator<Item = (AcceptorKey, AcceptorEntry)> {
        self.acceptors.iter().filter_map(Result::ok).map(|(key, entry)| (key.0, entry.0))
    }

    /// Forgets an acceptor.
    pub fn forget_acceptor(&mut self, key: AcceptorKey) {
        let _ = self.acceptors.remove(&Wire(key));
    }

    /// Takes out who holds which listener, as the iterator found it.
    pub fn take_holders(&mut self) -> Vec<(HolderKey, HolderEntry)> {
        let found: Vec<_> =
            self.holders.iter().filter_map(Result::ok).map(|(key, entry)| (key.0, entry.0)).collect();
        for (key, _) in &found {
            let _ = self.holders.remove(&Wire(*key));
        }
        found
    }

    /// Connections that are open now.
    pub fn connections(&self) -> impl Iterator<Item = Connection> {
        self.connections.iter().filter_map(Result::ok).map(|(_, connection)| connection.0)
    }

    /// Sockets of the connections that are open now, each once. The kernel begins anew when the last one told was removed
    /// meanwhile, so there is an end to that.
    pub fn connection_socks(&self) -> Vec<u64> {
        let most = self.max_connections.saturating_mul(2) as usize;
        let mut socks: Vec<u64> = self.connections.keys().filter_map(Result::ok).take(most).collect();
        socks.sort_unstable();
        socks.dedup();
        socks
    }

    /// The record of a connection that is open now.
    pub fn connection(&self, sock: u64) -> Option<Connection> {
        self.connections.get(&sock, 0).ok().map(|connection| connection.0)
    }

    /// Sockets whose peer's window was closed when it was last looked at.
    pub fn closed_windows(&self) -> impl Iterator<Item = u64> {
        self.windows.keys().filter_map(Result::ok)
    }

    /// What the last look at such a socket found.
    pub fn closed_window(&self, sock: u64) -> Option<ClosedWindow> {
        self.windows.get(&sock, 0).ok().map(|window| window.0)
    }

    /// Forgets a window that is open again.
    pub fn forget_window(&mut self, sock: u64) {
        let _ = self.windows.remove(&sock);
    }

    /// The counters of [`loss`], summed over the processors.
    pub fn counters(&self) -> Result<[u64; loss::COUNTERS as usize]> {
        let mut sums = [0; loss::COUNTERS as usize];
        for (index, sum) in sums.iter_mut().enumerate() {
            let values = self.counters.get(&(index as u32), 0).context("cannot read the loss counters")?;
            *sum = values.iter().sum();
        }
        Ok(sums)
    }
}
