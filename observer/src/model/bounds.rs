//! How much of a recording the model holds at one time.
//!
//! Live, the kernel half is bounded: its maps have so many places, and what finds none is counted. A recording can claim
//! any number of listeners and threads in a few bytes, so a replay has the same bounds by the same options, and counts
//! what it leaves out under the same names.

use std::collections::{HashSet, VecDeque};

/// Most listeners that are watched unless `--max-listeners` says otherwise.
pub const LISTENERS: u32 = 1024;
/// Most open connections that are followed unless `--max-connections` says otherwise.
pub const CONNECTIONS: u32 = 65_536;
/// Most threads that are counted unless `--max-threads` says otherwise.
pub const THREADS: u32 = 8192;
/// Threads that hold a listener and do nothing come on top of those that are counted: live looks at this many at a time,
/// and shows those that exited once more.
const IDLE_THREADS: usize = 2 * 2048;
/// Cookies of listeners that were left out, so that each is counted once.
const REMEMBERED: usize = 1 << 16;
/// Instants that are kept for rates. Live there are at most 100 in a window; a recording can claim any number of them.
const INSTANTS: usize = 128;
/// Programs that the probes consist of; there are some 60.
const PROBES: usize = 256;
/// Characters of a name. The kernel's have 15 bytes, and what is not UTF-8 in them takes three times as many.
const NAME: usize = 64;
/// Characters of a sentence.
const SENTENCE: usize = 512;
/// Threads, listeners and faults in the state of the backend.
const STATE: usize = 4096;

/// Most of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Listeners that are open, and as many that closed since the last snapshot.
    pub listeners: u32,
    /// Connections that are open at the end.
    pub connections: u32,
    /// Threads that did something.
    pub threads: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { listeners: LISTENERS, connections: CONNECTIONS, threads: THREADS }
    }
}

impl Bounds {
    /// Most listeners of one kind: open, or closed since the last snapshot.
    pub fn most_listeners(self) -> usize {
        self.listeners as usize
    }

    /// Most threads at one time.
    pub fn most_threads(self) -> usize {
        (self.threads as usize).saturating_add(IDLE_THREADS)
    }

    /// Most network namespaces at one time: those of the listeners, and the observer's own; as many that are gone.
    pub fn most_namespaces(self) -> usize {
        2 * (self.most_listeners() + 1)
    }
}

/// What was left out of a model, counted.
#[derive(Debug, Clone, Default)]
pub struct LeftOut {
    listeners: HashSet<u64>,
    more_listeners: u64,
    /// Listeners that closed between two snapshots: their totals count, and they are not shown.
    pub closed: u64,
    /// Readings of threads for which there was no room.
    pub threads: u64,
    /// Readings of network namespaces for which there was no room.
    pub namespaces: u64,
    /// Connections that were open at the end.
    pub connections: u64,
}

impl LeftOut {
    /// Leaves a listener out for good.
    pub fn listener(&mut self, cookie: u64) {
        if self.listeners.len() < REMEMBERED {
            self.listeners.insert(cookie);
        } else if !self.listeners.contains(&cookie) {
            self.more_listeners = self.more_listeners.saturating_add(1);
        }
    }

    pub(super) fn has_listener(&self, cookie: u64) -> bool {
        self.listeners.contains(&cookie)
    }

    /// Listeners that are not watched.
    pub fn listeners(&self) -> u64 {
        (self.listeners.len() as u64).saturating_add(self.more_listeners)
    }

