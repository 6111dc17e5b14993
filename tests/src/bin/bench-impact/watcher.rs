//! Who watches: how each is started and ended, and what it says that it has seen.

use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use integration_tests::{
    bench::usage::processor_time,
    network::{INTERFACES, Network, Side, daemon::Daemon, process::Process},
};
use nix::sys::signal::Signal;

/// How long a tool may take to begin.
const START: Duration = Duration::from_millis(500);
/// The least share of the messages that a tool must have captured: they lose many,
/// but one that has lost almost all has cost nothing either.
const LEAST: f64 = 0.01;

/// Attached as xdsc does by itself.
const UNASKED: &str = "[probe]\nxdp_mode = \"auto\"\n";
/// How the clients' addresses begin.
const CLIENTS: &str = "192.0.2.";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watcher {
    Nobody,
    Xdsc,
    Dnscap,
    Dnstop,
    Tcpdump,
}

impl Watcher {
    pub(crate) const ALL: [Self; 5] = [
        Self::Nobody,
        Self::Xdsc,
        Self::Dnscap,
        Self::Dnstop,
        Self::Tcpdump,
    ];

    pub(crate) const fn name(self) -> &'static str {
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
            // It tells what it saw of each file that it closes.
            Self::Dnscap => {
                format!("dnscap -N -S -i {interface} -w {directory}/dnscap -C 20000000 -k rm")
            }
            // It draws on a terminal, so it gets one.
            Self::Dnstop => {
                format!("env TERM=vt100 script -q -f -c {{dnstop -l 3 {interface}}} /dev/null")
            }
            Self::Tcpdump => format!("tcpdump -n -i {interface} -w /dev/null port 53"),
        };
        Some(words(&line))
    }

    /// What makes it end, and tell what it has seen.
    const fn end(self) -> Signal {
        match self {
            Self::Nobody | Self::Xdsc | Self::Dnscap | Self::Tcpdump => Signal::SIGINT,
            // Its terminal takes no interrupt for itself.
            Self::Dnstop => Signal::SIGTERM,
        }
    }

    /// The share of so many messages that a tool says it has captured; none where
    /// it tells no number.
    fn captured(self, said: &str, messages: u64) -> Result<Option<f64>> {
        let captured = match self {
            Self::Nobody | Self::Xdsc => return Ok(None),
            Self::Dnscap => told_by_dnscap(said),
            Self::Tcpdump => told_by_tcpdump(said),
            Self::Dnstop => {
                // It lists the clients whose queries it has counted.
                let has_counted = said.contains(CLIENTS);
                ensure!(has_counted, "dnstop has counted nothing:\n{said}");
                return Ok(None);
            }
        };
        let share = captured as f64 / messages as f64;
        ensure!(
            share >= LEAST,
            "{} has captured {captured} of {messages} messages:\n{said}",
            self.name()
        );
        Ok(Some(share))
    }
}

/// Lines such as `eth0: 400 recv 10 drop 410 total ptdrop 0`. Linux counts what it
/// dropped as received, too.
fn told_by_dnscap(said: &str) -> u64 {
    let files = said.lines().filter_map(|line| {
        let (_, numbers) = line.split_once(": ")?;
        let mut words = numbers.split_whitespace();
        let received: u64 = words.next()?.parse().ok()?;
        let is_received = words.next()? == "recv";
        let dropped: u64 = words.next()?.parse().ok()?;
        is_received.then_some(received.saturating_sub(dropped))
    });
    files.sum()
}

