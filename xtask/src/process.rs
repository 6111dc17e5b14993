//! Starting other programs: with errors that name the command, as root where
//! that is needed, and free of what `cargo run` leaves in the environment.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Runs a command to its end on our terminal; failure is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs a command to its end and returns what it printed; failure is an error
/// that quotes its complaint.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}` failed: {}: {}",
            shown(command),
            output.status,
            complaint.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The workspace's cargo, started as from a shell.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::workspace::root());
    forget_cargo_run(&mut command);
    command
}

/// Removes what `cargo run` told us about ourselves: it would reach build
/// scripts and the dynamic loader of everything that we start.
pub(crate) fn forget_cargo_run(command: &mut Command) {
    command.env_remove("LD_LIBRARY_PATH");
    for (name, _) in env::vars_os() {
        if describes_package(&name) {
            command.env_remove(name);
        }
    }
}

fn describes_package(variable: &OsStr) -> bool {
    let name = variable.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A command that runs as root: through sudo unless we are root already.
pub(crate) fn as_root(program: impl AsRef<OsStr>) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg("--").arg(program);
    command
}

/// The path of a program, looked for on PATH and where Debian keeps the
/// administrator's programs, which a user's PATH often lacks.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|dir| dir.join(name))
        .find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        let arg = OsString::from(arg).to_string_lossy().into_owned();
        let plain = !arg.is_empty() && !arg.contains([' ', '"', '\'', '$', '\u{1f}']);
        // Writing to a String cannot fail.
        let _ = if plain {
            write!(line, " {arg}")
        } else {
            write!(line, " {arg:?}")
        };
    }
    line
}

/// The exit status of a task; an error is printed with its causes.
pub(crate) fn exit_code(done: Result<()>) -> std::process::ExitCode {
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell when this fails, too.
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("error: {error:#}\n").as_bytes(),
            );
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_names_the_command_and_quotes_its_complaint() {
        let error = output(Command::new("sh").args(["-c", "echo no such zone >&2; exit 3"]))
            .expect_err("exit status 3");
        let text = error.to_string();
        assert!(text.starts_with("`sh -c \"echo no such zone"), "{text}");
        assert!(text.ends_with("no such zone"), "{text}");
    }

    #[test]
    fn missing_program_is_not_found() {
        assert_eq!(find_program("surely-not-a-program-here"), None);
        assert!(find_program("sh").is_some());
    }
}
