//! Real name servers with a small zone, and what they say they have answered.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::{Network, SECOND_SERVER, SERVER, Side, eventually, process::Process};
use crate::bench::usage::processor_time;

/// A name whose TXT answer fits no datagram.
pub const HUGE: &str = "huge.example";
/// Strings of that answer, 200 octets each.
const HUGE_STRINGS: usize = 60;

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Knot DNS, counting by its module `mod-stats`.
    Knot,
    /// NSD.
    Nsd,
}

/// A running name server.
#[derive(Debug)]
pub struct NameServer<'a> {
    network: &'a Network,
    kind: Kind,
    config: String,
    process: Process,
}

/// What a server says it has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Queries.
    pub queries: u64,
    /// Queries by QTYPE.
    pub qtypes: BTreeMap<String, u64>,
    /// Responses by RCODE.
    pub rcodes: BTreeMap<String, u64>,
}

impl Account {
    /// What has come since an earlier account.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let minus = |now: &BTreeMap<String, u64>, then: &BTreeMap<String, u64>| {
            let counts = now.iter().map(|(key, count)| {
                let before = then.get(key).copied().unwrap_or(0);
                (key.clone(), count - before)
            });
            counts.filter(|(_, count)| *count > 0).collect()
        };
        Self {
            queries: self.queries - earlier.queries,
            qtypes: minus(&self.qtypes, &earlier.qtypes),
            rcodes: minus(&self.rcodes, &earlier.rcodes),
        }
    }
}

impl<'a> NameServer<'a> {
    /// Starts one that listens at every address of the server's side, and
    /// waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(network: &'a Network, kind: Kind) -> Result<Self> {
        let directory = network.directory().display().to_string();
        network.file("example.zone", &zone())?;
        let (program, config) = match kind {
            Kind::Knot => ("knotd", knot_config(&directory)),
            Kind::Nsd => ("nsd", nsd_config(&directory)),
        };
        let config = network.file(&format!("{program}.conf"), &config)?;
        let arguments = match kind {
            Kind::Knot => vec!["-c", &config],
            Kind::Nsd => vec!["-d", "-c", &config],
        };
        let process = network.start(Side::Server, program, &arguments)?;
        let server = Self {
            network,
            kind,
            config,
            process,
        };
        eventually("the name server to answer", || server.answers(Side::Server))?;
        Ok(server)
    }

    /// Whether it answers a query from a side. From its own, the query goes by
    /// the loopback interface, where xdsc does not see it.
    ///
    /// # Errors
    /// When it does not.
    pub fn answers(&self, from: Side) -> Result<()> {
        let server = format!("@{}", SERVER[0]);
        let arguments = [&server, "+short", "+retry=0", "+time=2", "www.example", "A"];
        let answer = self.network.output(from, "kdig", &arguments)?;
        ensure!(answer.trim() == "192.0.2.80", "kdig got: {answer}");
        Ok(())
    }

    /// What it has done since its start.
    ///
    /// # Errors
    /// When it does not say.
    pub fn account(&self) -> Result<Account> {
        match self.kind {
            Kind::Knot => {
                let said = self.ask("knotc", &["stats", "mod-stats"])?;
                Ok(knot_account(&said))
            }
            Kind::Nsd => nsd_account(&self.ask("nsd-control", &["stats_noreset"])?),
        }
    }

    fn ask(&self, program: &str, command: &[&str]) -> Result<String> {
        let arguments = [&["-c", &self.config], command].concat();
        self.network.output(Side::Server, program, &arguments)
    }

    /// The number of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Time on a CPU of its processes so far.
    ///
    /// # Errors
    /// When /proc does not say.
    pub fn processor_time(&self) -> Result<Duration> {
        let mut pids = vec![self.pid()];
        let mut place = 0;
        while let Some(pid) = pids.get(place).copied() {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
            pids.extend(children.split_whitespace().flat_map(str::parse::<u32>));
            place += 1;
        }
        pids.into_iter().map(processor_time).sum()
    }
}

/// Lines such as `mod-stats.query-type[AAAA] = 3`.
fn knot_account(said: &str) -> Account {
    let mut account = Account::default();
    let lines = said.lines().filter_map(|line| line.split_once(" = "));
    for (name, count) in lines {
        let name = name.strip_prefix("mod-stats.").unwrap_or(name);
        let Some((name, key)) = name.trim_end_matches(']').split_once('[') else {
            continue;
        };
        let count = count.trim().parse().unwrap_or(0);
        match name {
            "server-operation" if key == "query" => account.queries = count,
            "query-type" => drop(account.qtypes.insert(key.to_owned(), count)),
            "response-code" => drop(account.rcodes.insert(key.to_owned(), count)),
            _ => {}
        }
    }
    account
}

