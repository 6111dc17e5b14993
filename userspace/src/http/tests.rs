//! The endpoint over real sockets, seen by a client that knows nothing of the
//! server's libraries.

use std::collections::BTreeMap;
use std::env;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use flate2::read::GzDecoder;
use tokio::sync::oneshot;

use super::{Listeners, Telemetry, TelemetryError, TelemetryPath, router, serve};
use crate::export::exposition::to_classic_text;

const OPENMETRICS: &str = "# HELP xdsc_messages DNS messages.\n# TYPE xdsc_messages counter\nxdsc_messages_total 17\n# EOF\n";
const CLASSIC: &str = "# HELP xdsc_messages_total DNS messages.\n# TYPE xdsc_messages_total counter\nxdsc_messages_total 17\n";

type Outcome = Result<(), Box<dyn std::error::Error>>;
type Metrics = dyn Fn() -> Result<String, TelemetryError> + Send + Sync;

struct Fake {
    metrics: Box<Metrics>,
    ready: Result<(), String>,
}

impl Fake {
    fn with_metrics(
        metrics: impl Fn() -> Result<String, TelemetryError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            metrics: Box::new(metrics),
            ready: Ok(()),
        }
    }
}

impl Default for Fake {
    fn default() -> Self {
        Self::with_metrics(|| Ok(OPENMETRICS.to_owned()))
    }
}

impl Telemetry for Fake {
    fn openmetrics(&self) -> Result<String, TelemetryError> {
        (self.metrics)()
    }

    fn ready(&self) -> Result<(), String> {
        self.ready.clone()
    }

    fn facts(&self) -> Vec<(String, String)> {
        vec![("Node".to_owned(), "ns1 <test>".to_owned())]
    }
}

/// A running server; it stops when dropped.
struct Endpoint {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Endpoint {
    fn start(fake: Fake) -> Self {
        Self::start_on(
            Listeners::bind([(Some("127.0.0.1"), 0)]).expect("loopback can be bound"),
            fake,
            "/metrics",
        )
    }

    fn start_on(listeners: Listeners, fake: Fake, path: &str) -> Self {
        let address = listeners
            .local_addresses()
            .expect("bound sockets have addresses")[0];
        let path: TelemetryPath = path.parse().expect("a valid path");
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new()?;
            let shutdown = async {
                // A dropped sender stops the server, too.
                let _ = stopped.await;
            };
            runtime.block_on(serve(listeners, router(Arc::new(fake), &path), shutdown))
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).expect("the server listens")
    }

    fn get(&self, path: &str) -> Reply {
        self.request("GET", path, "")
    }

    fn request(&self, method: &str, path: &str, headers: &str) -> Reply {
        exchange(self.connect(), method, path, headers)
    }

    fn begin_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    fn join(&mut self) -> std::io::Result<()> {
        self.thread.take().map_or(Ok(()), |thread| {
            thread.join().expect("the server does not panic")
        })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.begin_stop();
        let joined = self.join();
        if !std::thread::panicking() {
            joined.expect("the server ends well");
        }
    }
}

