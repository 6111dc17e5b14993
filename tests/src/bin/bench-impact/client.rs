//! dnsperf, twice: one client asks as fast as it goes, the other asks a little
//! beside and tells how long each of its answers took.

use anyhow::{Context as _, Result};
use integration_tests::network::{Network, SERVER, Side, eventually};

/// Queries on their way at a time.
const OUTSTANDING: &str = "200";
/// Queries per second of the client that tells latencies.
const PROBES: &str = "1000";
/// Seconds after which an answer is waited for no longer.
const TIMEOUT: u8 = 2;
/// What is asked for: names that are there, and one that is not.
const QUESTIONS: &str = "www.example A\nwww.example AAAA\nmail.example A\ntext.example TXT\n\
                         absent.example A\nexample MX\nns.example A\nns.example AAAA\n";

/// Asks the server of a network.
pub(crate) struct Client<'a> {
    network: &'a Network,
    questions: String,
}

/// What dnsperf says.
pub(crate) struct Answered {
    /// Answers per second that the fast client got.
    pub(crate) rate: f64,
    /// Answers that both got.
    pub(crate) answers: u64,
    /// 99 % of the other client's answers came within so many microseconds.
    pub(crate) p99_us: f64,
}

impl<'a> Client<'a> {
    pub(crate) fn new(network: &'a Network) -> Result<Self> {
        Ok(Self {
            network,
            questions: network.file("questions.txt", QUESTIONS)?,
        })
    }

    pub(crate) fn ask(&self, seconds: u64) -> Result<Answered> {
        let (server, seconds) = (SERVER[0].to_string(), seconds.to_string());
        let timeout = TIMEOUT.to_string();
        let common = ["-s", &server, "-d", &self.questions, "-l", &seconds];
        let common = [&common[..], &["-t", &timeout]].concat();
        let few = [&common[..], &["-c", "1", "-Q", PROBES, "-v"]].concat();
        let mut probing = self.network.start(Side::Client, "dnsperf", &few)?;
        let many = [&common[..], &["-c", "8", "-q", OUTSTANDING]].concat();
        let said = self.network.output(Side::Client, "dnsperf", &many)?;
        eventually("the second client to end", || {
            probing.ended()?.context("it asks on")
        })?;
        let beside = probing.log()?;
        let answers = |said: &str| figure(said, "Queries completed:");
        Ok(Answered {
            rate: figure(&said, "Queries per second:")?,
            answers: (answers(&said)? + answers(&beside)?) as u64,
            p99_us: quantile(latencies(&beside), 0.99)?,
        })
    }
}

/// The number behind a title.
fn figure(said: &str, title: &str) -> Result<f64> {
    let line = said
        .lines()
        .find_map(|line| line.trim().strip_prefix(title))
        .with_context(|| format!("no `{title}` from dnsperf:\n{said}"))?;
    let number = line.split_whitespace().next().context("a number")?;
    Ok(number.parse()?)
}

/// Of dnsperf's lines such as `> NOERROR www.example A 0.000123`, the seconds; of
/// `> T www.example A`, which got no answer, as long as was waited.
fn latencies(said: &str) -> Vec<f64> {
    let queries = said.lines().filter_map(|line| line.strip_prefix("> "));
    queries
        .filter_map(|line| match line.strip_prefix("T ") {
            Some(_) => Some(f64::from(TIMEOUT)),
            None => line.rsplit(' ').next()?.parse().ok(),
        })
        .collect()
}

/// Microseconds within which that share of the answers came.
fn quantile(mut latencies: Vec<f64>, share: f64) -> Result<f64> {
    latencies.sort_by(f64::total_cmp);
    let place = (latencies.len() as f64 * share) as usize;
    let reached = latencies.get(place).context("dnsperf told no latencies")?;
    Ok(reached * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "[Status] Sending queries\n> NOERROR www.example A 0.000288\n\
                        > NXDOMAIN absent.example A 0.001152\n> T www.example A\n\
                        Statistics:\n\n  Queries completed:    984 (98.40%)\n  \
                        Queries per second:   491.967530\n";

    #[test]
    fn figures_are_read_from_dnsperf() -> Result<()> {
        assert_eq!(figure(SAID, "Queries completed:")?, 984.0);
        assert_eq!(figure(SAID, "Queries per second:")?, 491.967_53);
        assert!(figure("", "Queries completed:").is_err());
        Ok(())
    }

    #[test]
    fn quantiles_count_what_was_not_answered() -> Result<()> {
        let latencies = latencies(SAID);
        assert_eq!(latencies, [0.000_288, 0.001_152, f64::from(TIMEOUT)]);
        assert!((quantile(latencies.clone(), 0.99)? - 2e6).abs() < 1e-6);
        assert!((quantile(latencies, 0.4)? - 1152.0).abs() < 1e-6);
        assert!(quantile(Vec::new(), 0.5).is_err());
        Ok(())
    }
}
