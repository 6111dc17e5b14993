//! What a name server under full load loses when its traffic is watched: by
//! xdsc, and by the tools that capture packets.
//!
//! NSD answers dnsperf over a cable, as fast as both can, on the same machine.
//! The watchers take turns in every round, so that what else the machine does
//! hits all alike; what is told are medians, and ratios of them to nobody
//! watching.

use std::{
    env,
    io::{self, Write as _},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use integration_tests::{
    bench::{median, rounded, usage::processor_time},
    network::{
        INTERFACES, Network, SERVER, Side,
        daemon::Daemon,
        eventually, in_network,
        process::Process,
        server::{Kind, NameServer},
    },
};
use serde_json::{Map, Value, json};

/// Turns of every watcher.
const ROUNDS: usize = 5;
/// How long each turn lasts, in seconds.
const SECONDS: u64 = 3;
/// Queries on their way at a time.
const OUTSTANDING: &str = "200";
/// Queries per second of the client that tells latencies.
const PROBES: &str = "1000";
/// What is asked for: names that are there, and one that is not.
const QUESTIONS: &str = "www.example A\nwww.example AAAA\nmail.example A\ntext.example TXT\n\
                         absent.example A\nexample MX\nns.example A\nns.example AAAA\n";

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watcher {
    Nobody,
    Xdsc,
    Dnscap,
    Dnstop,
    Tcpdump,
}

impl Watcher {
    const ALL: [Self; 5] = [
        Self::Nobody,
        Self::Xdsc,
        Self::Dnscap,
        Self::Dnstop,
        Self::Tcpdump,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "base",
            Self::Xdsc => "xdsc",
            Self::Dnscap => "dnscap",
            Self::Dnstop => "dnstop",
            Self::Tcpdump => "tcpdump",
        }
    }

    /// How it is started at the server's interface, but for xdsc.
    fn line(self, directory: &str) -> Option<Vec<String>> {
        let [interface, _] = INTERFACES;
        let line = match self {
            Self::Nobody | Self::Xdsc => return None,
            Self::Dnscap => {
                format!("dnscap -N -i {interface} -w {directory}/dnscap -C 20000000 -k rm")
            }
            // It draws on a terminal, so it gets one.
            Self::Dnstop => format!("script -q -c {{dnstop -l 3 {interface}}} /dev/null"),
            Self::Tcpdump => format!("tcpdump -n -i {interface} -w /dev/null port 53"),
        };
        Some(words(&line))
    }
}

/// Splits at blanks, but not within braces.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut inside, mut rest) = (false, String::new());
    for letter in line.chars() {
        match letter {
            '{' => inside = true,
            '}' => inside = false,
            ' ' if !inside => words.push(std::mem::take(&mut rest)),
            other => rest.push(other),
        }
    }
    words.push(rest);
    words
}

fn main() -> Result<()> {
    let (rounds, seconds) = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => (ROUNDS, SECONDS),
        [rounds] => (rounds.parse()?, SECONDS),
        [rounds, seconds] => (rounds.parse()?, seconds.parse()?),
        _ => bail!("usage: bench-impact [ROUNDS [SECONDS]]"),
    };
    in_network(|network| {
        let server = NameServer::start(network, Kind::Nsd)?;
        let questions = network.file("questions.txt", QUESTIONS)?;
        ask(network, &questions, 1)?;
        let mut watched = Watcher::ALL.map(Watched::new);
        for _ in 0..rounds {
            for one in &mut watched {
                one.take_turn(network, &server, &questions, seconds)?;
            }
        }
        tell(&watched)
    })
}

/// One watcher's turns.
struct Watched {
    watcher: Watcher,
    /// Answers per second.
    rates: Vec<f64>,
    /// 99 % of the answers came within so many microseconds.
    latencies: Vec<f64>,
    /// Microseconds of a CPU that the watcher took per message.
    costs: Vec<f64>,
    /// Those of the server, in kernel mode as well.
    server: Vec<f64>,
}

impl Watched {
    const fn new(watcher: Watcher) -> Self {
        Self {
            watcher,
            rates: Vec::new(),
            latencies: Vec::new(),
            costs: Vec::new(),
            server: Vec::new(),
        }
    }

    fn take_turn(
        &mut self,
        network: &Network,
        server: &NameServer<'_>,
        questions: &str,
        seconds: u64,
    ) -> Result<()> {
        let presence = Presence::begin(network, self.watcher)?;
        let pids = presence.pids();
        let before = processor_times(&pids)?;
        let server_before = server.processor_time()?;
        let answered = ask(network, questions, seconds)?;
        let messages = 2.0 * answered.rate * seconds as f64;
        let cost = processor_times(&pids)?.saturating_sub(before);
        let served = server.processor_time()?.saturating_sub(server_before);
        presence.end()?;
        self.rates.push(answered.rate);
        self.latencies.push(answered.p99_us);
        self.costs.push(cost.as_secs_f64() * 1e6 / messages);
        self.server.push(served.as_secs_f64() * 2e6 / messages);
        Ok(())
    }
}

/// A watcher at work.
enum Presence<'a> {
    Nobody,
    Xdsc(Box<Daemon<'a>>),
    Other(Process),
}

