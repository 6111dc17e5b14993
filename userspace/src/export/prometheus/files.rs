//! What is told of the files that a daemon writes.

use std::fmt;

use prometheus_client::registry::Unit;

use super::Families;
use crate::export::snapshot::{FileState, FileStates};

impl Families<'_> {
    pub(super) fn files(&mut self, files: &FileStates) -> fmt::Result {
        if let Some(state) = &files.rssac002 {
            self.written("rssac002_last_write", "the days of RSSAC002", state)?;
            let help = "Times that a day of RSSAC002 could not be written; the log says why";
            self.counter("rssac002_write_errors", help, |samples| {
                samples.counter([], state.errors)
            })?;
        }
        let Some(state) = &files.dsc else {
            return Ok(());
        };
        self.written("dsc_last_write", "DSC's files", state)?;
        let help = "Intervals that could not be written into DSC's files; the log says why";
        self.counter("dsc_file_errors", help, |samples| {
            samples.counter([], state.errors)
        })?;
        let help = "Messages, by datasets, that are not in DSC's files, since these had no room for another value";
        self.counter("dsc_file_uncounted_messages", help, |samples| {
            samples.counter([], state.uncounted)
        })
    }

    fn written(&mut self, prefix: &str, what: &str, state: &FileState) -> fmt::Result {
        let help = format!(
            "When {what} were written last, in seconds since the Unix epoch; 0 before that"
        );
        let name = format!("{prefix}_timestamp");
        self.gauge(&name, &help, Some(&Unit::Seconds), |samples| {
            samples.gauge([], state.written_s)
        })
    }
}
