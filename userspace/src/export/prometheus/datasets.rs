//! The datasets as families: one each, and what must be known to read them.

use std::fmt;

use prometheus_client::registry::Unit;

use super::{Families, Samples};
use crate::stats::{
    aggregate::{ClientCounts, Report, Table, zone_names_error},
    dataset::{Dataset, Dimension, Filter, Measure},
};

/// Messages without room in memory.
const UNCOUNTED: &str = "dataset_uncounted_messages";
/// Their octets, where octets are added up.
const UNCOUNTED_BYTES: &str = "dataset_uncounted_bytes";
/// What a value without a cell can have.
const ERROR_BOUND: &str = "dataset_error_bound_messages";
/// Likewise in octets.
const ERROR_BOUND_BYTES: &str = "dataset_error_bound_bytes";

/// Families that have names as datasets could have them.
pub const RESERVED: [&str; 4] = [UNCOUNTED, UNCOUNTED_BYTES, ERROR_BOUND, ERROR_BOUND_BYTES];

/// The name of a dataset's family, without what the library puts around it.
#[must_use]
pub fn family_name(dataset: &Dataset) -> String {
    let name = snake_case(&dataset.name);
    // Bits would be taken for a unit.
    let words = name.split('_').map(|word| match word {
        "bits" => "flags",
        word => word,
    });
    let name = words.collect::<Vec<_>>().join("_");
    match dataset.measure {
        Measure::Messages => format!("dataset_{name}_messages"),
        // The unit stands once, at the end.
        Measure::Bytes => format!("dataset_{}_bytes", name.trim_end_matches("_bytes")),
    }
}

/// The label of a dimension: in lower case, with `_` between words.
#[must_use]
pub fn label_name(dimension: &Dimension) -> String {
    let label = snake_case(&dimension.label);
    if label.starts_with(|c: char| c.is_ascii_digit()) {
        format!("n{label}")
    } else {
        label
    }
}

/// `ClientAddr` and `IPVersion` are `client_addr` and `ip_version`.
fn snake_case(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut name = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|at| letters.get(at));
        let after = letters.get(index + 1);
        let ends_a_word = before.is_some_and(|c| c.is_ascii_lowercase());
        let ends_a_run = before.is_some_and(char::is_ascii_uppercase)
            && after.is_some_and(char::is_ascii_lowercase);
        if letter.is_ascii_uppercase() && (ends_a_word || ends_a_run) {
            name.push('_');
        }
        name.push(if letter.is_ascii_alphanumeric() {
            letter.to_ascii_lowercase()
        } else {
            '_'
        });
    }
    name.trim_matches('_').to_owned()
}

/// What is counted, and how to read it.
fn help(dataset: &Dataset) -> String {
    let dimensions: Vec<_> = shown(dataset)
        .map(|dimension| dimension.indexer.label())
        .collect();
    let filters: Vec<_> = dataset.filters.iter().map(filter_name).collect();
    let of = match &*filters {
        [] => String::new(),
        filters => format!(" of {}", filters.join(", ")),
    };
    let counted = match dataset.measure {
        Measure::Messages => "DNS messages",
        Measure::Bytes => "Octets of DNS messages",
    };
    format!(
        "{counted}{of} by {}. Values without a cell are other; what is retired had one, leave it out of rates. The sum is exact, but for messages that were sampled",
        dimensions.join(" and ")
    )
}

fn filter_name(filter: &Filter) -> String {
    match filter {
        Filter::Is(predicate) => predicate.label().to_owned(),
        Filter::QnameMatches(index) => format!("QNAME filter {index}"),
    }
}

/// The dimensions that have a label: not the rows where there is but one.
fn shown(dataset: &Dataset) -> impl Iterator<Item = &Dimension> {
    let skipped = usize::from(dataset.is_flat());
    dataset.dimensions.iter().skip(skipped)
}

