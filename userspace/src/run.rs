//! `xdsc run`: the daemon.

use std::process::ExitCode;

use crate::cli::RunArgs;

/// Watches until it is told to stop.
///
/// # Errors
/// When it cannot start, or breaks.
pub fn run(_args: &RunArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not yet; read captures with `xdsc read`")
}
