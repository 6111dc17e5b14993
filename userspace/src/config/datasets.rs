//! What may be said of datasets: names of the built-in ones, of indexers, of
//! filters; and what of them does not go together.

use std::{collections::HashSet, fmt, str::FromStr};

use super::{
    ClientsShown, Config, DatasetSettings,
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

/// The datasets of a name in a configuration: of a group, built in, or its own.
///
/// # Errors
/// When there is no such dataset, or the configuration lacks what it needs.
pub fn datasets_named(config: &Config, name: &str) -> Result<Vec<Dataset>, InvalidValue> {
    if builtin::GROUPS.contains(&name) {
        let mut config = config.clone();
        config.statistics.datasets = vec![Builtin(name.to_owned())];
        return Ok(builtins(&config));
    }
    let mut own = config.datasets.iter().filter_map(own);
    let dataset = own.find(|dataset| dataset.name == name);
    let Some(dataset) = dataset.or_else(|| builtin::named(name)) else {
        let mut known: Vec<&str> = config.datasets.iter().map(|own| &*own.name).collect();
        known.extend(builtin::GROUPS);
        known.extend(builtin::names().map(|name| -> &str { name }));
        return Err(unknown("is no dataset", name, known.iter().copied()));
    };
    match Lacking::of(&dataset, config) {
        Some(lacking) => {
            let (message, hint) = lacking.told();
            Err(InvalidValue {
                message: format!("has {message}"),
                hint: hint.to_owned(),
            })
        }
        None => Ok(vec![dataset]),
    }
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
        if let Some(lacking) = Lacking::of(&dataset, config) {
            let (message, hint) = lacking.told();
            let message = format!("have {message}");
            refuse(walk, index, "dimensions", &message, hint);
        }
    }
    named_alone(config, walk);
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

/// A built-in dataset that is named must be one that can be counted; those of
/// zones have always been left out.
fn named_alone(config: &Config, walk: &mut Walk) {
    for (index, Builtin(name)) in config.statistics.datasets.iter().enumerate() {
        let dataset = builtin::named(name);
        let lacking = dataset.and_then(|dataset| Lacking::of(&dataset, config));
        if let Some(lacking) = lacking.filter(|lacking| *lacking != Lacking::Zones) {
            let (message, hint) = lacking.told();
            let invalid = InvalidValue {
                message: format!("is {name:?}, which has {message}"),
                hint: hint.to_owned(),
            };
            let key = format!("statistics.datasets[{index}]");
            walk.refuse(key, "statistics.datasets", invalid);
        }
    }
}

/// Why a dataset cannot be counted as the configuration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lacking {
    Zones,
    Databases,
    Networks,
    Customers,
    /// Clients are shown as prefixes.
    Addresses,
}

impl Lacking {
    fn of(dataset: &Dataset, config: &Config) -> Option<Self> {
        let lacks = |is_absent: bool, wanted: fn(Indexer) -> bool, lacking| {
            (is_absent && dataset.is_by(wanted)).then_some(lacking)
        };
        let customers = &config.customers;
        let no_customers = customers.file.is_empty() && customers.postgres.is_empty();
        let is_prefix = config.privacy.clients == ClientsShown::Prefix;
        lacks(
            config.statistics.zones.is_empty(),
            |one| one == Indexer::Zone,
            Self::Zones,
        )
        .or_else(|| {
            let is_absent = config.geoip.databases.is_empty();
            lacks(is_absent, Indexer::reads_geo, Self::Databases)
        })
        .or_else(|| {
            let is_absent = config.networks.file.is_empty();
            lacks(is_absent, |one| one == Indexer::Network, Self::Networks)
        })
        .or_else(|| {
            lacks(
                no_customers,
                |one| one == Indexer::Customer,
                Self::Customers,
            )
        })
        .or_else(|| lacks(is_prefix, |one| one == Indexer::Client, Self::Addresses))
    }

