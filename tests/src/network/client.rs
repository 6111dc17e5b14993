//! Real clients, and what they say they have asked.

use std::{collections::BTreeMap, net::IpAddr};

use anyhow::{Context as _, Result, ensure};

use super::{Network, Side};

/// How queries travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
}

impl Transport {
    /// Its name, in dnsperf's arguments as in xdsc's labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// A load for dnsperf.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// Whom to ask.
    pub server: IpAddr,
    /// How.
    pub transport: Transport,
    /// Names and types.
    pub questions: &'a [(&'a str, &'a str)],
    /// How often each question is asked.
    pub rounds: u64,
    /// The most queries per second.
    pub rate: Option<u32>,
}

/// What dnsperf says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Queries sent.
    pub sent: u64,
    /// Queries answered.
    pub completed: u64,
    /// Responses by RCODE.
    pub rcodes: BTreeMap<String, u64>,
}

impl Load<'_> {
    /// Asks to the end.
    ///
    /// # Errors
    /// When dnsperf fails or cannot be read.
    pub fn run(&self, network: &Network) -> Result<Tally> {
        let arguments = self.arguments(network)?;
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        tally(&network.output(Side::Client, "dnsperf", &arguments)?)
    }

    /// dnsperf's arguments; its questions are in a file then.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn arguments(&self, network: &Network) -> Result<Vec<String>> {
        let lines = self.questions.iter();
        let lines: String = lines
            .map(|(name, kind)| format!("{name} {kind}\n"))
            .collect();
        let file = format!("questions-{}-{}.txt", self.transport.name(), self.server);
        let file = network.file(&file.replace(':', "-"), &lines)?;
        let (server, rounds) = (self.server.to_string(), self.rounds.to_string());
        let clients = match self.transport {
            Transport::Udp => "4",
            Transport::Tcp => "3",
        };
        let mut arguments = vec!["-s", &server, "-d", &file, "-n", &rounds];
        arguments.extend(["-m", self.transport.name(), "-c", clients, "-l", "40"]);
        let mut arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
        if let Some(rate) = self.rate {
            arguments.extend(["-Q".to_owned(), rate.to_string()]);
        }
        Ok(arguments)
    }

    /// Queries of each type that it sends.
    #[must_use]
    pub fn qtypes(&self) -> BTreeMap<String, u64> {
        let mut qtypes = BTreeMap::new();
        for (_, qtype) in self.questions {
            *qtypes.entry((*qtype).to_owned()).or_default() += self.rounds;
        }
        qtypes
    }
}

/// Reads dnsperf's statistics: lines such as `Queries sent: 10` and
/// `Response codes: NOERROR 8 (80.00%), NXDOMAIN 2 (20.00%)`.
///
/// # Errors
/// When one is missing.
pub fn tally(said: &str) -> Result<Tally> {
    let field = |name: &str| {
        let mut lines = said.lines().map(str::trim);
        lines
            .find_map(|line| line.strip_prefix(name))
            .with_context(|| format!("no `{name}` from dnsperf:\n{said}"))
    };
    let number = |name| -> Result<u64> {
        let digits = field(name)?.split_whitespace().next();
        Ok(digits.context("a number")?.parse()?)
    };
    let mut rcodes = BTreeMap::new();
    for part in field("Response codes:")?.split(", ") {
        let mut words = part.split_whitespace();
        if let (Some(rcode), Some(count)) = (words.next(), words.next()) {
            rcodes.insert(rcode.to_owned(), count.parse()?);
        }
    }
    Ok(Tally {
        sent: number("Queries sent:")?,
        completed: number("Queries completed:")?,
        rcodes,
    })
}

/// Asks one question by kdig.
///
/// # Errors
/// When it gets no answer.
pub fn kdig(network: &Network, server: IpAddr, question: &[&str]) -> Result<String> {
    let server = format!("@{server}");
    let arguments = [&[server.as_str(), "+retry=0"], question].concat();
    let answer = network.output(Side::Client, "kdig", &arguments)?;
    ensure!(answer.contains("status:"), "kdig got no answer: {answer}");
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_dnsperf_are_read() -> Result<()> {
        let said = "Statistics:\n\n  Queries sent:         10\n  Queries completed:    9 (90.00%)\n  \
                    Queries lost:         1 (10.00%)\n\n  \
                    Response codes:       NOERROR 8 (88.89%), NXDOMAIN 1 (11.11%)\n";
        let expected = Tally {
            sent: 10,
            completed: 9,
            rcodes: [("NOERROR".to_owned(), 8), ("NXDOMAIN".to_owned(), 1)].into(),
        };
        assert_eq!(tally(said)?, expected);
        assert!(tally("Queries sent: 1\n").is_err());
        Ok(())
    }
}
