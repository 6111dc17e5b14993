//! The `xdsc` command.

use std::{
    io::{self, BufWriter, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use xdsc::{
    cli::{Cli, Command},
    configure, read,
};

fn main() -> ExitCode {
    match dispatch(&Cli::parse().command) {
        Ok(status) => status,
        // Whoever reads the output has seen enough, as `head` does.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell when this fails, too.
            let _ = writeln!(io::stderr(), "xdsc: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &Command) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut complaints = io::stderr();
    Ok(match command {
        Command::Run(args) => xdsc::run::run(args)?,
        Command::Read(args) => read::run(args, &mut out, &mut complaints)?,
        Command::Config(args) => configure::run(args, &mut out, &mut complaints)?,
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
