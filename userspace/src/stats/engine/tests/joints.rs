//! Counting by joints against counting in each dataset by itself, which must be
//! the same cell for cell; and the atoms of every indexer and filter against its
//! values.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use dns_wire::counters::Role;
use proptest::{prelude::*, sample::select, strategy::ValueTree, test_runner::TestRunner};
use regex::bytes::Regex;

use super::{
    CUSTOMERS_BY,
    messages::{CHANGES, Seen, any_seen},
    tables_of_customers,
};
use crate::{
    config::CustomerBy,
    dsc_conf::DscConf,
    enrich::{
        networks::Networks,
        privacy::Privacy,
        tables::{Tables, shared},
    },
    stats::{
        atoms::{Atoms, Words, big},
        builtin,
        counts::{Sizes, WayJoints},
        dataset::{Dimension, Filter, Layer, Measure, Predicate},
        engine::*,
        joints::Trial,
        known_names::Wanted,
        locals::Locals,
        plan::{Rules, Way, filter_bit},
        route::Route,
        sketches::ClientKey,
        values::client,
        zones::Zones,
    },
};

/// More than any case needs.
const MANY: usize = 100_000;

/// What rules are made of.
#[derive(Clone, Debug)]
struct Setting {
    with_locals: bool,
    hides: bool,
    customers_by: &'static [CustomerBy],
}

fn any_setting() -> impl Strategy<Value = Setting> {
    // Often by the zone alone, which is what comes of names.
    let customers_by = prop_oneof![Just(CUSTOMERS_BY[0]), select(&CUSTOMERS_BY[..])];
    (any::<[bool; 2]>(), customers_by).prop_map(|([with_locals, hides], customers_by)| Setting {
        with_locals,
        hides,
        customers_by,
    })
}

/// Tables, none of them empty, and others that may replace them.
fn tables() -> [Tables; 2] {
    let rows = [
        [
            ("example.com", "Zone"),
            ("192.0.2.0/26", "Client"),
            ("2001:db8:53::/48", "Server"),
        ],
        [
            ("nl", "Zone"),
            ("192.0.2.64/26", "Client"),
            ("example.com", "Other"),
        ],
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("networks");
    let networks = [
        "192.0.2.64/26,one\n2001:db8::/48,two\n",
        "192.0.2.0/24,one\n2001:db8::/32,three\n",
    ];
    let networks = networks.map(|text| {
        fs::write(&path, text).expect("a file");
        Arc::new(Networks::read(&path).expect("networks"))
    });
    let [customers, others] = rows.map(tables_of_customers);
    let [networks, other_networks] = networks;
    [
        Tables {
            networks,
            ..customers
        },
        Tables {
            networks: other_networks,
            ..others
        },
    ]
}

/// Rules that leave no table empty.
fn rules(setting: &Setting) -> Rules {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    };
    let zones = write("zones", "example.com\nnl\n");
    let [tables, _] = tables();
    let conf = match setting.with_locals {
        true => "local_address 192.0.2.53;\nlocal_address 2001:db8:53::53;\n",
        false => "",
    };
    let conf = DscConf::parse(conf.as_bytes(), "a test", Path::new("/")).expect("addresses");
    let expression = |text: &str| Regex::new(text).expect(text);
    Rules {
        local: Locals::new(&conf.local_addresses, Compat::None),
        zones: Zones::read(&zones).expect("zones"),
        places: 16,
        qname_filters: ["^www", "[0-9]"].map(expression).into(),
        tables: shared(tables),
        customers_by: setting.customers_by.to_vec(),
        privacy: match setting.hides {
            true => Privacy::Prefix { ipv4: 24, ipv6: 48 },
            false => Privacy::Address,
        },
        ..Rules::default()
    }
}

fn dataset(indexers: [Indexer; 2], filters: Vec<Filter>, measure: Measure) -> Dataset {
    Dataset {
        name: "any".to_owned(),
        layer: Layer::Dns,
        measure,
        dimensions: indexers.map(|indexer| Dimension {
            label: "L".to_owned(),
            indexer,
        }),
        filters,
        min_count: None,
        max_cells: None,
    }
}