struct Reply {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let split = bytes
            .windows(4)
            .position(|end| end == b"\r\n\r\n")
            .expect("a complete head");
        let head = std::str::from_utf8(&bytes[..split]).expect("a head in ASCII");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
        let status = status
            .and_then(|line| line[..3].parse().ok())
            .expect("a status line");
        let headers = lines
            .map(|line| line.split_once(": ").expect("a header line"))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Self {
            status,
            headers,
            body: bytes[split + 4..].to_vec(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }
}

/// One request and its reply; the connection is closed after it.
fn exchange(mut stream: TcpStream, method: &str, path: &str, headers: &str) -> Reply {
    send(
        &mut stream,
        method,
        path,
        &format!("{headers}Connection: close\r\n"),
    );
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("a reply");
    Reply::parse(&bytes)
}

fn send(stream: &mut TcpStream, method: &str, path: &str, headers: &str) {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    stream
        .write_all(request.as_bytes())
        .expect("the request is taken");
}

/// More than the least size that is worth compressing.
fn large_openmetrics() -> String {
    let samples: String = (0..100)
        .map(|n| format!("a_total{{n=\"{n}\"}} {n}\n"))
        .collect();
    format!("# HELP a A.\n# TYPE a counter\n{samples}# EOF\n")
}

#[test]
fn the_format_follows_the_accept_header() {
    let endpoint = Endpoint::start(Fake::default());
    let openmetrics = (
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        OPENMETRICS,
    );
    let classic = ("text/plain; version=0.0.4; charset=utf-8", CLASSIC);
    let cases = [
        ("", classic),
        ("Accept: */*\r\n", classic),
        ("Accept: \u{e9}\r\n", classic),
        (
            "Accept: application/openmetrics-text;version=1.0.0\r\n",
            openmetrics,
        ),
        (
            "Accept: text/plain;q=0.5\r\nAccept: application/openmetrics-text\r\n",
            openmetrics,
        ),
        (
            "Accept: text/plain\r\nAccept: application/openmetrics-text;q=0.9\r\n",
            classic,
        ),
    ];
    for (headers, (content_type, body)) in cases {
        let reply = endpoint.request("GET", "/metrics", headers);
        assert_eq!(reply.status, 200, "{headers}");
        assert_eq!(
            reply.header("content-type"),
            Some(content_type),
            "{headers}"
        );
        assert_eq!(
            reply.header("vary"),
            Some("Accept, Accept-Encoding"),
            "{headers}"
        );
        assert_eq!(reply.text(), body, "{headers}");
    }
}

#[test]
fn a_large_body_is_compressed_for_those_who_ask() -> Outcome {
    let endpoint = Endpoint::start(Fake::with_metrics(|| Ok(large_openmetrics())));
    let plain = endpoint.get("/metrics");
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(plain.text(), to_classic_text(&large_openmetrics()));

    let compressed = endpoint.request("GET", "/metrics", "Accept-Encoding: gzip\r\n");
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert!(compressed.body.len() < plain.body.len() / 2);
    let mut text = String::new();
    GzDecoder::new(&*compressed.body).read_to_string(&mut text)?;
    assert_eq!(text, plain.text());
    Ok(())
}

#[test]
fn a_small_body_is_not_compressed() {
    let endpoint = Endpoint::start(Fake::default());
    let reply = endpoint.request("GET", "/metrics", "Accept-Encoding: gzip\r\n");
    assert_eq!(reply.header("content-encoding"), None);
    assert_eq!(reply.text(), CLASSIC);
}

#[test]
fn head_tells_what_get_would_send() {
    let endpoint = Endpoint::start(Fake::default());
    for path in ["/metrics", "/", "/-/healthy", "/-/ready"] {
        let get = endpoint.get(path);
        let head = endpoint.request("HEAD", path, "");
        assert_eq!(head.status, 200, "{path}");
        assert!(head.body.is_empty(), "{path}");
        for name in ["content-type", "content-length"] {
            assert!(get.header(name).is_some(), "{name} of {path}");
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
    }
}

#[test]
fn health_is_unconditional_and_readiness_gives_its_reason() {
    let endpoint = Endpoint::start(Fake {
        ready: Err("the probe is not attached to eth0 yet".to_owned()),
        ..Fake::default()
    });
    let healthy = endpoint.get("/-/healthy");
    assert_eq!(
        (healthy.status, healthy.text()),
        (200, "xdsc is healthy.\n")
    );
    let ready = endpoint.get("/-/ready");
    let reason = "xdsc is not ready: the probe is not attached to eth0 yet\n";
    assert_eq!((ready.status, ready.text()), (503, reason));

    let endpoint = Endpoint::start(Fake::default());
    let ready = endpoint.get("/-/ready");
    assert_eq!((ready.status, ready.text()), (200, "xdsc is ready.\n"));
}

#[test]
fn the_landing_page_shows_the_facts_as_text() {
    let endpoint = Endpoint::start(Fake::default());
    let reply = endpoint.get("/");
    assert_eq!(
        reply.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(
        reply.text().contains("<td>ns1 &lt;test&gt;</td>"),
        "{}",
        reply.text()
    );
    assert!(
        reply.text().contains("<a href=\"/metrics\">"),
        "{}",
        reply.text()
    );
}

#[test]
fn parts_of_the_page_are_sent_once() {
    let endpoint = Endpoint::start(Fake::default());
    let reply = endpoint.get("/-/page/page.js");
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    let policy = reply.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
    assert!(
        !policy.contains("unsafe") && !policy.contains('*'),
        "{policy}"
    );
    let tag = reply.header("etag").expect("a tag").to_owned();
    let known = format!("If-None-Match: {tag}\r\n");
    let again = endpoint.request("GET", "/-/page/page.js", &known);
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(endpoint.get("/-/page/other.js").status, 404);
}

#[test]
fn the_api_tells_problems_as_such() {
    let endpoint = Endpoint::start(Fake::default());
    for (method, path, status) in [
        ("GET", "/api/v1/nothing", 404),
        ("POST", "/api/v1/summary", 405),
        ("GET", "/api/v1/summary", 503),
        ("GET", "/api/v1/history?seconds=601", 400),
        ("GET", "/api/v1/datasets/tld?limit=1001", 400),
        (
            "GET",
            "/api/v1/datasets/tld?filter=a:b&filter=c:d&filter=e:f",
            400,
        ),
        ("GET", "/api/v1/events?top=qtype,nothing", 400),
        ("GET", "/api/v1/events?filter=name:x", 400),
        ("GET", "/api/v1/events?limit=51", 400),
    ] {
        let reply = endpoint.request(method, path, "");
        assert_eq!(reply.status, status, "{path}");
        let kind = reply.header("content-type");
        assert_eq!(kind, Some("application/problem+json"), "{path}");
        let problem: serde_json::Value = serde_json::from_str(reply.text()).expect("JSON");
        assert_eq!(problem["status"], status, "{path}");
        assert!(problem["detail"].is_string(), "{path}: {problem}");
    }
}

#[test]
fn the_metrics_may_be_elsewhere_even_at_the_root() {
    let listeners = || Listeners::bind([(Some("127.0.0.1"), 0)]).expect("loopback can be bound");
    let endpoint = Endpoint::start_on(listeners(), Fake::default(), "/dns");
    assert_eq!(endpoint.get("/dns").text(), CLASSIC);
    assert_eq!(endpoint.get("/metrics").status, 404);
    let endpoint = Endpoint::start_on(listeners(), Fake::default(), "/");
    assert_eq!(endpoint.get("/").text(), CLASSIC);
}

#[test]
fn unknown_paths_are_told_where_to_go() {
    let endpoint = Endpoint::start(Fake::default());
    for path in ["/favicon.ico", "/metrics/", "/-/reload", "/%00", "//"] {
        let reply = endpoint.get(path);
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(
            reply.text(),
            "Nothing here. The metrics are at /metrics, health at /-/healthy and /-/ready.\n"
        );
    }
}

#[test]
fn only_get_and_head_are_allowed() {
    let endpoint = Endpoint::start(Fake::default());
    for path in ["/metrics", "/", "/-/healthy", "/-/ready"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let reply = endpoint.request(method, path, "Content-Length: 0\r\n");
            assert_eq!(reply.status, 405, "{method} {path}");
            assert_eq!(reply.header("allow"), Some("GET,HEAD"), "{method} {path}");
            assert_eq!(reply.text(), "xdsc only answers GET and HEAD.\n");
        }
    }
}

#[test]
fn every_reply_carries_the_security_headers() {
    let endpoint = Endpoint::start(Fake::default());
    let replies = [
        endpoint.get("/"),
        endpoint.get("/metrics"),
        endpoint.get("/nowhere"),
        endpoint.request("POST", "/metrics", "Content-Length: 0\r\n"),
    ];
    for reply in replies {
        assert_eq!(
            reply.header("content-security-policy"),
            Some(
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            )
        );
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
    }
}

#[test]
fn a_failing_scrape_says_why() {
    let endpoint = Endpoint::start(Fake::with_metrics(|| {
        Err(TelemetryError::Source("the counters' map is gone".into()))
    }));
    let reply = endpoint.get("/metrics");
    assert_eq!(
        (reply.status, reply.text()),
        (500, "No metrics: the counters' map is gone.\n")
    );
}

#[test]
fn a_panicking_scrape_neither_stops_the_server_nor_keeps_its_slot() {
    let endpoint = Endpoint::start(Fake::with_metrics(|| panic!("a defect, on purpose")));
    // More often than there are slots.
    for _ in 0..5 {
        let reply = endpoint.get("/metrics");
        assert_eq!(reply.status, 500);
        assert!(
            reply.text().contains("this is a defect of xdsc"),
            "{}",
            reply.text()
        );
    }
    assert_eq!(endpoint.get("/-/healthy").status, 200);
}

#[test]
fn a_scraper_keeps_its_connection() -> Outcome {
    let endpoint = Endpoint::start(Fake::default());
    let mut stream = endpoint.connect();
    send(&mut stream, "GET", "/-/healthy", "");
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"xdsc is healthy.\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        bytes.extend(byte);
    }
    assert_eq!(Reply::parse(&bytes).status, 200);
    assert_eq!(exchange(stream, "GET", "/metrics", "").text(), CLASSIC);
    Ok(())
}

#[test]
fn an_oversized_head_is_refused() {
    let endpoint = Endpoint::start(Fake::default());
    let mut stream = endpoint.connect();
    // Exactly what the server reads before it refuses, so that closing the
    // connection leaves nothing unread and loses no reply.
    let head = "GET / HTTP/1.1\r\nX: ";
    let filler = "x".repeat(16 * 1024 - head.len());
    stream
        .write_all(format!("{head}{filler}").as_bytes())
        .expect("the head is taken");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("a reply");
    assert_eq!(Reply::parse(&bytes).status, 431);
}

#[test]
fn a_full_house_serves_the_next_client_when_one_leaves() {
    let endpoint = Endpoint::start(Fake::default());
    let mut idle: Vec<_> = (0..256).map(|_| endpoint.connect()).collect();
    let waiting = endpoint.connect();
    drop(idle.pop());
    assert_eq!(exchange(waiting, "GET", "/metrics", "").text(), CLASSIC);
}

#[test]
fn all_addresses_means_both_families() -> Outcome {
    let listeners = Listeners::bind([(None::<&str>, 0)])?;
    let endpoint = Endpoint::start_on(listeners, Fake::default(), "/metrics");
    let port = endpoint.address.port();
    let mut loopbacks = vec![SocketAddr::from(([127, 0, 0, 1], port))];
    if TcpListener::bind("[::1]:0").is_ok() {
        loopbacks.push(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port)));
    }
    for address in loopbacks {
        let reply = exchange(TcpStream::connect(address)?, "GET", "/metrics", "");
        assert_eq!(reply.text(), CLASSIC, "{address}");
    }
    Ok(())
}

