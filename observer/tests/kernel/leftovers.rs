//! Nothing stays behind in the kernel when the observer is killed.

use std::{
    collections::BTreeSet,
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use aya::{
    maps::loaded_maps,
    programs::{loaded_links, loaded_programs},
};

use crate::{
    namespace::{ALIKE, isolated, natively},
    observed::Observer,
    traffic::{Server, V4},
    waiting::until_equal,
};

/// Ids of eBPF objects.
#[derive(Debug, Default, PartialEq, Eq)]
struct Objects {
    programs: BTreeSet<u32>,
    maps: BTreeSet<u32>,
    links: BTreeSet<u32>,
}

impl Objects {
    /// Those that a process holds by a descriptor.
    fn of(pid: u32) -> Self {
        let mut objects = Self::default();
        // Another process's descriptors may go while they are listed.
        for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten() {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let id = |key: &str| {
                let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
                value.and_then(|value| value.trim().parse::<u32>().ok())
            };
            objects.links.extend(id("link_id"));
            objects.maps.extend(id("map_id"));
            // A link names its program too; that is the same one.
            objects.programs.extend(id("prog_id"));
        }
        objects
    }

    /// Those of them that are in the kernel now. Ids go up, so that none of these is soon another's.
    fn still_there(&self) -> Self {
        // An item is an error when its object went between being listed and being looked at.
        Self {
            programs: loaded_programs()
                .flatten()
                .map(|one| one.id())
                .filter(|id| self.programs.contains(id))
                .collect(),
            maps: loaded_maps().flatten().map(|one| one.id()).filter(|id| self.maps.contains(id)).collect(),
            links: loaded_links()
                .flatten()
                .map(|one| one.id())
                .filter(|id| self.links.contains(id))
                .collect(),
        }
    }
}

/// How often it is killed; less often where a start takes seconds.
fn times() -> u32 {
    if crate::waiting::is_emulated() { 2 } else { 50 }
}

/// A moment between nothing and `most`, another one each time: the multiples of the golden ratio fall evenly.
fn moment(number: u32, most: Duration) -> Duration {
    most.mul_f64((f64::from(number) * 0.618_033_988_749_895).fract())
}

#[test]
fn killed_at_any_moment_of_its_work() {
    isolated(|| {
        let server = Server::listen(V4, 16);
        for _ in 0..times() / 2 {
            let mut observer = Observer::start();
            // With a connection open, one queued, and one ended whose record is on its way.
            let queued = server.queue(1);
            let open = server.accept();
            let pair = (crate::traffic::connect(server.address), server.accept());
            drop(pair);
            let held = Objects::of(observer.pid().as_raw_nonzero().get().cast_unsigned());
            assert!(held.programs.len() > 5 && held.maps.len() > 5 && held.links.len() > 5, "{held:?}");
            assert_eq!(held.still_there(), held, "the kernel knows them all while the observer runs");
            let status = observer.kill();
            assert!(!status.success());
            until_equal("what the observer left behind", || held.still_there(), Objects::default());
            drop((queued, open));
        }
    });
}

#[test]
fn killed_at_any_moment_of_its_start() {
    natively(ALIKE, || {
        // How long a start takes here: killed within that time, it has loaded some and attached some.
        let began = Instant::now();
        drop(Observer::start());
        let start = began.elapsed();
        for number in 0..times() / 2 {
            let mut child = crate::observed::binary()
                .args(["stream", "--port", "1"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("cannot start the observer");
            std::thread::sleep(moment(number, start));
            let id = child.id();
            let held = Objects::of(id);
            child.kill().expect("SIGKILL");
            child.wait().expect("wait");
            until_equal("what the observer left behind", || held.still_there(), Objects::default());
        }
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        assert!(!mounts.contains("observer"), "{mounts}");
    });
}