fn any_dataset() -> impl Strategy<Value = Dataset> {
    let timeless = |indexer: &Indexer| *indexer != Indexer::ResponseTime;
    let indexers: Vec<_> = Indexer::ALL.iter().copied().filter(timeless).collect();
    let filters = prop_oneof![
        3 => select(Predicate::ALL.to_vec()).prop_map(Filter::Is),
        1 => (0..2_usize).prop_map(Filter::QnameMatches),
    ];
    let filters = prop::collection::vec(filters, 0..3);
    let indexers = [select(indexers.clone()), select(indexers)];
    (indexers, filters, select(Measure::ALL.to_vec()))
        .prop_map(|(indexers, filters, measure)| dataset(indexers, filters, measure))
}

/// Those that have a name.
fn named() -> Vec<Dataset> {
    let mut datasets = builtin::all();
    datasets.retain(|dataset| dataset.layer == Layer::Dns);
    datasets
}

/// One that is counted directly: no group has the atoms of two big ones.
fn any_direct_dataset() -> impl Strategy<Value = Dataset> {
    let pairs = [
        [Indexer::Qname, Indexer::Client],
        [Indexer::Tld, Indexer::Asn],
        [Indexer::QueryClassification, Indexer::Network],
        [Indexer::ClientSubnet, Indexer::Msglen],
        [Indexer::Server, Indexer::SecondLd],
    ];
    (any_dataset(), select(pairs.to_vec()))
        .prop_map(|(any, indexers)| dataset(indexers, any.filters, any.measure))
}

/// More of them now and then than there are bits for on a way.
fn any_datasets() -> impl Strategy<Value = Vec<Dataset>> {
    let few = || prop::collection::vec(any_dataset(), 0..80);
    let direct = prop::collection::vec(any_direct_dataset(), 100);
    prop_oneof![
        3 => few(),
        1 => (few(), direct).prop_map(|datasets| <[_; 2]>::from(datasets).concat()),
    ]
}

/// Few different messages, each of them several times, in up to six intervals; or so many that tables grow.
fn any_intervals() -> impl Strategy<Value = Vec<Vec<Seen>>> {
    let messages = prop_oneof![
        3 => prop::collection::vec(any_seen(), 1..60),
        1 => prop::collection::vec(any_seen(), 400),
    ];
    messages.prop_flat_map(|messages| {
        let interval = prop::collection::vec(select(messages), 0..200);
        prop::collection::vec(interval, 1..7)
    })
}

/// Tables that drive joints out all the time, and rest often.
const TINY: Sizes = Sizes {
    headers: 4,
    questions: 4,
    clients: 4,
    trial: Trial {
        misses: 3,
        hits: 2,
        rest: 5,
    },
};

fn any_sizes() -> impl Strategy<Value = Sizes> {
    let never_resting = Sizes {
        trial: Trial::default(),
        ..TINY
    };
    select(vec![TINY, never_resting, Sizes::default()])
}

type Cells = BTreeMap<(Key, Key), u64>;

/// All that was counted.
#[derive(Debug, PartialEq)]
struct Told {
    /// Of each dataset the total, the records, what was left uncounted; its cells.
    datasets: Vec<([u64; 3], Cells)>,
    /// By keys.
    texts: BTreeMap<Key, Vec<u8>>,
    clients: Vec<Vec<u8>>,
    names: BTreeMap<u64, Vec<u8>>,
}

impl Told {
    fn of(counts: &Counts) -> Self {
        let texts = counts.datasets.iter().flat_map(|dataset| {
            let cells = dataset.cells.iter();
            cells.flat_map(|cell| cell.keys.into_iter().zip(dataset.cells.texts(cell.number)))
        });
        let texts = texts.filter(|(_, text)| !text.is_empty());
        let clients = counts.sketches.clients.as_ref().expect("clients");
        let clients = [&clients.ipv4, &clients.ipv6, &clients.ipv6_networks];
        let names = counts.sketches.names.iter();
        Self {
            texts: texts.map(|(key, text)| (key, text.to_vec())).collect(),
            clients: clients.map(|one| one.registers().to_vec()).into(),
            names: names
                .map(|(zone, names)| (*zone, names.registers().to_vec()))
                .collect(),
            datasets: counts.datasets.iter().map(Self::of_dataset).collect(),
        }
    }

