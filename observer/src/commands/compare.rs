//! `observer compare`: runs the plan, says how far it is, and writes what came out.

use std::{
    io::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{
    cli,
    compare::{self, page, plan::Plan},
    failure::Failure,
    figures,
    output_file::OutputFile,
    signals::Signals,
    visible::{Shown, say},
};

/// Start and end of a run, beside its load.
const AROUND: Duration = Duration::from_millis(700);

/// Compares, and writes a table or JSON to stdout and, if asked, a page to a file.
pub(super) fn run(options: &cli::Compare) -> Result<()> {
    let plan = Plan::new(options)?;
    if let Some(path) = &options.html {
        // Known before the runs, and nothing is left of it.
        OutputFile::create(path, options.force)
            .map_err(|error| Failure::Usage(format!("--html: {error:#}")))?;
    }
    let (all, each) = (plan.runs().len(), plan.duration + AROUND);
    say(format_args!(
        "compare: {all} runs of {}; {}",
        demo_server::duration::show(plan.duration),
        plan.order()
    ));
    let stop = stop_at_signal()?;
    let comparison = compare::run(plan, &stop, |number, run| {
        let left = each * u32::try_from(all + 1 - number).unwrap_or(u32::MAX);
        say(format_args!(
            "compare: {number} of {all}: round {}, {} under {}; about {} left",
            run.round,
            run.pattern.id,
            run.profile.name,
            figures::span(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)),
        ));
    })?;
    // Before anything else can fail.
    if let Some(path) = &options.html {
        OutputFile::write(path, options.force, page::draw(&comparison).as_bytes())?;
        say(format_args!("compare: wrote {}", Shown(path)));
    }
    let mut out = io::stdout().lock();
    if options.json {
        serde_json::to_writer(&mut out, &comparison).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{comparison}")?;
    }
    out.flush()?;
    Ok(())
}

/// What SIGINT, SIGTERM, SIGHUP and SIGQUIT set, instead of ending the process: rounds that are complete are worth showing.
fn stop_at_signal() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime that waits for signals")?;
    // Here, not on the thread: from now on no signal is missed.
    let mut signals = runtime.block_on(async { Signals::to_end() })?;
    let wait = move || {
        runtime.block_on(signals.next());
        set.store(true, Ordering::Relaxed);
    };
    thread::Builder::new()
        .name("signals".into())
        .spawn(wait)
        .context("cannot start the thread for signals")?;
    Ok(stop)
}
