//! The most frequent values of a kind, and of a dataset.
//!
//! Which dataset a list comes from is found by its dimensions: one that is by the
//! wanted indexer, and, where there is a filter, by that of the filter, too. The
//! rows of the other dimension are added up. Types and codes of all messages are in
//! the kernel's own counters, which are exact.

use std::{borrow::Cow, cmp::Reverse};

use hashbrown::HashMap;

use super::{
    audience::Disclosed,
    history::{Lately, rounded},
    window::{Compared, Count, Grown},
};
use crate::{
    export::prometheus::{
        datasets::{family_name, label_name},
        qtype_label, rcode_label,
    },
    stats::dataset::{Dataset, Filter, Indexer, Layer, Measure, Predicate},
    view::{self, Amount, Counted, Row, Top},
};

/// What values without a cell are called in datasets.
const OTHER: &str = "other";
/// What is no name in a dataset of names.
const OWN: [&str; 3] = [OTHER, "retired", "none"];

/// By what rows are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum By {
    /// What is counted per second lately; by the total where that is not known.
    #[default]
    Rate,
    /// What was counted since the start.
    Total,
}

/// A value that messages must have in a dimension.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wants {
    /// The name of an indexer, or of a label.
    pub dimension: String,
    /// The value, as it is shown.
    pub value: String,
}

/// How rows are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rows {
    /// By what they are ordered.
    pub by: By,
    /// How many at most.
    pub limit: usize,
}

/// The kernel's counters, now and lately.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exact<'a> {
    pub(super) qtype: &'a [u64],
    pub(super) rcode: &'a [u64],
    pub(super) lately: &'a Lately,
}

/// The most frequent values of an indexer among the messages of a filter.
pub(super) fn top(
    compared: &Compared,
    exact: Exact<'_>,
    of: Indexer,
    filter: Option<&Wants>,
    rows: Rows,
    disclosed: Disclosed,
) -> Top {
    // What is filtered by is shown whole, with the value among its like.
    let filter = filter.filter(|filter| filter.dimension != of.label());
    if filter.is_none()
        && let Some(top) = exact.top(of, rows)
    {
        return top;
    }
    if let Some((grown, own)) = source(compared, of, filter) {
        return of_dataset(grown, own, filter, rows, disclosed);
    }
    if let Some(below) = filter.filter(|filter| contains_names(filter, of))
        && let Some((grown, own)) = source(compared, of, None)
    {
        return below_name(grown, own, &below.value, rows);
    }
    let is_known = compared.is_known();
    Top {
        of: of.label().to_owned(),
        note: match is_known {
            true => missing(of, filter),
            false => "Nothing is known yet: lists come with the next second.".to_owned(),
        },
        available: !is_known,
        ..Top::default()
    }
}

