//! What the parser can be told, in the form the kernel gets it.

/// How many ports the parser can watch.
pub const MAX_PORTS: usize = 8;

/// The settings, as words: the loader patches them into the program's
/// read-only data, where the verifier sees constants and removes the branches
/// that cannot be taken.
///
/// Words 0 and 1 hold eight ports of 16 bits (0: unused), word 2 the flags,
/// word 3 the seed of the transaction hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Settings {
    words: [u64; 4],
}

const FLAG_DECAPSULATE: u64 = 1;
const FLAG_SERVICE_ADDRESSES: u64 = 1 << 1;
const FLAG_COUNT_ONLY: u64 = 1 << 2;
const FLAG_WHOLE_MESSAGES: u64 = 1 << 3;

impl Default for Settings {
    fn default() -> Self {
        Self::new(&[53])
    }
}

impl Settings {
    /// Watches the first [`MAX_PORTS`] of `ports`.
    #[must_use]
    pub fn new(ports: &[u16]) -> Self {
        let mut words = [0_u64; 4];
        for (place, port) in ports.iter().take(MAX_PORTS).enumerate() {
            if let Some(word) = words.get_mut(place / 4) {
                *word |= u64::from(*port) << (place % 4 * 16);
            }
        }
        Self { words }
    }

    /// Also looks into IP-in-IP (RFC 2003), 6in4 (RFC 4213) and GRE (RFC 2784).
    #[must_use]
    pub const fn with_decapsulation(mut self, on: bool) -> Self {
        self.words[2] = set(self.words[2], FLAG_DECAPSULATE, on);
        self
    }

    /// Only the configured service addresses count as this host's servers.
    #[must_use]
    pub const fn with_service_addresses(mut self, on: bool) -> Self {
        self.words[2] = set(self.words[2], FLAG_SERVICE_ADDRESSES, on);
        self
    }

    /// Counts, but hands no record on.
    #[must_use]
    pub const fn with_count_only(mut self, on: bool) -> Self {
        self.words[2] = set(self.words[2], FLAG_COUNT_ONLY, on);
        self
    }

    /// Hands a message on raw where its record would not hold all that is known
    /// of EDNS: options, or an OPT record that the parser does not reach.
    #[must_use]
    pub const fn with_whole_messages(mut self, on: bool) -> Self {
        self.words[2] = set(self.words[2], FLAG_WHOLE_MESSAGES, on);
        self
    }

    /// Seeds the hash that chooses transactions, so that nobody outside can
    /// aim traffic at or past the chosen share.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.words[3] = seed;
        self
    }

    /// The words for the kernel.
    #[must_use]
    pub const fn to_words(self) -> [u64; 4] {
        self.words
    }

    /// The settings of such words.
    #[inline(always)]
    #[must_use]
    pub const fn from_words(words: [u64; 4]) -> Self {
        Self { words }
    }

    /// Whether `port` is watched. Port 0 never is.
    #[inline(always)]
    #[must_use]
    pub fn watches(&self, port: u16) -> bool {
        let [low, high, _, _] = self.words;
        (holds(low, port) || (high != 0 && holds(high, port))) && port != 0
    }

    /// Which of source and destination port are watched.
    #[inline(always)]
    #[must_use]
    pub fn watched(&self, (source, destination): (u16, u16)) -> Watched {
        Watched {
            source: self.distance(source),
            destination: self.distance(destination),
        }
    }

    /// Not 0 unless `port` is watched.
    #[inline(always)]
    fn distance(&self, port: u16) -> u64 {
        let [low, high, _, _] = self.words;
        if high == 0 && low != 0 && low >> 16 == 0 {
            return u64::from(port) ^ low;
        }
        u64::from(!self.watches(port))
    }

    /// Whether tunnels are looked into.
    #[inline(always)]
    #[must_use]
    pub const fn decapsulates(&self) -> bool {
        self.words[2] & FLAG_DECAPSULATE != 0
    }

    /// Whether the served addresses are listed.
    #[inline(always)]
    #[must_use]
    pub const fn lists_service_addresses(&self) -> bool {
        self.words[2] & FLAG_SERVICE_ADDRESSES != 0
    }

    /// Whether records are left out.
    #[inline(always)]
    #[must_use]
    pub const fn counts_only(&self) -> bool {
        self.words[2] & FLAG_COUNT_ONLY != 0
    }

    /// Whether messages with EDNS options are handed on raw.
    #[inline(always)]
    #[must_use]
    pub const fn hands_on_whole_messages(&self) -> bool {
        self.words[2] & FLAG_WHOLE_MESSAGES != 0
    }

    /// The seed of the transaction hash.
    #[inline(always)]
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.words[3]
    }
}

