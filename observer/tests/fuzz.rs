//! Inputs that nobody vouches for, made by chance: none may bring a program down, or make it hang.
//!
//! A target is a file in `fuzz/` and a row in [`TARGETS`]. Its inputs are made of valid ones by changes that know the
//! structure (checksums are right again, lengths fit), so that most get past the first check. An input follows from the
//! name of its target and its number alone.
//!
//! | variable | |
//! |---|---|
//! | `OBSERVER_FUZZ=N` | so many inputs for each target, instead of 10,000 |
//! | `OBSERVER_FUZZ_TARGET=NAME` | this target alone |
//! | `OBSERVER_FUZZ_FROM=N` | from this input on; with `OBSERVER_FUZZ=1` it alone |
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails does so with a panic, helpers included"
)]

#[path = "fuzz/btf.rs"]
mod btf;
#[path = "fuzz/chance.rs"]
mod chance;
#[path = "fuzz/control.rs"]
mod control;
#[path = "fuzz/demo.rs"]
mod demo;
#[path = "fuzz/http.rs"]
mod http;
#[path = "fuzz/recordings.rs"]
mod recordings;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use chance::Chance;

/// Inputs of each target unless another number is asked for.
const INPUTS: u64 = 10_000;

/// Takes one input, made by chance. It panics if that does harm.
type Take = Box<dyn FnMut(&mut Chance)>;

/// Something that reads what nobody vouches for.
struct Target {
    name: &'static str,
    /// Prepares what all inputs have in common.
    prepare: fn() -> Take,
}

const TARGETS: &[Target] = &[
    Target { name: "recordings", prepare: recordings::prepare },
    Target { name: "btf", prepare: btf::prepare },
    Target { name: "control", prepare: control::prepare },
    Target { name: "http", prepare: http::prepare },
    Target { name: "demo", prepare: demo::prepare },
];

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

#[test]
fn no_input_does_harm() {
    let wanted = env::var("OBSERVER_FUZZ_TARGET").ok();
    let (count, from) =
        (number("OBSERVER_FUZZ").unwrap_or(INPUTS), number("OBSERVER_FUZZ_FROM").unwrap_or(0));
    let mut ran = 0;
    for Target { name, prepare } in TARGETS {
        if wanted.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        ran += 1;
        let (mut take, start) = (prepare(), Instant::now());
        for input in from..from.saturating_add(count) {
            let mut chance = Chance::new(name, input);
            if catch_unwind(AssertUnwindSafe(|| take(&mut chance))).is_err() {
                panic!(
                    "input {input} of {name}; alone: OBSERVER_FUZZ_TARGET={name} OBSERVER_FUZZ_FROM={input} \
                     OBSERVER_FUZZ=1"
                );
            }
        }
        println!("{name}: {count} inputs in {:.1} s", start.elapsed().as_secs_f64());
    }
    assert!(ran > 0, "there is no target {wanted:?}");
}
