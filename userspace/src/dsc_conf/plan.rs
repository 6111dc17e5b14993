//! What a dsc.conf asks for, ready to run.

use std::sync::Arc;

use super::DscConf;
use crate::{
    enrich::{
        geo::{Databases, GeoError},
        tables::{Tables, shared},
    },
    names::{list_file::ListError, suffix::SuffixList, tld::KnownTlds},
    stats::{
        dataset::{Dataset, Filter, Indexer, Layer, Predicate},
        locals::Locals,
        plan::{Compat, Plan, Rules},
        response_time,
        zones::Zones,
    },
};

/// A file that a dsc.conf names and that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A list of suffixes or of top-level domains.
    #[error(transparent)]
    List(#[from] ListError),
    /// Databases of countries or autonomous systems.
    #[error("{}", lines(.0))]
    Geo(Vec<GeoError>),
}

impl DscConf {
    /// The datasets and what they go by.
    ///
    /// Where the local addresses are known and the right answers are wanted,
    /// datasets that do not tell the direction themselves leave out what the
    /// host asks others as a client.
    ///
    /// # Errors
    /// Files that cannot be used.
    pub fn plan(&self, compat: Compat) -> Result<Plan, PlanError> {
        let rules = self.rules(compat)?;
        let served_only = compat == Compat::None && !self.local_addresses.is_empty();
        let datasets = self.datasets.iter().cloned();
        let datasets = datasets.map(|dataset| {
            if served_only {
                leave_out_own_queries(dataset)
            } else {
                dataset
            }
        });
        Ok(Plan::new(datasets.collect(), rules).with_times(self.times(compat)))
    }

    fn rules(&self, compat: Compat) -> Result<Rules, PlanError> {
        let suffixes = self.tld_list.as_deref().map(SuffixList::load).transpose()?;
        let known_tlds = match &self.knowntlds_file {
            Some(file) => KnownTlds::load(file)?,
            None => KnownTlds::embedded(),
        };
        Ok(Rules {
            compat,
            local: Locals::new(&self.local_addresses, compat),
            client_v4_mask: self.client_v4_mask.to_bits(),
            client_v6_mask: self.client_v6_mask.to_bits(),
            suffixes,
            known_tlds,
            zones: Zones::default(),
            qname_filters: self
                .qname_filters
                .iter()
                .map(|filter| filter.regex.clone())
                .collect(),
            tables: shared(Tables {
                geo: Arc::new(self.databases()?),
                ..Tables::default()
            }),
            ..Rules::default()
        })
    }

    fn databases(&self) -> Result<Databases, PlanError> {
        let files = [&self.maxminddb_country, &self.maxminddb_asn];
        let files: Vec<_> = files.into_iter().flatten().cloned().collect();
        Databases::open(&files).map_err(PlanError::Geo)
    }

    const fn times(&self, compat: Compat) -> response_time::Settings {
        response_time::Settings {
            zero: match compat {
                Compat::None => response_time::Zero::Class,
                Compat::Dsc => response_time::Zero::Error,
            },
            ..self.response_time
        }
    }
}

fn lines(errors: &[GeoError]) -> String {
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn leave_out_own_queries(mut dataset: Dataset) -> Dataset {
    let tells_direction = dataset
        .dimensions
        .iter()
        .any(|dimension| dimension.indexer == Indexer::IpDirection);
    if dataset.layer == Layer::Dns && !tells_direction {
        dataset.filters.push(Filter::Is(Predicate::Served));
    }
    dataset
}