#[test]
fn several_addresses_are_served_at_once() -> Outcome {
    let listeners = Listeners::bind([(Some("127.0.0.1"), 0), (Some("127.0.0.2"), 0)])?;
    let addresses = listeners.local_addresses()?;
    let _endpoint = Endpoint::start_on(listeners, Fake::default(), "/metrics");
    for address in addresses {
        let reply = exchange(TcpStream::connect(address)?, "GET", "/metrics", "");
        assert_eq!(reply.text(), CLASSIC, "{address}");
    }
    Ok(())
}

#[test]
fn a_request_in_flight_survives_the_shutdown() -> Outcome {
    let (begun, has_begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let mut endpoint = Endpoint::start(Fake::with_metrics(move || {
        begun.send(()).expect("the test listens");
        let released = released.lock().expect("no scrape panics");
        released.recv().expect("the test releases");
        Ok(OPENMETRICS.to_owned())
    }));
    let mut stream = endpoint.connect();
    send(&mut stream, "GET", "/metrics", "");
    has_begun.recv()?;

    endpoint.begin_stop();
    // The listening socket goes first; only then is it certain that the
    // shutdown has begun while the scrape still runs.
    while TcpStream::connect(endpoint.address).is_ok() {
        std::thread::yield_now();
    }
    release.send(())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let reply = Reply::parse(&bytes);
    assert_eq!((reply.status, reply.text()), (200, CLASSIC));
    endpoint.join()?;
    Ok(())
}

/// Set for the process that plays the daemon below.
const ROLE: &str = "XDSC_TEST_SYSTEMD_ROLE";

/// The test starts itself again as systemd would start the daemon, with a
/// socket that it gets no other way. `LISTEN_FDS_FIRST_FD` lets it be standard
/// input, which the standard library can hand over without unsafe code.
#[test]
fn sockets_from_systemd_are_served() -> Outcome {
    match env::var(ROLE).as_deref() {
        Ok("serve") => return serve_for_ever(),
        Ok("explain") => return explain_systemd(),
        _ => {}
    }
    let socket = TcpListener::bind("127.0.0.1:0")?;
    let address = socket.local_addr()?;
    let _daemon = Daemon(as_started_by_systemd("serve", OwnedFd::from(socket)).spawn()?);
    let reply = exchange(TcpStream::connect(address)?, "GET", "/metrics", "");
    assert_eq!(reply.text(), CLASSIC);
    Ok(())
}

#[test]
fn other_things_from_systemd_are_explained() -> Outcome {
    let listening = || TcpListener::bind("127.0.0.1:0");
    let peer = listening()?;
    let connected = TcpStream::connect(peer.local_addr()?)?;
    let datagram = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let mut for_another = as_started_by_systemd("explain", OwnedFd::from(listening()?));
    for_another.env("LISTEN_PID", "1");
    let mut without = as_started_by_systemd("explain", OwnedFd::from(listening()?));
    without.env_remove("LISTEN_FDS");

    let cases = [
        (for_another, "systemd handed over no socket (LISTEN_FDS"),
        (without, "systemd handed over no socket (LISTEN_FDS"),
        (
            as_started_by_systemd("explain", OwnedFd::from(connected)),
            "socket 0 from systemd is not a listening TCP socket (it is not listening)",
        ),
        (
            as_started_by_systemd("explain", OwnedFd::from(datagram)),
            "socket 0 from systemd is not a listening TCP socket (fd 0 is not a valid tcp socket)",
        ),
    ];
    for (mut daemon, expected) in cases {
        let output = daemon.output()?;
        let output = String::from_utf8_lossy(&output.stdout);
        assert!(output.contains(expected), "{expected}\n{output}");
    }
    Ok(())
}

fn as_started_by_systemd(role: &str, standard_input: OwnedFd) -> Command {
    let mut command = Command::new(env::current_exe().expect("the test knows its file"));
    command
        .args([
            "--exact",
            "http::tests::sockets_from_systemd_are_served",
            "--nocapture",
        ])
        .env(ROLE, role)
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDS_FIRST_FD", "0")
        .env_remove("LISTEN_PID")
        .stdin(Stdio::from(standard_input))
        .stdout(Stdio::piped());
    command
}

/// A process that ends with its test, however that ends.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Its parent kills this process.
fn serve_for_ever() -> Outcome {
    let _endpoint = Endpoint::start_on(Listeners::from_systemd()?, Fake::default(), "/metrics");
    loop {
        std::thread::park();
    }
}

#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn explain_systemd() -> Outcome {
    match Listeners::from_systemd() {
        Ok(listeners) => println!("{:?}", listeners.local_addresses()?),
        Err(error) => println!("{error}"),
    }
    Ok(())
}