impl Families<'_> {
    pub(super) fn statistics(&mut self, report: &Report) -> fmt::Result {
        for table in &report.tables {
            self.table(table)?;
        }
        self.bounds(report)?;
        if let Some(clients) = &report.clients {
            self.clients(clients)?;
        }
        if let Some(zones) = &report.zone_names {
            self.zone_names(zones)?;
        }
        self.random_subdomains(report)
    }

    fn table(&mut self, table: &Table) -> fmt::Result {
        let dataset = &*table.dataset;
        let [first, second] = &dataset.dimensions;
        let labels = [label_name(first), label_name(second)];
        self.counter(&family_name(dataset), &help(dataset), |samples| {
            let [first, second] = &labels;
            table.series().try_for_each(|([row, column], count)| {
                if dataset.is_flat() {
                    samples.counter([(second.as_str(), column)], count)
                } else {
                    samples.counter([(first.as_str(), row), (second.as_str(), column)], count)
                }
            })
        })
    }

    fn bounds(&mut self, report: &Report) -> fmt::Result {
        let help = "Series of datasets that are exported";
        self.gauge("export_series", help, None, |samples| {
            samples.gauge([], report.series as f64)
        })?;
        let help = "Most series of datasets that may be exported";
        self.gauge("export_max_series", help, None, |samples| {
            samples.gauge([], report.max_series as f64)
        })?;
        let help = "Memory of what is added up for the datasets";
        self.gauge("aggregate_memory", help, Some(&Unit::Bytes), |samples| {
            samples.gauge([], report.memory as f64)
        })?;
        let help = "Cells of a dataset that went, since they were replaced by bigger ones or idle";
        self.counter("dataset_churn", help, |samples| {
            report.tables.iter().try_for_each(|table| {
                let dataset = table.dataset.name.as_str();
                for (reason, count) in [("replaced", table.replaced), ("idle", table.expired)] {
                    samples.counter([("dataset", dataset), ("reason", reason)], count)?;
                }
                Ok(())
            })
        })?;
        let help = "Times that a value was frequent enough for a cell and got none, by max_cells, max_series or the bound of churn";
        self.counter("dataset_overflow", help, |samples| {
            each_table(report, |dataset, table| {
                samples.counter(dataset, table.overflow)
            })
        })?;
        for (measure, name, help) in [
            (
                Measure::Messages,
                UNCOUNTED,
                "Messages, of those in the cell other, whose value found no room in memory",
            ),
            (
                Measure::Bytes,
                UNCOUNTED_BYTES,
                "Octets of messages, of those in the cell other, whose value found no room in memory; of datasets that add octets up",
            ),
        ] {
            self.counter(name, help, |samples| {
                each_table_of(measure, report, |dataset, table| {
                    samples.counter(dataset, table.uncounted)
                })
            })?;
        }
        for (measure, name, help) in [
            (
                Measure::Messages,
                ERROR_BOUND,
                "Messages that a value without a cell can have at most, counts being halved every two minutes",
            ),
            (
                Measure::Bytes,
                ERROR_BOUND_BYTES,
                "Octets of messages that a value without a cell can have at most, counts being halved every two minutes; of datasets that add octets up",
            ),
        ] {
            self.gauge(name, help, None, |samples| {
                each_table_of(measure, report, |dataset, table| {
                    samples.gauge(dataset, table.error_bound)
                })
            })?;
        }
        Ok(())
    }

    fn clients(&mut self, clients: &ClientCounts) -> fmt::Result {
        let help = "Different clients that sent queries to the server: in the last minute that is over, and in this day (UTC) so far; ipv6_64 are networks. Estimated, see xdsc_distinct_error_ratio";
        self.gauge("distinct_clients", help, None, |samples| {
            for (window, counts) in [("minute", clients.minute), ("day", clients.day)] {
                for (family, count) in ["ipv4", "ipv6", "ipv6_64"].into_iter().zip(counts) {
                    samples.gauge([("family", family), ("window", window)], count.round())?;
                }
            }
            Ok(())
        })?;
        let help = "Standard deviation of numbers of different values, as a share of them";
        self.gauge("distinct_error_ratio", help, None, |samples| {
            samples.gauge([("of", "clients")], clients.relative_error)?;
            samples.gauge([("of", "zone_names")], zone_names_error())
        })
    }

    fn zone_names(&mut self, zones: &[(String, f64)]) -> fmt::Result {
        let help = "Different names that queries to the server asked for in a zone in the last minute that is over; of the zones with the most of them. Estimated, see xdsc_distinct_error_ratio";
        self.gauge("zone_distinct_names", help, None, |samples| {
            each_zone(zones, samples)
        })
    }

    fn random_subdomains(&mut self, report: &Report) -> fmt::Result {
        let help = "Zones in which so many names are asked for once that they are counted together, as `*.` and the zone";
        self.gauge("random_subdomain_zones", help, None, |samples| {
            samples.gauge([], report.flooded as f64)
        })?;
        let help = "Different names per minute in a zone that xdsc_random_subdomain_zones counts; of the zones with the most of them. Estimated, with a standard deviation of 6.5 %; those beyond statistics.cells in a second are estimated by the others";
        self.gauge("random_subdomain_names", help, None, |samples| {
            each_zone(&report.flooded_zones, samples)
        })
    }
}

fn each_table<'a>(
    report: &'a Report,
    mut sample: impl FnMut([(&'static str, &'a str); 1], &Table) -> fmt::Result,
) -> fmt::Result {
    let mut tables = report.tables.iter();
    tables.try_for_each(|table| sample([("dataset", table.dataset.name.as_str())], table))
}

fn each_table_of<'a>(
    measure: Measure,
    report: &'a Report,
    mut sample: impl FnMut([(&'static str, &'a str); 1], &Table) -> fmt::Result,
) -> fmt::Result {
    each_table(report, |dataset, table| {
        if table.dataset.measure == measure {
            sample(dataset, table)
        } else {
            Ok(())
        }
    })
}

fn each_zone(zones: &[(String, f64)], samples: &mut Samples<'_>) -> fmt::Result {
    let mut zones = zones.iter();
    zones.try_for_each(|(zone, names)| samples.gauge([("zone", zone.as_str())], names.round()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::stats::builtin;

    #[test]
    fn words_are_told_apart() {
        for (text, expected) in [
            ("Qtype", "qtype"),
            ("ClientAddr", "client_addr"),
            ("IPVersion", "ip_version"),
            ("EDNSBufSiz", "edns_buf_siz"),
            ("TLD", "tld"),
            ("qtype_vs_tld", "qtype_vs_tld"),
            ("a-b.c", "a_b_c"),
        ] {
            assert_eq!(snake_case(text), expected);
        }
    }

    #[test]
    fn families_and_labels_of_all_datasets_are_unique() {
        let mut names = HashSet::new();
        for dataset in builtin::all() {
            assert!(names.insert(family_name(&dataset)), "{dataset:?}");
            let labels: Vec<_> = shown(&dataset).map(label_name).collect();
            let different: HashSet<_> = labels.iter().collect();
            assert_eq!(different.len(), labels.len(), "{dataset:?}");
        }
    }
}
