//! Stub.

use crate::cli::TopArgs;

/// A daemon of our own, for as long as it is looked at.
pub(super) struct Own {
    url: String,
}

impl Own {
    pub(super) fn start(_args: &TopArgs) -> anyhow::Result<Self> {
        anyhow::bail!("not yet")
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn stop(self) -> anyhow::Result<()> {
        Ok(())
    }
}