    fn of_dataset(counts: &DatasetCounts) -> ([u64; 3], Cells) {
        let sums = [counts.total, counts.records, counts.cells.uncounted()];
        let cells = counts.cells.iter();
        (
            sums,
            cells.map(|cell| (cell.keys.into(), cell.count)).collect(),
        )
    }
}

/// What an engine tells of each interval. In each of them its tables are replaced;
/// in the middle it is asked, too, which must not change a thing. Counts are made
/// ready for another interval by `begin_anew`.
fn told(
    plan: Plan,
    cells: usize,
    intervals: &[Vec<Seen>],
    begin_anew: fn(&mut Counts),
) -> Vec<Told> {
    let plan = Arc::new(plan);
    let mut engine = Engine::new(Arc::clone(&plan), cells, 7);
    let mut emptied = Counts::new(&plan, cells, 7);
    let mut replacements = tables().into_iter().map(Arc::new).rev().cycle();
    let intervals = intervals.iter().map(|messages| {
        for (number, seen) in (0_u64..).zip(messages) {
            engine.message(&seen.observed(number));
            if number == 50 {
                drop(engine.tables(Style::Named));
            }
            if number == 70 {
                let tables = replacements.next().expect("no end");
                plan.rules().tables.store(tables);
                engine.refresh();
            }
        }
        engine.exchange(&mut emptied);
        let told = Told::of(&emptied);
        begin_anew(&mut emptied);
        told
    });
    intervals.collect()
}

/// Cells that stay from one interval to the next make no difference, but that they
/// leave less room to others, where there is no room for all.
fn forgetting(cells: usize) -> fn(&mut Counts) {
    match cells {
        MANY => Counts::clear,
        _ => Counts::begin_anew,
    }
}

