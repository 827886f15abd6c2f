//! The observer binary: parse, compose, exit code.

use std::process::ExitCode;

use demo_server::command_line;
use observer::{cli::Cli, commands, failure, file_size, visible::say};

fn main() -> ExitCode {
    let cli = command_line::read::<Cli>();
    file_size::exceeding_is_an_error();
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if failure::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("observer: {error:#}"));
            failure::exit_code(&error)
        }
    }
}
