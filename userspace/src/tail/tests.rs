//! What is printed of a stream, and of a capture.

use std::{
    io::{BufReader, Cursor, Write as _},
    net::Ipv4Addr,
    sync::atomic::{AtomicU64, Ordering},
};

use clap::Parser as _;
use serde_json::Value;

use super::{
    live::{End, show_lines},
    *,
};
use crate::{
    cli::{Cli, Command},
    enrich::{
        exchange::{example::exchange, shown::Disclosure},
        privacy::Privacy,
    },
};

fn args(args: &[&str]) -> TailArgs {
    let command = Cli::try_parse_from([&["xdsc", "tail"], args].concat()).expect("arguments");
    match command.command {
        Command::Tail(args) => args,
        other @ (Command::Run(_)
        | Command::Read(_)
        | Command::Top(_)
        | Command::Rssac002(_)
        | Command::Config(_)
        | Command::Completions { .. }
        | Command::Man { .. }) => {
            panic!("{other:?}")
        }
    }
}

/// What a tail prints and complains of, and its status.
fn tail(arguments: &[&str]) -> (String, String, bool) {
    let (mut out, mut complaints) = (Vec::new(), Vec::new());
    let status = run(&args(arguments), &mut out, &mut complaints).expect("memory");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (text(out), text(complaints), status == ExitCode::SUCCESS)
}

fn stream() -> String {
    let disclosure = Disclosure {
        privacy: Privacy::Prefix { ipv4: 24, ipv6: 48 },
        suffixes: None,
        confirms_names: false,
    };
    let shown = Shown::new(&exchange(), &disclosure);
    let line = serde_json::to_string(&shown).expect("plain values");
    format!("{line}\n\n{{\"dropped\":3}}\n{line}\n\n{{\"dropped\":4}}\n{line}\n")
}

fn lines(stream: &str, layout: Layout, left: u64) -> (Result<End, Stopped>, String, u64) {
    let mut out = Vec::new();
    let mut printer = Printer {
        out: &mut out,
        layout,
        left,
    };
    let dropped = AtomicU64::new(0);
    let stream = BufReader::new(Cursor::new(stream.to_owned()));
    let end = show_lines(stream, &mut printer, &dropped);
    let text = String::from_utf8(out).expect("UTF-8");
    (end, text, dropped.load(Ordering::Relaxed))
}

#[test]
fn a_stream_is_shown_line_by_line_and_its_losses_are_added_up() {
    let plain = || Layout::Text(text::Palette::new(false));
    let (end, text, dropped) = lines(&stream(), plain(), u64::MAX);
    assert_eq!(end.ok(), Some(End::Stream));
    assert_eq!((text.lines().count(), dropped), (4, 7));
    assert!(
        text.lines()
            .skip(1)
            .all(|line| line.contains("www.example.com"))
    );
    let (end, text, dropped) = lines(&stream(), plain(), 2);
    assert_eq!(end.ok(), Some(End::Count));
    assert_eq!((text.lines().count(), dropped), (3, 3));
}

#[test]
fn json_is_passed_on_with_whatever_is_new_in_it() {
    let stream = "{\"qname\":\"a\",\"novelty\":[1]}\n\n{\"dropped\":3}\n";
    let (_, text, dropped) = lines(stream, Layout::Json, u64::MAX);
    let expected = "{\"qname\":\"a\",\"novelty\":[1]}\n{\"dropped\":3}\n";
    assert_eq!((text.as_str(), dropped), (expected, 3));
}

#[test]
fn what_is_no_stream_is_not_shown() {
    for stream in [
        "<html>\n".to_owned(),
        "\u{1b}[2J\n".to_owned(),
        "x".repeat(1 << 20),
    ] {
        for layout in [Layout::Json, Layout::Text(text::Palette::new(false))] {
            let (end, text, _) = lines(&stream, layout, u64::MAX);
            assert!(matches!(end, Err(Stopped::Told(_))));
            assert!(!text.contains(&*stream));
        }
    }
}

#[test]
fn nobody_there_is_told_with_the_cure() {
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let (_, complaints, good) = tail(&["--url", &format!("http://127.0.0.1:{port}")]);
    assert!(!good);
    assert!(
        complaints.contains("cannot reach a running xdsc"),
        "{complaints}"
    );
    assert!(complaints.contains("xdsc run"), "{complaints}");
    let (_, complaints, good) = tail(&["--url", "ftp://127.0.0.1"]);
    assert!(!good && complaints.contains("http://"), "{complaints}");
}

