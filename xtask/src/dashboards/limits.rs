//! From when on numbers are shown as a warning, and as bad.
//!
//! Where an alert has a threshold for the same number, it is the one from which
//! on the number is bad; a test compares them with
//! `dashboards/prometheus/thresholds.yml`.

use super::{
    palette::{never, rising},
    schema::Step,
};

const DAY: f64 = 86_400.0;

/// Numbers that have limits on more than one panel, or an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Share of queries without a response.
    Unanswered,
    /// Time between query and response, 95 %.
    ResponseTime,
    /// Share of SERVFAIL among responses.
    Servfail,
    /// Share of queries over TCP.
    Tcp,
    /// Octets of responses for each octet of queries, over UDP.
    Amplification,
    /// Queries now, by those that are usual.
    Spike,
    /// Different names per minute in a zone with random ones.
    RandomNames,
    /// Share of records that others stand for.
    Sampled,
    /// Seconds that a stage or a ring is behind.
    Lag,
    /// Seconds that a scrape takes.
    Scrape,
    /// Seconds since a database was built.
    DatabaseAge,
    /// Share of a bound that is used up.
    Fill,
    /// Mean run time of a kernel program.
    ProbeTime,
    /// One record in so many.
    Sampling,
    /// Whatever must not happen.
    Never,
}

impl Limit {
    pub(super) fn steps(self) -> Vec<Step> {
        match self {
            Self::Unanswered => rising(0.01, 0.05),
            Self::ResponseTime => rising(0.005, 0.05),
            Self::Servfail => rising(0.05, 0.5),
            Self::Tcp => rising(0.2, 0.5),
            Self::Amplification => rising(5.0, 10.0),
            Self::Spike => rising(2.0, 3.0),
            Self::RandomNames => rising(500.0, 1000.0),
            Self::Sampled => rising(0.01, 0.1),
            Self::Lag => rising(2.5, 5.0),
            Self::Scrape => rising(1.0, 2.0),
            Self::DatabaseAge => rising(30.0 * DAY, 45.0 * DAY),
            Self::Fill => rising(0.5, 0.9),
            Self::ProbeTime => rising(2e-6, 1e-5),
            Self::Sampling => rising(2.0, 16.0),
            Self::Never => never(),
        }
    }
}
