//! Random subdomains: zones under which far more names are asked for than there
//! can be.
//!
//! A resolver that is made to ask for `RANDOM.example.com` gives every query a
//! name of its own. What the families do not name of such a zone is then
//! counted as `*.example.com`, so that the zone can be seen. The names of a
//! minute are counted by a sketch for each zone, and only those that have no
//! cell of their own: a zone with many names that are asked for again and again
//! is merely popular.
//!
//! A shard has room for so many names at a time. Of those that found none, only
//! the number of records is known. They came late, as those do that are seen once,
//! so they are shared out among the zones as these are, and raise the number of a
//! zone's names in the same measure as that of the names that found room. Where
//! a batch has no name that was seen once, nothing tells whose they are, and they
//! raise no zone's number.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::hash::{BuildHasher as _, Hasher as _};

use super::{
    cells::Key,
    dataset::Indexer,
    distinct::{Distinct, spread},
    plan::{Compat, Plan, Rules},
    qname::Qname,
};

/// So many names in a minute make a flood,
const FLOOD: f64 = 1000.0;
/// if each was asked for less often than this.
const REPEATS: f64 = 1.5;
/// A minute with fewer names ends it.
const CALM: f64 = 500.0;
/// Zones that are watched at a time.
const WATCHED: usize = 1024;
/// Zones of which are folded at a time: the others are room for new ones.
const FOLDED: usize = WATCHED / 2;
/// The sketches have 256 registers: an error of 6.5 %.
const PRECISION: u32 = 8;

/// Watches the zones of names.
#[derive(Debug)]
pub struct Guard {
    plan: Arc<Plan>,
    hasher: FixedState,
    zones: HashMap<Key, Watched>,
    folded: usize,
    name: Box<Qname>,
    /// Names of this batch that were seen once, in any zone or none.
    once: u64,
}

/// A zone that is flooded with random names.
#[derive(Clone, Debug, PartialEq)]
pub struct Flooded {
    /// The zone's name on the wire.
    pub zone: Vec<u8>,
    /// Different names in the minute that had the most since the flood began,
    /// of the last two.
    pub names: f64,
}

#[derive(Debug)]
struct Watched {
    zone: Box<[u8]>,
    names: Distinct,
    records: u64,
    /// Names of all batches, those of one batch different.
    noted: u64,
    /// Those of this batch that were seen once.
    once: u64,
    /// Records about names that found no room, as far as they are this zone's.
    unseen: f64,
    /// Names of the minute before.
    before: f64,
    is_folded: bool,
}

impl Watched {
    /// Different names, those that found no room included.
    fn estimate(&self) -> f64 {
        let noted = self.noted.max(1) as f64;
        self.names.estimate() * (noted + self.unseen) / noted
    }
}

/// What stands for all random names of a zone.
#[derive(Clone, Debug)]
pub(super) struct Folded {
    pub(super) key: Key,
    /// The zone's name on the wire.
    pub(super) zone: Vec<u8>,
}

impl Guard {
    /// Nothing watched yet; `seed` makes keys that nobody can choose.
    #[must_use]
    pub fn new(plan: Arc<Plan>, seed: u64) -> Self {
        Self {
            plan,
            hasher: FixedState::with_seed(seed ^ 0x2a),
            zones: HashMap::default(),
            folded: 0,
            name: Box::default(),
            once: 0,
        }
    }

    /// Takes note of a name, on the wire and in lower case, and of the records
    /// that are about it. Not of messages: where they are sampled, a name that
    /// was seen once would stand for many.
    pub fn watch(&mut self, name: &[u8], key: Key, records: u64) {
        let once = u64::from(records == 1);
        self.once += once;
        let Some((zone, len)) = self.zone_of(name) else {
            return;
        };
        let is_new = !self.zones.contains_key(&zone);
        if is_new && self.zones.len() >= WATCHED {
            self.make_room();
        }
        let text = name.get(name.len() - len..).unwrap_or(&[]);
        let watched = self.zones.entry(zone).or_insert_with(|| Watched {
            zone: text.into(),
            names: Distinct::with_precision(PRECISION),
            records: 0,
            noted: 0,
            once: 0,
            unseen: 0.0,
            before: 0.0,
            is_folded: false,
        });
        watched.names.add_hash(spread(key));
        watched.records += records;
        watched.noted += 1;
        watched.once += once;
    }

    /// A batch is over, in which the names of so many records found no room. Looks
    /// at what was noted.
    pub fn end_batch(&mut self, unseen: u64) {
        let share = unseen as f64 / std::mem::take(&mut self.once).max(1) as f64;
        for watched in self.zones.values_mut() {
            watched.unseen += share * std::mem::take(&mut watched.once) as f64;
        }
        self.judge();
    }

