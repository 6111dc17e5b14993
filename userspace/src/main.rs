//! The `xdsc` command.

use std::{
    io::{self, BufWriter, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use xdsc::{
    cli::{Cli, Command},
    configure, manual, memory, read,
    rssac002::command as rssac002,
    run, tail, top,
};

fn main() -> ExitCode {
    let command = Cli::parse().command;
    if matches!(command, Command::Run(_) | Command::Read(_)) {
        memory::prefer_huge_pages();
    }
    match dispatch(&command) {
        Ok(status) => status,
        Err(error) => {
            // There is nobody left to tell when this fails, too.
            let _ = writeln!(io::stderr(), "xdsc: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &Command) -> anyhow::Result<ExitCode> {
    let out = || BufWriter::new(io::stdout().lock());
    let mut complaints = io::stderr();
    Ok(match command {
        Command::Run(args) => run::run(args).map(|()| ExitCode::SUCCESS)?,
        Command::Read(args) => quietly(read::run(args, &mut out(), &mut complaints))?,
        Command::Tail(args) => quietly(tail::run(args, &mut out(), &mut complaints))?,
        Command::Top(args) => quietly(top::run(args, &mut out(), &mut complaints))?,
        Command::Rssac002(args) => quietly(rssac002::run(args, &mut complaints))?,
        Command::Completions { shell } => quietly(manual::completions(*shell, &mut out()))?,
        Command::Man { folder } => quietly(manual::man_pages(folder, &mut complaints))?,
        Command::Config(args) => quietly(configure::run(args, &mut out(), &mut complaints))?,
    })
}

/// Whoever closes the output has seen enough, as `head` has.
fn quietly(done: io::Result<ExitCode>) -> io::Result<ExitCode> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        done => done,
    }
}
