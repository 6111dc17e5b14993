//! Families by hand, and against a naive count of everything.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
};

use proptest::prelude::*;

use super::*;
use crate::{
    names::text,
    stats::{
        cells::Counted,
        dataset::{Dimension, Layer, Measure},
        plan::Rules,
        sketches::ClientKey,
    },
};

const SEED: u64 = 7;

fn dataset(name: &str, indexers: [Indexer; 2], max_cells: Option<u32>) -> Dataset {
    Dataset {
        name: name.to_owned(),
        layer: Layer::Dns,
        dimensions: indexers.map(|indexer| Dimension {
            label: indexer.label().to_owned(),
            indexer,
        }),
        filters: Vec::new(),
        measure: Measure::Messages,
        min_count: None,
        max_cells: max_cells.and_then(NonZeroU32::new),
    }
}

fn names(max_cells: u32) -> Vec<Dataset> {
    let indexers = [Indexer::Null, Indexer::Qname];
    vec![dataset("qname", indexers, Some(max_cells))]
}

fn lengths(max_cells: u32) -> Vec<Dataset> {
    let indexers = [Indexer::Null, Indexer::Msglen];
    vec![dataset("msglen", indexers, Some(max_cells))]
}

fn at(second: u64) -> Moment {
    Moment {
        now_ns: (second + 1) * SECOND_NS,
        unix_s: 1_000_000_020 + second,
    }
}

/// An aggregate and what is handed over to it.
struct Bench {
    aggregate: Aggregate,
    counts: Counts,
    cells: usize,
}

impl Bench {
    fn new(datasets: Vec<Dataset>, limits: Limits) -> Self {
        let plan = Arc::new(Plan::new(datasets, Rules::default()));
        Self {
            counts: Counts::new(&plan, usize::MAX, SEED),
            aggregate: Aggregate::new(plan, limits, SEED),
            cells: usize::MAX,
        }
    }

    /// The shard has room for so many cells.
    fn with_room(mut self, cells: usize) -> Self {
        self.cells = cells;
        self.counts = Counts::new(self.aggregate.plan(), cells, SEED);
        self
    }

    fn number(&mut self, first: u64, second: u64, messages: u64) {
        self.text(first, second, &[], messages);
    }

    /// With the text of the second value.
    fn text(&mut self, first: u64, second: u64, text: &[u8], messages: u64) {
        let table = &mut self.counts.datasets[0];
        table.total += messages;
        if let Counted::New(cell) = table.cells.add(first, second, messages) {
            table.cells.keep_text(cell, 1, text);
        }
    }

    fn name(&mut self, name: &str, messages: u64) {
        let wire = text::parse(name).expect("a name");
        let key = wire.iter().fold(SEED, |key, octet| {
            crate::stats::distinct::spread(key ^ u64::from(*octet)) >> 1
        });
        self.text(0, key, &wire, messages);
    }

    fn hand_over(&mut self, second: u64) -> Table {
        self.aggregate.merge(&self.counts, at(second));
        self.counts.begin_anew();
        self.table()
    }

    fn table(&self) -> Table {
        let table = self.aggregate.report().tables.remove(0);
        assert_eq!(sum(&table), table.total, "{table:?}");
        table
    }
}

fn sum(table: &Table) -> u64 {
    table.series().map(|(_, count)| count).sum()
}

fn count(table: &Table, value: &str) -> Option<u64> {
    let found = table.cells.iter().find(|cell| &*cell.values[1] == value);
    found.map(|cell| cell.count)
}

fn lines(table: &Table) -> Vec<(String, u64)> {
    let series = table.series();
    series.map(|(values, n)| (values.join(" "), n)).collect()
}

#[test]
fn a_small_server_sees_everything_at_once() {
    let mut bench = Bench::new(names(200), Limits::default());
    bench.name("example", 1);
    bench.name("www.example", 2);
    bench.name("other", 3);
    let table = bench.hand_over(0);
    let expected = [
        ("ALL \\111ther", 3),
        ("ALL example", 1),
        ("ALL www.example", 2),
        ("other other", 0),
        ("retired retired", 0),
    ];
    assert_eq!(lines(&table), expected.map(|(l, n)| (l.to_owned(), n)));
}

