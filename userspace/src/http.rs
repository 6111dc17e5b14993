//! The HTTP endpoint: metrics, health, and a page to land on.
//!
//! The daemon says what there is to serve through [`Telemetry`]; this module
//! decides how. `api` has what is for programs, `page` what is for people. `listen`
//! opens the sockets, early, while an error still stops the start; `routes` answers
//! requests; `connection` carries them and keeps slow or many clients within bounds.
//! A scrape runs beside the async workers and never on the packets' path.
//!
//! Two seams are left open on purpose. TLS wraps the accepted stream in
//! `connection`, where a comment marks the place. Authentication is a layer
//! around the [`Router`] that [`router`] returns; each request carries its
//! peer's address as `ConnectInfo<SocketAddr>`.

mod api;
mod connection;
mod listen;
mod page;
mod routes;
mod scrape;
#[cfg(test)]
mod tests;

pub use api::{Tail, openapi};
pub use axum::Router;
pub use connection::serve;
pub use listen::{ListenError, Listeners};
pub use routes::{TelemetryPath, TelemetryPathError, router};

use crate::live_view::LiveView;

/// What the endpoint serves; implemented by the daemon.
pub trait Telemetry: Send + Sync + 'static {
    /// The current metrics as OpenMetrics text. Called on a blocking thread.
    fn openmetrics(&self) -> Result<String, TelemetryError>;

    /// Whether the metrics mean anything yet: `Ok`, or why not. Called on an
    /// async worker, as is [`facts`](Self::facts): neither may block.
    fn ready(&self) -> Result<(), String>;

    /// Facts for the landing page, as names and values: node, interfaces with
    /// their attach mode, uptime, version.
    fn facts(&self) -> Vec<(String, String)>;

    /// The stream to subscribe to, where there is one.
    fn tail(&self) -> Option<Tail> {
        None
    }

    /// What people look at, where there is such a view.
    fn view(&self) -> Option<LiveView> {
        None
    }
}

/// Why there are no metrics to serve. The text goes to the scraper.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The encoder refused, which only a metric's own code can cause.
    #[error("a metric cannot be written as text")]
    Encode(#[from] std::fmt::Error),
    /// What the metrics are made of cannot be read.
    #[error("{0}")]
    Source(#[source] Box<dyn std::error::Error + Send + Sync>),
}
