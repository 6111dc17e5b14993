//! The daemon under demonstration: started in the server's namespace, seen
//! from the user's own.
//!
//! Its HTTP socket is opened out here and handed over by systemd's protocol
//! for socket activation (file descriptor 3, LISTEN_FDS, LISTEN_PID), so that
//! the user's browser reaches a daemon whose network it cannot reach.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ureq::Agent;

use super::Interrupt;
use super::exposition::Samples;
use super::network::{Network, SERVER_INTERFACE, Side};

/// The socket comes as standard input, the one descriptor that sudo and `ip`
/// leave alone, and is moved to where the protocol wants it. The shell's
/// process becomes the daemon's, so LISTEN_PID is right.
const HAND_OVER: &str = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\" 3<&0 </dev/null";
const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(10);
const SCRAPE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

pub(super) struct Daemon {
    child: Child,
    log: PathBuf,
    /// Where we reach it: `http://ADDR`.
    pub(super) url: String,
    agent: Agent,
}

impl Daemon {
    pub(super) fn start(
        program: &Path,
        network: &Network,
        listener: OwnedFd,
        address: SocketAddr,
    ) -> Result<Self> {
        let (log, out) = log_file()?;
        let child = network
            .command(Side::Server, Path::new("sh"))
            .args(["-c", HAND_OVER, "sh"])
            .arg(program)
            .args(["run", "--interface", SERVER_INTERFACE, "--web.systemd-socket"])
            .stdin(listener)
            .stdout(out.try_clone()?)
            .stderr(out)
            // The terminal's Ctrl-C is for us; the daemon is stopped in turn.
            .process_group(0)
            .spawn()
            .context("cannot start the daemon")?;
        let agent = Agent::config_builder()
            .timeout_global(Some(SCRAPE))
            .build()
            .into();
        Ok(Self {
            child,
            log,
            url: format!("http://{}", reachable(address)),
            agent,
        })
    }

    pub(super) fn await_ready(&mut self, interrupt: &Interrupt) -> Result<()> {
        let start = Instant::now();
        while self.get("/-/ready").is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("xdsc ended early, {status}; its log {}", self.last_words());
            }
            if start.elapsed() > START {
                bail!(
                    "xdsc was not ready within {START:?}; its log {}",
                    self.last_words()
                );
            }
            if interrupt.is_set() {
                bail!("interrupted");
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    pub(super) fn scrape(&self) -> Result<Samples> {
        let text = self.get("/metrics").with_context(|| {
            format!(
                "the daemon does not answer; its log is {}",
                self.log.display()
            )
        })?;
        Samples::parse(&text)
    }

    fn get(&self, path: &str) -> Result<String> {
        let url = format!("{}{path}", self.url);
        let mut response = self
            .agent
            .get(&url)
            .header("Accept", "text/plain;version=0.0.4")
            .call()?;
        Ok(response.body_mut().read_to_string()?)
    }

    /// Asks the daemon to end, and says how it did.
    pub(super) fn stop(mut self) -> Result<()> {
        let status = self.terminate()?;
        if !status.success() {
            bail!("xdsc ended with {status}; its log {}", self.last_words());
        }
        // The log of a daemon that did well is of no more use.
        fs::remove_file(&self.log)?;
        Ok(())
    }

    fn terminate(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        kill(
            Pid::from_raw(i32::try_from(self.child.id())?),
            Signal::SIGTERM,
        )?;
        let start = Instant::now();
        while start.elapsed() < STOP {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(LOOK);
        }
        bail!("xdsc did not end within {STOP:?} after SIGTERM");
    }

    /// The log's place and end.
    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(20));
        let last: String = last.map(|line| format!("\n  {line}")).collect();
        format!("({}) ends in:{last}", self.log.display())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.terminate().is_err() {
            // Nothing is left to try when these fail.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// A new file, so that nobody else's is written to.
fn log_file() -> Result<(PathBuf, File)> {
    let path = env::temp_dir().join(format!("xdsc-demo-{}.log", process::id()));
    // A failed demonstration's, whose number has come round again.
    drop(fs::remove_file(&path));
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .with_context(|| format!("cannot create {}", path.display()))?;
    Ok((path, file))
}

/// Where to reach a socket that may listen on all addresses.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_on_all_addresses_is_reached_on_loopback() {
        let cases = [
            ("0.0.0.0:9953", "127.0.0.1:9953"),
            ("[::]:9953", "[::1]:9953"),
            ("192.0.2.7:80", "192.0.2.7:80"),
        ];
        for (listening, expected) in cases {
            let address = listening.parse().expect("an address");
            assert_eq!(reachable(address).to_string(), expected);
        }
    }
}
