//! What the enriched stream tells of itself.
//!
//! How far the thread that enriches is behind is told with the other stages.

use std::fmt;

use super::{Families, lag::LagFamilies};
use crate::enrich::{
    exchange::Kind,
    stream::{StreamStats, SubscriberStats},
};

const SUBSCRIBERS: LagFamilies = LagFamilies {
    prefix: "enriched_subscriber",
    events: "_exchanges",
    lag: "Age of the oldest exchange that waits for a subscriber of the enriched stream; 0 when none does",
    max_lag: "The longest time between an exchange and its reaching a subscriber, in the last minute",
    produced: "Exchanges that were there for a subscriber, by its place; the next one in a place goes on with its numbers",
    consumed: "Exchanges that a subscriber has taken, whether its filter let them pass or not",
    backlog: "Exchanges that wait for a subscriber",
};

impl Families<'_> {
    pub(super) fn enriched_stream(&mut self, stream: &StreamStats) -> fmt::Result {
        self.enriched_records(stream)?;
        let help = "Queries and responses that were brought together and enriched, not scaled up from the share that is taken";
        self.counter("enriched_exchanges", help, |samples| {
            let kinds = Kind::ALL.iter().zip(stream.exchanges);
            kinds
                .into_iter()
                .try_for_each(|(kind, count)| samples.counter([("kind", kind.label())], count))
        })?;
        self.enriched_state(stream)?;
        self.subscribers(stream)
    }

    fn enriched_records(&mut self, stream: &StreamStats) -> fmt::Result {
        let help = "Messages chosen for the enriched stream, by what became of them: looked at, or dropped before since the queue was full";
        self.counter("enriched_records", help, |samples| {
            for (outcome, count) in [("taken", stream.taken), ("queue_full", stream.queue_full)] {
                samples.counter([("outcome", outcome)], count)?;
            }
            Ok(())
        })?;
        let help = "Messages that were taken for the enriched stream and are in no exchange: too many waited for their other half, the share had become smaller since, or the stream had just begun and the query of a response was not taken";
        self.counter("enriched_left_out_records", help, |samples| {
            for (reason, count) in [
                ("table_full", stream.table_full),
                ("narrowed", stream.narrowed),
                ("too_early", stream.too_early),
            ] {
                samples.counter([("reason", reason)], count)?;
            }
            Ok(())
        })
    }

    fn enriched_state(&mut self, stream: &StreamStats) -> fmt::Result {
        for (name, help, value) in [
            (
                "enriched_stream_active",
                "Whether messages are taken for the enriched stream: 1 while there is a subscriber or clients are looked up, else 0",
                u64::from(stream.is_on),
            ),
            (
                "enriched_sampling_interval",
                "Of the paired transactions, one in so many is taken for the enriched stream at the moment",
                stream.one_in,
            ),
            (
                "enriched_pending",
                "Messages of the enriched stream that wait for their other half",
                stream.pending,
            ),
            (
                "enriched_queue_length",
                "Messages that wait to be enriched",
                stream.queued,
            ),
            (
                "enriched_queue_capacity",
                "Messages that can wait to be enriched",
                stream.queue_capacity,
            ),
            (
                "enriched_subscribers",
                "Subscribers of the enriched stream",
                stream.subscribed() as u64,
            ),
            (
                "enriched_subscribers_max",
                "Subscribers that the enriched stream takes",
                stream.places,
            ),
        ] {
            self.gauge(name, help, None, |samples| samples.gauge([], value as f64))?;
        }
        let help = "Subscribers that were turned away since all places were taken";
        self.counter("enriched_refused_subscriptions", help, |samples| {
            samples.counter([], stream.refused)
        })
    }

    fn subscribers(&mut self, stream: &StreamStats) -> fmt::Result {
        let places: Vec<_> = (stream.subscribers.iter())
            .map(|place| (place.place.to_string(), place))
            .collect();
        // Families without samples say nothing.
        if places.is_empty() {
            return Ok(());
        }
        type Count = fn(&SubscriberStats) -> u64;
        let counters: [(_, _, Count); 2] = [
            (
                "enriched_subscriber_sent_exchanges",
                "Exchanges that were sent to a subscriber",
                |place| place.sent,
            ),
            (
                "enriched_subscriber_dropped_exchanges",
                "Exchanges that a subscriber missed since it was too slow; it is told how many",
                |place| place.dropped,
            ),
        ];
        for (name, help, value) in counters {
            self.counter(name, help, |samples| {
                places.iter().try_for_each(|(number, place)| {
                    samples.counter([("subscriber", number)], value(place))
                })
            })?;
        }
        let series: Vec<_> = (places.iter())
            .map(|(number, place)| ([("subscriber", number.as_str())], place.lag))
            .collect();
        self.lag(&SUBSCRIBERS, &series)
    }
}
