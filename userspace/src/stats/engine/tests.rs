//! Messages in engines: what waits nowhere, and joints against the direct way.

mod joints;
mod messages;

use dns_wire::{
    Slice,
    counters::{Hook, Role},
    locate::{Family, Flow, Transport},
    message::{self, EdnsState, Opt},
};

use super::*;
use crate::stats::{
    builtin,
    dataset::{Dimension, Filter, Layer, Measure, Predicate},
    plan::Rules,
};
use crate::{
    config::CustomerBy,
    enrich::{
        customers::Customers,
        tables::{Tables, shared},
    },
};

/// A query for `a.`, from port `n` of 192.0.2.1.
fn query(n: u16, engine: &mut Engine) {
    query_of(b"\x01a\0", Opt::default(), n, engine);
}

/// Likewise for a name, with an OPT record, unless that is empty.
fn query_of(name: &[u8], opt: Opt, n: u16, engine: &mut Engine) {
    let mut octets = vec![0, n as u8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    octets.extend_from_slice(name);
    octets.extend_from_slice(&[0, 1, 0, 1]);
    let mut message = message::parse(&Slice::new(&octets), 0, octets.len()).expect("a query");
    if opt != Opt::default() {
        (message.edns, message.opt) = (EdnsState::Present, opt);
    }
    engine.message(&Observed {
        time_ns: u64::from(n),
        hook: Hook::Ingress,
        role: Role::Server,
        flow: Flow {
            family: Family::Ipv4,
            transport: Transport::Udp,
            hop_limit: 60,
            source: [u64::from_ne_bytes([192, 0, 2, 1, 0, 0, 0, 0]), 0],
            destination: [u64::from_ne_bytes([192, 0, 2, 53, 0, 0, 0, 0]), 0],
            source_port: n,
            destination_port: 53,
        },
        message,
        name,
        options: &[],
        weight: 4,
    });
}

/// Every list of ways to tell a customer.
const CUSTOMERS_BY: [&[CustomerBy]; 15] = {
    use CustomerBy::{Client as C, Server as S, Zone as Z};
    [
        &[Z],
        &[C],
        &[S],
        &[Z, C],
        &[C, Z],
        &[Z, S],
        &[S, Z],
        &[C, S],
        &[S, C],
        &[Z, C, S],
        &[Z, S, C],
        &[C, Z, S],
        &[C, S, Z],
        &[S, Z, C],
        &[S, C, Z],
    ]
};

/// Tables in which nothing is known but customers.
fn tables_of_customers(rows: [(&str, &str); 3]) -> Tables {
    let customers = Customers::of_rows("a test", rows.into_iter());
    Tables {
        customers: Arc::new(customers.expect("customers")),
        ..Tables::default()
    }
}

fn engine() -> Engine {
    let datasets = ["qtype", "tld", "rcode"].map(|name| builtin::named(name).expect(name));
    let plan = Plan::new(datasets.into(), Rules::default());
    Engine::new(Arc::new(plan), 100, 7)
}

#[test]
fn nothing_waits_when_counts_are_told_or_handed_over() {
    for messages in [1, 3, 8, 9, 100] {
        let mut engine = engine();
        for n in 0..messages {
            query(n, &mut engine);
        }
        let expected = u64::from(messages) * 4;
        let tables = engine.tables(Style::Named);
        let totals: Vec<_> = tables.iter().map(|table| table.total).collect();
        assert_eq!(totals, [expected, expected, 0], "{messages}");
        assert_eq!(tables[1].rows[0].cells[0].value, b"a");

        query(0, &mut engine);
        let mut counts = Counts::new(engine.plan(), 100, 7);
        engine.exchange(&mut counts);
        assert_eq!(counts.datasets[1].total, expected + 4);
        assert_eq!(counts.datasets[1].records, u64::from(messages) + 1);
        let cells = &counts.datasets[1].cells;
        let cell = cells.iter().next().expect("a cell");
        assert_eq!(cell.count, expected + 4);
        assert_eq!(cells.texts(cell.number)[1], [1, b'a', 0]);
        assert_eq!(engine.tables(Style::Named)[1].total, 0);
    }
}

#[test]
fn what_is_told_of_a_name_and_of_an_opt_record_is_told_apart() {
    let rcodes = Dataset {
        filters: vec![Filter::Is(Predicate::UnknownTld)],
        ..builtin::named("rcode").expect("a dataset")
    };
    for bit in 0..8 {
        let mut engine = Engine::new(
            Arc::new(Plan::new(vec![rcodes.clone()], Rules::default())),
            100,
            7,
        );
        let extended = Opt::new(1232, 1 << bit, 0, 0, 0);
        let plain = Opt::new(1232, 0, 0, 0, 0);
        query_of(b"\x03com\0", extended, 1, &mut engine);
        query_of(b"\x01a\0", plain, 2, &mut engine);
        query_of(b"\x03com\0", extended, 3, &mut engine);
        query_of(b"\x01a\0", plain, 4, &mut engine);
        let table = &engine.tables(Style::Named)[0];
        let cells = table.rows.iter().flat_map(|row| &row.cells);
        let cells: Vec<_> = cells.map(|cell| (&cell.value[..], cell.count)).collect();
        assert_eq!(cells, [(&b"NOERROR"[..], 8)], "{bit}");
    }
}

#[test]
fn a_message_is_counted_for_its_customer_in_the_tables_of_its_time() {
    for by in CUSTOMERS_BY {
        let keys = ["a", "192.0.2.1", "192.0.2.53"];
        let before = ["old zone", "old client", "old server"];
        let after = ["new zone", "new client", "new server"];
        let tables = [before, after]
            .map(|names| tables_of_customers([0, 1, 2].map(|row| (keys[row], names[row]))));
        let [old, new] = tables;
        let rules = Rules {
            tables: shared(old),
            customers_by: by.to_vec(),
            places: 16,
            ..Rules::default()
        };
        let datasets = ["customer", "qtype"].map(|name| builtin::named(name).expect(name));
        let plan = Arc::new(Plan::new(datasets.into(), rules));
        let mut engine = Engine::new(Arc::clone(&plan), 100, 7);
        for n in 0..2 {
            query(n, &mut engine);
        }
        plan.rules().tables.store(Arc::new(new));
        engine.refresh();
        for n in 0..3 {
            query(n, &mut engine);
        }

        let row = match by[0] {
            CustomerBy::Zone => 0,
            CustomerBy::Client => 1,
            CustomerBy::Server => 2,
        };
        let tables = engine.tables(Style::Named);
        let cells = tables[0].rows.iter().flat_map(|row| &row.cells);
        let mut told: Vec<_> = cells.map(|cell| (&cell.value[..], cell.count)).collect();
        told.sort_unstable();
        let expected = [(after[row].as_bytes(), 12), (before[row].as_bytes(), 8)];
        assert_eq!(told, expected, "{by:?}");
    }
}

#[test]
fn a_query_that_times_out_in_a_later_interval_keeps_its_row() {
    let dimension = |label: &str, indexer| Dimension {
        label: label.to_owned(),
        indexer,
    };
    let dataset = Dataset {
        name: "times".to_owned(),
        layer: Layer::Dns,
        dimensions: [
            dimension("Q", Indexer::Qname),
            dimension("Time", Indexer::ResponseTime),
        ],
        filters: Vec::new(),
        measure: Measure::Messages,
        min_count: None,
        max_cells: None,
    };
    let plan = Plan::new(vec![dataset], Rules::default());
    let mut engine = Engine::in_order(Arc::new(plan), 100, 7);
    query(1, &mut engine);
    engine.end_interval(1_000);
    engine.clear();
    engine.end_interval(10_000_000_000);
    let rows = &engine.tables(Style::Named)[0].rows;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].value, b"a");
    assert_eq!(rows[0].cells[0].value, b"timeouts");
}
