//! Who gets to see what, and what comes over the line.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::to_bytes, extract::Request, http::StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::{
    enrich::{
        exchange::{Exchange, example},
        stream::{Enricher, Options, Stream},
        tables::nothing_known,
    },
    http::{Telemetry, TelemetryError, TelemetryPath, api::TAIL_PATH, router},
};

const LOCAL: &str = "127.0.0.1";
const REMOTE: &str = "203.0.113.9";
/// Longer than what everybody may see.
const PREFIXES: (u8, u8) = (28, 56);

struct Daemon(Option<Tail>);

impl Telemetry for Daemon {
    fn openmetrics(&self) -> Result<String, TelemetryError> {
        Ok("# EOF\n".to_owned())
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn facts(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn tail(&self) -> Option<Tail> {
        self.0.clone()
    }
}

/// A daemon with a stream, into which tests put exchanges.
struct Site {
    stream: Stream,
    router: Router,
}

impl Site {
    fn new(clients: ClientsShown) -> Self {
        let options = Options {
            max_rate: 100,
            queue: 16,
            taps: 1,
            pending: 16,
            timeout_ns: 1,
            buffer: 16,
            subscribers: 2,
            always: false,
        };
        let enricher = Enricher::new(&nothing_known(), 16, Vec::new());
        let stream = Stream::start(&options, enricher).expect("a thread");
        let mut config = crate::config::Config::default();
        config.privacy.clients = clients;
        (
            config.statistics.client_v4_prefix,
            config.statistics.client_v6_prefix,
        ) = PREFIXES;
        let tail = Tail {
            stream: stream.handle().clone(),
            disclosure: Disclosure::from_config(&config).expect("no files"),
            prefixes: PREFIXES,
        };
        let daemon = Arc::new(Daemon(Some(tail)));
        let router = router(daemon, &TelemetryPath::default());
        Self { stream, router }
    }

    async fn get(&self, peer: &str, query: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::builder().uri(format!("{TAIL_PATH}?{query}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).expect("a request");
        let peer = SocketAddr::new(peer.parse().expect("an address"), 40_000);
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.clone().oneshot(request).await;
        response.expect("an answer")
    }

    /// How the example's client is shown to a peer, or why not.
    async fn client(&self, peer: &str, query: &str) -> Result<String, (u16, String)> {
        let response = self.get(peer, &format!("count=1&{query}"), &[]).await;
        let status = response.status().as_u16();
        if status != 200 {
            let problem: Value = serde_json::from_str(&text(response).await).expect("JSON");
            assert_eq!(problem["status"], status);
            return Err((status, problem["detail"].to_string()));
        }
        self.stream.handle().send(example::exchange());
        let line: Value = serde_json::from_str(&text(response).await).expect("JSON");
        Ok(line["client"].as_str().expect("a text").to_owned())
    }
}

async fn text(response: Response) -> String {
    let body = to_bytes(response.into_body(), 1 << 20);
    let body = tokio::time::timeout(Duration::from_secs(60), body).await;
    let bytes = body.expect("it ends").expect("it can be read");
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// The example's client is 192.0.2.77.
#[tokio::test]
async fn each_peer_sees_what_it_may_and_no_more() {
    use ClientsShown::{Address, Prefix};
    for (configured, peer, query, expected) in [
        (Prefix, LOCAL, "", Ok("192.0.2.64/28")),
        (Prefix, REMOTE, "", Ok("192.0.2.0/24")),
        (Prefix, LOCAL, "clients=prefix", Ok("192.0.2.64/28")),
        (Prefix, LOCAL, "clients=address", Err(403)),
        (Prefix, REMOTE, "clients=address", Err(403)),
        (Prefix, LOCAL, "clients=pseudonym", Err(403)),
        (Address, LOCAL, "", Ok("192.0.2.77")),
        (Address, LOCAL, "clients=address", Ok("192.0.2.77")),
        (Address, LOCAL, "clients=prefix", Ok("192.0.2.64/28")),
        (Address, REMOTE, "", Ok("192.0.2.0/24")),
        (Address, REMOTE, "clients=prefix", Ok("192.0.2.0/24")),
        (Address, REMOTE, "clients=address", Err(403)),
        (Address, REMOTE, "clients=pseudonym", Err(403)),
        // A filter tells no more than the lines do.
        (Prefix, LOCAL, "client=192.0.2.64/28", Ok("192.0.2.64/28")),
        (Prefix, LOCAL, "client=192.0.2.77", Err(403)),
        (Prefix, REMOTE, "client=192.0.2.64/28", Err(403)),
        (Prefix, REMOTE, "client=192.0.2.0/24", Ok("192.0.2.0/24")),
        (Prefix, REMOTE, "client=2001:db8::/49", Err(403)),
        (Address, REMOTE, "client=192.0.2.77", Err(403)),
        (Address, LOCAL, "client=192.0.2.77", Ok("192.0.2.77")),
        (Address, "::ffff:127.0.0.1", "", Ok("192.0.2.77")),
        (Address, "::1", "", Ok("192.0.2.77")),
    ] {
        let site = Site::new(configured);
        let shown = site.client(peer, query).await;
        let shown = shown.as_deref().map_err(|(status, _)| *status);
        assert_eq!(shown, expected, "{configured:?} {peer} {query:?}");
    }
}

#[tokio::test]
async fn pseudonyms_hide_prefixes_as_well() {
    let site = Site::new(ClientsShown::Pseudonym);
    for peer in [LOCAL, REMOTE] {
        let shown = site.client(peer, "").await.expect("a pseudonym");
        let pseudonym: IpAddr = shown.parse().expect("an address");
        assert_ne!(pseudonym, IpAddr::from([192, 0, 2, 77]));
        for query in ["clients=prefix", "clients=address", "client=192.0.2.0/24"] {
            let refused = site.client(peer, query).await.map_err(|(status, _)| status);
            assert_eq!(refused, Err(403), "{query}");
        }
    }
}

#[tokio::test]
async fn who_speaks_for_others_is_not_this_machine() {
    let site = Site::new(ClientsShown::Address);
    for (headers, status) in [
        (&[][..], 200),
        (&[("host", "localhost:9953")][..], 200),
        (&[("host", "127.0.0.1:9953")][..], 200),
        (&[("host", "[::1]:9953")][..], 200),
        (&[("host", "::1")][..], 200),
        (&[("host", "evil.example:9953")][..], 403),
        (&[("host", "localhost"), ("host", "evil.example")][..], 403),
        (&[("host", "\u{e9}vil.example")][..], 403),
        (&[("x-forwarded-for", "203.0.113.9")][..], 403),
        (&[("forwarded", "for=203.0.113.9")][..], 403),
        (&[("via", "1.1 proxy")][..], 403),
    ] {
        let response = site.get(LOCAL, "count=1&clients=address", headers).await;
        assert_eq!(response.status().as_u16(), status, "{headers:?}");
        // The place is free once the client has gone.
        drop(response);
        wait_for(|| site.stream.handle().stats().subscribed() == 0).await;
    }
}

async fn wait_for(condition: impl Fn() -> bool) {
    for _ in 0..2000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain");
}

#[tokio::test]
async fn wrong_parameters_are_refused_with_the_cure() {
    let site = Site::new(ClientsShown::Prefix);
    for (query, said) in [
        (
            "qtypes=A",
            "there is no parameter `qtypes`; did you mean `qtype`?",
        ),
        (
            "x=1",
            "there is no parameter `x`; there are `count`, `clients`, `role`, `qtype`, `rcode`, `qname`, `client`, `country`, `asn`, `customer`",
        ),
        (
            "qtype=AAAAA",
            "`qtype`: \"AAAAA\" is not a QTYPE; write a mnemonic, as in `AAAA`, or `TYPE65280`",
        ),
        (
            "qtype=A&qtype=MX",
            "`qtype` is given twice; give it once, with commas between several values",
        ),
        (
            "count=0",
            "`count`: \"0\" is not a number of exchanges; write a whole number from 1",
        ),
        (
            "count=-1",
            "`count`: \"-1\" is not a number of exchanges; write a whole number from 1",
        ),
        (
            "clients=all",
            "`clients`: \"all\" is no way to show them; there are `prefix`, `pseudonym`, `address`",
        ),
        (
            "role=both",
            "`role`: \"both\" is not a role; write `server` for what is asked of this host, or `client` for what it asks others",
        ),
        (
            "client=192.0.2.1%2F24",
            "`client`: \"192.0.2.1/24\" has bits after its first 24; write `192.0.2.0/24`",
        ),
        (
            "%1b=1",
            "there is no parameter `\\u{1b}`; there are `count`, `clients`, `role`, `qtype`, `rcode`, `qname`, `client`, `country`, `asn`, `customer`",
        ),
    ] {
        let response = site.get(LOCAL, query, &[]).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let problem: Value = serde_json::from_str(&text(response).await).expect("JSON");
        if query.starts_with("client=") {
            // The configuration's own words.
            let detail = problem["detail"].as_str().expect("a text");
            assert!(
                detail.starts_with("`client`: \"192.0.2.1/24\" "),
                "{detail}"
            );
        } else {
            assert_eq!(problem["detail"], said, "{query}");
        }
    }
}

#[tokio::test]
async fn a_full_house_is_told() {
    let site = Site::new(ClientsShown::Prefix);
    let _taken = [
        site.get(LOCAL, "", &[]).await,
        site.get(LOCAL, "", &[]).await,
    ];
    let response = site.get(LOCAL, "", &[]).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let said = text(response).await;
    assert!(said.contains("stream.subscribers"), "{said}");
}

#[tokio::test]
async fn lines_are_filtered_and_end_with_the_count() {
    let site = Site::new(ClientsShown::Prefix);
    let query = "count=2&qtype=A&qname=example.com";
    let response = site.get(LOCAL, query, &[]).await;
    assert_eq!(response.headers()[CONTENT_TYPE], "application/x-ndjson");
    for (id, qtype) in [(1, 1), (2, 28), (3, 1), (4, 1)] {
        let mut exchange = Exchange {
            weight: id,
            ..example::exchange()
        };
        if let Some(question) = &mut exchange.question {
            question.qtype.0 = qtype;
        }
        site.stream.handle().send(exchange);
    }
    let text = text(response).await;
    let weights: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["weight"].clone())
        .collect();
    assert_eq!(weights, [1, 3]);
    wait_for(|| site.stream.handle().stats().subscribed() == 0).await;
    assert_eq!(site.stream.handle().stats().subscribers[0].sent, 2);
}

#[tokio::test]
async fn what_was_missed_is_told_where_it_was_missed() {
    let site = Site::new(ClientsShown::Prefix);
    let response = site.get(LOCAL, "", &[]).await;
    // The task that reads has not run yet; the buffer holds 16.
    for weight in 0..20 {
        site.stream.handle().send(Exchange {
            weight,
            ..example::exchange()
        });
    }
    site.stream.handle().close();
    let text = text(response).await;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 17);
    assert_eq!(lines[0], "{\"dropped\":4}");
    assert!(lines[1].contains("\"weight\":4,"), "{}", lines[1]);
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_by_empty_lines() {
    let site = Site::new(ClientsShown::Prefix);
    let response = site.get(LOCAL, "qtype=MX", &[]).await;
    let reading = tokio::spawn(text(response));
    for _ in 0..7 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        // What is filtered out is silence, too.
        site.stream.handle().send(example::exchange());
    }
    site.stream.handle().close();
    // After 15 s and after 30 s.
    assert_eq!(reading.await.expect("no panic"), "\n\n");
}

#[tokio::test]
async fn without_a_stream_there_is_none() {
    let router = router(Arc::new(Daemon(None)), &TelemetryPath::default());
    let mut request = Request::builder().uri(TAIL_PATH);
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    if let Some(extensions) = request.extensions_mut() {
        extensions.insert(ConnectInfo(peer));
    }
    let request = request.body(Body::empty()).expect("a request");
    let response = router.oneshot(request).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}
