//! The datasets' numbers against those of the messages that were sent.
//!
//! What a cell may be off by is what the daemon states: the variance that sampling
//! gives to the messages of a direction, of which the cell has the share that it
//! has of the messages.

use std::{collections::BTreeMap, io};

use anyhow::{Context as _, Result};
use integration_tests::{
    bench::stage::{Account, Stage},
    network::{daemon::Daemon, exposition::Samples},
    traffic::Exchange,
};

/// Two datasets that have a cell for each network. No message is in two cells of one,
/// so these are sampled independently of each other, as a test of stated deviations
/// wants them: most others count the same few parts of the messages again.
pub(crate) const DATASETS: &str = "\
[export]
max_series = 60000

[[dataset]]
name = \"networks\"
dimensions = [\"client_subnet\"]
filters = [\"queries-only\", \"server-only\"]
max_cells = 20000

[[dataset]]
name = \"answered_networks\"
dimensions = [\"client_subnet\"]
filters = [\"replies-only\", \"server-only\"]
max_cells = 20000
";

/// What a family counts by, and of which messages.
struct Kind {
    family: &'static str,
    label: &'static str,
    direction: Direction,
    /// The value of an exchange; none where the dataset leaves it out.
    value: fn(&Exchange) -> Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Query,
    Response,
}

const fn queries(
    family: &'static str,
    label: &'static str,
    value: fn(&Exchange) -> Option<String>,
) -> Kind {
    Kind {
        family,
        label,
        direction: Direction::Query,
        value,
    }
}

#[rustfmt::skip]
const KINDS: [Kind; 9] = [
    queries("xdsc_dataset_transport_vs_qtype_messages_total", "qtype", |e| Some(qtype(e.qtype))),
    queries("xdsc_dataset_dns_ip_version_vs_qtype_messages_total", "ip_version", |e| {
        Some(if e.client.is_ipv4() { "4" } else { "6" }.to_owned())
    }),
    queries("xdsc_dataset_label_count_messages_total", "label_count", |e| Some(e.labels.len().to_string())),
    queries("xdsc_dataset_edns_version_messages_total", "edns_version", |e| {
        Some(e.edns.map_or("none", |_| "0").to_owned())
    }),
    queries("xdsc_dataset_tld_messages_total", "tld", plain_tld),
    queries("xdsc_dataset_networks_messages_total", "client_subnet", |e| Some(subnet(e))),
    Kind {
        family: "xdsc_dataset_answered_networks_messages_total",
        label: "client_subnet",
        direction: Direction::Response,
        value: |e| Some(subnet(e)),
    },
    Kind {
        family: "xdsc_dataset_client_addr_vs_rcode_messages_total",
        label: "rcode",
        direction: Direction::Response,
        value: |e| Some(rcode(e.rcode).to_owned()),
    },
    Kind {
        family: "xdsc_dataset_second_ld_vs_rcode_messages_total",
        label: "rcode",
        direction: Direction::Response,
        value: |e| Some(rcode(e.rcode).to_owned()),
    },
];

fn qtype(number: u16) -> String {
    match number {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        43 => "DS",
        48 => "DNSKEY",
        65 => "HTTPS",
        _ => return format!("TYPE{number}"),
    }
    .to_owned()
}

const fn rcode(number: u8) -> &'static str {
    match number {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        5 => "REFUSED",
        _ => "",
    }
}

/// The last label, where it is printed as it is.
fn plain_tld(exchange: &Exchange) -> Option<String> {
    let tld = exchange.labels.last()?.to_lowercase();
    let is_plain = tld.bytes().all(|octet| octet.is_ascii_alphanumeric());
    is_plain.then_some(tld)
}

fn subnet(exchange: &Exchange) -> String {
    match exchange.client {
        std::net::IpAddr::V4(client) => {
            let [a, b, c, _] = client.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        std::net::IpAddr::V6(client) => {
            let network = u128::from(client) >> 80 << 80;
            format!("{}/48", std::net::Ipv6Addr::from(network))
        }
    }
}

/// A cell: the place among [`KINDS`], and the label's value.
type Cell = (usize, String);

/// What was sent and what was told until a moment.
pub(crate) struct Moment {
    pub(crate) account: Account,
    sent: [u64; 2],
    truth: BTreeMap<Cell, u64>,
    told: BTreeMap<Cell, u64>,
    /// By direction.
    variance: [f64; 2],
}

impl Moment {
    /// Now, with no packet on its way.
    pub(crate) fn of(stage: &Stage<'_>, daemon: &Daemon<'_>) -> Result<Self> {
        let samples = daemon.quiet()?;
        let mut truth = BTreeMap::new();
        let mut sent = [0, 0];
        for (exchange, times) in stage.exchanges() {
            for (sum, times) in sent.iter_mut().zip(times) {
                *sum += times;
            }
            for (place, kind) in KINDS.iter().enumerate() {
                if let Some(value) = (kind.value)(exchange) {
                    *truth.entry((place, value)).or_default() += times[kind.direction as usize];
                }
            }
        }
        let variance = ["ingress", "egress"]
            .map(|hook| samples.sum("xdsc_ring_sampling_variance_total", &[("hook", hook)]));
        let [ingress, egress] = variance;
        Ok(Self {
            account: Account::read(&samples)?,
            sent,
            truth,
            told: told(&samples)?,
            variance: [ingress?, egress?],
        })
    }

    /// Messages until then.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.iter().sum()
    }
}

fn told(samples: &Samples) -> Result<BTreeMap<Cell, u64>> {
    let mut told = BTreeMap::new();
    for (place, kind) in KINDS.iter().enumerate() {
        let by_value = samples.by(kind.label, kind.family, &[]);
        for (value, count) in by_value.with_context(|| kind.family)? {
            told.insert((place, value), count);
        }
    }
    Ok(told)
}

/// How far off the numbers of the cells are.
pub(crate) struct Estimates {
    /// Cell, what is true, what was told, and the difference in standard
    /// deviations.
    cells: Vec<(Cell, f64, f64, f64)>,
    /// The standard deviation of a direction's whole number, as a share of it.
    stated: [f64; 2],
}

impl Estimates {
    /// Of what came between two moments: all cells that were there at both, and
    /// are large enough for a normal distribution.
    pub(crate) fn between(before: &Moment, after: &Moment) -> Result<Self> {
        let sent = [0, 1].map(|n| (after.sent[n] - before.sent[n]) as f64);
        let variance = [0, 1].map(|n| after.variance[n] - before.variance[n]);
        let mut cells = Vec::new();
        for (cell, told_before) in &before.told {
            let (Some(told), Some(truth)) = (after.told.get(cell), after.truth.get(cell)) else {
                continue;
            };
            let truth = (truth - before.truth.get(cell).unwrap_or(&0)) as f64;
            let told = told.saturating_sub(*told_before) as f64;
            let direction = KINDS.get(cell.0).context("a kind")?.direction as usize;
            let deviation = (variance[direction] * truth / sent[direction]).sqrt();
            if deviation * 4.0 < truth {
                let off = (told - truth) / deviation.max(1.0);
                cells.push((cell.clone(), truth, told, off));
            }
        }
        Ok(Self {
            cells,
            stated: [0, 1].map(|n| variance[n].sqrt() / sent[n]),
        })
    }

    pub(crate) fn cells(&self) -> usize {
        self.cells.len()
    }

    /// The share of the cells that are off by so many deviations at most.
    pub(crate) fn within(&self, deviations: f64) -> f64 {
        let within = self.cells.iter();
        let within = within.filter(|(.., off)| off.abs() <= deviations).count();
        within as f64 / self.cells.len() as f64
    }

    /// The largest number of deviations.
    pub(crate) fn worst(&self) -> f64 {
        let all = self.cells.iter().map(|(.., off)| off.abs());
        all.fold(0.0, f64::max)
    }

    pub(crate) fn tell(&self, out: &mut impl io::Write) -> io::Result<()> {
        let [queries, responses] = self.stated.map(|share| share * 100.0);
        writeln!(
            out,
            "stated deviation, %   {queries:>12.3}   of all queries; of all responses: {responses:.3}"
        )?;
        for (place, kind) in KINDS.iter().enumerate() {
            let cells = self.cells.iter().filter(|((kind, _), ..)| *kind == place);
            let worst = cells.clone().max_by(|a, b| a.3.abs().total_cmp(&b.3.abs()));
            let Some(((_, value), truth, told, off)) = worst else {
                continue;
            };
            let name = kind.family.trim_start_matches("xdsc_dataset_");
            writeln!(
                out,
                "  {:<42} {:>3} cells, worst {value}: {told:.0} of {truth:.0}, {off:+.2} deviations",
                name.trim_end_matches("_messages_total"),
                cells.count()
            )?;
        }
        Ok(())
    }
}
