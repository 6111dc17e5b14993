//! What the stream tells of itself.

use crate::stats::lag::LagReport;

/// The state of the stream at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamStats {
    /// Whether messages are taken at all.
    pub is_on: bool,
    /// Messages that were taken and looked at.
    pub taken: u64,
    /// Messages dropped since the queue was full.
    pub queue_full: u64,
    /// Messages dropped since too many waited for their other half.
    pub table_full: u64,
    /// Messages left out since the share had become smaller since they were taken.
    pub narrowed: u64,
    /// Responses left out since their queries may have come before anything was
    /// taken.
    pub too_early: u64,
    /// Exchanges, by [`Kind`](crate::enrich::exchange::Kind): answered, unanswered,
    /// unsolicited.
    pub exchanges: [u64; 3],
    /// One paired transaction in so many is taken at the moment.
    pub one_in: u64,
    /// Messages that wait for their other half.
    pub pending: u64,
    /// Messages in the queues.
    pub queued: u64,
    /// Messages that the queues hold.
    pub queue_capacity: u64,
    /// How far the enrich thread is behind the events.
    pub enrich: LagReport,
    /// Places for subscribers.
    pub places: u64,
    /// Subscribers that were turned away.
    pub refused: u64,
    /// The places that were ever taken.
    pub subscribers: Vec<SubscriberStats>,
}

/// A place for a subscriber.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubscriberStats {
    /// Its number, from 0.
    pub place: usize,
    /// Whether there is one at the moment.
    pub is_taken: bool,
    /// Exchanges that were passed on to those who had the place.
    pub sent: u64,
    /// Exchanges that they missed since they were too slow.
    pub dropped: u64,
    /// How far it is behind; what was consumed need not have been sent, as there
    /// are filters.
    pub lag: LagReport,
}

impl StreamStats {
    /// Subscribers at the moment.
    #[must_use]
    pub fn subscribed(&self) -> usize {
        self.subscribers
            .iter()
            .filter(|place| place.is_taken)
            .count()
    }

    /// An example with a sample of every kind.
    #[must_use]
    pub fn example() -> Self {
        Self {
            one_in: 1,
            places: 16,
            subscribers: vec![SubscriberStats::default()],
            ..Self::default()
        }
    }
}
