//! The observer binary: parse, compose, exit code.

use std::process::ExitCode;

use demo_server::command_line;
use observer::{cli::Cli, failure, run, stderr::say};

fn main() -> ExitCode {
    match run::run(command_line::read::<Cli>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if failure::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("observer: {error:#}"));
            failure::exit_code(&error)
        }
    }
}
