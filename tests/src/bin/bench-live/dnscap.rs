//! dnscap where the daemon is otherwise: what a tool that captures takes.

use std::{fmt, fs, path::Path, time::Duration};

use anyhow::{Result, ensure};
use integration_tests::{
    bench::{
        generator::Passing,
        rounded,
        stage::{Load, Run, Stage},
    },
    network::{INTERFACES, Network, Side},
};
use nix::sys::signal::Signal;
use serde_json::{Map, Value};
use xdsc::source::file::Capture;

use crate::WARM_UP;

/// Messages per second.
const RATE: u64 = 100_000;

/// What it did.
pub(crate) struct Beside {
    run: Run,
    /// Messages of the run that are in its capture.
    captured: f64,
}

impl Beside {
    pub(crate) fn measure(
        network: &Network,
        stage: &mut Stage<'_>,
        duration: Duration,
    ) -> Result<Self> {
        let [interface, _] = INTERFACES;
        // XDP at the server's end is what lets the generator's packets in.
        let mut passing = Passing::load()?;
        network.within(Side::Server, || passing.attach(interface))?;
        let capture = network.directory().join("dnscap").display().to_string();
        let arguments = ["-N", "-i", interface, "-w", &capture];
        let mut dnscap = network.start(Side::Server, "dnscap", &arguments)?;
        let warm_up = stage.run(Load::Paced(RATE), WARM_UP, dnscap.pid())?;
        let run = stage.run(Load::Paced(RATE), duration, dnscap.pid())?;
        dnscap.end_by(Signal::SIGINT)?;
        let captured = packets_in(network.directory(), "dnscap.")?;
        ensure!(captured > 0, "dnscap has captured nothing");
        // It loses as many in the first seconds as later.
        let share = run.sent as f64 / (run.sent + warm_up.sent) as f64;
        Ok(Self {
            run,
            captured: captured as f64 * share,
        })
    }

    fn microseconds(&self) -> f64 {
        self.run.processor.as_secs_f64() * 1e6 / self.captured
    }

    fn share(&self) -> f64 {
        self.captured / self.run.sent as f64
    }

    pub(crate) fn note(&self, figures: &mut Map<String, Value>) {
        for (key, value) in [
            ("dnscap_captured_share_100k", rounded(self.share(), 4)),
            ("dnscap_us_per_msg_100k", rounded(self.microseconds(), 3)),
        ] {
            figures.insert(key.to_owned(), value);
        }
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "dnscap at {:.0}/s: {:.3} us/message that it captured, {:.1} % of them",
            self.run.rate(),
            self.microseconds(),
            self.share() * 100.0
        )
    }
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