#[test]
fn a_pair_without_a_cell_counts_for_its_first_value() {
    let pairs = dataset("rcode_vs_qname", [Indexer::Rcode, Indexer::Qname], Some(8));
    let mut bench = Bench::new(vec![pairs], Limits::default());
    for name in 0..1000 {
        bench.number(3, name, 1);
        bench.number(0, 7, 1);
    }
    let table = bench.hand_over(0);
    let of = |wanted: [&str; 2]| {
        let mut series = table.series();
        series.find(|(v, _)| *v == wanted).map(|(_, count)| count)
    };
    assert_eq!(of(["NXDOMAIN", "other"]).map(|n| n >= 800), Some(true));
    assert_eq!(sum(&table), 2000);
}

#[test]
fn a_cell_that_is_idle_for_an_hour_goes_and_comes_back_from_zero() {
    let mut bench = Bench::new(names(200), Limits::default());
    bench.name("once.example", 5);
    bench.hand_over(0);
    bench.name("always.example", 1);
    let table = bench.hand_over(3590);
    assert_eq!(count(&table, "once.example"), Some(5));
    bench.name("always.example", 1);
    let table = bench.hand_over(3620);
    assert_eq!(count(&table, "once.example"), None);
    assert_eq!((table.retired, table.expired), (5, 1));
    bench.name("once.example", 1);
    let table = bench.hand_over(3621);
    assert_eq!(count(&table, "once.example"), Some(1));
    assert_eq!(table.total, 8);
}

#[test]
fn what_found_no_room_in_the_shard_is_other() {
    let mut bench = Bench::new(lengths(200), Limits::default()).with_room(2);
    for len in 0..10 {
        bench.number(0, len, 1);
    }
    let table = bench.hand_over(0);
    assert_eq!((table.other, table.uncounted, table.total), (8, 8, 10));
    assert!(table.error_bound >= 8.0);
}

#[test]
fn heavy_names_are_found_in_a_flood_that_fills_no_cells() {
    let mut bench = Bench::new(names(100), Limits::default());
    // A million random names, and ten that have 1 % each from second 20 on.
    for second in 0..100 {
        for n in 0..10_000 {
            bench.name(&format!("r{second}x{n}.victim.example"), 1);
        }
        if second >= 20 {
            for heavy in 0..10 {
                bench.name(&format!("www.heavy{heavy}.example"), 100);
            }
        }
        bench.hand_over(second);
    }
    let table = bench.table();
    for heavy in 0..10 {
        let count = count(&table, &format!("www.heavy{heavy}.example"));
        assert!(count.is_some_and(|count| count >= 50 * 100), "{count:?}");
    }
    let random = table.cells.iter();
    let random = random.filter(|cell| cell.values[1].starts_with('r'));
    assert_eq!(random.count(), 0, "{:?}", lines(&table));
    let folded = count(&table, "*.victim.example");
    assert!(folded.is_some_and(|n| n > 980_000), "{:?}", lines(&table));
    // What is not shown has less than that: a thousandth.
    assert!(table.error_bound < 1500.0, "{}", table.error_bound);
    let report = bench.aggregate.report();
    assert!(report.memory < 1 << 20, "{} octets", report.memory);
    assert_eq!(report.flooded, 1);
    let zone = &report.flooded_zones[0];
    assert_eq!(zone.0, "victim.example");
    assert!(zone.1 > 300_000.0, "{zone:?}");
}

