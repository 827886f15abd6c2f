//! Kernel tests: the real binary, on the real kernel, against figures that nobody here computed.
//!
//! Each test has a network namespace to itself and runs `observer stream` in it. What the stream says is compared with
//! sock_diag, with the counters of /proc/net, with what the test's own clients counted, and with what the bundled
//! backend says of its own threads. A test that cannot run here prints `SKIPPED: <test>: <why>`.
//!
//! # Layout
//! - [`namespace`], [`waiting`]: a place for each test, and waiting without sleeping
//! - [`observed`], [`shared`], [`lines`]: the observer's process, the one that tests share, and the lines that it wrote
//! - [`netlink`], [`sock_diag`], [`counters`]: the ground truth
//! - [`sk_lookup`]: what was sent to another port
//! - [`pty`], [`directory`]: a terminal with a window, a directory for what is written
//! - [`traffic`], [`processes`]: listeners, clients, and processes that share a listener
//! - the rest: one file for each subject
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails does so with a panic, helpers included"
)]

#[path = "kernel/counters.rs"]
mod counters;
#[path = "kernel/directory.rs"]
mod directory;
#[path = "kernel/lines.rs"]
mod lines;
#[path = "kernel/namespace.rs"]
mod namespace;
#[path = "kernel/netlink.rs"]
mod netlink;
#[path = "kernel/observed.rs"]
mod observed;
#[path = "kernel/peers.rs"]
mod peers;
#[path = "kernel/processes.rs"]
mod processes;
#[path = "kernel/pty.rs"]
mod pty;
#[path = "kernel/shared.rs"]
mod shared;
#[path = "kernel/sk_lookup.rs"]
mod sk_lookup;
#[path = "kernel/sock_diag.rs"]
mod sock_diag;
#[path = "kernel/traffic.rs"]
mod traffic;
#[path = "kernel/waiting.rs"]
mod waiting;

#[path = "kernel/backlog.rs"]
mod backlog;
#[path = "kernel/blocked.rs"]
mod blocked;
#[path = "kernel/compare.rs"]
mod compare;
#[path = "kernel/devices.rs"]
mod devices;
#[path = "kernel/diagnoses.rs"]
mod diagnoses;
#[path = "kernel/early_resets.rs"]
mod early_resets;
#[path = "kernel/endings.rs"]
mod endings;
#[path = "kernel/families.rs"]
mod families;
#[path = "kernel/fast_open.rs"]
mod fast_open;
#[path = "kernel/full_maps.rs"]
mod full_maps;
#[path = "kernel/ghosts.rs"]
mod ghosts;
#[path = "kernel/half_open.rs"]
mod half_open;
#[path = "kernel/handshakes.rs"]
mod handshakes;
#[path = "kernel/inheritance.rs"]
mod inheritance;
#[path = "kernel/io_uring.rs"]
mod io_uring;
#[path = "kernel/joined_late.rs"]
mod joined_late;
#[path = "kernel/labs.rs"]
mod labs;
#[path = "kernel/leftovers.rs"]
mod leftovers;
#[path = "kernel/migration.rs"]
mod migration;
#[path = "kernel/mptcp.rs"]
mod mptcp;
#[path = "kernel/names.rs"]
mod names;
#[path = "kernel/namespace_gone.rs"]
mod namespace_gone;
#[path = "kernel/offsets.rs"]
mod offsets;
#[path = "kernel/owners.rs"]
mod owners;
#[path = "kernel/patterns.rs"]
mod patterns;
#[path = "kernel/raced.rs"]
mod raced;
#[path = "kernel/reads.rs"]
mod reads;
#[path = "kernel/recording.rs"]
mod recording;
#[path = "kernel/redirected.rs"]
mod redirected;
#[path = "kernel/refusals.rs"]
mod refusals;
#[path = "kernel/refusers.rs"]
mod refusers;
#[path = "kernel/reused.rs"]
mod reused;
#[path = "kernel/screen.rs"]
mod screen;
#[path = "kernel/selection.rs"]
mod selection;
#[path = "kernel/shards.rs"]
mod shards;
#[path = "kernel/short_lives.rs"]
mod short_lives;
#[path = "kernel/speaks_first.rs"]
mod speaks_first;
#[path = "kernel/spike.rs"]
mod spike;
#[path = "kernel/splice.rs"]
mod splice;
#[path = "kernel/stream.rs"]
mod stream;
#[path = "kernel/time_namespace.rs"]
mod time_namespace;
#[path = "kernel/under_load.rs"]
mod under_load;
#[path = "kernel/undisturbed.rs"]
mod undisturbed;
#[path = "kernel/unread.rs"]
mod unread;
#[path = "kernel/unwatched.rs"]
mod unwatched;
#[path = "kernel/wakeups.rs"]
mod wakeups;
