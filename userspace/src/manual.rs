//! The command line's own description, for shells and for `man`: made from what
//! reads it, so that neither can be out of date.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;

/// Prints what a shell needs to complete arguments.
///
/// # Errors
/// When `out` cannot be written to.
pub fn completions(shell: Shell, out: &mut impl Write) -> io::Result<ExitCode> {
    // It would panic where a reader has gone.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "xdsc", &mut script);
    out.write_all(&script)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the manual pages into a folder, which is made; what keeps it from that is
/// told to `complaints`, and makes the status 1.
///
/// # Errors
/// When `complaints` cannot be written to.
pub fn man_pages(folder: &Path, complaints: &mut impl Write) -> io::Result<ExitCode> {
    let written =
        fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    match written {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            let folder = folder.display();
            writeln!(complaints, "xdsc: cannot write into {folder}: {error}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}
