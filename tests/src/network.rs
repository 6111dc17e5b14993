//! Two network namespaces with cables between them, and what runs in them.
//!
//! On one side stand a name server and xdsc, on the other the clients. Names are
//! unique to the process and the test, so tests run beside each other; dropping
//! the [`Network`] removes everything. The logs of all its processes lie in one
//! directory and are shown when the test fails.

pub mod client;
pub mod daemon;
pub mod exposition;
pub mod frame;
pub mod kernel_objects;
pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod resolver;
pub mod screen;
pub mod server;

use std::{
    cell::Cell,
    fs,
    fs::File,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sched::{CloneFlags, setns};
use tempfile::TempDir;

use self::process::Process;
use crate::privileged;

/// Where the name servers listen, at the first cable.
pub const SERVER: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];
/// Where they listen at the second cable.
pub const SECOND_SERVER: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 129)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1)),
];
/// The server's ends of the cables.
pub const INTERFACES: [&str; 2] = ["dns0", "dns1"];
/// The clients' ends of the cables.
pub const CLIENT_INTERFACES: [&str; 2] = ["clients0", "clients1"];
/// Acknowledge at once and be slow to repeat: on a cable that loses nothing, a
/// segment sent twice is only ever a busy machine's doing, and would spoil
/// equality.
const CALM: &str = "quickack 1 rto_min 5s";
/// The longest that a condition is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The two ends of the cables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Name server, xdsc, Prometheus.
    Server,
    /// Those who ask.
    Client,
}

/// Runs a test in a network of its own; shows the logs when it fails.
///
/// # Errors
/// Those of the test.
pub fn in_network(test: impl FnOnce(&Network) -> Result<()>) -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let network = Network::create()?;
    test(&network)?;
    network.passed.set(true);
    Ok(())
}

/// Waits for something to become true; the error is the last reason why it is not.
///
/// # Errors
/// When it takes too long.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    const PAUSE: Duration = Duration::from_millis(50);
    let start = Instant::now();
    loop {
        match look() {
            Ok(value) => return Ok(value),
            Err(error) if start.elapsed() > PATIENCE => {
                return Err(error.context(format!("waited in vain: {what}")));
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// The namespaces, one cable between them at first.
#[derive(Debug)]
pub struct Network {
    id: String,
    directory: TempDir,
    passed: Cell<bool>,
}

impl Network {
    fn create() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let network = Self {
            id: format!("xdsc-test-{}-{number}", std::process::id()),
            directory: tempfile::Builder::new().prefix("xdsc-test-").tempdir()?,
            passed: Cell::new(false),
        };
        network.build().context("cannot make the namespaces")?;
        Ok(network)
    }

    fn build(&self) -> Result<()> {
        let (server, client) = (self.namespace(Side::Server), self.namespace(Side::Client));
        ip(&["netns", "add", &server])?;
        ip(&["netns", "add", &client])?;
        for side in [Side::Server, Side::Client] {
            ip(&["-netns", &self.namespace(side), "link", "set", "lo", "up"])?;
            let calm = "echo 0 > /proc/sys/net/ipv4/tcp_early_retrans";
            self.output(side, "sh", &["-c", calm])?;
        }
        self.add_cable(0)
    }

    /// Lays the second cable.
    ///
    /// # Errors
    /// What `ip` complains of.
    pub fn add_second_cable(&self) -> Result<()> {
        self.add_cable(1)
    }

    fn add_cable(&self, number: usize) -> Result<()> {
        let (server, client) = (INTERFACES[number], CLIENT_INTERFACES[number]);
        let peer = self.namespace(Side::Client);
        self.ip_batch(
            Side::Server,
            &format!("link add {server} type veth peer name {client} netns {peer}"),
        )?;
        let base = 128 * number;
        let here = format!(
            "address add 192.0.2.{}/25 dev {server}\n\
             address add 2001:db8:0:{number}::1/64 dev {server} nodad\n",
            base + 1
        );
        self.ip_batch(Side::Server, &(here + &link_up(server, number)))?;
        let there: String = (2..=5)
            .map(|host| {
                format!(
                    "address add 192.0.2.{}/25 dev {client}\n\
                     address add 2001:db8:0:{number}::{host}/64 dev {client} nodad\n",
                    base + host
                )
            })
            .collect();
        self.ip_batch(Side::Client, &(there + &link_up(client, number)))
    }

    /// The namespace's name.
    #[must_use]
    pub fn namespace(&self, side: Side) -> String {
        match side {
            Side::Server => format!("{}-server", self.id),
            Side::Client => format!("{}-client", self.id),
        }
    }

    /// Where logs and other files of this test lie.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file for this test.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.directory().join(name);
        fs::write(&path, text)?;
        path.into_os_string()
            .into_string()
            .ok()
            .context("a path that is no text")
    }

    /// A program that runs on a side and dies with the test's thread.
    #[must_use]
    pub fn command(&self, side: Side, program: &str) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.namespace(side)])
            .args(["setpriv", "--pdeathsig", "KILL", "--", program])
            .stdin(Stdio::null());
        command
    }

    /// Starts a program that goes on beside the test; its output goes to a log.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, side: Side, program: &str, arguments: &[&str]) -> Result<Process> {
        let mut command = self.command(side, program);
        command.args(arguments);
        Process::start(self.directory(), program, &mut command)
    }

    /// Runs a program to its end; what it printed.
    ///
    /// # Errors
    /// With its complaint when it fails or takes more than a minute.
    pub fn output(&self, side: Side, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(side, "timeout");
        let output = command
            .args(["60", program])
            .args(arguments)
            .output()
            .with_context(|| format!("cannot start {program}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "{program} {arguments:?}: {}: {text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(text)
    }

    /// Does something on a thread that is in a namespace; sockets that it opens
    /// stay there.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or what was done failed.
    pub fn within<T: Send>(
        &self,
        side: Side,
        action: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        let path = Path::new("/run/netns").join(self.namespace(side));
        let namespace = File::open(&path).with_context(|| path.display().to_string())?;
        thread::scope(|scope| {
            let entered = scope.spawn(move || {
                setns(namespace, CloneFlags::CLONE_NEWNET)?;
                action()
            });
            entered
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn ip_batch(&self, side: Side, plan: &str) -> Result<()> {
        let mut child = Command::new("ip")
            .args(["-netns", &self.namespace(side), "-batch", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(plan.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "ip: {complaint}in:\n{plan}");
        Ok(())
    }

    fn show_logs(&self) {
        let logs = fs::read_dir(self.directory()).into_iter().flatten();
        for path in logs.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|kind| kind == "log") {
                let text = fs::read_to_string(&path).unwrap_or_default();
                complain(&format!("== {}\n{text}", path.display()));
            }
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if !self.passed.get() {
            self.show_logs();
        }
        for side in [Side::Server, Side::Client] {
            if let Err(error) = ip(&["netns", "delete", &self.namespace(side)]) {
                complain(&format!("{error:#}"));
            }
        }
    }
}

fn link_up(interface: &str, number: usize) -> String {
    let base = 128 * number;
    format!(
        "link set {interface} up\n\
         route replace 192.0.2.{base}/25 dev {interface} {CALM}\n\
         route replace 2001:db8:0:{number}::/64 dev {interface} {CALM}\n"
    )
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("cannot start `ip` (Debian package iproute2)")?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("ip {}: {complaint}", arguments.join(" "));
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "cargo shows it when a test fails")]
fn complain(text: &str) {
    eprintln!("{text}");
}
