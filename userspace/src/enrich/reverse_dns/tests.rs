//! The service against name servers that answer as they like.

mod responder;

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use hickory_resolver::proto::{
    op::ResponseCode,
    rr::{Name, RecordType},
};
use tokio::runtime::Handle;

use super::{
    requests::{Ended, Requests},
    *,
};
use responder::{Reply, Responder, name};

const SECOND: Duration = Duration::from_secs(1);

fn settings(resolvers: &[&Responder]) -> config::ReverseDns {
    config::ReverseDns {
        enabled: true,
        resolvers: (resolvers.iter().map(|it| it.address.to_string())).collect(),
        queries_per_second: 1000,
        burst: 1000,
        timeout: SECOND,
        allow: vec!["192.0.2.0/24".parse().expect("a prefix")],
        deny: vec!["198.18.7.0/24".parse().expect("a prefix")],
        ..config::Config::default().reverse_dns
    }
}

fn start(settings: &config::ReverseDns) -> ReverseDns {
    ReverseDns::start(settings, &Watched::default(), &Handle::current()).expect("started")
}

fn client(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, number).into()
}

fn named(text: &str) -> Answer {
    Answer::Name(text.into())
}

/// Asks again until there is an answer.
async fn answer(service: &ReverseDns, address: IpAddr) -> Answer {
    let start = Instant::now();
    loop {
        let answer = service.lookup(address);
        if answer != Answer::Pending || start.elapsed() > 20 * SECOND {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_is_told_and_counted_and_takes_one_query() {
    let a = || name("a.example.");
    let cases = [
        (
            Reply::Names(vec![a()], 60),
            named("a.example"),
            QueryResult::Answer,
        ),
        (Reply::NoData(60), Answer::NoName, QueryResult::NoData),
        (Reply::NxDomain(60), Answer::NoName, QueryResult::NxDomain),
        (
            Reply::Code(ResponseCode::ServFail),
            Answer::Refused,
            QueryResult::ServFail,
        ),
        (
            Reply::Code(ResponseCode::Refused),
            Answer::Refused,
            QueryResult::Refused,
        ),
        (
            Reply::Code(ResponseCode::NotImp),
            Answer::Refused,
            QueryResult::Error,
        ),
        (Reply::Broken, Answer::Refused, QueryResult::Error),
        (Reply::Silence, Answer::Refused, QueryResult::Timeout),
        // The root is no name.
        (
            Reply::Names(vec![Name::root()], 60),
            Answer::NoName,
            QueryResult::Answer,
        ),
    ];
    for (reply, expected, result) in cases {
        let told = format!("{reply:?}");
        let responder = Responder::always(reply).await;
        let service = start(&settings(&[&responder]));
        assert_eq!(service.lookup(client(1)), Answer::Pending, "{told}");
        assert_eq!(answer(&service, client(1)).await, expected, "{told}");
        assert_eq!(answer(&service, client(1)).await, expected, "{told}");

        let asked = responder.asked();
        assert_eq!(asked.len(), 1, "{told}: {asked:?}");
        assert_eq!(asked[0].name, "1.2.0.192.in-addr.arpa.", "{told}");
        assert_eq!(asked[0].record_type, RecordType::PTR, "{told}");
        let stats = service.stats();
        assert_eq!(
            (stats.queries_sent, stats.results(result)),
            (1, 1),
            "{told}"
        );
        assert_eq!(stats.requests(Request::Queued), 1, "{told}");
        assert_eq!((stats.queue_length, stats.in_flight), (0, 0), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_ipv6_addresses_are_found() {
    let responder = Responder::always(Reply::Names(vec![name("six.example.")], 60)).await;
    let service = start(&config::ReverseDns {
        allow: vec!["2001:db8::/32".parse().expect("a prefix")],
        ..settings(&[&responder])
    });
    let address = "2001:db8::1".parse().expect("an address");
    assert_eq!(answer(&service, address).await, named("six.example"));
    let expected = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
    assert_eq!(responder.asked()[0].name, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_are_escaped_and_bounded() {
    let label = |octets: &[u8]| octets.to_vec();
    let of =
        |labels: &[Vec<u8>]| Name::from_labels(labels.iter().map(Vec::as_slice)).expect("a name");
    let bytes = [7_u8; 63];
    let cases = [
        (
            of(&[label(b"A.b"), label(b"Example")]),
            named(r"a\.b.example"),
        ),
        (
            of(&[label(b"a\n\"\x1b[31m"), label(b"\xff")]),
            named(r#"a\010"\027[31m.\255"#),
        ),
        // 63 octets as \DDD twice are more than any name has.
        (of(&[label(&bytes), label(&bytes)]), Answer::NoName),
    ];
    for (hostile, expected) in cases {
        let responder = Responder::always(Reply::Names(vec![hostile], 60)).await;
        let service = start(&settings(&[&responder]));
        assert_eq!(answer(&service, client(1)).await, expected);
        let unusable = u64::from(expected == Answer::NoName);
        assert_eq!(service.stats().unusable_names, unusable);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_names_the_first_one_is_taken() {
    let names = ["c.example.", "a.example.", "b.example."].map(name);
    let responder = Responder::always(Reply::Names(names.into(), 60)).await;
    let service = start(&settings(&[&responder]));
    assert_eq!(answer(&service, client(1)).await, named("a.example"));
    assert_eq!(service.stats().surplus_names, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn aliases_and_long_responses_take_a_query_more() {
    // RFC 2317: delegation of a part of the reverse zone.
    let responder = Responder::start(|owner, _| match owner {
        "1.2.0.192.in-addr.arpa." => Reply::Alias(name("1.0-127.2.0.192.in-addr.arpa."), 60),
        _ => Reply::Names(vec![name("a.example.")], 60),
    })
    .await;
    let service = start(&settings(&[&responder]));
    assert_eq!(answer(&service, client(1)).await, named("a.example"));
    assert_eq!(
        (responder.asked().len(), service.stats().queries_sent),
        (2, 2)
    );

    let long = Reply::Long(Box::new(Reply::Names(vec![name("a.example.")], 60)));
    let responder = Responder::always(long).await;
    let service = start(&settings(&[&responder]));
    assert_eq!(answer(&service, client(1)).await, named("a.example"));
    let asked: Vec<_> = responder.asked().iter().map(|asked| asked.tcp).collect();
    assert_eq!(asked, [false, true]);
    let stats = service.stats();
    assert_eq!(
        (stats.queries_sent, stats.results(QueryResult::Truncated)),
        (2, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_that_refuses_or_is_silent_leads_to_the_next_one() {
    for bad in [Reply::Code(ResponseCode::Refused), Reply::Silence] {
        let told = format!("{bad:?}");
        let first = Responder::always(bad).await;
        let second = Responder::always(Reply::Names(vec![name("a.example.")], 60)).await;
        let service = start(&settings(&[&first, &second]));
        for number in 1..=3 {
            assert_eq!(
                answer(&service, client(number)).await,
                named("a.example"),
                "{told}"
            );
        }
        let asked = first.asked().len() + second.asked().len();
        assert_eq!(service.stats().queries_sent, asked as u64, "{told}");
        assert!((3..=6).contains(&asked), "{told}: {asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_reverse_zones_are_not_the_resolvers_fault() {
    for (code, expected) in [
        (ResponseCode::ServFail, BreakerState::Closed),
        (ResponseCode::Refused, BreakerState::Open),
    ] {
        let responder = Responder::start(move |_, _| Reply::Code(code)).await;
        let service = start(&settings(&[&responder]));
        for number in 1..=6 {
            assert_eq!(answer(&service, client(number)).await, Answer::Refused);
        }
        assert_eq!(service.stats().breaker, expected, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_confirmation_names_must_lead_back() {
    let cases = [
        (
            Reply::Address(Ipv4Addr::new(192, 0, 2, 1), 60),
            named("a.example"),
            0,
        ),
        (
            Reply::Address(Ipv4Addr::new(192, 0, 2, 2), 60),
            Answer::NoName,
            1,
        ),
        (Reply::NxDomain(60), Answer::NoName, 1),
        (Reply::Code(ResponseCode::ServFail), Answer::Refused, 0),
    ];
    for (reply, expected, unconfirmed) in cases {
        let told = format!("{reply:?}");
        let responder = Responder::start(move |owner, _| match owner {
            "a.example." => reply.clone(),
            _ => Reply::Names(vec![name("a.example.")], 60),
        })
        .await;
        let service = start(&config::ReverseDns {
            confirm: true,
            ..settings(&[&responder])
        });
        assert_eq!(answer(&service, client(1)).await, expected, "{told}");
        let asked: Vec<_> = responder.asked().iter().map(|it| it.record_type).collect();
        assert_eq!(asked, [RecordType::PTR, RecordType::A], "{told}");
        assert_eq!(service.stats().unconfirmed, unconfirmed, "{told}");
        assert_eq!(service.stats().queries_sent, 2, "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_second_sees_more_queries_than_rate_and_burst() {
    const RATE: u32 = 40;
    const BURST: u32 = 20;
    // Each takes four: an alias, its end, and the same of the confirmation.
    let responder = Responder::start(|owner, record_type| match (owner, record_type) {
        ("a.example.", _) => Reply::Alias(name("b.example."), 60),
        ("b.example.", _) => Reply::Address(Ipv4Addr::new(192, 0, 2, 1), 60),
        (owner, _) if owner.starts_with("half.") => Reply::Names(vec![name("a.example.")], 60),
        (owner, _) => Reply::Alias(name(&format!("half.{owner}")), 60),
    })
    .await;
    let service = start(&config::ReverseDns {
        queries_per_second: RATE,
        burst: BURST,
        confirm: true,
        ..settings(&[&responder])
    });
    let start = Instant::now();
    while start.elapsed() < 3 * SECOND {
        (0..=255).for_each(|number| drop(service.lookup(client(number))));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let asked: Vec<_> = responder.asked().iter().map(|asked| asked.at).collect();
    let most = (0..asked.len()).map(|first| {
        let within = asked[first..]
            .iter()
            .take_while(|at| **at - asked[first] < SECOND);
        within.count()
    });
    assert!(
        most.max() <= Some((RATE + BURST) as usize),
        "{:?}",
        asked.len()
    );
    // It is a limit, no standstill: half of what is allowed, on any machine.
    assert!(asked.len() > RATE as usize * 3 / 2, "{}", asked.len());
    assert!(service.stats().limited > 0);
    // One may be on its way, and the next one is not sent at once.
    let deadline = Instant::now() + 10 * SECOND;
    while service.stats().queries_sent != responder.asked().len() as u64 {
        assert!(Instant::now() < deadline, "{:?}", service.stats());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_of_one_query_takes_one_permit() {
    let responder = Responder::always(Reply::Names(vec![name("a.example.")], 60)).await;
    let service = start(&config::ReverseDns {
        queries_per_second: 1,
        burst: 1,
        ..settings(&[&responder])
    });
    assert_eq!(answer(&service, client(1)).await, named("a.example"));
    assert_eq!(service.stats().limited, 0);
    assert_eq!(answer(&service, client(2)).await, named("a.example"));
    let asked = responder.asked();
    assert!(asked[1].at - asked[0].at > SECOND / 2, "{asked:?}");
    assert_eq!(service.stats().limited, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_asked_for_once_however_often_it_is_looked_up() {
    let responder = Responder::always(Reply::Silence).await;
    let service = start(&config::ReverseDns {
        in_flight: 2,
        ..settings(&[&responder])
    });
    for _ in 0..100 {
        for number in 1..=3 {
            assert_eq!(service.lookup(client(number)), Answer::Pending);
        }
    }
    for number in 1..=3 {
        assert_eq!(answer(&service, client(number)).await, Answer::Refused);
    }
    assert_eq!(responder.asked().len(), 3);
    let stats = service.stats();
    assert_eq!(stats.requests(Request::Queued), 3);
    assert!(stats.requests(Request::Pending) >= 297);
    assert_eq!(stats.requests(Request::FailedLately), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn special_and_denied_addresses_are_never_asked_for() {
    let responder = Responder::always(Reply::Silence).await;
    let service = start(&settings(&[&responder]));
    for address in [
        "10.0.0.1",
        "127.0.0.1",
        "fe80::1",
        "::ffff:10.0.0.1",
        "198.18.7.9",
    ] {
        let address = address.parse().expect(address);
        assert_eq!(service.lookup(address), Answer::Never, "{address}");
    }
    assert_eq!(service.stats().requests(Request::Denied), 5);
    assert_eq!(service.stats().queue_length, 0);
    assert!(responder.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_kept_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("names");
    let responder = Responder::always(Reply::Names(vec![name("a.example.")], 60)).await;
    let settings = config::ReverseDns {
        cache_file: path.display().to_string(),
        ..settings(&[&responder])
    };
    let first = start(&settings);
    assert_eq!(answer(&first, client(1)).await, named("a.example"));
    first.stop();
    assert_eq!(first.lookup(client(1)), named("a.example"));

    let second = start(&settings);
    assert_eq!(second.lookup(client(1)), named("a.example"));
    assert_eq!(second.stats().file.map(|file| file.loaded), Some(1));
    assert_eq!(responder.asked().len(), 1);

    std::fs::write(&path, "something else\n").expect("written");
    let refused = ReverseDns::start(&settings, &Watched::default(), &Handle::current());
    let text = refused.expect_err("no cache").to_string();
    assert!(
        text.contains("cache_file") && text.contains("remove it"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_shared_cache_it_goes_on() {
    let responder = Responder::always(Reply::Names(vec![name("a.example.")], 60)).await;
    // Nobody listens there.
    let service = start(&config::ReverseDns {
        redis: "redis://127.0.0.1:1/0".to_owned(),
        ..settings(&[&responder])
    });
    for number in 1..=20 {
        assert_eq!(answer(&service, client(number)).await, named("a.example"));
    }
    let shared = service.stats().shared.expect("a shared cache");
    let [hits, misses, errors, skipped] = shared.reads;
    assert_eq!((hits, misses, errors + skipped), (0, 0, 20));
    assert!(skipped > 0, "it is left alone: {shared:?}");

    let url = "http://user:secret@192.0.2.1/".to_owned();
    let wrong = config::ReverseDns {
        redis: url,
        ..settings(&[&responder])
    };
    let refused = ReverseDns::start(&wrong, &Watched::default(), &Handle::current());
    let text = refused.expect_err("no URL of Redis").to_string();
    assert!(
        text.contains("reverse_dns.redis") && !text.contains("secret"),
        "{text}"
    );
}

/// The queues and the breaker, without any network and without any waiting.
mod of_requests {
    use tokio::time::advance;

    use super::*;

    fn requests(queue: u32) -> Arc<Requests> {
        Arc::new(Requests::new(&config::ReverseDns {
            queue,
            allow: vec!["192.0.2.0/24".parse().expect("a prefix")],
            ..config::Config::default().reverse_dns
        }))
    }

    fn found(ttl: u64) -> Ended {
        let known = super::super::names::Known::Name("a.example".into());
        Ended::Found(known, Duration::from_secs(ttl))
    }

    async fn next(requests: &Arc<Requests>) -> requests::Ticket {
        requests.something_to_ask().await;
        requests.next_to_ask().expect("nobody else takes it")
    }

    async fn fail(requests: &Arc<Requests>, clients: std::ops::RangeInclusive<u8>) {
        for number in clients {
            assert_eq!(requests.lookup(client(number)), Answer::Pending);
            next(requests).await.settle(&Ended::Failed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses() {
        let requests = requests(2);
        assert_eq!(requests.lookup(client(1)), Answer::Pending);
        assert_eq!(requests.lookup(client(2)), Answer::Pending);
        assert_eq!(requests.lookup(client(3)), Answer::Refused);
        assert_eq!(requests.lookup(client(1)), Answer::Pending);
        let ticket = next(&requests).await;
        assert_eq!(ticket.address(), client(1), "who came first");
        assert_eq!(requests.lookup(client(3)), Answer::Pending);
        let stats = requests.stats();
        assert_eq!((stats.queue_length, stats.in_flight), (2, 1));
        assert_eq!(stats.requests(Request::QueueFull), 1);
        assert_eq!(stats.requests(Request::Pending), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_kept_for_their_clamped_time() {
        let requests = requests(16);
        for (number, ttl) in [(1, 1), (2, 1000), (3, 1_000_000)] {
            assert_eq!(requests.lookup(client(number)), Answer::Pending);
            next(&requests).await.settle(&found(ttl));
        }
        // The bounds are 300 and 86400 seconds.
        let known = |number| requests.lookup(client(number)) == named("a.example");
        advance(Duration::from_secs(299)).await;
        assert!(known(1) && known(2) && known(3));
        advance(Duration::from_secs(1)).await;
        assert!(!known(1) && known(2) && known(3));
        advance(Duration::from_secs(700)).await;
        assert!(!known(2) && known(3));
        advance(Duration::from_secs(85_400)).await;
        assert!(!known(3));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_not_repeated_at_once() {
        let requests = requests(16);
        fail(&requests, 1..=1).await;
        assert_eq!(requests.lookup(client(1)), Answer::Refused);
        advance(Duration::from_secs(29)).await;
        assert_eq!(requests.lookup(client(1)), Answer::Refused);
        assert_eq!(requests.stats().requests(Request::FailedLately), 2);
        advance(Duration::from_secs(1)).await;
        assert_eq!(requests.lookup(client(1)), Answer::Pending);
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_stop_all_queries_until_one_trial_succeeds() {
        let requests = requests(16);
        fail(&requests, 1..=4).await;
        // In the queue before it opens, and not asked for while it is open.
        assert_eq!(requests.lookup(client(5)), Answer::Pending);
        assert_eq!(requests.lookup(client(6)), Answer::Pending);
        assert_eq!(requests.lookup(client(7)), Answer::Pending);
        next(&requests).await.settle(&Ended::Failed);
        assert_eq!(requests.stats().breaker, BreakerState::Open);
        assert_eq!(requests.lookup(client(8)), Answer::Refused);
        assert_eq!(requests.stats().requests(Request::BreakerOpen), 1);

        let start = tokio::time::Instant::now();
        let trial = next(&requests).await;
        assert_eq!(trial.address(), client(6));
        assert_eq!(start.elapsed(), Duration::from_secs(10));
        trial.settle(&Ended::Failed);

        let trial = next(&requests).await;
        assert_eq!(start.elapsed(), Duration::from_secs(30));
        assert_eq!(requests.stats().breaker, BreakerState::HalfOpen);
        // One at a time: the next one waits for the end of the trial.
        assert_eq!(requests.lookup(client(9)), Answer::Pending);
        let waited = tokio::time::timeout(SECOND, requests.something_to_ask()).await;
        assert!(waited.is_err() && requests.next_to_ask().is_none());
        trial.settle(&found(60));
        assert_eq!(requests.stats().breaker, BreakerState::Closed);
        assert_eq!(next(&requests).await.address(), client(9));
        assert_eq!(requests.stats().breaker_opened, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_without_a_word_frees_its_address() {
        let requests = requests(16);
        assert_eq!(requests.lookup(client(1)), Answer::Pending);
        drop(next(&requests).await);
        assert_eq!(requests.stats().in_flight, 0);
        assert_eq!(requests.lookup(client(1)), Answer::Pending);
        assert_eq!(requests.stats().requests(Request::Queued), 2);
    }
}