/// Lines such as `num.type.AAAA=3`.
fn nsd_account(said: &str) -> Result<Account> {
    let mut account = Account::default();
    for (name, count) in said.lines().filter_map(|line| line.split_once('=')) {
        let Some(name) = name.strip_prefix("num.") else {
            continue;
        };
        let count = count.trim().parse();
        if name == "queries" {
            account.queries = count.clone().context("num.queries")?;
        }
        if let (Some(qtype), Ok(count)) = (name.strip_prefix("type."), &count) {
            account.qtypes.insert(qtype.to_owned(), *count);
        }
        if let (Some(rcode), Ok(count)) = (name.strip_prefix("rcode."), &count) {
            account.rcodes.insert(rcode.to_owned(), *count);
        }
    }
    Ok(account)
}

fn zone() -> String {
    let string = format!("\"{}\" ", "x".repeat(200));
    format!(
        "$ORIGIN example.\n$TTL 3600\n\
         @ SOA ns hostmaster 1 3600 600 86400 300\n\
         @ NS ns\n\
         @ MX 10 mail\n\
         ns A {}\n\
         ns AAAA {}\n\
         www A 192.0.2.80\n\
         www AAAA 2001:db8::80\n\
         mail A 192.0.2.25\n\
         text TXT \"short\"\n\
         huge TXT {}\n",
        SERVER[0],
        SERVER[1],
        string.repeat(HUGE_STRINGS)
    )
}

fn knot_config(directory: &str) -> String {
    format!(
        "server:\n  rundir: {directory}\n  listen: [ 0.0.0.0@53, ::@53 ]\n  udp-workers: 1\n  \
         tcp-workers: 1\n  background-workers: 1\n\
         control:\n  listen: {directory}/knot.sock\n\
         log:\n  - target: stderr\n    any: notice\n\
         database:\n  storage: {directory}/knot\n\
         mod-stats:\n  - id: all\n    query-type: on\n    response-code: on\n    \
         server-operation: on\n\
         template:\n  - id: default\n    storage: {directory}\n    global-module: mod-stats/all\n    \
         zonefile-load: whole\n    journal-content: none\n\
         zone:\n  - domain: example\n    file: example.zone\n"
    )
}

fn nsd_config(directory: &str) -> String {
    let addresses: String = SERVER
        .iter()
        .chain(&SECOND_SERVER)
        .map(|address| format!("  ip-address: {address}\n"))
        .collect();
    format!(
        "server:\n{addresses}  ip-freebind: yes\n  server-count: 1\n  username: \"\"\n  \
         database: \"\"\n  zonesdir: {directory}\n  pidfile: {directory}/nsd.pid\n  \
         xfrdfile: {directory}/xfrd.state\n  xfrdir: {directory}\n  \
         zonelistfile: {directory}/zone.list\n  rrl-ratelimit: 0\n  tcp-query-count: 0\n\
         remote-control:\n  control-enable: yes\n  control-interface: {directory}/nsd.sock\n\
         zone:\n  name: example\n  zonefile: example.zone\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
        counts.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect()
    }

    #[test]
    fn accounts_are_read_as_the_servers_write_them() -> Result<()> {
        let expected = Account {
            queries: 5,
            qtypes: counts(&[("A", 4), ("AAAA", 1)]),
            rcodes: counts(&[("NOERROR", 5)]),
        };
        let knot = "mod-stats.server-operation[query] = 5\nmod-stats.query-type[A] = 4\n\
                    mod-stats.query-type[AAAA] = 1\nmod-stats.response-code[NOERROR] = 5\n";
        assert_eq!(knot_account(knot), expected);
        let nsd = "server0.queries=5\nnum.queries=5\ntime.boot=1.5\nnum.type.A=4\n\
                   num.type.AAAA=1\nnum.rcode.NOERROR=5\n";
        assert_eq!(nsd_account(nsd)?, expected);
        Ok(())
    }

    #[test]
    fn what_has_come_since_leaves_out_what_has_not() {
        let earlier = Account {
            queries: 2,
            qtypes: counts(&[("A", 2)]),
            rcodes: BTreeMap::new(),
        };
        let now = Account {
            queries: 3,
            qtypes: counts(&[("A", 2), ("MX", 1)]),
            rcodes: BTreeMap::new(),
        };
        let expected = Account {
            queries: 1,
            qtypes: counts(&[("MX", 1)]),
            rcodes: BTreeMap::new(),
        };
        assert_eq!(now.since(&earlier), expected);
    }
}
