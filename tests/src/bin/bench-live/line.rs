//! What is told of a load, for people and for machines.

use std::fmt;

use integration_tests::bench::{
    rounded,
    stage::{Account, Run},
};
use serde_json::{Map, Value, json};

/// What is told of a load.
pub(crate) struct Line {
    pub(crate) set: &'static str,
    pub(crate) name: &'static str,
    pub(crate) run: Run,
    pub(crate) account: Account,
    /// Longest time in the rings, warm-up included, in seconds.
    pub(crate) lag: f64,
    /// Longest time on a CPU for handing counts over, warm-up included, in seconds.
    pub(crate) pause: f64,
    /// One transaction in so many was paired.
    pub(crate) paired: f64,
    pub(crate) peak: u64,
}

impl Line {
    pub(crate) const HEAD: &'static str = "datasets     load  messages/s  sampled out       lost totals  \
                                cores  us/message  lag ms  pause ms  paired  peak MiB";

    fn exact(&self) -> bool {
        self.account.messages == self.run.sent
    }

    /// Microseconds of a CPU per message that was read: what sampling left out cost
    /// the daemon nothing.
    fn microseconds(&self) -> f64 {
        self.run.processor.as_secs_f64() * 1e6 / self.account.delivered as f64
    }

    fn sampled_share(&self) -> f64 {
        self.account.sampled_out as f64 / self.account.messages as f64
    }

    pub(crate) fn note(&self, figures: &mut Map<String, Value>) {
        let Self {
            set,
            name,
            run,
            account,
            ..
        } = self;
        let microseconds = rounded(self.microseconds(), 3);
        let suffix = match (*set, *name) {
            (_, "random") => "_random".to_owned(),
            ("full", _) => String::new(),
            (other, _) => format!("_{other}"),
        };
        if !matches!(*name, "all" | "random") {
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

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
            self.microseconds(),
            self.lag * 1e3,
            self.pause * 1e3,
            format!("1/{}", self.paired),
            self.peak as f64 / f64::from(1 << 20),
        )
    }
}