/// The cells of a dataset that all filters let pass.
///
/// # Errors
/// The dimension that the dataset does not have.
pub(super) fn dataset<'f>(
    grown: Grown<'_>,
    filters: &'f [Wants],
    rows: Rows,
    disclosed: Disclosed,
) -> Result<view::Dataset, &'f str> {
    let dataset = &*grown.table.dataset;
    let wanted = filters.iter().map(|filter| {
        let at = position(dataset, &filter.dimension);
        at.map(|at| (at, &*filter.value))
    });
    let wanted: Vec<_> = wanted.collect::<Result<_, _>>()?;
    let mut cells: HashMap<[Cow<'_, str>; 2], Count> = HashMap::new();
    let mut sum = if wanted.is_empty() {
        grown.sum()
    } else {
        Count::default()
    };
    for (values, count) in grown.cells() {
        let shown = shown(dataset, values, disclosed);
        let passes = wanted
            .iter()
            .all(|(at, value)| shown.get(*at).is_some_and(|shown| shown == value));
        if passes {
            *cells.entry(shown).or_default() += count;
            if !wanted.is_empty() {
                sum += count;
            }
        }
    }
    let (cells, more) = biggest(cells, &grown, rows);
    let skipped = usize::from(dataset.is_flat());
    let row = |(values, amount): ([Cow<'_, str>; 2], Amount)| view::Cell {
        values: values.into_iter().skip(skipped).map(Cow::into).collect(),
        amount,
    };
    Ok(view::Dataset {
        name: dataset.name.clone(),
        metric: metric(dataset),
        counts: counts(dataset),
        dimensions: dimensions(dataset),
        time: 0.0,
        window_seconds: rounded(grown.seconds()),
        rows: cells.into_iter().map(row).collect(),
        more: more as u64,
        other: grown.amount(grown.other()),
        retired: grown.table.retired,
        sum: grown.amount(sum),
    })
}

/// What there is to know of a dataset beside its cells.
pub(super) fn about(grown: &Grown<'_>) -> view::DatasetInfo {
    let dataset = &*grown.table.dataset;
    let filter = |filter: &Filter| match filter {
        Filter::Is(predicate) => predicate.label().to_owned(),
        Filter::QnameMatches(index) => format!("qname-filter-{index}"),
    };
    view::DatasetInfo {
        name: dataset.name.clone(),
        metric: metric(dataset),
        counts: counts(dataset),
        dimensions: dimensions(dataset),
        filters: dataset.filters.iter().map(filter).collect(),
        cells: grown.table.cells.len() as u64,
        total: grown.table.total,
    }
}

impl Exact<'_> {
    /// Types or codes of everything, which the kernel counts.
    fn top(self, of: Indexer, rows: Rows) -> Option<Top> {
        let label = |slot| rcode_label(slot).0;
        let lately = self.lately;
        let (metric, counted, top) = if of == Indexer::Qtype {
            let counts = (self.qtype, &*lately.qtype);
            let metric = "xdsc_dns_qtype_messages_total";
            (
                metric,
                Counted::Queries,
                self.rows(counts, qtype_label, rows),
            )
        } else if of == Indexer::Rcode {
            let counts = (self.rcode, &*lately.rcode);
            let metric = "xdsc_dns_rcode_responses_total";
            (metric, Counted::Responses, self.rows(counts, label, rows))
        } else {
            return None;
        };
        Some(Top {
            of: of.label().to_owned(),
            counts: counted,
            metric: Some(metric.to_owned()),
            window_seconds: rounded(lately.seconds),
            available: true,
            ..top
        })
    }

    fn rows(self, counts: (&[u64], &[u64]), label: fn(usize) -> String, rows: Rows) -> Top {
        let (totals, lately) = counts;
        let amount = |total, grown: u64| Amount {
            total,
            rate: (self.lately.seconds > 0.0).then(|| rounded(grown as f64 / self.lately.seconds)),
        };
        let slots = totals.iter().zip(lately).enumerate();
        let slots = slots.filter(|(_, (total, _))| **total > 0);
        let mut slots: Vec<_> = slots
            .map(|(slot, (total, grown))| (slot, amount(*total, *grown)))
            .collect();
        sort(&mut slots, rows.by);
        let shown = slots.iter().take(rows.limit);
        let shown = shown.map(|(slot, amount)| Row {
            value: label(*slot),
            detail: None,
            amount: *amount,
        });
        let rest = slots.iter().skip(rows.limit).map(|(_, amount)| *amount);
        Top {
            rows: shown.collect(),
            other: Some(rest.fold(amount(0, 0), add)),
            sum: amount(totals.iter().sum(), lately.iter().sum()),
            ..Top::default()
        }
    }
}

fn add(a: Amount, b: Amount) -> Amount {
    Amount {
        total: a.total + b.total,
        rate: a.rate.zip(b.rate).map(|(a, b)| rounded(a + b)),
    }
}

/// The dataset to take, and which of its dimensions has the wanted values. Of
/// several, one that counts all messages, and then one of one dimension.
fn source<'a>(
    compared: &'a Compared,
    of: Indexer,
    filter: Option<&Wants>,
) -> Option<(Grown<'a>, usize)> {
    let candidates = compared.tables().filter_map(|grown| {
        let dataset = &*grown.table.dataset;
        let all = is_of_all(dataset)?;
        let own = position(dataset, of.label()).ok()?;
        let other = 1 - own;
        let suits = filter.is_none_or(|filter| position(dataset, &filter.dimension) == Ok(other));
        suits.then_some(((!all, !dataset.is_flat()), (grown, own)))
    });
    let best = candidates.min_by_key(|(rank, _)| *rank);
    best.map(|(_, found)| found)
}

/// Whether a dataset counts all queries, or all responses, of the server; none
/// where it counts some that nobody would take for all.
fn is_of_all(dataset: &Dataset) -> Option<bool> {
    if dataset.measure != Measure::Messages || dataset.layer != Layer::Dns {
        return None;
    }
    let mut all = true;
    for filter in &dataset.filters {
        match filter {
            Filter::Is(
                Predicate::Any
                | Predicate::Queries
                | Predicate::Replies
                | Predicate::Server
                | Predicate::Served,
            ) => {}
            Filter::Is(Predicate::PopularQtypes) => all = false,
            Filter::Is(_) | Filter::QnameMatches(_) => return None,
        }
    }
    Some(all)
}

