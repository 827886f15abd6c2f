//! The load generator: many clients on one thread, measured from when a request was due.
//!
//! - [`profile`]: named loads, as data
//! - [`plan`]: a profile with the parameters of one run, checked
//! - [`run`]: the run itself; [`Report`] is what comes out of it
//!
//! Two latencies are reported for every request. *Service* counts from the actual send, as most tools do. *Response*
//! counts from the moment at which the request was due. When the server stalls, a generator that waits for answers
//! sends less and measures the stall once; the schedule of an open loop goes on, and every request that was due
//! meanwhile shows in the response time. The difference is called coordinated omission.

use std::io;
use std::os::fd::BorrowedFd;
use std::thread;

pub mod plan;
pub mod profile;

mod client;
mod clients;
mod dialer;
mod engine;
mod exchange;
mod measure;
mod progress;
mod report;
mod schedule;
mod syn;

pub use plan::{Overrides, Plan};
pub use profile::{Manner, Mode, PROFILES, Profile, Shape};
pub use report::{Quantiles, Report};

/// Runs a plan to its end, or until `stop` becomes readable, on a thread named `load-0`.
pub fn run(plan: &Plan, stop: Option<BorrowedFd<'_>>) -> io::Result<Report> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("load-0".to_owned());
        let running = thread.spawn_scoped(scope, || match plan.manner {
            Manner::HalfOpen => syn::run(plan, stop),
            _ => engine::Engine::new(plan, stop)?.run(),
        })?;
        running.join().unwrap_or_else(|_| Err(io::Error::other("the load thread has panicked")))
    })
}
