//! What may be said of datasets: names of the built-in ones, of indexers, of
//! filters; and what of them does not go together.

use std::{collections::HashSet, fmt, str::FromStr};

use super::{
    Config, DatasetSettings,
    error::InvalidValue,
    nearest::{enumerated, nearest},
    section::Walk,
};
use crate::{
    export::prometheus::datasets::{RESERVED, family_name, label_name},
    stats::{
        aggregate::LEAST_CELLS,
        builtin,
        dataset::{Dataset, Dimension, Filter, Indexer, Layer, Predicate},
    },
};

/// A longer name would not be read.
const NAME_MAX: usize = 64;

/// Filters that no message passes both of.
const CONTRADICTIONS: [(Predicate, Predicate); 5] = [
    (Predicate::Queries, Predicate::Replies),
    (Predicate::Nxdomains, Predicate::Servfail),
    (Predicate::Server, Predicate::Client),
    (Predicate::Priming, Predicate::AaaaOrA6),
    (Predicate::Priming, Predicate::RootServersNet),
];

/// A built-in dataset, or a group of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builtin(String);

/// A dimension: an indexer, with a label of its own before it where wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DimensionSetting(Dimension);

/// A filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterSetting(Predicate);

impl Builtin {
    /// The group of the datasets that are on where nothing is said.
    pub(super) fn default_group() -> Self {
        Self("default".to_owned())
    }
}

impl FromStr for Builtin {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let known: Vec<_> = builtin::GROUPS.into_iter().chain(live_names()).collect();
        if known.contains(&text) {
            return Ok(Self(text.to_owned()));
        }
        if builtin::named(text).is_some_and(|dataset| needs_database(&dataset)) {
            return Err(no_database());
        }
        if builtin::named(text).is_some() {
            return Err(InvalidValue {
                message: "counts packets, which the kernel does not hand on".to_owned(),
                hint: "xdsc_packets_total and xdsc_not_dns_packets_total have them".to_owned(),
            });
        }
        Err(unknown(
            "is no built-in dataset",
            text,
            known.iter().copied(),
        ))
    }
}

impl FromStr for DimensionSetting {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let (label, name) = text.split_once(':').unwrap_or((text, text));
        let known = Indexer::ALL.iter().map(|indexer| indexer.label());
        let indexer =
            Indexer::from_name(name).ok_or_else(|| unknown("names no indexer", name, known))?;
        if indexer == Indexer::ResponseTime {
            return Err(InvalidValue {
                message: "is no dataset of its own here".to_owned(),
                hint: "xdsc_response_time_seconds has the response times".to_owned(),
            });
        }
        if is_of_database(indexer) {
            return Err(no_database());
        }
        let dimension = Dimension {
            label: label.to_owned(),
            indexer,
        };
        if is_name(label) && is_name(&label_name(&dimension)) {
            Ok(Self(dimension))
        } else {
            Err(InvalidValue {
                message: "has a label that Prometheus does not take".to_owned(),
                hint: "write a label of letters, digits and `_`, as in `tld:second_ld`".to_owned(),
            })
        }
    }
}

impl FromStr for FilterSetting {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let known = Predicate::ALL.iter().map(|predicate| predicate.label());
        let predicate = Predicate::from_name(text);
        predicate
            .map(Self)
            .ok_or_else(|| unknown("is no filter", text, known))
    }
}

impl fmt::Display for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for DimensionSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.label, self.0.indexer.label())
    }
}

impl fmt::Display for FilterSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.label())
    }
}

/// Accepts the name of a dataset of the user's own.
pub(super) fn dataset_name(text: &str) -> Result<String, InvalidValue> {
    if is_name(text) && text.len() <= NAME_MAX {
        Ok(text.to_owned())
    } else {
        Err(InvalidValue {
            message: "cannot be a part of a metric's name".to_owned(),
            hint: format!(
                "write up to {NAME_MAX} letters, digits and `_`, a letter first, as in `qtype_vs_tld`"
            ),
        })
    }
}

/// The datasets that a configuration asks for, each once.
#[must_use]
pub fn datasets(config: &Config) -> Vec<Dataset> {
    let mut datasets = builtins(config);
    datasets.extend(config.datasets.iter().filter_map(own));
    datasets
}

/// What no single key of the datasets can tell.
pub(super) fn cross_check(config: &Config, walk: &mut Walk) {
    let mut families: HashSet<_> = builtins(config).iter().map(family_name).collect();
    for (index, settings) in config.datasets.iter().enumerate() {
        for (key, message, hint) in missing(settings) {
            refuse(walk, index, key, message, hint);
        }
        let Some(dataset) = own(settings) else {
            continue;
        };
        let family = family_name(&dataset);
        if RESERVED.contains(&&*family) {
            let message = format!(
                "is {:?}, but xdsc_{family} is a metric already",
                dataset.name
            );
            refuse(walk, index, "name", &message, "give it another name");
        } else if !families.insert(family) {
            let message = format!("is {:?}, the name of another dataset", dataset.name);
            refuse(walk, index, "name", &message, "give each a name of its own");
        }
        let [first, second] = &dataset.dimensions;
        if label_name(first) == label_name(second) {
            let hint = "put labels before them, as in `qname:qname` and `tld:tld`";
            refuse(walk, index, "dimensions", "have the same label", hint);
        }
        if let Some((one, other)) = contradiction(&settings.filters) {
            let (one, other) = (one.label(), other.label());
            let message = format!("have `{one}` and `{other}`, which no message passes");
            refuse(walk, index, "filters", &message, "leave out one of them");
        }
        if config.statistics.zones.is_empty() && uses_zones(&dataset) {
            let hint = "name a file or folder in `statistics.zones`";
            let message = "have `zone`, but no zones are known";
            refuse(walk, index, "dimensions", message, hint);
        }
    }
    let least = LEAST_CELLS * datasets(config).len();
    walk.require(
        &["export.max_series"],
        config.export.max_series as usize >= least,
        || InvalidValue {
            message: format!("is too low for the datasets, which have {least} series at least"),
            hint: "raise it, or name fewer datasets".to_owned(),
        },
    );
}

