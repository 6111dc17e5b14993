//! What a configuration of the daemon makes of captures: its datasets, its lists
//! and tables, its ports, and how it shows clients.

use std::{collections::HashSet, path::Path, sync::Arc};

use dns_wire::Settings;

use crate::{
    config::{Config, IpPrefix, datasets, datasets_named},
    enrich::tables::{SharedTables, shared, tables_of},
    statistics::counting,
    stats::{dataset::Dataset, plan::Plan},
};

/// A configuration and all that it names.
#[derive(Debug)]
pub(super) struct Configured {
    config: Config,
    tables: SharedTables,
}

impl Configured {
    /// Reads it.
    ///
    /// # Errors
    /// All that is wrong with it or with its tables, for people.
    pub(super) fn load(file: &Path) -> Result<Self, String> {
        let config = Config::load(file).map_err(|error| error.to_string())?;
        let tables = tables_of(&config).map_err(|errors| errors.to_string())?;
        Ok(Self {
            config,
            tables: shared(tables),
        })
    }

    /// The datasets of these names, or all that the daemon would count.
    ///
    /// # Errors
    /// Names of no dataset, and lists that cannot be read, for people.
    pub(super) fn plan(&self, names: &[String]) -> Result<Arc<Plan>, String> {
        let wanted = if names.is_empty() {
            datasets(&self.config)
        } else {
            self.named(names)?
        };
        let plan = counting(&self.config, &self.tables, wanted);
        plan.map(Arc::new).map_err(|errors| errors.to_string())
    }

    /// Ports and tunnels.
    pub(super) fn settings(&self) -> Settings {
        let probe = &self.config.probe;
        Settings::new(&probe.ports).with_decapsulation(probe.decapsulate)
    }

    /// The server's addresses; empty means every address.
    pub(super) fn service_addresses(&self) -> Vec<IpPrefix> {
        self.config.probe.service_addresses.clone()
    }

    fn named(&self, names: &[String]) -> Result<Vec<Dataset>, String> {
        let mut wanted: Vec<Dataset> = Vec::new();
        let mut seen = HashSet::new();
        for name in names {
            let datasets = datasets_named(&self.config, name)
                .map_err(|error| format!("`{name}` {}; {}", error.message, error.hint))?;
            let new = datasets.into_iter();
            wanted.extend(new.filter(|dataset| seen.insert(dataset.name.clone())));
        }
        Ok(wanted)
    }
}