    fn judge(&mut self) {
        for watched in self.zones.values_mut().filter(|zone| !zone.is_folded) {
            // An estimate costs more than this.
            if self.folded >= FOLDED {
                break;
            }
            if watched.records < FLOOD as u64 {
                continue;
            }
            let names = watched.names.estimate();
            if names > FLOOD && (watched.records as f64) < REPEATS * names {
                watched.is_folded = true;
                self.folded += 1;
            }
        }
    }

    /// A minute is over.
    pub fn end_minute(&mut self) {
        let mut folded = 0;
        self.zones.retain(|_, watched| {
            let repeats = watched.records as f64 / watched.names.estimate().max(1.0);
            watched.before = watched.estimate();
            watched.is_folded &= watched.before >= CALM && repeats < 2.0 * REPEATS;
            folded += usize::from(watched.is_folded);
            watched.names.clear();
            watched.records = 0;
            watched.noted = 0;
            watched.unseen = 0.0;
            watched.is_folded
        });
        self.folded = folded;
    }

    /// What a name is counted as, when it lies in a flooded zone.
    pub(super) fn fold(&mut self, name: &[u8]) -> Option<Folded> {
        if self.folded == 0 {
            return None;
        }
        let (key, _) = self.zone_of(name)?;
        let zone = self.zones.get(&key).filter(|zone| zone.is_folded)?;
        Some(Folded {
            key,
            zone: zone.zone.to_vec(),
        })
    }

    /// The flooded zones, the worst first.
    #[must_use]
    pub fn flooded(&self) -> Vec<Flooded> {
        let zones = self.zones.values().filter(|zone| zone.is_folded);
        let mut zones: Vec<_> = zones
            .map(|zone| Flooded {
                zone: zone.zone.to_vec(),
                names: zone.before.max(zone.estimate()),
            })
            .collect();
        zones.sort_by(|a, b| b.names.total_cmp(&a.names).then(a.zone.cmp(&b.zone)));
        zones
    }

    /// Octets of memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        let each = 255 + (1 << PRECISION);
        self.zones.allocation_size() + self.zones.len() * each
    }

    /// The zone that a name lies in, as a key, and the octets of its name.
    fn zone_of(&mut self, name: &[u8]) -> Option<(Key, usize)> {
        self.name.set(name, Compat::None);
        let labels = zone_labels(&self.name, self.plan.rules())?;
        let zone = self.name.last(labels);
        let mut hasher = self.hasher.build_hasher();
        hasher.write(zone);
        Some((hasher.finish() >> 1, zone.len()))
    }

    /// Leaves the folded zones and those with the most records. At least half
    /// of the others go, so that it is not called for every new zone.
    fn make_room(&mut self) {
        let others = self.zones.values().filter(|zone| !zone.is_folded);
        let mut records: Vec<_> = others.map(|zone| zone.records).collect();
        let middle = records.len() / 2;
        if middle == 0 {
            return;
        }
        let (_, median, _) = records.select_nth_unstable(middle);
        let median = *median;
        self.zones
            .retain(|_, zone| zone.is_folded || zone.records > median);
    }
}

/// The labels of the zone that a name lies in: the one served here, else the
/// domain below the public suffix. None for what lies in no such zone.
///
/// A served zone that is a public suffix itself, as that of a top-level domain,
/// has many names of its own, each that of another zone. There it is the domain
/// below that can be flooded.
fn zone_labels(name: &Qname, rules: &Rules) -> Option<usize> {
    let below_suffix = rules.suffix_labels(name) + 1;
    let served = rules.zones.find_labels(name).unwrap_or(0);
    let labels = served.max(below_suffix);
    (labels < name.labels()).then_some(labels)
}

