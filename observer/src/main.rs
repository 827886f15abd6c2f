//! The observer binary: parse, compose, exit code.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use demo_server::command_line::with_negative_numbers;
use observer::{cli::Cli, failure, file_size, run, stderr::say};

fn main() -> ExitCode {
    let words = with_negative_numbers(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&words).unwrap_or_else(|error| error.exit());
    file_size::exceeding_is_an_error();
    match run::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if failure::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("observer: {error:#}"));
            failure::exit_code(&error)
        }
    }
}