    /// What is in its place, and what to do.
    const fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Zones => (
                "`zone`, but no zones are known",
                "name a file or folder in `statistics.zones`",
            ),
            Self::Databases => (
                "what databases of addresses tell, but there is none",
                "name MMDB files in `geoip.databases`",
            ),
            Self::Networks => (
                "`network`, but no networks are known",
                "name a file in `networks.file`",
            ),
            Self::Customers => (
                "`customer`, but no customers are known",
                "name a file in `customers.file`, or a database in `customers.postgres`",
            ),
            Self::Addresses => (
                "`client`, but clients are shown as prefixes",
                "take `client_subnet`, or set `privacy.clients` to \"pseudonym\" or \"address\"",
            ),
        }
    }
}

fn builtins(config: &Config) -> Vec<Dataset> {
    let mut datasets: Vec<Dataset> = Vec::new();
    let mut add = |more: Vec<Dataset>| {
        for dataset in more {
            let is_new = datasets.iter().all(|known| known.name != dataset.name);
            let can_count = Lacking::of(&dataset, config).is_none();
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
    for of_table in builtin::OF_TABLES {
        let names = of_table.iter().copied();
        add(names.filter_map(builtin::named).collect());
    }
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
        measure: settings.measure.into(),
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

/// Two filters that no message passes both of.
fn contradiction(filters: &[FilterSetting]) -> Option<(Predicate, Predicate)> {
    let has = |wanted: &Predicate| filters.iter().any(|FilterSetting(one)| one == wanted);
    let mut pairs = CONTRADICTIONS.into_iter();
    pairs.find(|(one, other)| has(one) && has(other))
}

/// The built-in datasets that messages are enough for.
fn live_names() -> impl Iterator<Item = &'static str> {
    builtin::names()
        .filter(|name| builtin::named(name).is_some_and(|dataset| dataset.layer == Layer::Dns))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_has_nothing_that_cannot_count() {
        let text = "[statistics]\ndatasets = [\"all\"]\n";
        let config = Config::from_toml(text, "f").expect("a group");
        let names: Vec<_> = datasets(&config).into_iter().map(|one| one.name).collect();
        assert!(names.iter().any(|name| name == "edns_nsid"), "{names:?}");
        for name in [
            "country_code",
            "asn_all",
            "zone",
            "network",
            "customer",
            "client",
            "direction_vs_ipproto",
        ] {
            assert!(!names.iter().any(|one| one == name), "{name}");
        }
    }

    #[test]
    fn each_table_brings_its_datasets_along() {
        let geo = [
            "country_code",
            "continent",
            "asn",
            "asn_vs_rcode",
            "country_vs_qtype",
        ];
        let customers = [
            "customer",
            "customer_bytes",
            "customer_vs_rcode",
            "customer_vs_qname",
        ];
        for (text, expected) in [
            ("", &[][..]),
            ("[geoip]\ndatabases = [\"a.mmdb\"]\n", &geo),
            (
                "[networks]\nfile = \"a.csv\"\n",
                &["network", "network_vs_rcode"],
            ),
            ("[customers]\nfile = \"a.csv\"\n", &customers),
            ("[customers]\npostgres = \"dbname=a\"\n", &customers),
        ] {
            let text = format!("[statistics]\ndatasets = [\"qtype\"]\n{text}");
            let config = Config::from_toml(&text, "f").expect("a table");
            let names: Vec<_> = datasets(&config).into_iter().map(|one| one.name).collect();
            let [first, rest @ ..] = &*names else {
                panic!("{names:?}");
            };
            assert_eq!((first.as_str(), rest), ("qtype", &*strings(expected)));
        }
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_dataset_may_add_octets_up() {
        let text = "[[dataset]]\nname = \"x\"\ndimensions = [\"tld\"]\nmeasure = \"bytes\"\n";
        let config = Config::from_toml(text, "f").expect("a dataset");
        let dataset = datasets(&config).pop().expect("it is the last one");
        assert_eq!(family_name(&dataset), "dataset_x_bytes");
    }
}
