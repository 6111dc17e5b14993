//! The whole daemon under traffic out of the kernel, on this machine: what it
//! takes of the processor, what it leaves out, and whether its totals are exact.
//!
//! First everything that the generator makes, queries only, with the default
//! datasets; then queries and responses at chosen rates with all datasets.

use std::{
    env, fs,
    io::{self, Write as _},
    path::Path,
    time::Duration,
};

use anyhow::{Result, bail};
use integration_tests::{
    bench::{
        generator::Passing,
        rounded,
        stage::{Account, Load, Run, Stage},
        usage::peak,
    },
    network::{INTERFACES, Network, Side, daemon::Daemon, in_network},
};
use nix::sys::signal::Signal;
use serde_json::{Map, Value, json};
use xdsc::source::file::Capture;

const SEED: u64 = 1;
/// How long each load lasts.
const SECONDS: u64 = 6;
/// Before it, so that tables have their size and rates are known.
const WARM_UP: Duration = Duration::from_secs(2);
/// Messages per second, and what they are called.
const RATES: [(u64, &str); 3] = [(10_000, "10k"), (100_000, "100k"), (500_000, "500k")];
/// What xdsc counts unasked, and all that it can count.
const SETS: [(&str, &str); 2] = [("default", ""), ("full", FULL)];
const FULL: &str = "[statistics]\ndatasets = [\"all\"]\n";

fn main() -> Result<()> {
    let (seconds, only) = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => (SECONDS, None),
        [seconds] => (seconds.parse()?, None),
        [seconds, set] => (seconds.parse()?, Some(set.clone())),
        _ => bail!("usage: bench-live [SECONDS [default|full|dnscap]]"),
    };
    let is_wanted = |set: &str| only.as_ref().is_none_or(|only| only == set);
    let duration = Duration::from_secs(seconds);
    in_network(|network| {
        let mut stage = Stage::new(network, SEED)?;
        let mut figures = Map::new();
        let mut out = io::stdout().lock();
        writeln!(out, "{}", Line::HEAD)?;
        for (set, config) in SETS.into_iter().filter(|(set, _)| is_wanted(set)) {
            for line in lines(network, &mut stage, set, config, duration)? {
                writeln!(out, "{line}")?;
                line.note(&mut figures);
            }
        }
        if is_wanted("dnscap") {
            let (run, captured) = beside_dnscap(network, &mut stage, duration)?;
            let microseconds = run.processor.as_secs_f64() * 1e6 / captured;
            writeln!(
                out,
                "dnscap at {:.0}/s: {microseconds:.3} us/message that it captured, {:.1} % of them",
                run.rate(),
                captured * 100.0 / run.sent as f64
            )?;
            let key = "dnscap_captured_share_100k".to_owned();
            figures.insert(key, rounded(captured / run.sent as f64, 4));
            let key = "dnscap_us_per_msg_100k".to_owned();
            figures.insert(key, rounded(microseconds, 3));
        }
        writeln!(out, "{}", json!({ "bench": "live", "figures": figures }))?;
        Ok(())
    })
}

/// All loads, one after the other, past one daemon.
fn lines(
    network: &Network,
    stage: &mut Stage<'_>,
    set: &'static str,
    config: &str,
    duration: Duration,
) -> Result<Vec<Line>> {
    let daemon = Daemon::start(network, config)?;
    let mut lines = Vec::new();
    let paced = RATES.map(|(rate, name)| (Load::Paced(rate), name));
    for (load, name) in paced.into_iter().chain([(Load::Full, "all")]) {
        stage.run(load, WARM_UP, daemon.pid())?;
        let before = Account::of(&daemon)?;
        let run = stage.run(load, duration, daemon.pid())?;
        let scrape = daemon.scrape()?;
        let lag = scrape.max("xdsc_stage_max_lag_seconds", &[("stage", "drain")])?;
        let pause = scrape.max("xdsc_drain_max_pause_seconds", &[])?;
        let paired = scrape.max("xdsc_pairing_interval", &[])?;
        let account = Account::of(&daemon)?.since(&before);
        lines.push(Line {
            set,
            name,
            run,
            account,
            lag,
            pause,
            paired,
            peak: peak(daemon.pid())?,
        });
    }
    daemon.stop()?;
    Ok(lines)
}