/// With joints of these sizes, and without.
fn plans(datasets: &[Dataset], setting: &Setting, joints: Sizes) -> [Plan; 2] {
    let key = ClientKey::of_service("a test", b"");
    let plan = || {
        Plan::new(datasets.to_vec(), rules(setting))
            .with_client_key(key)
            .with_distinct_counts()
    };
    [plan().with_joints(joints), plan().without_joints()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn joints_count_any_datasets_as_each_by_itself_does(
        datasets in any_datasets(),
        setting in any_setting(),
        sizes in any_sizes(),
        cells in select(vec![1, 3, 20, MANY]),
        intervals in any_intervals(),
    ) {
        let [joints, direct] = plans(&datasets, &setting, sizes);
        let joints = told(joints, cells, &intervals, Counts::begin_anew);
        prop_assert_eq!(joints, told(direct, cells, &intervals, forgetting(cells)));
    }

    #[test]
    fn joints_count_the_datasets_that_have_a_name_as_each_by_itself_does(
        setting in any_setting(),
        sizes in any_sizes(),
        cells in select(vec![3, MANY]),
        intervals in any_intervals(),
    ) {
        let [joints, direct] = plans(&named(), &setting, sizes);
        let joints = told(joints, cells, &intervals, Counts::begin_anew);
        prop_assert_eq!(joints, told(direct, cells, &intervals, forgetting(cells)));
    }

    #[test]
    fn messages_that_agree_in_the_atoms_of_something_have_the_same_value(
        setting in any_setting(),
        one in any_seen(),
        another in any_seen(),
    ) {
        let customers = dataset([Indexer::Customer; 2], vec![], Measure::Bytes);
        let plan = Plan::new(vec![customers], rules(&setting));
        for change in CHANGES {
            let mut changed = one.clone();
            change(&mut changed, &another);
            let pair = [&one, &changed].map(|seen| seen.observed(0));
            for indexer in Indexer::ALL {
                let mut wanted = Wanted::default();
                wanted.shape_by(*indexer);
                if agree(&pair, Atoms::of_indexer(*indexer, &plan.rules), &wanted, &plan) {
                    let [a, b] = pair.map(|observed| value(*indexer, &observed, &plan));
                    prop_assert_eq!(a, b, "{:?}", indexer);
                }
            }
            let filters = Predicate::ALL.iter().copied().map(Filter::Is);
            for filter in filters.chain((0..2).map(Filter::QnameMatches)) {
                let mut wanted = Wanted::default();
                wanted.shape_by_filter(filter);
                if agree(&pair, Atoms::of_filter(filter), &wanted, &plan) {
                    let [a, b] = pair.map(|observed| passes(filter, &observed, &plan));
                    prop_assert_eq!(a, b, "{:?}", filter);
                }
            }
        }
    }
}

/// What was counted in stays for the messages of the next interval but one, which
/// then need nothing new.
#[test]
fn what_was_counted_in_serves_again() {
    let plan = Plan::new(builtin::default(), Rules::default()).with_distinct_counts();
    let plan = Arc::new(plan);
    let mut engine = Engine::new(Arc::clone(&plan), MANY, 7);
    let mut counts = Counts::new(&plan, MANY, 7);
    let messages = some(&prop::collection::vec(any_seen(), 300));
    let mut told = Vec::new();
    for _ in 0..4 {
        for seen in &messages {
            engine.message(&seen.observed(0));
        }
        let before: Vec<_> = counts.datasets.iter().map(|one| one.cells.len()).collect();
        engine.exchange(&mut counts);
        let after: Vec<_> = counts.datasets.iter().map(|one| one.cells.len()).collect();
        told.push(Told::of(&counts));
        counts.begin_anew();
        if told.len() > 2 {
            assert_eq!(before, after, "no cell is new");
            let [queries, _] = &engine.counts.joints;
            assert!(queries.are_some());
        }
    }
    assert!(told.iter().all(|one| one == &told[0]));
    assert!(!told[0].texts.is_empty() && told[0].clients.iter().any(|one| !one.is_empty()));
}

/// Texts go with the cells that they are of.
#[test]
fn a_flood_of_names_leaves_no_texts_behind() {
    let plan = Arc::new(Plan::new(builtin::default(), Rules::default()));
    let mut engine = Engine::new(Arc::clone(&plan), 1 << 16, 7);
    let mut counts = Counts::new(&plan, 1 << 16, 7);
    let seen = some(&any_seen());
    for interval in 0..6_u32 {
        let of_flood = if interval < 2 { 30_000_u32 } else { 1 };
        for number in 0..of_flood {
            let label = format!("{:08x}", number + interval * of_flood);
            let name = [b"\x08", label.as_bytes(), b"\x02nl\0"].concat();
            engine.message(&Observed {
                name: &name,
                role: Role::Server,
                ..seen.observed(0)
            });
        }
        engine.exchange(&mut counts);
        counts.begin_anew();
    }
    let memory = counts.datasets.iter().map(|dataset| dataset.cells.memory());
    let memory: usize = memory.sum();
    assert!(memory < 100_000, "{memory}");
}

/// Every table of both ways rests, and grows, with rows of several cells and with
/// more that is known of joints, and a way has more datasets than there are bits.
#[test]
fn messages_as_in_these_tests_reach_all_that_joints_do() {
    let direct = some(&prop::collection::vec(any_direct_dataset(), 100));
    let of_both_ways = [
        Indexer::Client,
        Indexer::Network,
        Indexer::Tld,
        Indexer::Qnamelen,
    ];
    let of_both_ways =
        of_both_ways.map(|indexer| dataset([indexer, Indexer::Rcode], vec![], Measure::Bytes));
    let datasets = [direct, named(), of_both_ways.into()].concat();
    let messages = some(&prop::collection::vec(any_seen(), 3000));
    let setting = Setting {
        with_locals: true,
        hides: true,
        customers_by: CUSTOMERS_BY[0],
    };
    type Reached = fn(&WayJoints) -> [bool; 3];
    let cases: [(Sizes, Reached); 2] = [
        (TINY, WayJoints::resting),
        (Sizes::default(), WayJoints::grown),
    ];
    for (sizes, reached) in cases {
        let [plan, direct] = plans(&datasets, &setting, sizes).map(Arc::new);
        for way in [&plan.queries, &plan.responses] {
            assert_way_has_all(&way.route);
        }
        let mut engine = Engine::new(Arc::clone(&plan), MANY, 7);
        let mut all = [[false; 3]; 2];
        for (number, seen) in (0..).zip(&messages) {
            engine.message(&seen.observed(number));
            for (all, joints) in all.iter_mut().zip(&engine.counts.joints) {
                let reached = reached(joints);
                *all = [0, 1, 2].map(|group| all[group] | reached[group]);
            }
        }
        assert_eq!(all, [[true; 3]; 2], "{sizes:?}");
        let mut direct = Engine::new(direct, MANY, 7);
        for (number, seen) in (0..).zip(&messages) {
            direct.message(&seen.observed(number));
        }
        let [joints, direct] = [engine, direct].map(|mut engine| {
            engine.settle();
            Told::of(&engine.counts)
        });
        assert_eq!(joints, direct, "{sizes:?}");
    }
}

/// The same in each run.
fn some<S: Strategy>(of: &S) -> S::Value {
    let tree = of.new_tree(&mut TestRunner::deterministic());
    tree.expect("a value").current()
}

fn assert_way_has_all(route: &Route) {
    let question = route.question.as_ref().expect("questions");
    let [header, client] = [&route.header, &route.client].map(|group| group.as_ref());
    let groups = [header, client, Some(&question.group)];
    assert!(groups.map(|group| group.expect("a group").steps.len() > 1) == [true; 3]);
    assert!(!question.told.is_empty() && route.reads_place && route.reads_subnet);
    assert!(route.direct.len() > 64);
}

/// Whether two messages have the same atoms; of their names the shape that is
/// `wanted`.
fn agree(pair: &[Observed<'_>; 2], atoms: Atoms, wanted: &Wanted, plan: &Plan) -> bool {
    let rules = &plan.rules;
    let [one, other] = pair.map(|observed| {
        let has = |kind: u16| atoms.big & kind != 0;
        let flow = observed.flow;
        let server = match observed.message.header.is_response() {
            true => flow.source,
            false => flow.destination,
        };
        let words = Words::of(&observed, rules, atoms.words);
        (
            words.hash(atoms.words, 0, 7),
            has(big::SHAPE).then(|| shape(wanted, &observed, plan)),
            has(big::NAME).then(|| observed.name.to_ascii_lowercase()),
            has(big::CLIENT).then(|| (flow.family, client(&observed))),
            has(big::SERVER).then_some((flow.family, server)),
            has(big::LEN).then_some(observed.message.len),
            has(big::PORT).then_some(flow.source_port),
            has(big::HOP_LIMIT).then_some(flow.hop_limit),
            has(big::OPTIONS).then_some(observed.options),
        )
    });
    one == other
}

fn shape(wanted: &Wanted, observed: &Observed<'_>, plan: &Plan) -> u64 {
    let mut values = Values::new(plan, 7);
    let rules = &plan.rules;
    values.begin();
    values.known_name(0, wanted, At { observed, rules }).shape
}

fn value(indexer: Indexer, observed: &Observed<'_>, plan: &Plan) -> Key {
    let mut values = Values::new(plan, 7);
    let rules = &plan.rules;
    values.begin();
    values.key(indexer, At { observed, rules })
}

fn passes(filter: Filter, observed: &Observed<'_>, plan: &Plan) -> bool {
    let mut values = Values::new(plan, 7);
    let rules = &plan.rules;
    values.begin();
    let way = Way::of_filter(filter);
    values.pass(filter_bit(filter), &way, At { observed, rules })
}