#[test]
fn a_flood_is_one_whatever_the_sampling_level() {
    for weight in [1, 2, 4, 16] {
        let mut bench = Bench::new(names(100), Limits::default());
        // Three minutes, in which it must not be taken for over.
        for second in 0..180 {
            for n in 0..200 {
                bench.name(&format!("r{second}x{n}.victim.example"), weight);
                bench.counts.datasets[0].records += 1;
                for _ in 0..3 {
                    let popular = format!("h{}.popular.example", 200 * (second % 60) + n);
                    bench.name(&popular, weight);
                    bench.counts.datasets[0].records += 1;
                }
            }
            bench.hand_over(second);
            if second % 60 > 10 {
                let report = bench.aggregate.report();
                let zones: Vec<_> = report.flooded_zones.iter().map(|one| &*one.0).collect();
                assert_eq!(zones, ["victim.example"], "{weight} {second}");
            }
        }
    }
}

#[test]
fn a_bigger_value_takes_the_place_of_a_smaller_one_but_not_often() {
    let mut bench = Bench::new(lengths(20), Limits::default());
    for len in 0..20 {
        bench.number(0, len, 10);
    }
    for second in 0..12 {
        for len in 0..20 {
            bench.number(0, len, 10);
        }
        bench.hand_over(second);
    }
    let table = bench.table();
    assert_eq!(table.cells.len(), 20);
    // Ten others, far bigger, in each second of five minutes: at most two a
    // minute come in.
    let mut replaced = vec![table.replaced];
    for second in 12..312 {
        for len in 1000..1010 {
            bench.number(0, len, 5000);
        }
        let table = bench.hand_over(second);
        assert!(table.cells.len() <= 20);
        replaced.push(table.replaced);
        let a_minute_ago = replaced[replaced.len().saturating_sub(60)];
        assert!(table.replaced - a_minute_ago <= 2, "{second}");
    }
    let table = bench.table();
    assert!(table.replaced >= 8 && table.overflow > 0, "{table:?}");
    assert!(count(&table, "1000").is_some());
}

#[test]
fn all_families_share_one_budget() {
    let limits = Limits {
        max_series: 12,
        ..Limits::default()
    };
    let mut two = lengths(100);
    two.extend(names(100));
    let mut bench = Bench::new(two, limits);
    for len in 0..50 {
        bench.number(0, len, 1);
    }
    bench.hand_over(0);
    let report = bench.aggregate.report();
    let series: usize = report.tables.iter().map(|t| t.series().count()).sum();
    assert_eq!((series, report.series, report.max_series), (12, 12, 12));
    assert!(report.tables[0].overflow > 0);
}

#[test]
fn values_that_print_alike_share_a_cell() {
    let text = dataset("subnet", [Indexer::Null, Indexer::EdnsEcsSubnet], None);
    let mut bench = Bench::new(vec![text], Limits::default());
    // What has neither 4 octets nor 16 is no address, and printed as `::`.
    bench.text(0, 1, &[1, 2, 3], 2);
    bench.text(0, 2, &[1, 2, 3, 4, 5], 3);
    let table = bench.hand_over(0);
    assert_eq!(table.cells.len(), 1);
    assert_eq!(table.cells[0].count, 5);
}

#[test]
fn values_that_print_alike_are_not_all_remembered() {
    let text = dataset("subnet", [Indexer::Null, Indexer::EdnsEcsSubnet], None);
    let mut bench = Bench::new(vec![text], Limits::default());
    for second in 0..1000 {
        for n in 0..20_u16 {
            let key = second * 20 + u64::from(n);
            bench.text(0, key, &key.to_be_bytes(), 1);
        }
        bench.hand_over(second);
    }
    let table = bench.table();
    assert_eq!((table.cells.len(), table.cells[0].count), (1, 20_000));
    assert_eq!(bench.aggregate.families[0].remembered(), 1);
}

#[test]
fn names_that_begin_alike_have_cells_of_their_own() {
    let mut bench = Bench::new(names(200), Limits::default());
    let label = r"\255".repeat(60);
    for last in ["a", "b"] {
        bench.name(&format!("{label}.{label}.{last}"), 1);
    }
    let table = bench.hand_over(0);
    assert_eq!(table.cells.len(), 2, "{:?}", lines(&table));
}

