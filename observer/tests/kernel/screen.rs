//! The screen in a real terminal: no key, click, size or signal makes it fail, and it leaves the terminal as it was.

#[path = "screen/endings.rs"]
mod endings;
#[path = "screen/keys.rs"]
mod keys;
#[path = "screen/open.rs"]
mod open;
#[path = "screen/recordings.rs"]
mod recordings;
#[path = "screen/strange.rs"]
mod strange;
#[path = "screen/surroundings.rs"]
mod surroundings;

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crate::waiting::is_emulated;

/// Runs something while connections come and go, at most 60,000.
fn under_load(test: impl FnOnce()) {
    // What the emulator has left is for the screen.
    let pause = Duration::from_millis(if is_emulated() { 20 } else { 1 });
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let over = AtomicBool::new(false);
    let is_over = || over.load(Ordering::SeqCst);
    thread::scope(|scope| {
        // The listener goes with its thread, and what is still in its queue is reset then.
        scope.spawn(move || {
            for connection in listener.incoming().take_while(|_| !is_over()) {
                let mut connection = connection.expect("a connection");
                let _ = connection.read(&mut [0; 16]);
                let _ = connection.write_all(b"ok");
            }
        });
        scope.spawn(move || {
            for _ in 0..60_000 {
                if is_over() {
                    break;
                }
                // The last one finds nobody.
                let Ok(mut client) = TcpStream::connect(address) else { break };
                let _ = client.write_all(b"hello");
                let _ = client.read(&mut [0; 16]);
                thread::sleep(pause);
            }
        });
        // Also when the test fails, the threads have to end.
        let outcome = catch_unwind(AssertUnwindSafe(test));
        over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(address));
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
    });
}
