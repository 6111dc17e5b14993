//! `xdsc rssac002` as an operator has it: captures or partial files in, the files
//! of each day out. All numbers are counted by hand.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// 2026-01-10T23:59:50Z.
const EVENING: u32 = 1_768_089_590;
const SERVICE: &str = "a.root-servers.net";

/// Clients by number, the server, and another server.
const SERVER: Host = Host(53);
const ELSEWHERE: Host = Host(99);

/// The last octet of an address of either family.
#[derive(Clone, Copy)]
struct Host(u8);

#[derive(Clone, Copy, PartialEq)]
enum Carrier {
    Udp,
    /// With the sequence number.
    Tcp(u32),
}

fn v4(from: (Host, u16), to: (Host, u16), carrier: Carrier, payload: &[u8]) -> Vec<u8> {
    let segment = segment(from.1, to.1, carrier, payload);
    let length = u16::try_from(20 + segment.len()).expect("short");
    let protocol = if carrier == Carrier::Udp { 17 } else { 6 };
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    packet.extend([192, 0, 2, from.0.0, 192, 0, 2, to.0.0]);
    packet.extend(segment);
    packet
}

fn v6(from: (Host, u16), to: (Host, u16), payload: &[u8]) -> Vec<u8> {
    let segment = segment(from.1, to.1, Carrier::Udp, payload);
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(u16::try_from(segment.len()).expect("short").to_be_bytes());
    packet.extend([17, 64]);
    for host in [from.0, to.0] {
        packet.extend([
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host.0,
        ]);
    }
    packet.extend(segment);
    packet
}

fn segment(from: u16, to: u16, carrier: Carrier, payload: &[u8]) -> Vec<u8> {
    let mut segment = [from.to_be_bytes(), to.to_be_bytes()].concat();
    match carrier {
        Carrier::Udp => {
            let length = u16::try_from(8 + payload.len()).expect("short");
            segment.extend(length.to_be_bytes());
            segment.extend([0, 0]);
        }
        Carrier::Tcp(sequence) => {
            segment.extend(sequence.to_be_bytes());
            // Acknowledgement, offset, PSH and ACK, window.
            segment.extend([0, 0, 0, 1, 0x50, 0x18, 16, 0, 0, 0, 0, 0]);
        }
    }
    segment.extend(payload);
    segment
}

/// `. IN NS` in 17 octets.
fn query() -> Vec<u8> {
    vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]
}

/// Its answer; RCODEs of more than 4 bits take an OPT record of 11 octets.
fn response(rcode: u16) -> Vec<u8> {
    let mut message = query();
    message[2] = 0x80;
    message[3] = (rcode & 0xf) as u8;
    if rcode > 0xf {
        message[11] = 1;
        message.extend([0, 0, 41, 4, 0xd0, (rcode >> 4) as u8, 0, 0, 0, 0, 0]);
    }
    message
}

/// As it is in TCP.
fn with_length(message: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("short");
    [length.to_be_bytes().to_vec(), message].concat()
}

/// Seconds after [`EVENING`], and a packet.
type Packets = Vec<(u32, Vec<u8>)>;

fn packets() -> Packets {
    use Carrier::{Tcp, Udp};
    let server = (SERVER, 53);
    let client = |number| (Host(number), 4000);
    let long = with_length(response(3));
    let (one, other) = long.split_at(5);
    vec![
        (0, v4(client(1), server, Udp, &query())),
        (0, v4(server, client(1), Udp, &response(0))),
        (1, v4(client(2), server, Udp, &query())),
        (1, v4(server, client(2), Udp, &response(16))),
        (2, v4(client(1), server, Udp, &query())),
        (2, v4(server, client(1), Udp, &response(3001))),
        (3, v6(client(1), server, &query())),
        (3, v6(server, client(1), &response(0))),
        (3, v6(client(2), server, &query())),
        // By TCP; the answer takes two segments.
        (4, v4(client(3), server, Tcp(1), &with_length(query()))),
        (4, v4(server, client(3), Tcp(1), one)),
        (4, v4(server, client(3), Tcp(6), other)),
        // The server asks another, and is answered.
        (5, v4((SERVER, 4000), (ELSEWHERE, 53), Udp, &query())),
        (5, v4((ELSEWHERE, 53), (SERVER, 4000), Udp, &response(2))),
        // A second before midnight, and midnight.
        (9, v4(client(4), server, Udp, &query())),
        (10, v4(client(1), server, Udp, &query())),
        (11, v4(server, client(1), Udp, &response(5))),
    ]
}

