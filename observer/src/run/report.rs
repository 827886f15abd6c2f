//! `observer report`: a recording as one page.

use std::{io, sync::Arc};

use anyhow::{Context as _, Result};
use demo_server::visible::Shown;

use crate::{
    cli,
    failure::Failure,
    output_file::{self, OutputFile},
    outputs::{Output as _, report::Report},
    recording::player::Player,
    stderr::say,
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
    let mut player = Player::open_within(&options.file, options.sizes.into())?;
    let mut remarks = player.remarks();
    let description = player.description();
    let since_ns = description.observed_since_ns;
    let ran_before_ns = since_ns.map(|since_ns| description.begun_ns.saturating_sub(since_ns));
    let mut report = Report::of_recording(ran_before_ns, options.sizes.into());
    loop {
        match player.advance(&mut |connection| report.connection(connection)) {
            Ok(Some(snapshot)) => report.snapshot(&Arc::new(snapshot))?,
            Ok(None) => break,
            Err(error) => {
                remarks.push(format!("{error:#}; what follows ends there"));
                break;
            }
        }
    }
    for left_out in player.left_out().into_iter().chain(report.left_out()) {
        if !remarks.contains(&left_out) {
            remarks.push(left_out);
        }
    }
    remarks.iter().for_each(|remark| say(format_args!("observer: {remark}")));
    let page = report.draw(&remarks);
    match &options.output {
        Some(path) => OutputFile::write(path, options.force, page.as_bytes()),
        None => {
            io::Write::write_all(&mut io::stdout().lock(), page.as_bytes()).context("cannot write to stdout")
        }
    }
}