fn of_dataset(
    grown: Grown<'_>,
    own: usize,
    filter: Option<&Wants>,
    rows: Rows,
    disclosed: Disclosed,
) -> Top {
    let dataset = &*grown.table.dataset;
    let partner = 1 - own;
    let names_partner = filter.is_none() && indexer(dataset, partner) == Indexer::AsOrg;
    let mut found: HashMap<Cow<'_, str>, Count> = HashMap::new();
    let mut details: HashMap<Cow<'_, str>, &str> = HashMap::new();
    let mut other = Count::default();
    let mut sum = Count::default();
    for (values, count) in grown.cells() {
        let [value, beside] = [own, partner].map(|at| values.get(at).copied().unwrap_or(""));
        let shown_beside = disclosed.value(indexer(dataset, partner), beside);
        if filter.is_some_and(|filter| filter.value != shown_beside) {
            continue;
        }
        sum += count;
        if value == OTHER {
            other += count;
            continue;
        }
        let shown = disclosed.value(indexer(dataset, own), value);
        if names_partner && beside != OTHER {
            details.insert(shown.clone(), beside);
        }
        *found.entry(shown).or_default() += count;
    }
    if filter.is_none() {
        other += grown.other();
        sum = grown.sum();
    }
    let (found, more) = biggest(found, &grown, rows);
    let row = |(value, amount): (Cow<'_, str>, Amount)| Row {
        detail: details.get(&value).map(|detail| (*detail).to_owned()),
        value: value.into_owned(),
        amount,
    };
    Top {
        of: indexer(dataset, own).label().to_owned(),
        counts: counts(dataset),
        dataset: Some(dataset.name.clone()),
        metric: Some(metric(dataset)),
        note: remark(dataset),
        available: true,
        window_seconds: rounded(grown.seconds()),
        rows: found.into_iter().map(row).collect(),
        other: (more == 0).then(|| grown.amount(other)),
        sum: grown.amount(sum),
    }
}

/// Whether the values of a list are names that lie below that of the filter, or not.
fn contains_names(filter: &Wants, of: Indexer) -> bool {
    let names = [
        Indexer::Zone,
        Indexer::Tld,
        Indexer::SecondLd,
        Indexer::ThirdLd,
        Indexer::Qname,
    ];
    let is_of_names = |indexer: &Indexer| indexer.label() == filter.dimension;
    names.contains(&of) && names.iter().any(is_of_names) && !OWN.contains(&&*filter.value)
}

/// The names of a list that are a name, or lie below it: those with a cell, since
/// of the others it is not known.
fn below_name(grown: Grown<'_>, own: usize, name: &str, rows: Rows) -> Top {
    let dataset = &*grown.table.dataset;
    let mut found: HashMap<&str, Count> = HashMap::new();
    let mut sum = Count::default();
    for (values, count) in grown.cells() {
        let value = values.get(own).copied().unwrap_or("");
        if lies_below(value, name) {
            *found.entry(value).or_default() += count;
            sum += count;
        }
    }
    let (found, _) = biggest(found, &grown, rows);
    let row = |(value, amount): (&str, Amount)| Row {
        value: value.to_owned(),
        detail: None,
        amount,
    };
    Top {
        of: indexer(dataset, own).label().to_owned(),
        counts: counts(dataset),
        dataset: Some(dataset.name.clone()),
        metric: Some(metric(dataset)),
        note: "Of those only that are frequent enough for a row of their own.".to_owned(),
        available: true,
        window_seconds: rounded(grown.seconds()),
        rows: found.into_iter().map(row).collect(),
        other: None,
        sum: grown.amount(sum),
    }
}

/// Whether a name, as text, is another one or lies below it. A dot within a label is
/// written with a backslash before it.
fn lies_below(name: &str, other: &str) -> bool {
    let Some(before) = name.strip_suffix(other) else {
        return false;
    };
    let Some(labels) = before.strip_suffix('.') else {
        return before.is_empty();
    };
    let escapes = labels.bytes().rev().take_while(|octet| *octet == b'\\');
    escapes.count() % 2 == 0
}

/// The biggest ones in their order, and how many are left.
fn biggest<V: Ord>(
    found: HashMap<V, Count>,
    grown: &Grown<'_>,
    rows: Rows,
) -> (Vec<(V, Amount)>, usize) {
    let found = found.into_iter();
    let mut found: Vec<_> = found.map(|(v, count)| (v, grown.amount(count))).collect();
    sort(&mut found, rows.by);
    let more = found.len().saturating_sub(rows.limit);
    found.truncate(rows.limit);
    (found, more)
}

