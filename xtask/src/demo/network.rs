//! Two network namespaces and the cable between them.
//!
//! Nothing outside of them is touched, and they are removed when the value is
//! dropped; what a killed demonstration left behind, the next one removes.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::process::{self, Command, Stdio};

use anyhow::{Context as _, Result};

use super::addresses::{PREFIXES, SERVERS, clients};
use crate::process::{find_program, output, run, shown};

const SERVER: &str = "xdsc-demo-server-";
const CLIENT: &str = "xdsc-demo-client-";
/// The cable's end in the server's namespace.
pub(super) const SERVER_INTERFACE: &str = "dns0";
const CLIENT_INTERFACE: &str = "clients0";
/// Acknowledge at once and be slow to repeat: on a cable that loses nothing, a
/// segment sent twice is only ever a busy machine's doing, and would spoil
/// equality.
const CALM: &str = "quickack 1 rto_min 5s";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Server,
    Client,
}

pub(super) struct Network {
    pid: u32,
}

impl Network {
    pub(super) fn create() -> Result<Self> {
        remove_leftovers();
        let network = Self { pid: process::id() };
        network
            .build()
            .context("cannot set up the demonstration's network namespaces")?;
        Ok(network)
    }

    fn build(&self) -> Result<()> {
        let (server, client) = (self.name(Side::Server), self.name(Side::Client));
        ip_batch(None, &format!("netns add {server}\nnetns add {client}\n"))?;
        for side in [Side::Server, Side::Client] {
            self.calm_tcp(side)?;
        }
        ip_batch(
            Some(&server),
            &format!(
                "link add {SERVER_INTERFACE} type veth peer name {CLIENT_INTERFACE} netns {client}\n"
            ),
        )?;
        ip_batch(Some(&server), &server_plan())?;
        ip_batch(Some(&client), &client_plan())
    }

    /// Without early retransmission, see [`CALM`].
    fn calm_tcp(&self, side: Side) -> Result<()> {
        let setting = "echo 0 > /proc/sys/net/ipv4/tcp_early_retrans";
        run(self.command(side, Path::new("sh")).args(["-c", setting]))
    }

    fn name(&self, side: Side) -> String {
        let prefix = match side {
            Side::Server => SERVER,
            Side::Client => CLIENT,
        };
        format!("{prefix}{}", self.pid)
    }

    /// A program that runs on a side and dies with this process, even when
    /// that is killed.
    pub(super) fn command(&self, side: Side, program: &Path) -> Command {
        let mut command = ip();
        command
            .args([
                "netns",
                "exec",
                &self.name(side),
                "setpriv",
                "--pdeathsig",
                "KILL",
                "--",
            ])
            .arg(program);
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for side in [Side::Server, Side::Client] {
            remove(&self.name(side));
        }
    }
}

fn server_plan() -> String {
    let mut plan = String::from("link set lo up\n");
    for (address, prefix) in SERVERS.into_iter().zip([24, 64]) {
        line(&mut plan, &address_line(address, prefix, SERVER_INTERFACE));
    }
    line(&mut plan, &format!("link set {SERVER_INTERFACE} up"));
    routes(&mut plan, SERVER_INTERFACE);
    plan
}

/// Every client address is one of a host, so that each speaks for itself.
fn client_plan() -> String {
    let mut plan = String::from("link set lo up\n");
    for address in clients() {
        line(
            &mut plan,
            &address_line(
                address,
                if address.is_ipv4() { 32 } else { 128 },
                CLIENT_INTERFACE,
            ),
        );
    }
    line(&mut plan, &format!("link set {CLIENT_INTERFACE} up"));
    routes(&mut plan, CLIENT_INTERFACE);
    plan
}

/// Usable at once: IPv6 would first look for duplicates.
fn address_line(address: IpAddr, prefix: u8, interface: &str) -> String {
    let nodad = if address.is_ipv6() { " nodad" } else { "" };
    format!("address add {address}/{prefix} dev {interface}{nodad}")
}

fn routes(plan: &mut String, interface: &str) {
    for prefix in PREFIXES {
        line(
            plan,
            &format!("route replace {prefix} dev {interface} {CALM}"),
        );
    }
}

fn line(plan: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(plan, "{line}");
}

fn ip() -> Command {
    // Debian keeps it where a user's PATH may not look.
    Command::new(find_program("ip").unwrap_or_else(|| "ip".into()))
}

/// Many `ip` commands by one process.
fn ip_batch(namespace: Option<&str>, plan: &str) -> Result<()> {
    let mut command = ip();
    command
        .args(namespace.iter().flat_map(|name| ["-netns", name]))
        .args(["-batch", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(&command)))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(plan.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    anyhow::ensure!(
        output.status.success(),
        "`{}` failed: {}",
        shown(&command),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Removes the namespaces of demonstrations whose process is gone.
fn remove_leftovers() {
    let Ok(list) = output(ip().args(["netns", "list"])) else {
        return;
    };
    for name in list
        .lines()
        .filter_map(|line| line.split_whitespace().next())
    {
        if owner(name).is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            remove(name);
        }
    }
}

/// The process in a namespace's name, if it is one of ours.
fn owner(namespace: &str) -> Option<u32> {
    let pid = namespace
        .strip_prefix(SERVER)
        .or_else(|| namespace.strip_prefix(CLIENT))?;
    pid.parse().ok()
}

fn remove(namespace: &str) {
    // It may never have come into being.
    drop(output(ip().args(["netns", "delete", namespace])));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_namespaces_have_an_owner() {
        assert_eq!(owner("xdsc-demo-server-4242"), Some(4242));
        assert_eq!(owner("xdsc-demo-client-1"), Some(1));
        for name in [
            "xdsc-demo-server-",
            "xdsc-demo-server-x",
            "xdsc-test-1",
            "blue",
        ] {
            assert_eq!(owner(name), None, "{name}");
        }
    }

    #[test]
    fn addresses_of_ipv6_skip_duplicate_detection() {
        for plan in [server_plan(), client_plan()] {
            let addresses = plan.lines().filter(|line| line.starts_with("address add"));
            for line in addresses {
                assert_eq!(line.contains("::"), line.ends_with("nodad"), "{line}");
            }
        }
    }
}
