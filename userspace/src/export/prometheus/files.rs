//! What is told of the files that a daemon writes.

use std::fmt;

use prometheus_client::registry::Unit;

use super::Families;
use crate::export::snapshot::{FileState, FileStates};

impl Families<'_> {
    pub(super) fn files(&mut self, files: &FileStates) -> fmt::Result {
        if let Some(state) = &files.rssac002 {
            self.file_state("rssac002", "the days of RSSAC002", state)?;
        }
        Ok(())
    }

    fn file_state(&mut self, prefix: &str, what: &str, state: &FileState) -> fmt::Result {
        let help = format!(
            "When {what} were written last, in seconds since the Unix epoch; 0 before that"
        );
        let name = format!("{prefix}_last_write_timestamp");
        self.gauge(&name, &help, Some(&Unit::Seconds), |samples| {
            samples.gauge([], state.written_s)
        })?;
        let help = format!("Times that {what} could not be written; the log says why");
        self.counter(&format!("{prefix}_write_errors"), &help, |samples| {
            samples.counter([], state.errors)
        })
    }
}