fn sort<V: Ord>(rows: &mut [(V, Amount)], by: By) {
    rows.sort_by(|(a, x), (b, y)| {
        let by_rate = match by {
            By::Rate => y.rate.unwrap_or(0.0).total_cmp(&x.rate.unwrap_or(0.0)),
            By::Total => std::cmp::Ordering::Equal,
        };
        by_rate
            .then_with(|| Reverse(x.total).cmp(&Reverse(y.total)))
            .then_with(|| a.cmp(b))
    });
}

fn shown<'a>(dataset: &Dataset, values: [&'a str; 2], to: Disclosed) -> [Cow<'a, str>; 2] {
    let [first, second] = values;
    [
        to.value(indexer(dataset, 0), first),
        to.value(indexer(dataset, 1), second),
    ]
}

/// Which dimension has an indexer, or a label, of a name.
fn position<'n>(dataset: &Dataset, name: &'n str) -> Result<usize, &'n str> {
    let mut dimensions = dataset.dimensions.iter();
    let found = dimensions.position(|dimension| {
        let is_named = dimension.indexer.label() == name || label_name(dimension) == name;
        is_named && dimension.indexer != Indexer::Null
    });
    found.ok_or(name)
}

fn indexer(dataset: &Dataset, dimension: usize) -> Indexer {
    let dimension = dataset.dimensions.get(dimension);
    dimension.map_or(Indexer::Null, |dimension| dimension.indexer)
}

fn metric(dataset: &Dataset) -> String {
    format!("xdsc_{}_total", family_name(dataset))
}

fn dimensions(dataset: &Dataset) -> Vec<view::Dimension> {
    let shown = dataset.dimensions.iter();
    let shown = shown.skip(usize::from(dataset.is_flat()));
    shown
        .map(|dimension| view::Dimension {
            label: label_name(dimension),
            indexer: dimension.indexer.label().to_owned(),
        })
        .collect()
}

fn counts(dataset: &Dataset) -> Counted {
    let is = |predicate| dataset.filters.contains(&Filter::Is(predicate));
    match (dataset.measure, dataset.layer) {
        (Measure::Bytes, _) => Counted::Bytes,
        (Measure::Messages, Layer::Ip) => Counted::Packets,
        (Measure::Messages, Layer::Dns) if is(Predicate::Queries) => Counted::Queries,
        (Measure::Messages, Layer::Dns) if is(Predicate::Replies) => Counted::Responses,
        (Measure::Messages, Layer::Dns) => Counted::Messages,
    }
}

fn remark(dataset: &Dataset) -> String {
    if is_of_all(dataset) == Some(true) {
        String::new()
    } else {
        "Of the types A, NS, CNAME, SOA, PTR, MX, AAAA, SRV, A6 and ANY only.".to_owned()
    }
}

/// Why there is no list, and what to do for one.
fn missing(of: Indexer, filter: Option<&Wants>) -> String {
    let of_name = of.label();
    let Some(filter) = filter else {
        let cures = [
            (
                Indexer::Zone,
                "name the zones that are served in `[statistics] zones`",
            ),
            (Indexer::Network, "name a table in `[networks]`"),
            (Indexer::Customer, "name a table in `[customers]`"),
        ];
        let cure = match cures.iter().find(|(indexer, _)| *indexer == of) {
            Some((_, cure)) => cure,
            None if of.reads_geo() => "name a database in `[geoip] databases`",
            None => "add it to `datasets` in `[statistics]`",
        };
        return format!("No dataset is by `{of_name}`; {cure}.");
    };
    let by = &filter.dimension;
    let reply = [of_name, by].contains(&Indexer::Rcode.label());
    let messages = if reply {
        "replies-only"
    } else {
        "queries-only"
    };
    format!(
        "No dataset crosses `{of_name}` with `{by}`; for one, add a [[dataset]] with \
         dimensions = [\"{by}\", \"{of_name}\"] and filters = [\"{messages}\", \"server-only\"]."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_others_are_told_by_whole_labels() {
        for (name, other, expected) in [
            ("www.example.com", "com", true),
            ("com", "com", true),
            ("*.flooded.example", "example", true),
            ("notcom", "com", false),
            (r"a\.com", "com", false),
            (r"a\\.com", "com", true),
            (r"a\\\.com", "com", false),
            ("com", "example.com", false),
            (".com", "com", true),
        ] {
            assert_eq!(lies_below(name, other), expected, "{name} {other}");
        }
    }
}