impl<'a> Presence<'a> {
    fn begin(network: &'a Network, watcher: Watcher) -> Result<Self> {
        if watcher == Watcher::Xdsc {
            return Ok(Self::Xdsc(Box::new(Daemon::start(network, "")?)));
        }
        let directory = network.directory().display().to_string();
        let Some(line) = watcher.line(&directory) else {
            return Ok(Self::Nobody);
        };
        let line: Vec<_> = line.iter().map(String::as_str).collect();
        let (program, arguments) = line.split_first().context("a program")?;
        let mut process = network.start(Side::Server, program, arguments)?;
        std::thread::sleep(Duration::from_millis(500));
        if let Some(status) = process.ended()? {
            bail!(
                "{} ended at its start: {status}: {}",
                watcher.name(),
                process.log()?
            );
        }
        Ok(Self::Other(process))
    }

    /// Its processes: one that was given a terminal is a child.
    fn pids(&self) -> Vec<u32> {
        let pid = match self {
            Self::Nobody => return Vec::new(),
            Self::Xdsc(daemon) => daemon.pid(),
            Self::Other(process) => process.pid(),
        };
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().flat_map(str::parse);
        [pid].into_iter().chain(children).collect()
    }

    fn end(self) -> Result<()> {
        if let Self::Xdsc(daemon) = self {
            daemon.stop()?;
        }
        Ok(())
    }
}

fn processor_times(pids: &[u32]) -> Result<Duration> {
    pids.iter().map(|pid| processor_time(*pid)).sum()
}

/// What dnsperf says.
struct Answered {
    rate: f64,
    p99_us: f64,
}

/// Asks as fast as it goes; a second client asks a little beside, and tells how
/// long each of its answers took.
fn ask(network: &Network, questions: &str, seconds: u64) -> Result<Answered> {
    let (server, seconds) = (SERVER[0].to_string(), seconds.to_string());
    let common = ["-s", &server, "-d", questions, "-l", &seconds];
    let few = [&common[..], &["-c", "1", "-Q", PROBES, "-v"]].concat();
    let mut probing = network.start(Side::Client, "dnsperf", &few)?;
    let many = [&common[..], &["-c", "8", "-q", OUTSTANDING]].concat();
    let said = network.output(Side::Client, "dnsperf", &many)?;
    let rate = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("Queries per second:"))
        .with_context(|| format!("no rate from dnsperf:\n{said}"))?;
    eventually("the second client to end", || {
        probing.ended()?.context("it asks on")
    })?;
    Ok(Answered {
        rate: rate.trim().parse()?,
        p99_us: quantile(latencies(&probing.log()?), 0.99)?,
    })
}

/// Of dnsperf's lines such as `> NOERROR www.example A 0.000123`, the seconds.
fn latencies(said: &str) -> Vec<f64> {
    said.lines()
        .filter_map(|line| line.strip_prefix("> ")?.rsplit(' ').next()?.parse().ok())
        .collect()
}

/// Microseconds within which that share of the answers came.
fn quantile(mut latencies: Vec<f64>, share: f64) -> Result<f64> {
    latencies.sort_by(f64::total_cmp);
    let place = (latencies.len() as f64 * share) as usize;
    let reached = latencies.get(place).context("dnsperf told no latencies")?;
    Ok(reached * 1e6)
}

fn tell(watched: &[Watched]) -> Result<()> {
    let mut out = io::stdout().lock();
    let mut figures = Map::new();
    let base = watched.first().map_or(f64::NAN, |base| median(&base.rates));
    let latency = watched
        .first()
        .map_or(f64::NAN, |base| median(&base.latencies));
    writeln!(
        out,
        "{:<8} {:>9} {:>7} {:>8} {:>7} {:>17} {:>16}",
        "watcher", "queries/s", "ratio", "p99 us", "ratio", "watcher us/message", "server us/query"
    )?;
    for one in watched {
        let (rate, p99) = (median(&one.rates), median(&one.latencies));
        let cost = median(&one.costs);
        let name = one.watcher.name();
        writeln!(
            out,
            "{name:<8} {rate:>9.0} {:>7.3} {p99:>8.0} {:>7.2} {cost:>17.2} {:>16.2}",
            rate / base,
            p99 / latency,
            median(&one.server)
        )?;
        let mut note = |key: &str, value: Value| {
            figures.insert(format!("{name}_{key}"), value);
        };
        note("p99_us", rounded(p99, 0));
        note("qps", rounded(rate, 0));
        if one.watcher != Watcher::Nobody {
            note("ratio", rounded(rate / base, 4));
            note("us_per_msg", rounded(cost, 3));
        }
    }
    writeln!(out, "{}", json!({ "bench": "impact", "figures": figures }))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_read_from_dnsperf() -> Result<()> {
        let said = "[Status] Sending queries\n> NOERROR www.example A 0.000288\n\
                    > NXDOMAIN absent.example A 0.001152\n> T www.example A\n";
        let latencies = latencies(said);
        assert_eq!(latencies, [0.000_288, 0.001_152]);
        assert!((quantile(latencies.clone(), 0.99)? - 1152.0).abs() < 1e-6);
        assert!((quantile(latencies, 0.4)? - 288.0).abs() < 1e-6);
        assert!(quantile(Vec::new(), 0.5).is_err());
        Ok(())
    }

    #[test]
    fn words_in_braces_stay_together() {
        assert_eq!(words("a -c {b c} d"), ["a", "-c", "b c", "d"]);
    }
}