#[test]
fn clients_are_those_of_the_last_minute_and_of_this_day() {
    let key = ClientKey::of_service("a.example", b"");
    let plan = Plan::new(Vec::new(), Rules::default());
    let plan = Arc::new(plan.with_distinct_counts().with_client_key(key));
    let mut aggregate = Aggregate::new(Arc::clone(&plan), Limits::default(), SEED);
    let mut hand_over = |clients: std::ops::Range<u32>, unix_s| {
        let mut counts = Counts::new(&plan, 16, SEED);
        for client in clients {
            counts.sketches.client(IpAddr::V4(Ipv4Addr::from(client)));
        }
        let moment = Moment { now_ns: 1, unix_s };
        aggregate.merge(&counts, moment);
        let counts = aggregate.report().clients.expect("they are wanted");
        [counts.minute[0], counts.day[0]].map(f64::round)
    };
    let midnight = 86_400 * 20_000;
    for (clients, unix_s, expected) in [
        (0..100, midnight - 90, [100.0, 100.0]),
        (50..150, midnight - 61, [150.0, 150.0]),
        (0..0, midnight - 60, [150.0, 150.0]),
        (200..210, midnight - 1, [150.0, 160.0]),
        (0..5, midnight, [10.0, 5.0]),
    ] {
        let counts = hand_over(clients, unix_s);
        for (count, expected) in counts.into_iter().zip(expected) {
            assert!((count - expected).abs() < 0.02 * expected, "{counts:?}");
        }
    }
}

/// Values of both dimensions and messages in one second, then a pause.
type Step = (Vec<(u64, u64, u64)>, u64);

/// What may happen to a family.
fn history() -> impl Strategy<Value = Vec<Step>> {
    let values = prop::collection::vec((0_u64..4, 0_u64..60, 1_u64..50), 0..80);
    prop::collection::vec((values, 0_u64..400), 1..40)
}

proptest! {
    /// The sum is exact, no series ever falls while it is shown, and the bounds
    /// hold.
    #[test]
    fn families_conserve_messages(
        history in history(),
        cap in 1_u32..30,
        max_series in 4_usize..40,
        room in 1_usize..100,
    ) {
        let limits = Limits { max_series, idle_ns: MINUTE_NS, candidates: 8, ..Limits::default() };
        let pairs = dataset("pairs", [Indexer::Opcode, Indexer::Msglen], Some(cap));
        let mut bench = Bench::new(vec![pairs], limits).with_room(room);
        let (mut second, mut total) = (0, 0);
        let mut exact = HashMap::<(u64, u64), u64>::new();
        let mut before = HashMap::<[String; 2], u64>::new();
        for (values, pause) in history {
            for (first, len, messages) in values {
                bench.number(first, len, messages);
                *exact.entry((first, len)).or_default() += messages;
                total += messages;
            }
            let table = bench.hand_over(second);
            prop_assert_eq!(table.total, total);
            prop_assert_eq!(sum(&table), total);
            prop_assert!(table.cells.len() <= cap as usize);
            prop_assert!(table.series().count() <= max_series);
            let now: HashMap<_, _> = table
                .series()
                .map(|(values, count)| (values.map(str::to_owned), count))
                .collect();
            prop_assert_eq!(now.len(), table.series().count(), "twice the same labels");
            for (values, count) in &before {
                let is_less = now.get(values).is_some_and(|now| now < count);
                // A cell that went and came back within one second starts anew.
                prop_assert!(!is_less || table.retired > 0);
                let never_goes = values[1] == "retired" || *values == ["other", "other"];
                prop_assert!(!never_goes || now.get(values) >= Some(count));
            }
            for ((first, len), count) in &exact {
                let labels = [dns_wire::iana::Opcode(*first as u8).to_string(), len.to_string()];
                prop_assert!(now.get(&labels).is_none_or(|shown| shown <= count));
            }
            before = now;
            second += pause;
        }
    }
}
