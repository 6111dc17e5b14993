//! A real PostgreSQL, at a socket of its own, run by nobody.

use std::{fs, os::unix::fs::chown, path::Path};

use anyhow::Result;
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{Network, Side, eventually, process::Process};

/// PostgreSQL does not run as root, and this user is everywhere.
const NOBODY: u32 = 65534;
const AS_NOBODY: [&str; 6] = [
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--pdeathsig",
    "KILL",
    "--",
];

/// A database, running or not.
#[derive(Debug)]
pub struct Postgres<'a> {
    network: &'a Network,
    directory: TempDir,
    process: Option<Process>,
}

impl<'a> Postgres<'a> {
    /// Makes a database, which does not run yet.
    ///
    /// # Errors
    /// When PostgreSQL is not here, or complains.
    pub fn create(network: &'a Network) -> Result<Self> {
        let postgres = Self {
            network,
            // That of the network belongs to root alone.
            directory: tempfile::Builder::new()
                .prefix("xdsc-postgres-")
                .tempdir()?,
            process: None,
        };
        chown(postgres.directory.path(), Some(NOBODY), Some(NOBODY))?;
        let data = postgres.data();
        let initdb = program("initdb");
        let made = [&initdb, "-D", &data, "-U", "xdsc", "-E", "UTF8"];
        let quick = ["--no-locale", "--auth=trust", "--no-sync"];
        let arguments = [&AS_NOBODY[..], &made, &quick].concat();
        network.output(Side::Server, "setpriv", &arguments)?;
        Ok(postgres)
    }

    /// Starts it, and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(&mut self) -> Result<()> {
        let sockets = format!("unix_socket_directories={}", self.socket().display());
        let (program, data) = (program("postgres"), self.data());
        let settings = ["-c", &sockets, "-c", "listen_addresses=", "-c", "fsync=off"];
        let arguments = [&AS_NOBODY[..], &[&*program, "-D", &data], &settings].concat();
        self.process = Some(self.network.start(Side::Server, "setpriv", &arguments)?);
        eventually("PostgreSQL to answer", || self.run("SELECT 1"))?;
        Ok(())
    }

    /// Ends it, with the connections that it has.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.end_by(Signal::SIGINT)?;
        }
        Ok(())
    }

    /// Runs statements; what they print.
    ///
    /// # Errors
    /// With the database's complaint.
    pub fn run(&self, statements: &str) -> Result<String> {
        let socket = self.socket().display().to_string();
        let arguments = ["-h", &socket, "-U", "xdsc", "-d", "postgres", "-qAt"];
        let arguments = [&arguments[..], &["-v", "ON_ERROR_STOP=1", "-c", statements]].concat();
        self.network
            .output(Side::Server, &program("psql"), &arguments)
    }

    /// What a client connects with.
    #[must_use]
    pub fn connection(&self) -> String {
        let socket = self.socket().display();
        format!("host={socket} user=xdsc dbname=postgres")
    }

    fn socket(&self) -> &Path {
        self.directory.path()
    }

    fn data(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }
}

impl Drop for Postgres<'_> {
    fn drop(&mut self) {
        // Killed, it would leave shared memory behind.
        drop(self.stop());
    }
}

/// A program of the newest version that has it in its folder, as Debian has one for
/// each; elsewhere it is in the search path.
fn program(name: &str) -> String {
    let versions = fs::read_dir("/usr/lib/postgresql");
    let programs = versions
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|version| {
            let number: u32 = version.file_name().to_str()?.parse().ok()?;
            let program = version.path().join("bin").join(name);
            program.is_file().then_some((number, program))
        });
    let newest = programs.max_by_key(|(number, _)| *number);
    newest.map_or_else(|| name.to_owned(), |(_, path)| path.display().to_string())
}
