//! The round-trip time of TCP handshakes, as a server sees it: from the SYN-ACK
//! that leaves to the ACK that completes the handshake (RFC 9293, section 3.5).
//!
//! Each side keeps a bounded table of [`SynAck`]s under way, by a seeded hash of
//! the connection; what that table is made of is the host's matter.

/// A SYN-ACK that was sent, as it stands in a kernel map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct SynAck {
    sent_ns: u64,
    /// The number that acknowledges it.
    ack: u32,
    resent: u32,
}

impl SynAck {
    /// Sent now; `before` is what was sent on the same connection last.
    #[inline(always)]
    #[must_use]
    pub fn new(now_ns: u64, ack: u32, before: Option<&Self>) -> Self {
        Self {
            sent_ns: now_ns,
            ack,
            resent: u32::from(before.is_some_and(|before| before.ack == ack)),
        }
    }

    /// Whether `ack` acknowledges it.
    #[inline(always)]
    #[must_use]
    pub const fn is_acknowledged(&self, ack: u32) -> bool {
        self.ack == ack
    }

    /// Nanoseconds since it was sent. None if it was sent twice: RFC 6298,
    /// section 3, "it is ambiguous whether the reply was for the first instance
    /// of the packet or a later instance".
    #[inline(always)]
    #[must_use]
    pub const fn round_trip_ns(&self, now_ns: u64) -> Option<u64> {
        if self.resent != 0 {
            return None;
        }
        now_ns.checked_sub(self.sent_ns)
    }
}

/// Buckets of the histogram: up to 1, 2, 4 ... 2^24 microseconds, and above.
pub const BUCKETS: usize = 26;

/// The bucket of a time.
#[inline(always)]
#[must_use]
pub const fn bucket(time_ns: u64) -> usize {
    let microseconds = time_ns.div_ceil(1000);
    if microseconds <= 1 {
        return 0;
    }
    let bucket = (microseconds - 1).ilog2() as usize + 1;
    if bucket < BUCKETS {
        bucket
    } else {
        BUCKETS - 1
    }
}

/// The longest time of a bucket in nanoseconds; the last has none.
#[must_use]
pub const fn bound_ns(bucket: usize) -> Option<u64> {
    if bucket < BUCKETS - 1 {
        Some(1000 << bucket)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_end_at_powers_of_two() {
        for (time_ns, expected) in [
            (0, 0),
            (1, 0),
            (1000, 0),
            (1001, 1),
            (2000, 1),
            (2001, 2),
            (4000, 2),
            (4001, 3),
            (1_024_000, 10),
            (1_024_001, 11),
            (16_777_216_000, 24),
            (16_777_216_001, 25),
            (u64::MAX, 25),
        ] {
            assert_eq!(bucket(time_ns), expected, "{time_ns} ns");
        }
        assert_eq!(bound_ns(0), Some(1000));
        assert_eq!(bound_ns(24), Some(16_777_216_000));
        assert_eq!(bound_ns(25), None);
    }

    #[test]
    fn what_was_sent_twice_tells_no_time() {
        let first = SynAck::new(100, 7, None);
        assert_eq!(first.round_trip_ns(350), Some(250));
        assert_eq!(first.round_trip_ns(99), None);
        assert!(first.is_acknowledged(7) && !first.is_acknowledged(8));
        let again = SynAck::new(200, 7, Some(&first));
        assert_eq!(again.round_trip_ns(350), None);
        let another = SynAck::new(300, 9, Some(&again));
        assert_eq!(another.round_trip_ns(350), Some(50));
    }
}
