//! Names are bytes: one that is no text is the name of a living thread, and is spelled alike wherever it is shown.

use std::ptr;

use crate::{
    namespace::{THE_SAME, natively},
    observed::Observer,
    traffic::{Server, V4, connect},
    waiting::tid,
};

/// Gives the calling thread a name.
fn rename(name: &[u8]) {
    let name = [name, b"\0"].concat();
    // SAFETY: the kernel copies at most 16 bytes, up to the zero that ends them.
    #[expect(unsafe_code, reason = "rustix and std take names in which the kernel cuts nothing")]
    let outcome =
        unsafe { libc::prctl(libc::PR_SET_NAME, ptr::from_ref(name.as_slice()).cast::<libc::c_char>()) };
    assert_eq!(outcome, 0, "PR_SET_NAME");
}

#[test]
fn a_thread_whose_name_is_cut_in_a_character_lives_and_keeps_its_figures() {
    natively(THE_SAME, || {
        for (name, spelling) in [
            ("обработчик".as_bytes(), r"обработ\xd1"),
            ("\u{202e}txt.🦀🦀🦀".as_bytes(), r"\u{202e}txt.🦀🦀"),
            (b"a\\b\nc\x1b", r"a\\b\nc\x1b"),
        ] {
            rename(name);
            let server = Server::listen(V4, 16);
            let mut observer = Observer::start();
            // More than one look into /proc, which comes once a second.
            for round in 1..=3 {
                for _ in 0..5 {
                    let client = connect(server.address);
                    drop((server.accept(), client));
                }
                observer.wait_for("the thread's accepts", |lines| {
                    let own = |line: &&serde_json::Value| line["type"] == "thread" && line["tid"] == tid();
                    let threads: Vec<_> = lines.0.iter().filter(own).collect();
                    assert!(threads.iter().all(|line| line["exited"] == false), "{threads:?}");
                    threads.iter().any(|line| line["accepts"] == 5 * round)
                });
            }
            observer.wait_for_connections(15);
            let lines = observer.finish();
            let named = |path: fn(&serde_json::Value) -> &serde_json::Value, kind: &str| {
                let lines = lines.0.iter().filter(|line| line["type"] == kind);
                lines.map(path).map(|comm| comm.as_str().map(str::to_owned)).collect::<Vec<_>>()
            };
            for comm in named(|line| &line["acceptor"]["comm"], "connection") {
                assert_eq!(comm.as_deref(), Some(spelling));
            }
            let of_threads = lines.0.iter().filter(|line| line["type"] == "thread" && line["tid"] == tid());
            for comm in of_threads.map(|line| &line["comm"]) {
                assert_eq!(comm, spelling);
            }
            // A listener's name is that of the process, which is no matter of this thread's.
            assert!(named(|line| &line["comm"], "listener").iter().all(Option::is_some));
        }
    });
}
