//! What xdsc says of itself when it falls behind: stopped, flooded, and idle.

use std::{
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use integration_tests::network::{
    Network, SERVER, Side,
    client::{Load, Tally, Transport, tally},
    daemon::Daemon,
    eventually,
    exposition::Samples,
    frame::{IPV4, Sender, UDP, ethernet, ipv4, query, udp},
    in_network,
    server::{Kind, NameServer},
};

const STOP: Duration = Duration::from_secs(5);
/// What the longest lag may be after that: the coarse clock and a busy machine
/// add to it, and a batch may just have been read before.
const STOP_SHOWN: std::ops::Range<f64> = 4.5..7.0;
/// Both hooks' rings, and the stages behind them.
const KINDS: [&str; 2] = ["ring", "stage"];

#[test]
fn a_stop_shows_as_lag_of_its_length_and_loses_nothing() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let daemon = Daemon::start(network, "")?;
        let client = clients(network, 8)?;
        eventually("traffic", || {
            let consumed = consumed(&daemon.scrape()?, "drain")?;
            ensure!(consumed > 500, "{consumed} records so far");
            Ok(())
        })?;
        let before = daemon.scrape()?;
        let usual = before.max("xdsc_ring_max_lag_seconds", &[])?;
        ensure!(usual < STOP_SHOWN.start, "{usual} s before the stop");

        daemon.stopped(|| {
            thread::sleep(STOP);
            Ok(())
        })?;
        let after = daemon.scrape()?;
        for hook in ["ingress", "egress"] {
            let longest = after.max("xdsc_ring_max_lag_seconds", &[("hook", hook)])?;
            ensure!(STOP_SHOWN.contains(&longest), "{hook}: {longest} s");
        }
        for stage in ["drain", "aggregate"] {
            let longest = after.max("xdsc_stage_max_lag_seconds", &[("stage", stage)])?;
            ensure!(STOP_SHOWN.contains(&longest), "{stage}: {longest} s");
        }
        eventually("the lag to fall back, under traffic", || {
            let now = daemon.scrape()?;
            for kind in KINDS {
                let lag = now.max(&format!("xdsc_{kind}_lag_seconds"), &[])?;
                ensure!(lag < 0.5, "{kind}: {lag} s");
            }
            Ok(())
        })?;

        let tally = told(client)?;
        ensure!(tally.completed == tally.sent, "{tally:?}");
        let samples = daemon.quiet()?;
        everything_was_read(&samples, tally.sent)?;
        let longest = samples.max("xdsc_stage_max_lag_seconds", &[])?;
        ensure!(longest >= STOP_SHOWN.start, "it is told for a minute");
        daemon.stop()?;
        Ok(())
    })
}

/// Every message was delivered, read, and is in the statistics.
fn everything_was_read(samples: &Samples, sent: u64) -> Result<()> {
    let delivered = samples.count("xdsc_records_total", &[("outcome", "delivered")])?;
    ensure!(delivered == 2 * sent, "{delivered} records of 2 x {sent}");
    for stage in ["drain", "aggregate"] {
        let consumed = consumed(samples, stage)?;
        ensure!(consumed == delivered, "{stage}: {consumed} of {delivered}");
    }
    for kind in ["query", "response"] {
        let labels = [("role", "server"), ("type", kind)];
        let counted = samples.count("xdsc_dns_messages_total", &labels)?;
        ensure!(counted == sent, "{kind}: {counted} of {sent}");
    }
    Ok(())
}

#[test]
fn a_thread_that_hangs_shows_as_lag_that_grows() -> Result<()> {
    in_network(|network| {
        let daemon = Daemon::start(network, "")?;
        let sender = Sender::new(network)?;
        let before = Fate::of(&daemon.quiet()?)?;
        daemon.thread_stopped("drain-0", || {
            ask(&sender, 1)?;
            let mut waited = 0.0;
            for _ in 0..2 {
                thread::sleep(Duration::from_secs(2));
                // The scrape goes on without it, and tells of it.
                let samples = daemon.scrape()?;
                for kind in KINDS {
                    let lag = samples.max(&format!("xdsc_{kind}_lag_seconds"), &[])?;
                    ensure!(lag >= waited + 2.0, "{kind}: {lag} s after {waited} s");
                }
                ensure!(samples.max("xdsc_ring_backlog_records", &[])? == 1.0);
                let labels = [("stage", "drain")];
                let came = samples.count("xdsc_stage_produced_total", &labels)?;
                ensure!(came - consumed(&samples, "drain")? == 1);
                waited += 2.0;
            }
            Ok(())
        })?;
        let samples = daemon.quiet()?;
        ensure!(Fate::of(&samples)?.since(before).delivered == 1);
        nothing_waits(&samples)?;
        daemon.stop()?;
        Ok(())
    })
}

#[test]
fn idle_is_no_lag() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let daemon = Daemon::start(network, "")?;
        nothing_waits(&daemon.scrape()?)?;
        let tally = told(clients(network, 1)?)?;
        let ended = Instant::now();
        thread::sleep(Duration::from_secs(2));
        let looked = ended.elapsed();
        nothing_waits(&daemon.scrape()?)?;
        // However long it lasts.
        thread::sleep(Duration::from_secs(3));
        let samples = daemon.scrape()?;
        nothing_waits(&samples)?;
        everything_was_read(&samples, tally.sent)?;
        let longest = samples.max("xdsc_stage_max_lag_seconds", &[])?;
        ensure!(longest > 0.0, "records were read, if at once");
        ensure!(looked < Duration::from_secs(15), "a test of idleness");
        daemon.stop()?;
        Ok(())
    })
}