fn capture(packets: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let head = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101];
    let mut file: Vec<u8> = head.iter().flat_map(|word| word.to_le_bytes()).collect();
    for (second, packet) in packets {
        let length = u32::try_from(packet.len()).expect("short");
        for word in [EVENING + second, 0, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

/// What is published of the first day, without the headers.
const FIRST: [(&str, &str); 4] = [
    (
        "traffic-volume",
        "dns-udp-queries-received-ipv4: 4\n\
         dns-udp-queries-received-ipv6: 2\n\
         dns-tcp-queries-received-ipv4: 1\n\
         dns-tcp-queries-received-ipv6: 0\n\
         dns-udp-responses-sent-ipv4: 3\n\
         dns-udp-responses-sent-ipv6: 1\n\
         dns-tcp-responses-sent-ipv4: 1\n\
         dns-tcp-responses-sent-ipv6: 0\n",
    ),
    (
        "traffic-sizes",
        "udp-request-sizes:\n  16-31: 6\n\
         udp-response-sizes:\n  16-31: 4\n\
         tcp-request-sizes:\n  16-31: 1\n\
         tcp-response-sizes:\n  16-31: 1\n",
    ),
    ("rcode-volume", "0: 2\n3: 1\n16: 1\n3001: 1\n"),
    (
        "unique-sources",
        "# estimates with a standard error of 0.6 %\n\
         num-sources-ipv4: 4\n\
         num-sources-ipv6: 2\n\
         num-sources-ipv6-aggregate: 1\n",
    ),
];

/// And of the second.
const SECOND: [(&str, &str); 2] = [
    ("rcode-volume", "5: 1\n"),
    (
        "unique-sources",
        "# estimates with a standard error of 0.6 %\n\
         num-sources-ipv4: 1\n\
         num-sources-ipv6: 0\n\
         num-sources-ipv6-aggregate: 0\n",
    ),
];

fn xdsc(arguments: &[&str], files: &[PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdsc"));
    command.arg("rssac002").args(arguments).args(files);
    command.output().expect("xdsc starts")
}

fn succeeds(arguments: &[&str], files: &[PathBuf]) {
    let output = xdsc(arguments, files);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    assert_eq!(complaint, "");
}

fn refused(arguments: &[&str], files: &[PathBuf]) -> String {
    let output = xdsc(arguments, files);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The files below a folder, by their paths there.
fn below(folder: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = fs::read_dir(next) else {
            continue;
        };
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).expect("below").display();
            files.insert(name.to_string(), fs::read_to_string(&path).expect("text"));
        }
    }
    files
}

fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("a file");
    path
}

fn text(path: &Path) -> String {
    path.to_str().expect("text").to_owned()
}

/// Writes the days of a capture, and their partial files.
fn read(folder: &Path, name: &str, packets: &[(u32, Vec<u8>)]) -> PathBuf {
    let capture = file(folder, &format!("{name}.pcap"), &capture(packets));
    let out = folder.join(name);
    let arguments = [
        "read",
        "--service-address",
        "192.0.2.53",
        "--service-address",
        "2001:db8::35",
        "--service",
        SERVICE,
        "--output",
        &text(&out.join("yaml")),
        "--partials",
        &text(&out.join("partial")),
    ];
    succeeds(&arguments, &[capture]);
    out
}

#[test]
fn a_capture_becomes_days_that_were_counted_by_hand() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = below(&read(folder.path(), "whole", &packets()).join("yaml"));
    assert_eq!(files.len(), 8, "{:?}", files.keys());
    let days = [("2026-01-10", &FIRST[..]), ("2026-01-11", &SECOND[..])];
    for (day, metrics) in days {
        let compact = day.replace('-', "");
        for (metric, body) in metrics {
            let name = format!("2026/01/{metric}/a-root-{compact}-{metric}.yaml");
            let expected = format!(
                "---\nversion: rssac002v4\nservice: {SERVICE}\n\
                 start-period: {day}T00:00:00Z\nmetric: {metric}\n{body}"
            );
            assert_eq!(files.get(&name), Some(&expected), "{name}");
        }
    }
}

