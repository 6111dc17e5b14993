//! Writes the documentation that is made from the code, or compares it.
//!
//! `docs/METRICS.md` comes from the families as they are encoded, so that it
//! cannot promise what a scrape does not show; `docs/config.md` from the
//! declarations that the daemon reads its configuration with; `docs/openapi.json` is what
//! it serves.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use dns_wire::{
    counters::{Delivery, Hook, Outcome, Role, TcpEvent},
    icmp::IcmpType,
    locate::NotDns,
    message::EdnsState,
    reject::Reject,
};
use xdsc::export::{
    process::ProcessCollector,
    prometheus::openmetrics,
    snapshot::{Snapshot, Stage},
};

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let task = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => write,
        ["--check"] => check,
        _ => bail!("usage: generate [--check]"),
    };
    for (path, text) in [
        ("docs/METRICS.md", metrics()?),
        ("docs/config.md", xdsc::config::reference()),
        ("docs/openapi.json", xdsc::http::openapi()),
    ] {
        task(Path::new(path), &text)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn check(path: &Path, text: &str) -> Result<()> {
    let found = fs::read_to_string(path).unwrap_or_default();
    ensure!(
        found == text,
        "{} is out of date; run `cargo xtask generate` and commit it",
        path.display()
    );
    Ok(())
}

const INTRODUCTION: &str = "\
# Metrics

What `/metrics` shows, and `xdsc read --format prometheus` but for the families
of the live source. This page is made from the families as they are encoded
(`cargo xtask generate`).

## The account

Every packet ends as exactly one outcome, and whatever is not in the numbers of
DNS messages has a reason with a number of its own. Per `hook`, at any time but
for packets under way between two counters:

```text
sum(xdsc_packets_total)                = sum(xdsc_packet_outcomes_total)
xdsc_packet_outcomes_total{dns}
  + xdsc_packet_outcomes_total{segment} = sum(xdsc_records_total)
xdsc_packet_outcomes_total{rejected}   = sum(xdsc_rejected_packets_total)
xdsc_packet_outcomes_total{not_dns}    = sum(xdsc_not_dns_packets_total)
```

The second one is of the records: each packet with outcome `dns` or `segment`
makes one, which is delivered, left out on purpose, or lost, and counted as such.

## Lag

A ring or a stage is behind by the age of the oldest record that waits for it.
Where nothing waits there is no lag: an idle server shows 0.

- `xdsc_stage_max_lag_seconds` and `xdsc_ring_max_lag_seconds` are the worst of the
  last minute, so that a peak between two scrapes is seen: alert on these. Usual are
  some milliseconds, when idle up to `ring.poll_max`; for `aggregate` up to four
  seconds, since the threads hand over every three, and when a scrape asks.
- `xdsc_stage_lag_seconds`, `xdsc_ring_lag_seconds` and the backlogs are of the moment:
  for rings and `drain` as a scrape finds them, before it has them emptied, for
  `aggregate` what is missing in this very scrape. They grow while a thread hangs,
  and are told all the same.
- A stage that is given more than it can do has a rate of `produced` above that of
  `consumed`. The stage `drain` is all rings together.
- A ring that fills does not lag for ever, it samples: `xdsc_ring_sampling_interval`
  above 1, and records `sampled_out`, for which others stand. Lost are only those of
  `xdsc_ring_dropped_records_total`. At the level at which a ring is full, a record
  stands for 256 messages; so many are missing in the datasets for each `ring_full`.
- How far off sampled numbers are: with V the increase of
  `xdsc_ring_sampling_variance_total` in a direction, and p the share of its messages
  that a cell of a dataset has, the standard deviation of the cell's increase is the
  square root of p V. It is off by less than 1.96 of these in 95 of 100 cases. That is
  for messages that are drawn one by one, as those over UDP are. What is paired is
  kept or left out by transaction, and TCP by connection: of a cell that a few
  connections with n messages each make up, the deviation is up to the square root of
  n as much.

Times are those of `CLOCK_MONOTONIC`: setting the clock does not matter, and the
time that a machine sleeps is no lag. The kernel stamps most records with its tick,
so that a lag may be up to a tick (1 to 10 ms) too long.
";

fn metrics() -> Result<String> {
    let text = openmetrics(Snapshot::example(), Some(ProcessCollector::new()))?;
    let mut page = format!(
        "{INTRODUCTION}\n## Families\n\n| Name | Type | Labels | Meaning |\n|---|---|---|---|\n"
    );
    for family in families(&text)? {
        writeln!(page, "{}", family.row())?;
    }
    page.push_str("\n## Values of labels\n");
    for (heading, rows) in values() {
        write!(page, "\n### {heading}\n\n| Value | Meaning |\n|---|---|\n")?;
        for (value, meaning) in rows {
            writeln!(page, "| `{value}` | {} |", cell(meaning))?;
        }
    }
    Ok(page)
}

/// A family as it is encoded.
struct Family<'a> {
    name: &'a str,
    kind: &'a str,
    help: String,
    labels: Vec<&'a str>,
}

impl Family<'_> {
    fn row(&self) -> String {
        let suffix = if self.kind == "counter" { "_total" } else { "" };
        let labels: Vec<_> = self
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        format!(
            "| `{}{suffix}` | {} | {} | {} |",
            self.name,
            self.kind,
            labels.join(", "),
            cell(&self.help)
        )
    }
}

/// Text in a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Reads OpenMetrics text: each family's head, and the labels of its samples.
fn families(text: &str) -> Result<Vec<Family<'_>>> {
    let mut families: Vec<Family<'_>> = Vec::new();
    let mut help = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            (_, help) = rest.split_once(' ').context("a help without text")?;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').context("a type without a name")?;
            families.push(Family {
                name,
                kind,
                help: help.replace("\\\"", "\"").replace("\\\\", "\\"),
                labels: Vec::new(),
            });
        } else if !line.starts_with('#') {
            let family = families.last_mut().context("a sample without a family")?;
            family.labels.extend(new_labels(line, &family.labels));
        }
    }
    Ok(families)
}

/// The labels of a sample that are not known yet. No value of the example has a
/// comma or a brace in it. `le` is a histogram's own.
fn new_labels<'a>(sample: &'a str, known: &[&'a str]) -> Vec<&'a str> {
    let inner = sample
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    let labels = inner.map_or("", |(labels, _)| labels).split(',');
    labels
        .filter_map(|label| Some(label.split_once('=')?.0))
        .filter(|name| *name != "le" && !known.contains(name))
        .collect()
}

type Rows = Vec<(&'static str, &'static str)>;

/// The closed sets of label values, from the tables that define them.
fn values() -> Vec<(&'static str, Rows)> {
    macro_rules! rows {
        ($table:ty) => {
            <$table>::ALL
                .iter()
                .map(|value| (value.label(), value.description()))
                .collect()
        };
    }
    vec![
        ("`hook`", rows!(Hook)),
        ("`outcome` of packets", rows!(Outcome)),
        ("`outcome` of records", rows!(Delivery)),
        ("`stage`", rows!(Stage)),
        ("`protocol` of packets that are not DNS", rows!(NotDns)),
        ("`reason` of rejection", rows!(Reject)),
        ("`type` of ICMP", rows!(IcmpType)),
        ("`event` of TCP", rows!(TcpEvent)),
        ("`role`", rows!(Role)),
        ("`edns`", rows!(EdnsState)),
    ]
}
