//! The observer binary: parse, compose, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use observer::{cli::Cli, failure, run, stderr::say};

fn main() -> ExitCode {
    match run::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if failure::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("observer: {error:#}"));
            failure::exit_code(&error)
        }
    }
}
