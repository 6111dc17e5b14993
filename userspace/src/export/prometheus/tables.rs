//! What is told of the tables that clients and names are looked up in.

use std::fmt;

use prometheus_client::registry::Unit;

use super::{Families, Labels};
use crate::enrich::reload::{SourceState, TablesState};

impl Families<'_> {
    pub(super) fn tables(&mut self, tables: &TablesState) -> fmt::Result {
        let help = "Entries of the tables that clients and names are looked up in";
        self.gauge("table_entries", help, None, |samples| {
            tables.entries.iter().try_for_each(|(table, entries)| {
                samples.gauge([("table", *table)], *entries as f64)
            })
        })?;
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