/// All lags are 0, and so is what waits.
fn nothing_waits(samples: &Samples) -> Result<()> {
    for name in [
        "xdsc_ring_lag_seconds",
        "xdsc_ring_backlog_records",
        "xdsc_stage_lag_seconds",
        "xdsc_stage_backlog",
    ] {
        let largest = samples.max(name, &[])?;
        ensure!(largest == 0.0, "{name} is {largest}");
    }
    Ok(())
}

/// The smallest rings, in which the share of records does not depend on luck
/// more than it must: one transaction in eight is kept or left out as a whole,
/// the rest by turns.
const SMALL: &str = "[ring]\nbytes = \"64KiB\"\n[pairing]\nfull_below = 0\n";
/// Queries that a ring takes by sampling: its 512 records stand for 16576 at
/// the most.
const SAMPLED: u16 = 8_000;
/// Queries that two of them do not take.
const TOO_MANY: u32 = 60_000;
/// At the highest sampling level a record stands for so many.
const HIGHEST: u64 = 256;

/// What became of messages on their way in, and what the statistics make of it.
#[derive(Clone, Copy, Debug)]
struct Fate {
    dns: u64,
    delivered: u64,
    sampled_out: u64,
    ring_full: u64,
    estimate: u64,
}

impl Fate {
    fn of(samples: &Samples) -> Result<Self> {
        let record = |outcome| {
            let labels = [("hook", "ingress"), ("outcome", outcome)];
            samples.count("xdsc_records_total", &labels)
        };
        let ring = |name| samples.count(name, &[("hook", "ingress")]);
        let fate = Self {
            dns: samples.count("xdsc_dns_messages_total", &[("hook", "ingress")])?,
            delivered: record("delivered")?,
            sampled_out: record("sampled_out")?,
            ring_full: record("ring_full")?,
            estimate: samples.count("xdsc_dataset_transport_vs_qtype_messages_total", &[])?,
        };
        ensure!(
            fate.dns == fate.delivered + fate.sampled_out + fate.ring_full,
            "{fate:?}"
        );
        ensure!(ring("xdsc_ring_dropped_records_total")? == fate.ring_full);
        ensure!(ring("xdsc_ring_consumed_records_total")? == fate.delivered);
        Ok(fate)
    }

    fn since(self, before: Self) -> Self {
        Self {
            dns: self.dns - before.dns,
            delivered: self.delivered - before.delivered,
            sampled_out: self.sampled_out - before.sampled_out,
            ring_full: self.ring_full - before.ring_full,
            estimate: self.estimate - before.estimate,
        }
    }
}

#[test]
fn overload_is_sampled_and_what_is_lost_is_told() -> Result<()> {
    in_network(|network| {
        let daemon = Daemon::start(network, SMALL)?;
        let sender = Sender::new(network)?;
        let before = Fate::of(&daemon.quiet()?)?;

        // More than a ring holds, not more than it takes as a sample.
        daemon.stopped(|| (0..SAMPLED).try_for_each(|id| ask(&sender, id)))?;
        let sampled = Fate::of(&daemon.quiet()?)?;
        let fate = sampled.since(before);
        ensure!(fate.dns == u64::from(SAMPLED), "{fate:?}");
        ensure!(fate.sampled_out > 0, "nothing was left out: {fate:?}");
        ensure!(fate.ring_full == 0, "{fate:?}");
        near(fate.estimate, fate.dns)?;

        // More than that: what is lost is lost from the highest level.
        daemon.stopped(|| (0..TOO_MANY).try_for_each(|id| ask(&sender, id as u16)))?;
        let fate = Fate::of(&daemon.quiet()?)?.since(sampled);
        ensure!(fate.dns == u64::from(TOO_MANY), "{fate:?}");
        ensure!(fate.sampled_out > 0 && fate.ring_full > 0, "{fate:?}");
        near(fate.estimate + HIGHEST * fate.ring_full, fate.dns)?;
        daemon.stop()?;
        Ok(())
    })
}

fn ask(sender: &Sender, id: u16) -> Result<()> {
    sender.send(&ethernet(&[], IPV4, &ipv4(UDP, &udp(&query(id, 0)))))
}

/// At the levels that are reached, the standard deviation of the sample of
/// transactions is a twentieth of the whole; this is four of them.
fn near(estimate: u64, truth: u64) -> Result<()> {
    let ratio = estimate as f64 / truth as f64;
    ensure!((0.8..1.2).contains(&ratio), "{estimate} of {truth}");
    Ok(())
}

fn consumed(samples: &Samples, stage: &str) -> Result<u64> {
    samples.count("xdsc_stage_consumed_total", &[("stage", stage)])
}

/// Clients that ask a thousand times per second, for so long.
fn clients(network: &Network, seconds: u64) -> Result<Child> {
    const QUESTIONS: [(&str, &str); 2] = [("www.example", "A"), ("absent.example", "AAAA")];
    const RATE: u32 = 1_000;
    let load = Load {
        server: SERVER[0],
        transport: Transport::Udp,
        questions: &QUESTIONS,
        rounds: seconds * u64::from(RATE) / QUESTIONS.len() as u64,
        rate: Some(RATE),
    };
    let mut command = network.command(Side::Client, "dnsperf");
    command.args(load.arguments(network)?);
    Ok(command.stdout(Stdio::piped()).spawn()?)
}

/// What they say when they have ended.
fn told(clients: Child) -> Result<Tally> {
    let output = clients.wait_with_output()?;
    tally(&String::from_utf8(output.stdout)?)
}