#[test]
fn nodes_that_are_merged_are_one_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = read(folder.path(), "whole", &packets());
    // A node has both sides of an exchange, by any client.
    let (mut nodes, mut last) = ([Vec::new(), Vec::new()], 0);
    for (second, packet) in packets() {
        last = if second == 1 || second == 3 { 1 } else { 0 };
        nodes[last].push((second, packet));
    }
    assert_eq!(last, 0);
    let partials: Vec<_> = (nodes.iter().zip(["one", "other"]))
        .flat_map(|(packets, name)| {
            let partials = read(folder.path(), name, packets).join("partial");
            let days = fs::read_dir(partials).expect("a folder");
            days.map(|day| day.expect("an entry").path())
        })
        .collect();
    assert_eq!(partials.len(), 3);
    let merged = folder.path().join("merged");
    let [yaml, partial] = ["yaml", "partial"].map(|kind| merged.join(kind));
    let arguments = ["merge", "--service", SERVICE, "--output", &text(&yaml)];
    let partial = text(&partial);
    let arguments = [&arguments[..], &["--partials", &partial]].concat();
    succeeds(&arguments, &partials);
    assert_eq!(below(&merged), below(&whole));
}

#[test]
fn days_may_come_in_any_order_of_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let (morning, evening): (Packets, Packets) =
        packets().into_iter().partition(|(second, _)| *second >= 10);
    let files = [("b.pcap", morning), ("a.pcap", evening)]
        .map(|(name, packets)| file(folder.path(), name, &capture(&packets)));
    let out = folder.path().join("out");
    let addresses = [
        "--service-address=192.0.2.53",
        "--service-address=2001:db8::35",
    ];
    let partials = text(&out);
    let output = ["read", "--service", SERVICE, "--partials", &partials];
    let arguments = [&output[..], &addresses[..]].concat();
    succeeds(&arguments, &files);
    let whole = read(folder.path(), "whole", &packets()).join("partial");
    assert_eq!(below(&out), below(&whole));
}

#[test]
fn nothing_is_written_of_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = read(folder.path(), "good", &packets()).join("partial/20260110.json");
    let whole = fs::read(&good).expect("a file");
    let half = file(folder.path(), "half.json", &whole[..whole.len() / 2]);
    let out = folder.path().join("out");
    let arguments = ["merge", "--service", SERVICE, "--output", &text(&out)];
    for (files, complaint) in [
        (
            vec![good.clone(), half.clone()],
            "half.json: is not a day: ",
        ),
        (
            vec![good.clone(), good.clone()],
            "is named twice, and would count twice",
        ),
        (vec![good.clone(), folder.path().join("none")], "none: "),
    ] {
        let told = refused(&arguments, &files);
        assert!(told.contains(complaint), "{told}");
        assert!(told.contains("nothing was written"), "{told}");
        assert!(!out.exists());
    }
    assert_eq!(fs::read(&half).expect("a file"), whole[..whole.len() / 2]);
    let told = refused(
        &["merge", "--service", "../x", "--output", "/nowhere"],
        &[good],
    );
    assert!(told.contains("is not the name of a service"), "{told}");
}

#[test]
fn something_must_be_written_under_a_name() {
    for (arguments, complaint) in [
        (&["merge", "x"][..], "--partials"),
        (&["merge", "--output", "out", "x"], "--service"),
        (&["merge", "--service", "x.example", "x"], "--output"),
        (&["read", "--partials", "out"], "<CAPTURE>"),
    ] {
        let told = refused(arguments, &[]);
        assert!(told.contains(complaint), "{told}");
    }
}

#[test]
fn of_captures_that_break_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bytes = capture(&packets()[..2]);
    bytes.truncate(bytes.len() - 3);
    let broken = file(folder.path(), "broken.pcap", &bytes);
    let out = folder.path().join("out");
    let whole = file(folder.path(), "whole.pcap", &capture(&packets()[..2]));
    let told = refused(&["read", "--partials", &text(&out)], &[broken, whole]);
    assert!(
        told.contains("broken.pcap") && told.contains("nothing was written"),
        "{told}"
    );
    assert!(!out.exists() || below(&out).is_empty());
    let empty = file(folder.path(), "empty.pcap", &capture(&[]));
    let told = refused(&["read", "--partials", &text(&out)], &[empty]);
    assert!(told.contains("nothing was written"), "{told}");
}