    /// A sentence for each kind of which something was left out: what, and what to do.
    pub fn remarks(&self, bounds: Bounds) -> Vec<String> {
        let Bounds { listeners, connections, threads } = bounds;
        [
            (
                self.listeners(),
                format!("listeners are left out: at most {listeners} are held at a time; --max-listeners raises that"),
            ),
            (
                self.closed,
                format!(
                    "listeners closed between two snapshots and are counted, but not shown: at most {listeners} are \
                     shown at a time; --max-listeners raises that"
                ),
            ),
            (
                self.threads,
                format!("readings of threads are left out: at most {threads} are held at a time; --max-threads raises that"),
            ),
            (
                self.namespaces,
                "readings of network namespaces are left out: at most two for each listener are held; --max-listeners \
                 raises that"
                    .to_owned(),
            ),
            (
                self.connections,
                format!(
                    "open connections are left out: at most {connections} are shown; --max-connections raises that"
                ),
            ),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
    }
}

/// Keeps one more instant. The first stays, because rates begin there.
pub(super) fn keep<T>(instants: &mut VecDeque<T>, now: T) {
    if instants.len() == INSTANTS {
        instants.remove(1);
    }
    instants.push_back(now);
}

/// Cuts what an event says of anything but listeners and threads down to what live can say.
pub(super) fn cut(event: &mut super::event::Event) {
    use super::event::Event;
    match event {
        Event::Task { task: Some((comm, _)), .. } => shorten(comm, NAME),
        Event::Activity { doing: Some(doing), .. } => shorten(doing, NAME),
        Event::Device { name, .. } | Event::Owner { comm: name, .. } => shorten(name, NAME),
        Event::Acceptance(one) => shorten(&mut one.comm, NAME),
        Event::Look { look: Some(look), .. } => {
            look.doing.iter_mut().for_each(|doing| shorten(doing, NAME));
            look.watches.truncate(STATE);
            if let Some(super::look::On::Other(text)) = &mut look.on {
                shorten(text, SENTENCE);
            }
        }
        Event::Holders { holders, .. } => {
            holders.truncate(STATE);
            holders.iter_mut().for_each(|holder| shorten(&mut holder.comm, NAME));
        }
        Event::Listening(listening) => {
            listening.truncate(STATE);
            let mut places = super::listening::LISTED;
            for here in listening {
                here.listeners.truncate(places);
                places -= here.listeners.len();
                for listener in &mut here.listeners {
                    shorten(&mut listener.addr, NAME);
                    listener.comm.iter_mut().for_each(|comm| shorten(comm, NAME));
                }
            }
        }
        Event::Probes(probes) => {
            probes.truncate(PROBES);
            probes.iter_mut().for_each(|probe| shorten(&mut probe.program, NAME));
        }
        Event::Mark(mark) => {
            shorten(&mut mark.name, SENTENCE);
            [&mut mark.from, &mut mark.to].into_iter().flatten().for_each(|value| shorten(value, SENTENCE));
        }
        Event::Offered { offered: Some(offered), .. } => offered.listeners.truncate(STATE),
        Event::Backend(said) => {
            said.error.iter_mut().for_each(|error| shorten(error, SENTENCE));
            if let Some(state) = &mut said.state {
                state.threads.truncate(STATE);
                state.listeners.truncate(STATE);
                state.faults.truncate(STATE);
            }
        }
        _ => {}
    }
}

fn shorten(text: &mut String, most: usize) {
    if let Some((at, _)) = text.char_indices().nth(most) {
        text.truncate(at);
        text.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_do_not_pile_up() {
        let mut instants = VecDeque::new();
        (0..1_000).for_each(|instant| keep(&mut instants, instant));
        assert_eq!((instants.len(), instants[0], instants.back()), (INSTANTS, 0, Some(&999)));
    }

    #[test]
    fn text_is_cut_at_a_character() {
        let mut text = "äöü".to_owned();
        shorten(&mut text, 2);
        assert_eq!(text, "äö");
        shorten(&mut text, 2);
        assert_eq!(text, "äö");
    }

    #[test]
    fn each_listener_is_counted_once() {
        let mut left_out = LeftOut::default();
        [7, 7, 8].iter().for_each(|cookie| left_out.listener(*cookie));
        assert_eq!(left_out.listeners(), 2);
        let [remark] = left_out.remarks(Bounds::default()).try_into().unwrap();
        assert_eq!(
            remark,
            "2 listeners are left out: at most 1024 are held at a time; --max-listeners raises that"
        );
    }
}