/// An Ethernet frame with a UDP datagram over IPv4 (RFC 791, RFC 768); checksums
/// are not looked at.
fn frame(source: ([u8; 4], u16), destination: ([u8; 4], u16), message: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend([0x08, 0x00, 0x45, 0]);
    frame.extend((28 + message.len() as u16).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend(source.0);
    frame.extend(destination.0);
    frame.extend(source.1.to_be_bytes());
    frame.extend(destination.1.to_be_bytes());
    frame.extend((8 + message.len() as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(message);
    frame
}

/// A message about `www.example.com`, type AAAA.
fn message(id: u8, flags: [u8; 2]) -> Vec<u8> {
    let mut message = vec![0, id, flags[0], flags[1], 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend(b"\x03www\x07example\x03com\0\0\x1c\0\x01");
    message
}

/// A pcap file with frames at these microseconds of 2026-01-10T12:00:00Z.
fn capture(frames: &[(u32, Vec<u8>)]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let word = u32::to_le_bytes;
    let head = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1];
    let mut bytes: Vec<u8> = head.into_iter().flat_map(word).collect();
    for (time_us, frame) in frames {
        let len = frame.len() as u32;
        let head = [1_768_046_400, *time_us, len, len];
        bytes.extend(head.into_iter().flat_map(word));
        bytes.extend(frame);
    }
    file.write_all(&bytes).expect("a file");
    file
}

const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 77], 40_000);
const OTHER: ([u8; 4], u16) = ([203, 0, 113, 5], 40_000);
const SERVER: ([u8; 4], u16) = ([198, 51, 100, 53], 53);

fn three_exchanges() -> tempfile::NamedTempFile {
    capture(&[
        (100, frame(CLIENT, SERVER, &message(1, [0x01, 0x00]))),
        (350, frame(SERVER, CLIENT, &message(1, [0x85, 0x00]))),
        (400, frame(OTHER, SERVER, &message(2, [0x00, 0x00]))),
        (500, frame(CLIENT, SERVER, &message(3, [0x01, 0x00]))),
        (900, frame(SERVER, CLIENT, &message(3, [0x85, 0x03]))),
    ])
}

fn json_lines(text: &str) -> Vec<Value> {
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("JSON")
}

#[test]
fn a_capture_tells_what_was_sent() {
    let file = three_exchanges();
    let path = file.path().to_str().expect("UTF-8");
    let (out, complaints, good) = tail(&["--format", "json", path]);
    assert!(good && complaints.is_empty(), "{complaints}");
    let lines = json_lines(&out);
    let summary: Vec<_> = lines
        .iter()
        .map(|line| {
            let response = &line["response"];
            (
                line["kind"].as_str().expect("kind"),
                line["client"].as_str().expect("client"),
                response["rcode"].as_str(),
                response["response_time_seconds"].as_f64(),
            )
        })
        .collect();
    assert_eq!(
        summary,
        [
            ("answered", "192.0.2.0/24", Some("NOERROR"), Some(0.000_25)),
            ("answered", "192.0.2.0/24", Some("NXDOMAIN"), Some(0.000_4)),
            ("unanswered", "203.0.113.0/24", None, None),
        ]
    );
    let first = &lines[0];
    assert_eq!(first["time"], "2026-01-10T12:00:00.000100000Z");
    assert_eq!(first["qname"], "www.example.com");
    assert_eq!(
        (&first["qtype"], &first["qclass"]),
        (&"AAAA".into(), &"IN".into())
    );
    assert_eq!(first["query"]["rd"], true);
    assert_eq!(first["query"]["size"], 33);
    assert_eq!(first["response"]["aa"], true);
    assert_eq!(first["weight"], 1);
    assert_eq!(lines[2]["query"]["rd"], false);
}

#[test]
fn a_capture_is_filtered_counted_and_shown_as_wanted() {
    let file = three_exchanges();
    let path = file.path().to_str().expect("UTF-8");
    for (arguments, clients) in [
        (&["--rcode", "NXDOMAIN"][..], &["192.0.2.0/24"][..]),
        (&["--count", "1"], &["192.0.2.0/24"]),
        (&["--client", "203.0.113.5"], &["203.0.113.0/24"]),
        (&["--role", "client"], &[]),
        (&["--role", "server", "--count", "1"], &["192.0.2.0/24"]),
        (&["--qtype", "A"], &[]),
        (&["--qname", "example.net"], &[]),
        (
            &["--clients", "address"],
            &["192.0.2.77", "192.0.2.77", "203.0.113.5"],
        ),
        (&["--ports", "5353"], &[]),
    ] {
        let arguments = [&["--format", "json", path], arguments].concat();
        let (out, complaints, good) = tail(&arguments);
        assert!(good, "{complaints}");
        let lines = json_lines(&out);
        let shown: Vec<_> = lines.iter().map(|line| line["client"].as_str()).collect();
        let clients: Vec<_> = clients.iter().map(|client| Some(*client)).collect();
        assert_eq!(shown, clients, "{arguments:?}");
    }
}

#[test]
fn a_capture_is_enriched_by_the_configured_tables() {
    let file = three_exchanges();
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let networks = path("networks.csv");
    std::fs::write(&networks, "203.0.113.0/24,example-crawler\n").expect("a file");
    let customers = path("customers.csv");
    std::fs::write(&customers, "example.com,Example\n").expect("a file");
    let config = path("xdsc.toml");
    let text = format!("[networks]\nfile = {networks:?}\n[customers]\nfile = {customers:?}\n");
    std::fs::write(&config, text).expect("a file");
    let config = config.to_str().expect("UTF-8");
    let file = file.path().to_str().expect("UTF-8");
    let (out, complaints, good) = tail(&["--config", config, "--format", "json", file]);
    assert!(good, "{complaints}");
    let lines = json_lines(&out);
    assert!(lines.iter().all(|line| line["customer"] == "Example"));
    let networks: Vec<_> = lines.iter().map(|line| line["network"].as_str()).collect();
    assert_eq!(networks, [None, None, Some("example-crawler")]);
}

#[test]
fn what_is_wrong_with_a_capture_is_told() {
    let (_, complaints, good) = tail(&["/nonexistent.pcap"]);
    assert!(
        !good && complaints.contains("/nonexistent.pcap"),
        "{complaints}"
    );
    let file = three_exchanges();
    let path = file.path().to_str().expect("UTF-8");
    let (_, complaints, good) = tail(&["--qtype", "AAAAA", path]);
    assert!(!good && complaints.contains("--qtype"), "{complaints}");
}

/// Whoever closes the output has seen enough: the reading ends.
#[test]
fn a_closed_output_ends_the_reading() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let file = three_exchanges();
    let path = file.path().to_str().expect("UTF-8");
    let error = run(
        &args(&["--format", "json", path]),
        &mut Closed,
        &mut Vec::new(),
    );
    let kind = error.map_err(|error| error.kind());
    assert_eq!(kind.err(), Some(io::ErrorKind::BrokenPipe));
}
