//! `observer doctor`: what this kernel gives.

use std::io;

use anyhow::Result;

use crate::{
    cli::{Doctor, Selection},
    kernel::{ground, meta, origin, probed::Probed},
    outputs::doctor,
    selection, self_test,
};

/// Attaches once, or until each hook has proved itself, and reports.
pub(super) fn run(options: &Doctor) -> Result<()> {
    let probes = selection::options(&Selection::default(), &options.tuning)?;
    let tried = if options.self_test {
        self_test::run(&probes).map(|proven| (proven.outcomes, Some(proven.fired)))
    } else {
        Probed::start(&probes, &mut |_| {}).map(|probed| (probed.outcomes().to_vec(), None))
    };
    if tried.is_err() && !options.json {
        doctor::write_ground(&mut io::stdout().lock(), &origin::release(), &ground::look(&probes.btf))?;
    }
    let (outcomes, fired) = tried?;
    let meta = meta::of(&outcomes, &probes.filters);
    let report = doctor::report(&meta, &outcomes, fired.as_ref());
    doctor::write(&mut io::stdout().lock(), &report, options.json)
}