fn builtins(config: &Config) -> Vec<Dataset> {
    let mut datasets: Vec<Dataset> = Vec::new();
    let mut add = |more: Vec<Dataset>| {
        for dataset in more {
            let is_new = datasets.iter().all(|known| known.name != dataset.name);
            let has_zones = !config.statistics.zones.is_empty() || !uses_zones(&dataset);
            let can_count = has_zones && !needs_database(&dataset);
            if is_new && can_count && dataset.layer == Layer::Dns {
                datasets.push(dataset);
            }
        }
    };
    for Builtin(name) in &config.statistics.datasets {
        match name.as_str() {
            "default" => add(builtin::default()),
            "all" => add(builtin::all()),
            name => add(builtin::named(name).into_iter().collect()),
        }
    }
    let of_zones = builtin::OF_ZONES.iter().copied();
    add(of_zones.filter_map(builtin::named).collect());
    datasets
}

/// The dataset of a table; none where something is missing.
fn own(settings: &DatasetSettings) -> Option<Dataset> {
    let null = || Dimension {
        label: "All".to_owned(),
        indexer: Indexer::Null,
    };
    let dimensions = match &*settings.dimensions {
        [DimensionSetting(only)] => [null(), only.clone()],
        [DimensionSetting(first), DimensionSetting(second)] => [first.clone(), second.clone()],
        _ => return None,
    };
    let filters = settings.filters.iter();
    (!settings.name.is_empty()).then(|| Dataset {
        name: settings.name.clone(),
        layer: Layer::Dns,
        dimensions,
        filters: filters.map(|FilterSetting(one)| Filter::Is(*one)).collect(),
        min_count: None,
        max_cells: settings.max_cells.and_then(std::num::NonZeroU32::new),
    })
}

fn missing(settings: &DatasetSettings) -> Vec<(&'static str, &'static str, &'static str)> {
    let mut missing = Vec::new();
    if settings.name.is_empty() {
        missing.push((
            "name",
            "is missing",
            "name the dataset, as in `qtype_vs_tld`",
        ));
    }
    if settings.dimensions.is_empty() {
        let hint = "name one or two indexers, as in [\"qtype\", \"tld\"]";
        missing.push(("dimensions", "is missing", hint));
    }
    missing
}

fn refuse(walk: &mut Walk, index: usize, key: &str, message: &str, hint: &str) {
    let invalid = InvalidValue {
        message: message.to_owned(),
        hint: hint.to_owned(),
    };
    walk.refuse(format!("dataset[{index}].{key}"), "dataset", invalid);
}

fn uses_zones(dataset: &Dataset) -> bool {
    let mut dimensions = dataset.dimensions.iter();
    dimensions.any(|dimension| dimension.indexer == Indexer::Zone)
}

fn no_database() -> InvalidValue {
    InvalidValue {
        message: "needs a database of addresses, which the daemon does not read".to_owned(),
        hint: "`xdsc read --dsc-conf` counts it in captures".to_owned(),
    }
}

fn needs_database(dataset: &Dataset) -> bool {
    let mut dimensions = dataset.dimensions.iter();
    dimensions.any(|dimension| is_of_database(dimension.indexer))
}

/// Whether the values of an indexer are those of a database of addresses.
const fn is_of_database(indexer: Indexer) -> bool {
    matches!(indexer, Indexer::Country | Indexer::Asn)
}

/// Two filters that no message passes both of.
fn contradiction(filters: &[FilterSetting]) -> Option<(Predicate, Predicate)> {
    let has = |wanted: &Predicate| filters.iter().any(|FilterSetting(one)| one == wanted);
    let mut pairs = CONTRADICTIONS.into_iter();
    pairs.find(|(one, other)| has(one) && has(other))
}

/// The built-in datasets that messages are enough for.
fn live_names() -> impl Iterator<Item = &'static str> {
    builtin::names().filter(|name| {
        builtin::named(name)
            .is_some_and(|dataset| dataset.layer == Layer::Dns && !needs_database(&dataset))
    })
}

fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain)
}

fn unknown<'a>(
    message: &str,
    text: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> InvalidValue {
    let hint = match nearest(text, known.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("there are {}", enumerated(known)),
    };
    InvalidValue {
        message: message.to_owned(),
        hint,
    }
}
