//! The `xdsc` command.

use std::process::ExitCode;

use clap::Parser as _;
use xdsc::cli::{Cli, Command};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => xdsc::run::run(&args),
        Command::Read(_) | Command::Config(_) => Ok(()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the last word of a command that failed"
)]
fn complain(error: &anyhow::Error) {
    eprintln!("xdsc: {error:#}");
}