/// Whether the values of an indexer are names that can be random.
pub(super) const fn is_name(indexer: Indexer) -> bool {
    matches!(
        indexer,
        Indexer::Qname | Indexer::SecondLd | Indexer::ThirdLd
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::text;

    fn guard() -> Guard {
        Guard::new(Arc::new(Plan::new(Vec::new(), Rules::default())), 1)
    }

    fn watch(guard: &mut Guard, name: &str, messages: u64) {
        let wire = text::parse(name).expect("a name");
        let mut hasher = FixedState::with_seed(9).build_hasher();
        hasher.write(&wire);
        guard.watch(&wire, hasher.finish(), messages);
    }

    fn folded(guard: &mut Guard, name: &str) -> Option<Vec<u8>> {
        let wire = text::parse(name).expect("a name");
        guard.fold(&wire).map(|folded| folded.zone)
    }

    #[test]
    fn random_names_fold_into_the_domain_below_the_suffix() {
        let mut guard = guard();
        for n in 0..2_000 {
            watch(&mut guard, &format!("r{n}.victim.example"), 1);
        }
        guard.end_batch(0);
        let zone = b"\x06victim\x07example\x00".to_vec();
        assert_eq!(
            folded(&mut guard, "other.victim.example"),
            Some(zone.clone())
        );
        assert_eq!(folded(&mut guard, "a.b.victim.example"), Some(zone));
        assert_eq!(folded(&mut guard, "victim.example"), None);
        assert_eq!(folded(&mut guard, "www.innocent.example"), None);
        let flooded = guard.flooded();
        let [only] = &*flooded else {
            panic!("{flooded:?}")
        };
        assert_eq!(only.zone, b"\x06victim\x07example\x00");
        assert!((only.names - 2_000.0).abs() < 400.0, "{only:?}");
    }

    #[test]
    fn names_that_found_no_room_are_counted_with_their_zone() {
        let mut guard = guard();
        let flooded = |guard: &Guard| {
            let [zone] = &*guard.flooded() else {
                panic!("one zone is flooded")
            };
            assert_eq!(zone.zone, b"\x06victim\x07example\x00");
            zone.names
        };
        // Three names of four that come once are of one zone.
        for n in 0..6_000 {
            watch(&mut guard, &format!("r{n}.victim.example"), 1);
            if n % 3 == 0 {
                watch(&mut guard, &format!("www.other{n}.example"), 1);
            }
        }
        watch(&mut guard, "www.popular.example", 900);
        guard.end_batch(80_000);
        let names = 6_000.0 + 60_000.0;
        assert!((flooded(&guard) / names - 1.0).abs() < 0.2);
        // The same names again, among as many that found no room: no more of them.
        for n in 0..6_000 {
            watch(&mut guard, &format!("r{n}.victim.example"), 1);
        }
        guard.end_batch(60_000);
        assert!((flooded(&guard) / names - 1.0).abs() < 0.2);
        guard.end_minute();
        assert!((flooded(&guard) / names - 1.0).abs() < 0.2);
    }

    #[test]
    fn names_that_are_asked_for_again_are_no_flood() {
        let mut guard = guard();
        for n in 0..2_000 {
            watch(&mut guard, &format!("h{n}.popular.example"), 3);
        }
        guard.end_batch(0);
        assert!(guard.flooded().is_empty());
    }

    #[test]
    fn a_flood_is_over_after_a_calm_minute() {
        let mut guard = guard();
        for n in 0..2_000 {
            watch(&mut guard, &format!("r{n}.victim.example"), 1);
        }
        guard.end_batch(0);
        guard.end_minute();
        assert_eq!(guard.flooded().len(), 1, "for a minute after it");
        for n in 0..100 {
            watch(&mut guard, &format!("r{n}.victim.example"), 1);
        }
        guard.end_minute();
        assert!(guard.flooded().is_empty());
    }

    #[test]
    fn random_zones_do_not_fill_the_memory() {
        let mut guard = guard();
        for n in 0..20_000 {
            watch(&mut guard, &format!("a.random{n}.example"), 1);
            if n % 10 == 0 {
                watch(&mut guard, &format!("r{n}.victim.example"), 1);
            }
        }
        guard.end_batch(0);
        assert!(guard.zones.len() <= WATCHED);
        assert_eq!(guard.flooded().len(), 1);
    }

    #[test]
    fn many_floods_leave_room_for_more_zones() {
        let mut guard = guard();
        for zone in 0..WATCHED + 100 {
            for n in 0..1_500 {
                watch(&mut guard, &format!("r{n}.victim{zone}.example"), 1);
            }
            guard.end_batch(0);
        }
        assert_eq!(guard.flooded().len(), FOLDED);
        assert!(guard.zones.len() <= WATCHED);
        // Half of what is not folded goes at once.
        while guard.zones.len() < WATCHED {
            let more = format!("a.more{}.example", guard.zones.len());
            watch(&mut guard, &more, 1);
        }
        watch(&mut guard, "a.last.example", 1);
        assert!(guard.zones.len() <= WATCHED - FOLDED / 2);
    }

    #[test]
    fn a_served_top_level_domain_is_not_flooded_by_its_domains() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("zones");
        std::fs::write(&file, "com\nsub.victim.example\n").expect("a file");
        let rules = Rules {
            zones: crate::stats::zones::Zones::read(&file).expect("two zones"),
            ..Rules::default()
        };
        let mut guard = Guard::new(Arc::new(Plan::new(Vec::new(), rules)), 1);
        for n in 0..2_000 {
            watch(&mut guard, &format!("www.domain{n}.com"), 1);
            watch(&mut guard, &format!("domain{n}.com"), 1);
            watch(&mut guard, &format!("r{n}.victim.com"), 1);
            watch(&mut guard, &format!("r{n}.sub.victim.example"), 1);
        }
        guard.end_batch(0);
        let mut zones: Vec<_> = guard.flooded().into_iter().map(|one| one.zone).collect();
        zones.sort();
        assert_eq!(
            zones,
            [
                &b"\x03sub\x06victim\x07example\x00"[..],
                b"\x06victim\x03com\x00"
            ]
        );
    }
}
