//! A real resolver with a generated reverse zone, and what its log says it was
//! asked.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr},
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{Network, SERVER, Side, eventually, process::Process};

/// Addresses from 10.0.0.0 on that have a name.
pub const NAMED: u32 = 65_536;

/// The TTL of the names, in seconds.
const TTL: u32 = 3600;

/// A running Unbound, which answers for 10.in-addr.arpa.
#[derive(Debug)]
pub struct Unbound<'a> {
    network: &'a Network,
    place: (Side, IpAddr),
    config: String,
    process: Process,
}

impl<'a> Unbound<'a> {
    /// Starts one at the first address of the server's side, and waits until it
    /// answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(network: &'a Network) -> Result<Self> {
        Self::start_at(network, (Side::Server, SERVER[0]))
    }

    /// Starts one at an address of a side, and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn start_at(network: &'a Network, place: (Side, IpAddr)) -> Result<Self> {
        let zone = network.file("10.in-addr.arpa.zone", &zone()?)?;
        let config = network.file("unbound.conf", &config(place.1, &zone))?;
        let process = run(network, place.0, &config)?;
        let server = Self {
            network,
            place,
            config,
            process,
        };
        server.wait()?;
        Ok(server)
    }

    /// Stops it in its tracks: it is there and says nothing.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn suspend(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Kills it.
    ///
    /// # Errors
    /// When it does not end.
    pub fn kill(&mut self) -> Result<()> {
        self.process.end_by(Signal::SIGKILL)?;
        Ok(())
    }

    /// Starts it again.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn restart(&mut self) -> Result<()> {
        self.process = run(self.network, self.place.0, &self.config)?;
        self.wait()
    }

    /// The PTR queries in its log, by the second in which they came.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn queries_by_second(&self) -> Result<BTreeMap<u64, u64>> {
        let mut seconds = BTreeMap::new();
        for line in self.process.log()?.lines() {
            // [1700000000] unbound[77:0] info: 192.0.2.2 1.0.0.10.in-addr.arpa. PTR IN
            if let Some((head, _)) = line.split_once(".10.in-addr.arpa. PTR IN") {
                let second = head.strip_prefix('[').and_then(|it| it.split_once(']'));
                let (second, _) = second.context("a line without its time")?;
                *seconds.entry(second.parse()?).or_default() += 1;
            }
        }
        Ok(seconds)
    }

    fn wait(&self) -> Result<()> {
        eventually("the resolver to answer", || {
            let (side, address) = self.place;
            let server = format!("@{address}");
            let arguments = [
                &server,
                "+short",
                "+retry=0",
                "+time=1",
                "version.bind",
                "TXT",
                "CH",
            ];
            let output = self.network.output(side, "kdig", &arguments)?;
            ensure!(output.contains("unbound"), "kdig got: {output}");
            Ok(())
        })
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.process.pid())?), signal)?;
        Ok(())
    }
}

/// The name of the address that so many stand before, from 10.0.0.0 on.
#[must_use]
pub fn name_of(number: u32) -> String {
    format!("client-{number}.example")
}

/// That address.
#[must_use]
pub fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + number)
}

fn run(network: &Network, side: Side, config: &str) -> Result<Process> {
    network.start(side, "unbound", &["-d", "-p", "-c", config])
}

fn zone() -> Result<String> {
    let mut zone = format!(
        "$ORIGIN 10.in-addr.arpa.\n@ {TTL} IN SOA ns.example. admin.example. 1 3600 600 86400 900\n\
         @ {TTL} IN NS ns.example.\n"
    );
    for number in 0..NAMED {
        let [_, b, c, d] = address(number).octets();
        writeln!(zone, "{d}.{c}.{b} {TTL} IN PTR {}.", name_of(number))?;
    }
    Ok(zone)
}

fn config(address: IpAddr, zone: &str) -> String {
    format!(
        "server:\n\
         \x20 interface: {address}\n\
         \x20 access-control: 0.0.0.0/0 allow\n\
         \x20 do-daemonize: no\n\
         \x20 username: \"\"\n\
         \x20 chroot: \"\"\n\
         \x20 use-syslog: no\n\
         \x20 logfile: \"\"\n\
         \x20 log-queries: yes\n\
         \x20 num-threads: 1\n\
         \x20 module-config: \"iterator\"\n\
         \x20 local-zone: \"10.in-addr.arpa.\" nodefault\n\
         remote-control:\n\
         \x20 control-enable: no\n\
         auth-zone:\n\
         \x20 name: \"10.in-addr.arpa.\"\n\
         \x20 zonefile: \"{zone}\"\n\
         \x20 for-downstream: yes\n\
         \x20 for-upstream: yes\n\
         \x20 fallback-enabled: no\n"
    )
}
