//! From the configuration to what the daemon counts: the datasets, and the
//! lists that their indexers go by.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    config::{Config, Rssac002, datasets},
    enrich::{
        privacy::{Privacy, PrivacyError},
        tables::SharedTables,
    },
    names::{list_file::ListError, suffix::SuffixList, tld::KnownTlds},
    stats::{
        aggregate::Limits,
        dataset::Dataset,
        plan::{Plan, Rules},
        sketches::ClientKey,
        zones::{Zones, ZonesError},
    },
};

/// A list that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StatisticsError {
    /// Of suffixes or top-level domains.
    #[error("{key}: {cause}")]
    List {
        /// The key that names it.
        key: &'static str,
        /// Why.
        cause: ListError,
    },
    /// The secret of RSSAC002.
    #[error("rssac002.secret_file: cannot read {}: {cause}", file.display())]
    Secret {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Of zones.
    #[error("statistics.zones: {0}")]
    Zones(#[from] ZonesError),
    /// The secret of pseudonyms.
    #[error(transparent)]
    Privacy(#[from] PrivacyError),
}

/// All lists that cannot be used. Never empty.
#[derive(Debug)]
pub struct StatisticsErrors(pub Vec<StatisticsError>);

impl std::error::Error for StatisticsErrors {}

impl fmt::Display for StatisticsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}{error}")?;
        }
        Ok(())
    }
}

/// What the daemon counts.
///
/// # Errors
/// All lists that cannot be read.
pub fn statistics(config: &Config, tables: &SharedTables) -> Result<Plan, StatisticsErrors> {
    counting(config, tables, datasets(config))
}

/// The same with other datasets.
///
/// # Errors
/// All lists that cannot be read.
pub fn counting(
    config: &Config,
    tables: &SharedTables,
    datasets: Vec<Dataset>,
) -> Result<Plan, StatisticsErrors> {
    let settings = &config.statistics;
    let mut rules = Rules {
        client_v4_mask: mask_of(settings.client_v4_prefix.into()) as u32,
        client_v6_mask: !u128::MAX
            .checked_shr(settings.client_v6_prefix.into())
            .unwrap_or(0),
        tables: Arc::clone(tables),
        places: config.geoip.cache as usize,
        customers_by: config.customers.by.clone(),
        ..Rules::default()
    };
    let mut errors = Vec::new();
    let list = |key, cause| StatisticsError::List { key, cause };
    if let Some(file) = path(&settings.suffix_list) {
        match SuffixList::load(file) {
            Ok(suffixes) => rules.suffixes = Some(suffixes),
            Err(cause) => errors.push(list("statistics.suffix_list", cause)),
        }
    }
    if let Some(file) = path(&settings.known_tlds) {
        match KnownTlds::load(file) {
            Ok(tlds) => rules.known_tlds = tlds,
            Err(cause) => errors.push(list("statistics.known_tlds", cause)),
        }
    }
    if let Some(file) = path(&settings.zones) {
        match Zones::read(file) {
            Ok(zones) => rules.zones = zones,
            Err(cause) => errors.push(cause.into()),
        }
    }
    match Privacy::from_config(config) {
        Ok(privacy) => rules.privacy = privacy,
        Err(cause) => errors.push(cause.into()),
    }
    let key = client_key(&config.rssac002).unwrap_or_else(|error| {
        errors.push(error);
        ClientKey::random()
    });
    if errors.is_empty() {
        let plan = Plan::new(datasets, rules).with_distinct_counts();
        Ok(plan.with_client_key(key))
    } else {
        Err(StatisticsErrors(errors))
    }
}

/// What clients are counted with: the days of a service go on with the same key
/// after a restart, and are added up over its nodes.
fn client_key(settings: &Rssac002) -> Result<ClientKey, StatisticsError> {
    if settings.directory.is_empty() {
        return Ok(ClientKey::random());
    }
    let secret = match path(&settings.secret_file) {
        Some(file) => fs::read(file).map_err(|cause| StatisticsError::Secret {
            file: file.to_owned(),
            cause,
        })?,
        None => Vec::new(),
    };
    Ok(ClientKey::of_service(
        &settings.service,
        secret.trim_ascii_end(),
    ))
}

/// The bounds of what is exported.
#[must_use]
pub fn limits(config: &Config) -> Limits {
    Limits {
        max_series: config.export.max_series as usize,
        max_cells: config.export.max_cells as usize,
        idle_ns: u64::try_from(config.export.idle_expiry.as_nanos()).unwrap_or(u64::MAX),
        candidates: config.statistics.top_candidates as usize,
    }
}

/// An empty path is none.
fn path(text: &str) -> Option<&Path> {
    (!text.is_empty()).then(|| Path::new(text))
}

/// The mask of an IPv4 prefix, in the lower half.
fn mask_of(prefix: u32) -> u64 {
    !(u64::from(u32::MAX) >> prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{enrich::tables::nothing_known, stats::dataset::Indexer};

    fn statistics(config: &Config) -> Result<Plan, StatisticsErrors> {
        super::statistics(config, &nothing_known())
    }

    #[test]
    fn the_default_has_networks_of_24_and_48_bits() {
        let plan = statistics(&Config::default()).expect("no lists");
        let rules = plan.rules();
        assert_eq!(rules.client_v4_mask, 0xffff_ff00);
        assert_eq!(rules.client_v6_mask, u128::MAX << 80);
        assert!(plan.datasets().len() > 20 && !plan.needs_whole_messages());
    }

    #[test]
    fn prefixes_may_be_nothing_or_everything() {
        let mut config = Config::default();
        config.statistics.client_v4_prefix = 0;
        config.statistics.client_v6_prefix = 128;
        let plan = statistics(&config).expect("no lists");
        assert_eq!(plan.rules().client_v4_mask, 0);
        assert_eq!(plan.rules().client_v6_mask, u128::MAX);
    }

    #[test]
    fn zones_bring_their_datasets_along() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("zones");
        std::fs::write(&file, "example.com\n# a comment\nexample.net.\n").expect("a file");
        let mut config = Config::default();
        config.statistics.zones = file.display().to_string();
        let plan = statistics(&config).expect("a list of zones");
        assert_eq!(plan.rules().zones.names(), ["example.com", "example.net"]);
        let mut datasets = plan.datasets().iter();
        assert!(datasets.any(|dataset| dataset.dimensions[1].indexer == Indexer::Zone));
    }

    #[test]
    fn all_lists_that_cannot_be_read_are_named() {
        let mut config = Config::default();
        config.statistics.zones = "/absent/zones".to_owned();
        config.statistics.known_tlds = "/absent/tlds".to_owned();
        let errors = statistics(&config).expect_err("no files").to_string();
        assert!(
            errors.contains("/absent/zones") && errors.contains("/absent/tlds"),
            "{errors}"
        );
    }
}