/// The line `200 packets captured`.
fn told_by_tcpdump(said: &str) -> u64 {
    let line = said
        .lines()
        .find_map(|line| line.strip_suffix(" packets captured"));
    line.and_then(|number| number.parse().ok()).unwrap_or(0)
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

/// A watcher at work.
pub(crate) enum Presence<'a> {
    Nobody,
    Xdsc(Box<Daemon<'a>>),
    Other(Watcher, Process),
}

impl<'a> Presence<'a> {
    pub(crate) fn begin(network: &'a Network, watcher: Watcher) -> Result<Self> {
        if watcher == Watcher::Xdsc {
            return Ok(Self::Xdsc(Box::new(Daemon::start(network, UNASKED)?)));
        }
        let directory = network.directory().display().to_string();
        let Some(line) = watcher.line(&directory) else {
            return Ok(Self::Nobody);
        };
        let line: Vec<_> = line.iter().map(String::as_str).collect();
        let (program, arguments) = line.split_first().context("a program")?;
        let mut process = network.start(Side::Server, program, arguments)?;
        thread::sleep(START);
        if let Some(status) = process.ended()? {
            bail!(
                "{} ended at its start: {status}: {}",
                watcher.name(),
                process.log()?
            );
        }
        Ok(Self::Other(watcher, process))
    }

    /// Time on a CPU so far.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        self.pids().into_iter().map(processor_time).sum()
    }

    /// Its processes: one that was given a terminal is a child.
    fn pids(&self) -> Vec<u32> {
        let pid = match self {
            Self::Nobody => return Vec::new(),
            Self::Xdsc(daemon) => daemon.pid(),
            Self::Other(_, process) => process.pid(),
        };
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().flat_map(str::parse);
        [pid].into_iter().chain(children).collect()
    }

    /// Ends it; what it tells.
    ///
    /// # Errors
    /// When it has not watched.
    pub(crate) fn end(self, answers: u64) -> Result<Told> {
        match self {
            Self::Nobody => Ok(Told::default()),
            Self::Xdsc(daemon) => {
                let told = told_by_xdsc(&daemon, answers)?;
                daemon.stop()?;
                Ok(told)
            }
            Self::Other(watcher, mut process) => {
                ensure!(
                    process.ended()?.is_none(),
                    "{} ended early: {}",
                    watcher.name(),
                    process.log()?
                );
                process.end_by(watcher.end())?;
                Ok(Told {
                    share: watcher.captured(&process.log()?, 2 * answers)?,
                    program_ns: None,
                })
            }
        }
    }
}

/// What a watcher tells at its end, as far as it does.
#[derive(Default)]
pub(crate) struct Told {
    /// The share of the messages that it has seen.
    pub(crate) share: Option<f64>,
    /// Nanoseconds of a run of its kernel programs, as the kernel times them.
    pub(crate) program_ns: Option<f64>,
}

/// It must have counted each answer and the query before it. Its programs are timed in
/// some moments of a turn only.
fn told_by_xdsc(daemon: &Daemon<'_>, answers: u64) -> Result<Told> {
    let samples = daemon.quiet()?;
    let count = |kind| {
        samples.count(
            "xdsc_dns_messages_total",
            &[("role", "server"), ("type", kind)],
        )
    };
    let (queries, responses) = (count("query")?, count("response")?);
    ensure!(
        queries >= answers && responses >= answers,
        "xdsc has seen {queries} queries and {responses} responses, but {answers} were answered"
    );
    let runs = samples.count("xdsc_probe_runs_total", &[])?;
    let seconds = samples.sum("xdsc_probe_run_seconds_total", &[])?;
    Ok(Told {
        share: Some((queries + responses) as f64 / (2 * answers) as f64),
        program_ns: (runs > 0).then(|| seconds * 1e9 / runs as f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_braces_stay_together() {
        assert_eq!(words("a -c {b c} d"), ["a", "-c", "b c", "d"]);
    }

    #[test]
    fn tools_tell_what_they_have_captured() -> Result<()> {
        let dnscap = "dnscap: signalled break\ntotal drops: 0\n\
                      dns0: 410 recv 10 drop 420 total ptdrop 0\n\
                      dns0: 40 recv 0 drop 40 total ptdrop 0\n";
        assert_eq!(Watcher::Dnscap.captured(dnscap, 880)?, Some(0.5));
        let tcpdump = "tcpdump: listening on lo\n200 packets captured\n400 packets received\n";
        assert_eq!(Watcher::Tcpdump.captured(tcpdump, 400)?, Some(0.5));
        Ok(())
    }

    #[test]
    fn tools_that_have_seen_nothing_are_no_watchers() {
        for watcher in [Watcher::Dnscap, Watcher::Tcpdump, Watcher::Dnstop] {
            assert!(watcher.captured("0 packets captured\n", 400).is_err());
        }
    }
}