/// The tool that captures, where the daemon was: what it took, and the messages
/// that it captured meanwhile.
fn beside_dnscap(
    network: &Network,
    stage: &mut Stage<'_>,
    duration: Duration,
) -> Result<(Run, f64)> {
    let [interface, _] = INTERFACES;
    // XDP at the server's end is what lets the generator's packets in.
    let mut passing = Passing::load()?;
    network.within(Side::Server, || passing.attach(interface))?;
    let capture = network.directory().join("dnscap").display().to_string();
    let arguments = ["-N", "-i", interface, "-w", &capture];
    let mut dnscap = network.start(Side::Server, "dnscap", &arguments)?;
    let warm_up = stage.run(Load::Paced(100_000), WARM_UP, dnscap.pid())?;
    let run = stage.run(Load::Paced(100_000), duration, dnscap.pid())?;
    dnscap.end_by(Signal::SIGINT)?;
    let captured = packets_in(network.directory(), "dnscap.")? as f64;
    // It loses as many in the first seconds as later.
    let share = run.sent as f64 / (run.sent + warm_up.sent) as f64;
    Ok((run, captured * share))
}

/// Packets in the captures of a folder whose names begin so.
fn packets_in(folder: &Path, name: &str) -> Result<u64> {
    let mut packets = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(name) {
            continue;
        }
        let mut capture = Capture::open(&entry.path())?;
        while capture.next_packet()?.is_some() {
            packets += 1;
        }
    }
    Ok(packets)
}

/// What is told of a load.
struct Line {
    set: &'static str,
    name: &'static str,
    run: Run,
    account: Account,
    /// Longest time in the rings within a minute, in seconds.
    lag: f64,
    /// Longest time on a CPU within a minute for handing counts over, in seconds.
    pause: f64,
    /// One transaction in so many was paired.
    paired: f64,
    peak: u64,
}

impl Line {
    const HEAD: &'static str = "datasets     load  messages/s  sampled out       lost totals  \
                                cores  us/message  lag ms  pause ms  paired  peak MiB";

    fn exact(&self) -> bool {
        self.account.messages == self.run.sent
    }

    fn sampled_share(&self) -> f64 {
        self.account.sampled_out as f64 / self.account.messages as f64
    }

    fn note(&self, figures: &mut Map<String, Value>) {
        let Self {
            set,
            name,
            run,
            account,
            ..
        } = self;
        let microseconds = rounded(run.microseconds(), 3);
        let suffix = match *set {
            "full" => String::new(),
            other => format!("_{other}"),
        };
        if *name != "all" {
            figures.insert(format!("daemon_us_per_msg_{name}{suffix}"), microseconds);
            let lost = account.lost + account.sampled_out;
            figures.insert(format!("missing_{name}{suffix}"), json!(lost));
            figures.insert(format!("paired_one_in_{name}{suffix}"), json!(self.paired));
            return;
        }
        let seconds = run.elapsed.as_secs_f64();
        for (key, value) in [
            ("offered_pps", rounded(run.rate(), 0)),
            (
                "delivered_pps",
                rounded(account.delivered as f64 / seconds, 0),
            ),
            ("sampled_share", rounded(self.sampled_share(), 4)),
            ("lost", json!(account.lost)),
            ("totals_exact", json!(u8::from(self.exact()))),
            ("daemon_cores", rounded(run.cores(), 3)),
            ("daemon_us_per_msg", microseconds),
            ("lag_seconds", rounded(self.lag, 4)),
            ("pause_ms", rounded(self.pause * 1e3, 3)),
            ("peak_mb", rounded(self.peak as f64 / f64::from(1 << 20), 1)),
        ] {
            figures.insert(format!("{key}{suffix}"), value);
        }
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:<8} {:>8} {:>11.0} {:>12} {:>10} {:>6} {:>6.3} {:>11.3} {:>7.1} {:>9.2} {:>7} {:>9.1}",
            self.set,
            self.name,
            self.run.rate(),
            self.account.sampled_out,
            self.account.lost,
            if self.exact() { "exact" } else { "WRONG" },
            self.run.cores(),
            self.run.microseconds(),
            self.lag * 1e3,
            self.pause * 1e3,
            format!("1/{}", self.paired),
            self.peak as f64 / f64::from(1 << 20),
        )
    }
}
