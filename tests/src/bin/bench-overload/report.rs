//! What is told of the floods, for people and for machines.

use std::io::{self, Write as _};

use anyhow::{Error, Result};
use integration_tests::bench::{rounded, stage::Account};
use serde_json::{Map, Value, json};

use crate::{flood::Flood, throttle::Version};

/// Tells of both; or why there was no control group.
pub(crate) fn tell(budget: &Flood, group: &Result<Flood, Error>) -> Result<()> {
    let mut out = io::stdout().lock();
    let mut figures = Map::new();
    writeln!(out, "held back by its own budget, `ring.cpu_budget`")?;
    budget.table(&mut out)?;
    budget.note("", &mut figures);
    match group {
        Ok(flood) => {
            writeln!(out, "\nheld back by a control group of the kernel's")?;
            flood.table(&mut out)?;
            flood.note("_group", &mut figures);
        }
        Err(reason) => writeln!(out, "\nno control group: {reason:#}")?,
    }
    let throttled = group.as_ref().ok().and_then(|flood| flood.throttled);
    let version = throttled.map_or(0, |(version, _)| match version {
        Version::First => 1,
        Version::Second => 2,
    });
    figures.insert("group_version".to_owned(), json!(version));
    let times = throttled.map_or(0, |(_, times)| times);
    figures.insert("group_throttled".to_owned(), json!(times));
    writeln!(
        out,
        "{}",
        json!({ "bench": "overload", "figures": figures })
    )?;
    Ok(())
}

impl Flood {
    fn sampled_share(&self) -> f64 {
        self.account.sampled_out as f64 / self.account.messages as f64
    }

    fn mebibytes(&self) -> [f64; 2] {
        self.memory.map(|octets| octets as f64 / f64::from(1 << 20))
    }

    fn table(&self, out: &mut impl io::Write) -> io::Result<()> {
        let [calm, most] = self.mebibytes();
        let Account {
            messages,
            delivered,
            sampled_out,
            lost,
        } = self.account;
        if let Some((version, times)) = self.throttled {
            writeln!(out, "stopped, times        {times:>12}   {version}")?;
        }
        writeln!(out, "messages/s            {:>12.0}", self.rate)?;
        writeln!(
            out,
            "CPUs of the daemon    {:>12.3}   to read the rings: {:.3}",
            self.cores, self.drain_cores
        )?;
        writeln!(
            out,
            "messages              {messages:>12}   {}",
            if self.exact { "exact" } else { "WRONG" }
        )?;
        writeln!(out, "records taken         {delivered:>12}")?;
        writeln!(
            out,
            "sampled out           {sampled_out:>12}   one in {} kept at the highest level seen",
            self.one_in
        )?;
        writeln!(out, "lost                  {lost:>12}")?;
        writeln!(
            out,
            "resident, MiB         {most:>12.1}   before: {calm:.1}"
        )?;
        let recovery = self.recovery.as_secs_f64();
        writeln!(out, "recovery, s           {recovery:>12.2}")?;
        self.estimates.tell(out)
    }

    fn note(&self, suffix: &str, figures: &mut Map<String, Value>) {
        let [calm, most] = self.mebibytes();
        for (key, value) in [
            ("totals_exact", json!(u8::from(self.exact))),
            ("offered_mps", rounded(self.rate, 0)),
            ("daemon_cores", rounded(self.cores, 3)),
            ("drain_cores", rounded(self.drain_cores, 3)),
            ("sampled_share", rounded(self.sampled_share(), 4)),
            ("lost", json!(self.account.lost)),
            ("cells", json!(self.estimates.cells())),
            ("within_95_percent", rounded(self.estimates.within(1.96), 4)),
            ("worst_deviations", rounded(self.estimates.worst(), 2)),
            ("rss_mb", rounded(most, 1)),
            ("rss_growth", rounded(most / calm, 3)),
            ("recovery_s", rounded(self.recovery.as_secs_f64(), 2)),
        ] {
            figures.insert(format!("{key}{suffix}"), value);
        }
    }
}
