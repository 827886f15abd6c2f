//! `cargo xtask`: sets up, builds, tests, shows and measures this repository.
//!
//! # Layout
//! One file per subcommand, with its `Options` and its `run`:
//! - [`setup`]: what the machine must have, and how to get it
//! - [`demo`]: the backend under load, with the observer on it
//! - [`mod@test`]: every test, the privileged ones as root
//! - [`lint`]: fmt, clippy, rustdoc, and the repository's own rules ([`tidy`])
//! - [`mod@bench`]: what the observer costs
//! - [`screenshots`]: the pictures in the documentation
//! - [`ci`]: what a clean machine must pass
//!
//! Below them:
//! - [`exec`], [`exit`], [`interrupt`]: commands, exit codes, signals
//! - [`child`], [`workdir`]: what is stopped or removed when we let go of it
//! - [`backend`], [`stream`]: demo-server and `observer stream` as children
//! - [`machine`], [`privilege`], [`toolchain`]: what this machine is and has
//! - [`workspace`], [`artifacts`]: where the repository is, and what cargo builds of it
//! - [`table`]: tables for people

mod artifacts;
mod backend;
mod bench;
mod child;
mod ci;
mod demo;
mod exec;
mod exit;
mod interrupt;
mod lint;
mod machine;
mod privilege;
mod screenshots;
mod setup;
mod stream;
mod table;
mod test;
mod tidy;
mod toolchain;
mod vm;
mod workdir;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Set-up, build, test, demonstration and benchmarks of observer
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what the other commands need, saying what and why; leaves alone what is there
    Setup(setup::Options),
    /// Show the backend under load: the TUI, or without a terminal a comparison of the patterns
    Demo(demo::Options),
    /// Run every test; those that load programs into the kernel run as root
    Test(test::Options),
    /// Check form, style, documentation, and the rules of the repository
    Lint(lint::Options),
    /// Measure what the observer costs
    Bench(bench::Options),
    /// Draw the pictures in README.md and docs/ anew, from the bundled recording
    Screenshots(screenshots::Options),
    /// Run the kernel tests on other kernels, under QEMU
    Vm(vm::Options),
    /// Run what a clean machine must pass: every test, none skipped, and every check
    Ci(ci::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Setup(options) => setup::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Lint(options) => lint::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Screenshots(options) => screenshots::run(&options),
        Command::Vm(options) => vm::run(&options),
        Command::Ci(options) => ci::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            exit::code(&error)
        }
    }
}
