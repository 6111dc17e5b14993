//! What is told of the tables that clients and names are looked up in.

use std::fmt;

use prometheus_client::registry::Unit;

use super::{Families, Labels};
use crate::enrich::reload::{DatabaseAge, SourceState, TablesState};

impl Families<'_> {
    pub(super) fn tables(&mut self, tables: &TablesState) -> fmt::Result {
        self.sources(tables)?;
        self.databases(&tables.databases)
    }

    fn sources(&mut self, tables: &TablesState) -> fmt::Result {
        if !tables.entries.is_empty() {
            let help = "Entries of the tables that clients and names are looked up in";
            self.gauge("table_entries", help, None, |samples| {
                tables.entries.iter().try_for_each(|(table, entries)| {
                    samples.gauge([("table", *table)], *entries as f64)
                })
            })?;
        }
        let help =
            "When what is used of a table was read, in seconds since the Unix epoch; 0 before that";
        self.gauge(
            "table_loaded_timestamp",
            help,
            Some(&Unit::Seconds),
            |samples| {
                each_source(tables, |labels, state| {
                    samples.gauge(labels, state.loaded_s)
                })
            },
        )?;
        let help = "Times that a table was read again, or could not be; the log says why";
        self.counter("table_reloads", help, |samples| {
            each_source(tables, |[table, source], state| {
                samples.counter([table, source, ("result", "ok")], state.reloads)?;
                samples.counter([table, source, ("result", "error")], state.errors)
            })
        })?;
        let help = "Whether a table could not be read the last time, so that what it was before goes on; 0 or 1";
        self.gauge("table_stale", help, None, |samples| {
            each_source(tables, |labels, state| {
                samples.gauge(labels, f64::from(u8::from(state.is_stale)))
            })
        })
    }

    fn databases(&mut self, databases: &[DatabaseAge]) -> fmt::Result {
        if databases.is_empty() {
            return Ok(());
        }
        let help = "When a database of countries or autonomous systems was built, in seconds since the Unix epoch, by what it calls itself";
        let name = "geoip_database_build_timestamp";
        self.gauge(name, help, Some(&Unit::Seconds), |samples| {
            databases.iter().try_for_each(|database| {
                let labels = [
                    ("database", database.name.as_str()),
                    ("type", database.database_type.as_str()),
                ];
                samples.gauge(labels, database.built_s)
            })
        })?;
        let help = "Seconds since a database of countries or autonomous systems was built";
        self.gauge(
            "geoip_database_age",
            help,
            Some(&Unit::Seconds),
            |samples| {
                databases.iter().try_for_each(|database| {
                    samples.gauge([("database", database.name.as_str())], database.age_s)
                })
            },
        )?;
        let help = "Octets of memory that a database of countries or autonomous systems takes";
        self.gauge("geoip_database_size", help, Some(&Unit::Bytes), |samples| {
            databases.iter().try_for_each(|database| {
                samples.gauge(
                    [("database", database.name.as_str())],
                    database.bytes as f64,
                )
            })
        })
    }
}

fn each_source(
    tables: &TablesState,
    mut sample: impl FnMut(Labels<'_, 2>, &SourceState) -> fmt::Result,
) -> fmt::Result {
    tables.sources.iter().try_for_each(|state| {
        let labels = [
            ("table", state.table.label()),
            ("source", state.source.as_str()),
        ];
        sample(labels, state)
    })
}