#[inline(always)]
const fn set(word: u64, flag: u64, on: bool) -> u64 {
    if on { word | flag } else { word & !flag }
}

/// Which of a packet's ports are watched, as numbers that are 0 where one is: the
/// kernel's machine has no instruction that makes a truth value of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    source: u64,
    destination: u64,
}

impl Watched {
    /// Whether one of them is: by one branch for both.
    #[inline(always)]
    #[must_use]
    pub const fn is_either(self) -> bool {
        self.source.wrapping_mul(self.destination) == 0
    }

    /// Whether the source port is.
    #[inline(always)]
    #[must_use]
    pub const fn is_source(self) -> bool {
        self.source == 0
    }

    /// Whether the destination port is.
    #[inline(always)]
    #[must_use]
    pub const fn is_destination(self) -> bool {
        self.destination == 0
    }
}

/// Whether one of two ports is `port`: by one branch for both.
#[inline(always)]
#[must_use]
pub(crate) const fn is_either(port: u16, (one, other): (u16, u16)) -> bool {
    (one ^ port) as u64 * (other ^ port) as u64 == 0
}

/// Whether one of four packed ports is `port`; unused places hold 0.
///
/// The verifier knows the word, and removes what is not for so many ports. Of
/// several ports it must not learn which one it is: it would check all that
/// follows for each of them.
#[inline(always)]
const fn holds(word: u64, port: u16) -> bool {
    const ONES: u64 = 0x0001_0001_0001_0001;
    if word >> 16 == 0 {
        return word == port as u64;
    }
    // The classic test for a zero among packed numbers.
    let difference = word ^ (port as u64).wrapping_mul(ONES);
    difference.wrapping_sub(ONES) & !difference & (ONES << 15) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_exactly_the_ports_given() {
        let settings = Settings::new(&[53, 5353, 8053, 1053, 65535]);
        for port in 0..=u16::MAX {
            let expected = [53, 5353, 8053, 1053, 65535].contains(&port);
            assert_eq!(settings.watches(port), expected, "port {port}");
        }
    }

    #[test]
    fn tells_which_of_two_ports_is_watched() {
        for (listening, ports, source, destination) in [
            (&[53][..], (40_000, 53), false, true),
            (&[53], (53, 40_000), true, false),
            (&[53], (53, 53), true, true),
            (&[53], (0, 8080), false, false),
            (&[53], (53 << 8, 52), false, false),
            (&[], (0, 0), false, false),
            (&[53, 5353], (5353, 53), true, true),
            (&[53, 5353], (0, 5353), false, true),
            (&[1, 2, 3, 4, 5], (5, 0), true, false),
        ] {
            let watched = Settings::new(listening).watched(ports);
            let found = (watched.is_source(), watched.is_destination());
            assert_eq!(found, (source, destination), "{listening:?} {ports:?}");
            assert_eq!(watched.is_either(), source || destination, "{ports:?}");
        }
    }

    #[test]
    fn words_survive_the_way_to_the_kernel() {
        let settings = Settings::new(&[53])
            .with_decapsulation(true)
            .with_whole_messages(true)
            .with_seed(0x0123_4567_89ab_cdef);
        let back = Settings::from_words(settings.to_words());
        assert_eq!(back, settings);
        assert!(back.decapsulates() && !back.lists_service_addresses() && !back.counts_only());
        assert!(back.hands_on_whole_messages());
        assert_eq!(back.seed(), 0x0123_4567_89ab_cdef);
    }
}
