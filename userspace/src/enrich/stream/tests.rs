//! The thread and its subscribers: messages in, exchanges out.

use std::{
    net::IpAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

use dns_wire::{
    counters::Hook,
    message::EdnsState,
    observe::Context,
    record::{LINE, Record, Stamp, lines, message_head},
};

use super::{raw::example, *};
use crate::enrich::tables::{self, nothing_known};

const NAME: &[u8] = b"\x03www\x07example\x03com\0";
const OPTIONS: Options = Options {
    max_rate: 5_000,
    queue: 1024,
    taps: 1,
    pending: 1000,
    timeout_ns: 200_000_000,
    buffer: 64,
    subscribers: 2,
    always: false,
};

fn stream(options: &Options) -> Stream {
    let enricher = Enricher::new(&nothing_known(), 1024, Vec::new());
    Stream::start(options, enricher).expect("a thread")
}

/// Shows a message to a tap as the drain does.
fn show(tap: &mut Tap, raw: &Raw, is_paired: bool) {
    let context = Context {
        hook: raw.hook,
        role: raw.role,
        flow: raw.flow,
        sequence: 0,
    };
    let stamp = Stamp {
        time_ns: raw.time_ns,
        position: 0,
        level: 0,
        share_bits: 0,
        paired: is_paired,
        hash: raw.choice.hash,
    };
    let head = message_head(&context, &raw.message, &stamp);
    let mut bytes: Vec<u8> = head.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.extend(raw.name());
    bytes.resize(lines(raw.name().len()) * LINE, 0);
    let record = Record::parse(&bytes).expect("a record");
    tap.show(&record, &record.message(), record.payload(), raw.time_ns);
}

/// Waits until the thread has seen that somebody subscribes.
fn wait_until_on(tap: &mut Tap, handle: &Handle) {
    wait_for("the stream to be on", || handle.stats().is_on);
    tap.refresh();
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "waited for {what}"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

/// A query and its response, shown to a tap.
fn ask(tap: &mut Tap, id: u16) -> Raw {
    let query = example::query(id, NAME, now_ns());
    show(tap, &query, true);
    show(tap, &example::response(&query, 3, 1_000_000), true);
    query
}

#[tokio::test]
async fn a_subscriber_gets_what_was_asked_and_answered() {
    let stream = stream(&OPTIONS);
    let handle = stream.handle();
    let mut tap = handle.tap();
    let mut subscription = handle.subscribe().expect("a place");
    wait_until_on(&mut tap, handle);
    let query = ask(&mut tap, 4711);
    let Next::Exchange(exchange) = subscription.next().await else {
        panic!("an exchange");
    };
    assert_eq!(exchange.kind(), Kind::Answered);
    assert_eq!((exchange.id, exchange.weight), (4711, 1));
    assert_eq!(exchange.client, IpAddr::from([192, 0, 2, 77]));
    assert_eq!(exchange.server, IpAddr::from([198, 51, 100, 53]));
    assert_eq!((exchange.client_port, exchange.server_port), (40_000, 53));
    let question = exchange.question.as_ref().expect("a question");
    assert_eq!(&*question.name, NAME);
    assert_eq!((question.qtype.0, question.qclass.0), (1, 1));
    let asked = exchange.query.expect("a query");
    assert!(asked.recursion_desired && !asked.checking_disabled);
    assert_eq!(
        (usize::from(asked.len), asked.edns),
        (query.message.len, None)
    );
    let answer = exchange.response.expect("a response");
    assert_eq!((answer.rcode.0, answer.after_ns), (3, Some(1_000_000)));
    assert!(answer.authoritative && answer.recursion_available == (0x85 & 0x80 == 0));
    assert_eq!(exchange.complete_ns, query.time_ns + 1_000_000);
    let unix_ns = SystemTime::now().duration_since(UNIX_EPOCH).expect("now");
    let age = unix_ns.as_secs().abs_diff(exchange.time_ns / 1_000_000_000);
    assert!(age < 60, "{age} s away from now");
}

#[test]
fn nothing_is_taken_while_nobody_listens() {
    let stream = stream(&OPTIONS);
    let handle = stream.handle();
    let mut tap = handle.tap();
    ask(&mut tap, 1);
    tap.refresh();
    ask(&mut tap, 2);
    let stats = handle.stats();
    assert!(!stats.is_on);
    assert_eq!((stats.enrich.produced, stats.queued), (0, 0));
    let subscription = handle.subscribe().expect("a place");
    wait_until_on(&mut tap, handle);
    drop(subscription);
    wait_for("the stream to be off", || !handle.stats().is_on);
    tap.refresh();
    ask(&mut tap, 3);
    assert_eq!(handle.stats().enrich.produced, 0);
}

#[test]
fn what_is_not_paired_is_not_taken() {
    let stream = stream(&OPTIONS);
    let mut tap = stream.handle().tap();
    let _subscription = stream.handle().subscribe().expect("a place");
    wait_until_on(&mut tap, stream.handle());
    show(&mut tap, &example::query(1, NAME, now_ns()), false);
    assert_eq!(stream.handle().stats().enrich.produced, 0);
}

#[tokio::test]
async fn a_query_without_response_is_told_once_the_drain_has_passed_its_time() {
    let stream = stream(&OPTIONS);
    let handle = stream.handle();
    let mut tap = handle.tap();
    let mut subscription = handle.subscribe().expect("a place");
    wait_until_on(&mut tap, handle);
    let query = example::query(1, NAME, now_ns());
    show(&mut tap, &query, true);
    wait_for("the query to wait", || handle.stats().pending == 1);
    tap.advance(query.time_ns + 2 * OPTIONS.timeout_ns);
    let Next::Exchange(exchange) = subscription.next().await else {
        panic!("an exchange");
    };
    assert_eq!(exchange.kind(), Kind::Unanswered);
    let counted = handle.stats().exchanges;
    assert_eq!(counted, [0, 1, 0]);
}

#[test]
fn a_full_queue_drops_and_counts_and_all_is_accounted_for() {
    let intake = Intake::new(100, 1);
    intake.set(Some(0));
    let mut tap = intake.tap();
    for id in 0..150 {
        show(&mut tap, &example::query(id, NAME, 1_000), true);
    }
    assert_eq!((intake.waiting(), intake.queue_full()), (100, 50));
    assert!(intake.is_crowded());
    let mut taken = 0;
    intake.take(usize::MAX, |_| taken += 1);
    assert_eq!((taken, intake.waiting()), (100, 0));
    let lag = intake.lag().report(2_000);
    assert_eq!((lag.produced, lag.backlog), (150, 100));
}

#[tokio::test]
async fn a_slow_subscriber_is_told_its_losses_and_a_quick_one_has_none() {
    let stream = stream(&OPTIONS);
    let handle = stream.handle();
    let mut tap = handle.tap();
    let mut slow = handle.subscribe().expect("a place");
    let mut quick = handle.subscribe().expect("another");
    wait_until_on(&mut tap, handle);
    for id in 0..200 {
        ask(&mut tap, id);
        assert!(matches!(quick.next().await, Next::Exchange(_)));
    }
    // The buffer holds 64: of 200, 136 are lost before anybody notices.
    let places = handle.stats().subscribers;
    assert_eq!((places[0].dropped, places[0].lag.backlog), (136, 64));
    assert_eq!((places[1].dropped, places[1].lag.backlog), (0, 0));
    let Next::Dropped(count) = slow.next().await else {
        panic!("it is told");
    };
    assert_eq!(count, 136);
    for id in 136..200 {
        let Next::Exchange(exchange) = slow.next().await else {
            panic!("the rest");
        };
        assert_eq!(exchange.id, id);
    }
    let places = handle.stats().subscribers;
    assert_eq!((places[0].dropped, places[0].lag.backlog), (136, 0));
}

#[tokio::test]
async fn places_are_bounded_and_free_again() {
    let stream = stream(&OPTIONS);
    let handle = stream.handle();
    let first = handle.subscribe().expect("a place");
    let _second = handle.subscribe().expect("another");
    assert_eq!(handle.subscribe().err(), Some(Refused::Full(2)));
    assert_eq!(handle.stats().refused, 1);
    drop(first);
    let mut third = handle.subscribe().expect("its place");
    assert_eq!(handle.stats().subscribed(), 2);
    handle.close();
    assert!(matches!(third.next().await, Next::End));
    assert_eq!(handle.subscribe().err(), Some(Refused::Closed));
}

#[test]
fn a_flood_is_thinned_and_what_is_left_is_consistent() {
    let options = Options {
        max_rate: 100,
        queue: 256,
        ..OPTIONS
    };
    let stream = stream(&options);
    let handle = stream.handle();
    let mut tap = handle.tap();
    let _subscription = handle.subscribe().expect("a place");
    wait_until_on(&mut tap, handle);
    let begin = Instant::now();
    let mut hash = 1_u32;
    while begin.elapsed() < Duration::from_secs(1) {
        for id in 0..100 {
            hash = hash.wrapping_mul(0x9e37_79b9).wrapping_add(0x85eb_ca6b);
            let mut query = example::query(id, NAME, now_ns());
            query.choice.hash = hash;
            show(&mut tap, &query, true);
            show(&mut tap, &example::response(&query, 0, 1_000), true);
        }
        tap.refresh();
        thread::sleep(Duration::from_millis(1));
    }
    wait_for("the queue to be empty", || {
        handle.stats().enrich.backlog == 0
    });
    let stats = handle.stats();
    assert!(stats.one_in >= 64, "1 in {}", stats.one_in);
    let [answered, ..] = stats.exchanges;
    assert!(answered > 0 && answered < 10_000, "{answered}");
    assert_eq!(stats.enrich.produced, stats.taken + stats.queue_full);
    assert_eq!(stats.enrich.consumed, stats.taken);
}

/// Names are asked for from the third time on that a client is seen, and of the
/// server's clients only.
#[test]
fn names_are_looked_up_for_clients_that_are_seen_often() {
    let asked: Arc<Mutex<Vec<IpAddr>>> = Arc::default();
    let log = Arc::clone(&asked);
    let lookup = move |address| {
        log.lock().expect("a log").push(address);
        Some(Arc::from("host.example.net"))
    };
    let mut enricher =
        Enricher::new(&nothing_known(), 1024, Vec::new()).with_names(Box::new(lookup), 3);
    let mut names = Vec::new();
    for id in 0..4 {
        let met = halves::Met {
            query: Some(example::query(id, NAME, 0)),
            response: None,
            weight: 1,
            complete_ns: 0,
        };
        names.push(enricher.exchange(&met).expect("an exchange").ptr.is_some());
        let mut resolvers_own = met.clone();
        if let Some(raw) = &mut resolvers_own.query {
            raw.role = dns_wire::counters::Role::Client;
        }
        let exchange = enricher.exchange(&resolvers_own).expect("an exchange");
        assert_eq!(exchange.ptr, None);
    }
    assert_eq!(names, [false, false, true, true]);
    assert_eq!(asked.lock().expect("a log").len(), 2);
}

#[test]
fn customers_are_told_by_the_first_that_matches() {
    use crate::{
        config::CustomerBy::{Client, Server, Zone},
        enrich::{customers::Customers, tables::Tables},
    };
    let rows = [
        ("example.com", "Zone"),
        ("192.0.2.0/24", "Client"),
        ("198.51.100.0/24", "Server"),
    ];
    let customers = Customers::of_rows("rows", rows.into_iter()).expect("rows");
    let tables = tables::shared(Tables {
        customers: Arc::new(customers),
        ..Tables::default()
    });
    for (by, expected) in [
        (vec![Zone, Client], Some("Zone")),
        (vec![Client, Zone], Some("Client")),
        (vec![Server], Some("Server")),
        (vec![], None),
    ] {
        let mut enricher = Enricher::new(&tables, 1024, by.clone());
        let met = halves::Met {
            query: Some(example::query(1, NAME, 0)),
            response: None,
            weight: 1,
            complete_ns: 0,
        };
        let exchange = enricher.exchange(&met).expect("an exchange");
        assert_eq!(exchange.customer.as_deref(), expected, "{by:?}");
    }
}

proptest::proptest! {
    /// Whatever header, question, sizes and times messages have.
    #[test]
    fn any_message_becomes_an_exchange_without_panic(
        header: [u8; 12],
        name in proptest::collection::vec(proptest::num::u8::ANY, 0..=255),
        fixed: (u16, u16),
        times: (u64, u64),
        len: u16,
        is_ipv6: bool,
        edns in 0..4_usize,
        offset: i64,
    ) {
        let mut raw = example::query(1, NAME, times.0);
        raw.message.header = dns_wire::message::Header::new(header);
        raw.message.question =
            dns_wire::message::Question::new(12, name.len(), fixed.0, fixed.1);
        raw.message.len = usize::from(len);
        raw.message.edns = EdnsState::from_index(edns).unwrap_or(EdnsState::Absent);
        if is_ipv6 {
            raw.flow.family = dns_wire::locate::Family::Ipv6;
        }
        let mut other = raw;
        other.time_ns = times.1;
        other.hook = Hook::Egress;
        let mut enricher = Enricher::new(&nothing_known(), 16, Vec::new());
        enricher.refresh(i128::from(offset));
        for (query, response) in [
            (Some(raw), Some(other)),
            (Some(raw), None),
            (None, Some(other)),
            (None, None),
        ] {
            let met = halves::Met { query, response, weight: 1, complete_ns: 0 };
            if let Some(exchange) = enricher.exchange(&met) {
                let disclosure = crate::enrich::exchange::shown::Disclosure {
                    privacy: crate::enrich::privacy::Privacy::Address,
                    suffixes: None,
                };
                let shown = crate::enrich::exchange::shown::Shown::new(&exchange, &disclosure);
                let text = serde_json::to_string(&shown).expect("plain values");
                proptest::prop_assert!(text.bytes().all(|octet| octet >= b' '));
            }
        }
    }
}
