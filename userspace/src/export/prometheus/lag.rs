//! How far rings, stages and others are behind: the same five families of each.

use std::fmt;

use prometheus_client::registry::Unit;

use super::{Families, Labels, Samples};
use crate::{export::snapshot::Stage, stats::lag::LagReport};

/// The names and words of the families of one kind.
pub(super) struct LagFamilies {
    /// What their names begin with.
    pub(super) prefix: &'static str,
    /// What names that count events end in.
    pub(super) events: &'static str,
    /// Help of the current lag.
    pub(super) lag: &'static str,
    /// Help of the longest lag.
    pub(super) max_lag: &'static str,
    /// Help of the events that came.
    pub(super) produced: &'static str,
    /// Help of those that are through.
    pub(super) consumed: &'static str,
    /// Help of those that wait.
    pub(super) backlog: &'static str,
}

/// The rings.
pub(super) const RINGS: LagFamilies = LagFamilies {
    prefix: "ring",
    events: "_records",
    lag: "Age of the oldest record that a scrape found in a ring, before it had the ring emptied; 0 when it was empty",
    max_lag: "The longest that a record had waited in a ring when it was read, in the last minute",
    produced: "Records that the kernel put into a ring",
    consumed: "Records taken out of a ring",
    backlog: "Records that a scrape found in a ring, before it had the ring emptied",
};

/// The stages of a daemon.
const STAGES: LagFamilies = LagFamilies {
    prefix: "stage",
    events: "",
    lag: "Age of the oldest record that has come to a stage and is not through; 0 when there is none",
    max_lag: "The longest time between an event and its passing of a stage, in the last minute",
    produced: "Records that came to a stage",
    consumed: "Records that a stage is through with",
    backlog: "Records that have come to a stage and are not through",
};

impl Families<'_> {
    pub(super) fn stages(&mut self, stages: &[(Stage, LagReport)]) -> fmt::Result {
        let labelled = |(stage, lag): &(Stage, LagReport)| ([("stage", stage.label())], *lag);
        let series: Vec<_> = stages.iter().map(labelled).collect();
        if series.is_empty() {
            return Ok(());
        }
        self.lag(&STAGES, &series)
    }

    pub(super) fn lag<const N: usize>(
        &mut self,
        families: &LagFamilies,
        series: &[(Labels<'_, N>, LagReport)],
    ) -> fmt::Result {
        type Count = fn(&LagReport) -> u64;
        type Lag = fn(&LagReport) -> f64;
        let LagFamilies { prefix, events, .. } = families;
        let counters: [(_, _, Count); 2] = [
            ("produced", families.produced, |lag| lag.produced),
            ("consumed", families.consumed, |lag| lag.consumed),
        ];
        for (what, help, value) in counters {
            self.counter(&format!("{prefix}_{what}{events}"), help, |samples| {
                each(series, |labels, lag| samples.counter(labels, value(lag)))
            })?;
        }
        let backlog = format!("{prefix}_backlog{events}");
        self.gauge(&backlog, families.backlog, None, |samples| {
            each(series, |labels, lag| {
                samples.gauge(labels, lag.backlog as f64)
            })
        })?;
        let lags: [(_, _, Lag); 2] = [
            ("lag", families.lag, |lag| lag.lag_seconds),
            ("max_lag", families.max_lag, |lag| lag.max_lag_seconds),
        ];
        for (what, help, value) in lags {
            let name = format!("{prefix}_{what}");
            self.gauge(
                &name,
                help,
                Some(&Unit::Seconds),
                |samples: &mut Samples<'_>| {
                    each(series, |labels, lag| samples.gauge(labels, value(lag)))
                },
            )?;
        }
        Ok(())
    }
}

fn each<'a, const N: usize>(
    series: &[(Labels<'a, N>, LagReport)],
    mut sample: impl FnMut(Labels<'a, N>, &LagReport) -> fmt::Result,
) -> fmt::Result {
    series
        .iter()
        .try_for_each(|(labels, lag)| sample(*labels, lag))
}
