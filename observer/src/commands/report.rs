//! `observer report`: a recording as one page.

use std::io;

use anyhow::{Context as _, Result};

use crate::{
    cli,
    engine::Engine,
    failure::Failure,
    output_file::{self, OutputFile},
    outputs::report::Report,
    source::recorded::Recorded,
    visible::{Shown, say},
};

/// Reads the recording to its end, or to where it is damaged, and writes the page.
pub(super) fn run(options: &cli::Report) -> Result<()> {
    if let Some(output) = &options.output {
        if output_file::is_same(output, &options.file) {
            let text = format!("{} is the recording itself; choose another name for -o", Shown(output));
            return Err(Failure::Usage(text).into());
        }
        // Known before a long recording is read.
        OutputFile::create(output, options.force)?;
    }
    let recorded = Recorded::open_within(&options.file, options.sizes.into())?;
    let mut remarks = recorded.remarks();
    let description = recorded.description();
    let since_ns = description.observed_since_ns;
    let ran_before_ns = since_ns.map(|since_ns| description.begun_ns.saturating_sub(since_ns));
    let mut report = Report::of_recording(ran_before_ns, options.sizes.into());
    let mut engine = Engine::new(recorded);
    let damage = engine.play(&mut report).err();
    remarks.extend(damage.as_ref().map(|error| format!("{error:#}; what follows ends there")));
    for left_out in engine.left_out().into_iter().chain(report.left_out()) {
        if !remarks.contains(&left_out) {
            remarks.push(left_out);
        }
    }
    remarks.iter().for_each(|remark| say(format_args!("observer: {remark}")));
    let page = report.draw(&remarks);
    match &options.output {
        Some(path) => OutputFile::write(path, options.force, page.as_bytes())?,
        None => {
            io::Write::write_all(&mut io::stdout().lock(), page.as_bytes())
                .context("cannot write to stdout")?;
        }
    }
    // There is a page, and it is not of the whole recording.
    damage.map_or(Ok(()), Err)
}
