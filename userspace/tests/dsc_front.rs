//! The front end that sees what DSC sees, against DSC's own answers.
//!
//! The captures and the answers stay outside of the repository: in `shared/data`
//! beside it, or where `XDSC_SHARED_DATA` says. The values are found by a tally of
//! this file's own, so that only the front end is at stake.

mod shared_data;

use std::{collections::BTreeMap, fs, io::Read, path::Path};

use dns_wire::{
    locate::{Family, Transport},
    message::EdnsState,
    record::ip_addr,
};
use serde_json::Value;
use xdsc::{
    source::{
        dsc_front::{DscFront, Settings},
        file::{Capture, LinkType, Packet},
    },
    stats::{
        observed::Observed,
        response_time::{FullMode, MaxSecMode, Mode, ResponseTimes, Settings as Timing, Zero},
    },
};

use shared_data::data;

type Cells = BTreeMap<Vec<u8>, u64>;
type Datasets = BTreeMap<&'static str, Cells>;

/// The datasets of one dimension that a message has values in, with them.
fn values(seen: &Observed<'_>) -> Vec<(&'static str, Vec<u8>)> {
    let message = &seen.message;
    let flags = message.header.flags();
    let is_query = flags & 0x8000 == 0;
    let name = text(seen.name);
    let bit = |is_set: bool| if is_set { "set" } else { "clr" };
    let has_opt = message.edns == EdnsState::Present;
    let bufsiz = if has_opt {
        let bin = message.opt.udp_size() / 512;
        format!("{}-{}", u32::from(bin) * 512, u32::from(bin) * 512 + 511)
    } else {
        "None".to_owned()
    };
    let version = if has_opt {
        message.opt.version().to_string()
    } else {
        "none".to_owned()
    };
    let client = if is_query {
        seen.flow.source
    } else {
        seen.flow.destination
    };
    let family = match seen.flow.family {
        Family::Ipv6 => "IPv6",
        Family::Ipv4 | Family::Other => "IPv4",
    };
    let dots = name.iter().filter(|octet| **octet == b'.').count();
    let labels = match name.as_slice() {
        b"" | b"." => 0,
        _ => dots + 1,
    };
    let rcode = flags & 0x000f;
    let aa = flags >> 10 & 1;
    let mut values = vec![
        (
            "m_any",
            format!("qr={},aa={aa}", flags >> 15 & 1).into_bytes(),
        ),
        ("edns_bufsiz_any", bufsiz.clone().into_bytes()),
        ("qnamelen", name.len().to_string().into_bytes()),
        ("label_count", labels.min(63).to_string().into_bytes()),
        ("qname", name.clone()),
        ("msglen", message.len.to_string().into_bytes()),
        (
            "client",
            ip_addr(seen.flow.family, client).to_string().into_bytes(),
        ),
        ("ipv", family.into()),
    ];
    values.extend(options(seen.options));
    if rcode == 3 {
        values.push(("nxd", b"3".to_vec()));
    }
    if name.starts_with(b"xn--") {
        values.push(("idn_only", name));
    }
    if is_query {
        let opcode = flags >> 11 & 15;
        values.extend([
            ("qtype", message.question.qtype().to_string().into_bytes()),
            ("edns_version", version.into_bytes()),
            ("edns_bufsiz", bufsiz.into_bytes()),
            ("do_bit", bit(has_opt && message.opt.dnssec_ok()).into()),
            ("opcode", opcode.to_string().into_bytes()),
        ]);
    } else {
        values.push(("rcode", rcode.to_string().into_bytes()));
        values.push(("tc_bit", bit(flags & 0x0200 != 0).into()));
    }
    values
}

/// DSC's text of a name: lower case, no escapes, ended by a NUL.
fn text(mut wire: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    if wire == [0] {
        return b".".to_vec();
    }
    while let [len, rest @ ..] = wire
        && *len != 0
    {
        let (label, rest) = rest.split_at(usize::from(*len));
        if !text.is_empty() {
            text.push(b'.');
        }
        text.extend(label.iter().map(|octet| match octet {
            b'\n' | b'\r' => b' ',
            other => other.to_ascii_lowercase(),
        }));
        wire = rest;
    }
    let end = text.iter().position(|octet| *octet == 0);
    text.truncate(end.unwrap_or(text.len()));
    text
}

/// Some values of the first option of each kind.
fn options(mut octets: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut found: BTreeMap<&'static str, String> = BTreeMap::new();
    while let [a, b, c, d, rest @ ..] = octets {
        let len = usize::from(u16::from_be_bytes([*c, *d]));
        let Some((value, rest)) = rest.split_at_checked(len) else {
            break;
        };
        let known = match (u16::from_be_bytes([*a, *b]), value) {
            // DSC tells no difference between an empty option and none.
            (3, [_, ..]) => Some(("nsid_len", len.to_string())),
            (8, [high, low, _, _, ..]) => {
                Some(("ecs_family", u16::from_be_bytes([*high, *low]).to_string()))
            }
            (10, _) if len == 8 || (16..=40).contains(&len) => {
                Some(("cookie_len", len.to_string()))
            }
            (15, [high, low, ..]) => {
                Some(("ede_code", u16::from_be_bytes([*high, *low]).to_string()))
            }
            _ => None,
        };
        if let Some((dataset, value)) = known {
            found.entry(dataset).or_insert(value);
        }
        octets = rest;
    }
    ["nsid_len", "ecs_family", "cookie_len", "ede_code"]
        .map(|dataset| {
            let value = found.remove(dataset).unwrap_or_else(|| "none".to_owned());
            (dataset, value.into_bytes())
        })
        .into()
}

fn tally(path: &Path) -> Datasets {
    let mut datasets = Datasets::new();
    let mut front = DscFront::new(Settings::default());
    let mut capture = Capture::open(path).expect("the capture can be read");
    while let Some(packet) = capture.next_packet().expect("a packet") {
        let counted = front.packet(&packet, &mut |seen| {
            assert_eq!(seen.weight, 1);
            for (dataset, value) in values(seen) {
                let cells = datasets.entry(dataset).or_default();
                *cells.entry(value).or_default() += 1;
            }
        });
        counted.expect("a link type that DSC knows");
    }
    datasets
}

/// The cells of a dataset in DSC's JSON.
fn dsc(answer: &Value, dataset: &str) -> Cells {
    let sets = answer.as_array().expect("a list of datasets");
    let set = sets.iter().find(|set| set["name"] == dataset);
    let set = set.unwrap_or_else(|| panic!("no dataset {dataset}"));
    let rows = set["data"].as_array().expect("rows");
    let cells = rows.iter().flat_map(|row| {
        let columns = row.as_object().expect("a row").values();
        columns.filter_map(Value::as_array).flatten()
    });
    cells
        .map(|cell| {
            let value = cell["val"].as_str().expect("a value");
            let value = match cell["base64"].as_bool() {
                Some(true) => from_base64(value),
                _ => value.as_bytes().to_vec(),
            };
            (value, cell["count"].as_u64().expect("a count"))
        })
        .collect()
}

fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.bytes().filter(|octet| *octet != b'=');
    let (mut bits, mut known, mut octets) = (0u32, 0, Vec::new());
    for digit in digits {
        let value = DIGITS.iter().position(|one| *one == digit);
        bits = bits << 6 | u32::try_from(value.expect("a digit")).expect("small");
        known += 6;
        if known >= 8 {
            known -= 8;
            octets.push(u8::try_from(bits >> known & 0xff).expect("an octet"));
        }
    }
    octets
}

const DATASETS: [&str; 23] = [
    "m_any",
    "nxd",
    "idn_only",
    "qtype",
    "rcode",
    "edns_version",
    "edns_bufsiz",
    "edns_bufsiz_any",
    "do_bit",
    "tc_bit",
    "qnamelen",
    "label_count",
    "qname",
    "msglen",
    "client",
    "opcode",
    "ipv",
    "nsid_len",
    "ecs_family",
    "cookie_len",
    "ede_code",
    "cookie",
    "ecs",
];

fn compare(path: &Path, answer: &Value) {
    let ours = tally(path);
    for dataset in DATASETS {
        let counted = match dataset {
            "cookie" => presence(&ours, "cookie_len"),
            "ecs" => presence(&ours, "ecs_family"),
            _ => ours.get(dataset).cloned().unwrap_or_default(),
        };
        let expected = dsc(answer, dataset);
        assert_eq!(counted, expected, "{}: {dataset}", path.display());
    }
    let times = response_times(path, DSC);
    assert_eq!(times, dsc(answer, "response_time"), "{}", path.display());
}

/// DSC without directives.
const DSC: Timing = Timing {
    mode: Mode::Log10,
    max_queries: 1_000_000,
    full_mode: FullMode::DropQuery,
    max_seconds: 5,
    max_sec_mode: MaxSecMode::Ceil,
    bucket_size: 100,
    zero: Zero::Error,
};

fn response_times(path: &Path, timing: Timing) -> Cells {
    let mut times = ResponseTimes::new(timing);
    let mut front = DscFront::new(Settings::default());
    let mut capture = Capture::open(path).expect("the capture can be read");
    let mut last_ns = 0;
    while let Some(packet) = capture.next_packet().expect("a packet") {
        last_ns = packet.time_ns;
        let counted = front.packet(&packet, &mut |seen| {
            times.observe(seen, ());
        });
        counted.expect("a link type that DSC knows");
    }
    times.end_interval(last_ns, |()| {});
    cells(&mut times)
}

fn cells(times: &mut ResponseTimes) -> Cells {
    let counts = times.take_counts().into_iter();
    counts
        .map(|(label, count)| (label.into_bytes(), count))
        .collect()
}

/// What `response_time.gold`, `response_time2.gold` and `response_time3.gold` say.
#[test]
fn upstream_response_times() {
    let Some(data) = data() else { return };
    let capture = data.join("dsc-upstream/1458044657.pcap");
    let log2 = Timing {
        mode: Mode::Log2,
        max_queries: 1000,
        full_mode: FullMode::DropOldest,
        max_seconds: 15,
        ..DSC
    };
    let bucket = Timing {
        mode: Mode::Bucket,
        max_sec_mode: MaxSecMode::TimedOut,
        bucket_size: 250,
        ..DSC
    };
    for (timing, expected) in [
        (DSC, &[("10000-100000", 3), ("1000-10000", 1)][..]),
        (log2, &[("8192-16384", 3), ("1024-2048", 1)]),
        (
            bucket,
            &[("13250-13500", 2), ("1500-1750", 1), ("13750-14000", 1)],
        ),
    ] {
        assert_eq!(response_times(&capture, timing), labelled(expected));
    }
}

fn labelled(cells: &[(&str, u64)]) -> Cells {
    let cells = cells.iter();
    cells
        .map(|(label, count)| (label.as_bytes().to_vec(), *count))
        .collect()
}

/// Messages as `(is it a response, ID, microsecond)`, then the interval's end.
#[test]
fn response_times_by_rule() {
    const S: u64 = 1_000_000;
    let exact = Timing {
        zero: Zero::Class,
        ..DSC
    };
    let late = Timing {
        max_sec_mode: MaxSecMode::TimedOut,
        ..DSC
    };
    let two = Timing {
        max_queries: 2,
        ..DSC
    };
    let oldest = Timing {
        full_mode: FullMode::DropOldest,
        ..two
    };
    let bucket = Timing {
        mode: Mode::Bucket,
        ..DSC
    };
    let (q, r) = (false, true);
    type Case<'a> = (
        &'a str,
        Timing,
        &'a [(bool, u16, u64)],
        u64,
        &'a [(&'a str, u64)],
    );
    let cases: &[Case<'_>] = &[
        ("1 us", DSC, &[(q, 1, 0), (r, 1, 1)], 1, &[("1-10", 1)]),
        (
            "999 us",
            DSC,
            &[(q, 1, 0), (r, 1, 999)],
            1,
            &[("100-1000", 1)],
        ),
        (
            "1000 us",
            DSC,
            &[(q, 1, 0), (r, 1, 1000)],
            1,
            &[("1000-10000", 1)],
        ),
        (
            "0 us",
            DSC,
            &[(q, 1, 5), (r, 1, 5)],
            5,
            &[("internal_errors", 1)],
        ),
        (
            "0 us, exact",
            exact,
            &[(q, 1, 5), (r, 1, 5)],
            5,
            &[("0-1", 1)],
        ),
        (
            "0 us, buckets",
            bucket,
            &[(q, 1, 5), (r, 1, 5)],
            5,
            &[("0-100", 1)],
        ),
        (
            "before",
            exact,
            &[(q, 1, 5), (r, 1, 4)],
            5,
            &[("internal_errors", 1)],
        ),
        ("unasked", DSC, &[(r, 1, 5)], 5, &[("missing_queries", 1)]),
        (
            "asked again",
            DSC,
            &[(q, 1, 0), (q, 1, 500), (r, 1, 520)],
            520,
            &[("10-100", 1), ("timeouts", 1)],
        ),
        (
            "late: the last class",
            DSC,
            &[(q, 1, 0), (r, 1, 70 * S)],
            70 * S,
            &[("1000000-10000000", 1)],
        ),
        (
            "late: timeout",
            late,
            &[(q, 1, 0), (r, 1, 5 * S)],
            5 * S,
            &[("timeouts", 1)],
        ),
        ("young at the end", DSC, &[(q, 1, 0)], 5 * S - 1, &[]),
        (
            "old at the end",
            DSC,
            &[(q, 1, S - 1)],
            5 * S,
            &[("timeouts", 1)],
        ),
        (
            "full: the new one is dropped",
            two,
            &[(q, 1, 0), (q, 2, 1), (q, 3, 2), (r, 1, 12), (r, 3, 13)],
            13,
            &[
                ("dropped_queries", 1),
                ("10-100", 1),
                ("missing_queries", 1),
            ],
        ),
        (
            "full: the oldest is dropped",
            oldest,
            &[(q, 1, 0), (q, 2, 1), (q, 3, 2), (r, 1, 12), (r, 3, 13)],
            13,
            &[
                ("dropped_queries", 1),
                ("10-100", 1),
                ("missing_queries", 1),
            ],
        ),
        (
            "full: the oldest has timed out",
            two,
            &[(q, 1, 0), (q, 2, 1), (q, 3, 5 * S), (r, 3, 5 * S + 10)],
            5 * S,
            &[("timeouts", 2), ("10-100", 1)],
        ),
    ];
    for (name, timing, messages, end_us, expected) in cases {
        let mut times = ResponseTimes::new(*timing);
        let mut front = DscFront::new(Settings::default());
        for (is_response, id, time_us) in *messages {
            let frame = exchange(*is_response, *id);
            let packet = Packet {
                time_ns: TIME_S * 1_000_000_000 + time_us * 1000,
                ..packet(LinkType::RAW, &frame)
            };
            let read = front.packet(&packet, &mut |seen| {
                times.observe(seen, ());
            });
            assert_eq!(read, Ok(()));
        }
        times.end_interval(TIME_S * 1_000_000_000 + end_us * 1000, |()| {});
        assert_eq!(cells(&mut times), labelled(expected), "{name}");
    }
}

/// Of a dataset of two dimensions: DSC keeps the message that was asked first.
#[test]
fn a_timeout_has_the_row_of_its_query() {
    let mut times = ResponseTimes::new(DSC);
    let mut front = DscFront::new(Settings::default());
    for (id, row) in [(1, "first"), (2, "other"), (1, "again")] {
        let frame = exchange(false, id);
        let read = front.packet(&packet(LinkType::RAW, &frame), &mut |seen| {
            times.observe(seen, row);
        });
        assert_eq!(read, Ok(()));
    }
    let mut rows = Vec::new();
    times.end_interval((TIME_S + 5) * 1_000_000_000, |row| rows.push(row));
    assert_eq!(rows, ["other", "first"]);
}

/// A query, or its response the other way.
fn exchange(is_response: bool, id: u16) -> Vec<u8> {
    let mut message = query(b"\x01a\0");
    message[..2].copy_from_slice(&id.to_be_bytes());
    message[2] |= u8::from(is_response) << 7;
    let mut frame = udp4(&message, 0);
    if is_response {
        let (source, destination) = frame[12..20].split_at_mut(4);
        source.swap_with_slice(destination);
        let (source, destination) = frame[20..24].split_at_mut(2);
        source.swap_with_slice(destination);
    }
    frame
}

/// `yes` and `no` by the values of another dataset.
fn presence(datasets: &Datasets, dataset: &str) -> Cells {
    let mut cells = Cells::new();
    for (value, count) in datasets.get(dataset).into_iter().flatten() {
        let answer = if value == b"none" { "no" } else { "yes" };
        *cells.entry(answer.into()).or_default() += count;
    }
    cells
}

#[test]
fn the_edge_captures_give_the_answers_of_dsc() {
    let Some(data) = data() else { return };
    let mut compared = 0;
    let folder = fs::read_dir(data.join("dsc-edge")).expect("the folder can be read");
    for entry in folder {
        let answer = entry.expect("an entry").path();
        if answer
            .extension()
            .is_none_or(|extension| extension != "json")
        {
            continue;
        }
        let text = fs::read_to_string(&answer).expect("DSC's answer can be read");
        let json = serde_json::from_str(&text).expect("DSC's answer is JSON");
        compare(&answer.with_extension("pcap"), &json);
        compared += 1;
    }
    assert_eq!(compared, 42, "DSC gives no answer to 43 and 44");
}

#[test]
fn a_minute_of_a_name_server_gives_the_answer_of_dsc() {
    let Some(data) = data() else { return };
    let answer = fs::File::open(data.join("live/nsd-live.dsc.json.xz")).expect("the answer");
    let mut text = String::new();
    liblzma::read::XzDecoder::new(answer)
        .read_to_string(&mut text)
        .expect("the answer can be unpacked");
    let json = serde_json::from_str(&text).expect("DSC's answer is JSON");
    compare(&data.join("live/nsd-live.raw.pcap.xz"), &json);
}

/// DSC puts the first packet of the second minute into the first file.
#[test]
fn four_queries_around_a_boundary() {
    let Some(data) = data() else { return };
    let ours = tally(&data.join("dsc-edge/44-boundary.pcap"));
    assert_eq!(ours["qtype"], Cells::from([(b"1".to_vec(), 4)]));
}

#[test]
fn upstream_captures_have_as_many_messages_as_their_golds_say() {
    let Some(data) = data() else { return };
    for (file, messages) in [
        ("1458044657", 8),
        ("dns6", 2),
        ("dnso1tcp", 82),
        ("edns", 14),
        ("test_285", 4),
    ] {
        let ours = tally(&data.join(format!("dsc-upstream/{file}.pcap")));
        assert_eq!(ours["m_any"].values().sum::<u64>(), messages, "{file}");
    }
}

/// `(link type, what stands before the IP packet, messages)`.
#[test]
fn link_layers() {
    let ethernet = |rest: &[u8]| [[0; 12].as_slice(), rest].concat();
    for (name, link, before, messages) in [
        ("Ethernet", LinkType::ETHERNET, ethernet(&[8, 0]), 1),
        (
            "one tag",
            LinkType::ETHERNET,
            ethernet(&[0x81, 0, 0, 5, 8, 0]),
            1,
        ),
        (
            "802.1ad",
            LinkType::ETHERNET,
            ethernet(&[0x88, 0xa8, 0, 5, 8, 0]),
            0,
        ),
        (
            "two tags",
            LinkType::ETHERNET,
            ethernet(&[0x81, 0, 0, 5, 0x81, 0, 0, 6, 8, 0]),
            0,
        ),
        ("raw", LinkType::RAW, vec![], 1),
        ("raw 12", LinkType::RAW_BSD, vec![], 1),
        (
            "cooked",
            LinkType::LINUX_SLL,
            [[0; 14].as_slice(), &[8, 0]].concat(),
            1,
        ),
        ("null, network order", LinkType::NULL, vec![0, 0, 0, 2], 1),
        ("null of a PC", LinkType::NULL, vec![2, 0, 0, 0], 0),
        ("loop", LinkType::LOOP, vec![0, 0, 0, 2], 1),
        ("PPP", LinkType::PPP, vec![0xff, 3, 0, 0x21], 1),
        ("PPP, compressed", LinkType::PPP, vec![0x21], 1),
        ("PPP, IPv6", LinkType::PPP, vec![0xff, 3, 0, 0x57], 0),
    ] {
        let frame = [before, udp4(&query(b"\x01a\0"), 0)].concat();
        assert_eq!(count(link, &[&frame]), Ok(messages), "{name}");
    }
    for link in [LinkType::LINUX_SLL2, LinkType::IPV4, LinkType(105)] {
        assert!(count(link, &[&[0; 100]]).is_err(), "{link}");
    }
}

/// `(name, name on the wire, text; None: not counted)`.
#[test]
fn names() {
    let label = |len: usize| [&[u8::try_from(len).expect("short")][..], &vec![b'x'; len]].concat();
    let long = |lens: &[usize]| lens.iter().flat_map(|len| label(*len)).collect::<Vec<_>>();
    for (name, wire, expected) in [
        ("root", vec![0], Some(".".to_owned())),
        ("two labels", b"\x01a\x02bC\0".to_vec(), Some("a.bc".into())),
        ("dot in a label", b"\x03a.b\0".to_vec(), Some("a.b".into())),
        (
            "511 octets of text",
            [long(&[63; 8]), vec![0]].concat(),
            Some(vec!["x".repeat(63); 8].join(".")),
        ),
        ("513 octets", [long(&[63; 8]), long(&[1, 0])].concat(), None),
        ("label of 64", [vec![64], vec![b'x'; 64]].concat(), None),
        ("into the header", vec![0xc0, 4], None),
        ("to itself", vec![0xc0, 12], None),
        ("beyond the end", vec![0xc0, 200], None),
        ("without end", vec![1, b'a'], None),
        // The pointer leads to the last label of the same name.
        (
            "compressed",
            [b"\x01a\xc0\x11\0\x01\0\x01\x01b\0".as_slice()].concat(),
            None,
        ),
    ] {
        let frame = udp4(&query(&wire), 0);
        let mut found = None;
        let mut front = DscFront::new(Settings::default());
        let read = front.packet(&packet(LinkType::RAW, &frame), &mut |seen| {
            found = Some(String::from_utf8(text(seen.name)).expect("ASCII"));
        });
        assert_eq!((read, found), (Ok(()), expected), "{name}");
    }
}

#[test]
fn a_compressed_question_is_followed() {
    // Offset 12: "a" and a pointer to 20, behind type and class; there "b".
    let mut message = query(b"\x01a\xc0\x14");
    message.extend(b"\x01b\0");
    let frame = udp4(&message, 0);
    let mut found = Vec::new();
    let mut front = DscFront::new(Settings::default());
    let read = front.packet(&packet(LinkType::RAW, &frame), &mut |seen| {
        found = seen.name.to_vec();
        assert_eq!(seen.message.question.name_len, seen.name.len());
    });
    assert_eq!(read, Ok(()));
    assert_eq!(found, b"\x01a\x01b\0");
}

/// One query of 34 octets of UDP, cut in two.
#[test]
fn fragments() {
    let message = query(b"\x05label\0");
    let whole = udp4(&message, 0);
    let (first, last) = whole[20..].split_at(16);
    let first = ip4(17, 0x2000, first);
    let last = ip4(17, 2, last);
    for (name, frames, messages) in [
        ("in order", vec![&first, &last], 1),
        ("reversed", vec![&last, &first], 0),
        ("the last one twice", vec![&first, &last, &last], 1),
        ("the first one twice", vec![&first, &first, &last], 1),
        ("reversed, and again", vec![&last, &first, &last], 1),
    ] {
        let frames: Vec<&[u8]> = frames.into_iter().map(Vec::as_slice).collect();
        assert_eq!(count(LinkType::RAW, &frames), Ok(messages), "{name}");
    }
    let mut dropping = DscFront::new(Settings {
        drop_fragments: true,
        ..Settings::default()
    });
    for frame in [&first, &last] {
        let read = dropping.packet(&packet(LinkType::RAW, frame), &mut |_| panic!("dropped"));
        assert_eq!(read, Ok(()));
    }
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Segments of one direction: flags, sequence number relative to the SYN's, octets.
#[test]
fn tcp() {
    let message = query(b"\x05label\0");
    let len = u16::try_from(message.len()).expect("short");
    let stream = [&len.to_be_bytes()[..], &message].concat();
    let two = [&stream[..], &stream].concat();
    let end = u32::try_from(stream.len()).expect("short");
    let syn = (SYN, 0, &[][..]);
    type Part<'a> = (u8, u32, &'a [u8]);
    let cases: Vec<(&str, Vec<Part<'_>>, usize)> = vec![
        ("no SYN", vec![(ACK, 1, &stream)], 0),
        ("whole", vec![syn, (ACK, 1, &stream)], 1),
        ("on the SYN", vec![(SYN, 0, &stream)], 1),
        ("two in one", vec![syn, (ACK, 1, &two)], 2),
        (
            "a length in halves",
            vec![
                syn,
                (ACK, 1, &stream[..1]),
                (ACK, 2, &stream[1..2]),
                (ACK, 3, &stream[2..]),
            ],
            1,
        ),
        (
            "out of order",
            vec![
                syn,
                (ACK, 1, &stream[..5]),
                (ACK, 11, &stream[10..]),
                (ACK, 6, &stream[5..10]),
            ],
            1,
        ),
        (
            "held before its length is known",
            vec![syn, (ACK, 6, &stream[5..]), (ACK, 1, &stream[..5])],
            1,
        ),
        (
            "the second message first",
            vec![syn, (ACK, 1 + end, &stream), (ACK, 1, &stream)],
            1,
        ),
        (
            "retransmitted",
            vec![syn, (ACK, 1, &stream), (ACK, 1, &stream)],
            1,
        ),
        (
            "FIN with the last octets",
            vec![syn, (ACK, 1, &stream[..9]), (ACK | FIN, 10, &stream[9..])],
            1,
        ),
        (
            "behind a FIN that came early",
            vec![syn, (ACK | FIN, 1 + end, &[]), (ACK, 1, &stream)],
            0,
        ),
        ("behind RST", vec![syn, (RST, 1, &[]), (ACK, 1, &stream)], 0),
    ];
    for (name, parts, messages) in cases {
        let frames: Vec<_> = parts.into_iter().map(tcp4).collect();
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        assert_eq!(count(LinkType::RAW, &frames), Ok(messages), "{name}");
    }
}

#[test]
fn idle_connections_end_with_the_interval() {
    let message = query(b"\x05label\0");
    let stream = [&[0, 23][..], &message].concat();
    assert_eq!(message.len(), 23);
    for (idle_s, messages) in [(60, 1), (61, 0)] {
        let mut front = DscFront::new(Settings::default());
        let mut seen = 0;
        let syn = tcp4((SYN, 0, &[]));
        let data = tcp4((ACK, 1, &stream));
        let mut read = |front: &mut DscFront, frame: &[u8]| {
            let read = front.packet(&packet(LinkType::RAW, frame), &mut |_| seen += 1);
            assert_eq!(read, Ok(()));
        };
        read(&mut front, &syn);
        front.end_interval((TIME_S + idle_s) * 1_000_000_000);
        read(&mut front, &data);
        assert_eq!(seen, messages, "{idle_s}");
    }
}

/// Octets are anything; DSC's own answers are above.
#[test]
fn any_octets_are_survived() {
    use proptest::{collection::vec, prelude::*};
    let links = [0, 1, 9, 12, 101, 108, 113].map(LinkType);
    let frames = vec((0..links.len(), 0..4usize, vec(any::<u8>(), 0..200)), 1..40);
    proptest!(|(frames in frames)| {
        let mut front = DscFront::new(Settings::default());
        for (link, shape, octets) in &frames {
            let frame = match shape {
                0 => octets.clone(),
                1 => udp4(octets, 0),
                2 => ip4(17, u16::from(*octets.first().unwrap_or(&0)) << 8 | 1, octets),
                _ => tcp4((octets.first().unwrap_or(&2) & 0x13, 1, octets)),
            };
            let link = if *shape == 0 { links[*link] } else { LinkType::RAW };
            let read = front.packet(&packet(link, &frame), &mut |seen| {
                assert!(seen.message.len >= 12);
                assert!(seen.name.len() <= 513);
                assert!(*shape == 0 || *shape == 2 || (seen.flow.transport == Transport::Tcp) == (*shape == 3));
            });
            assert_eq!(read, Ok(()));
        }
    });
}

fn count(link: LinkType, frames: &[&[u8]]) -> Result<usize, String> {
    let mut front = DscFront::new(Settings::default());
    let mut messages = 0;
    for frame in frames {
        let read = front.packet(&packet(link, frame), &mut |_| messages += 1);
        read.map_err(|error| error.to_string())?;
    }
    Ok(messages)
}

const TIME_S: u64 = 1_700_000_040;

fn packet(link: LinkType, bytes: &[u8]) -> Packet<'_> {
    Packet {
        time_ns: TIME_S * 1_000_000_000,
        link,
        wire_len: u32::try_from(bytes.len()).expect("short"),
        bytes,
    }
}

/// A query for the A record of a name.
fn query(name: &[u8]) -> Vec<u8> {
    let header = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&header[..], name, &[0, 1, 0, 1]].concat()
}

fn udp4(message: &[u8], fragment: u16) -> Vec<u8> {
    let len = u16::try_from(8 + message.len()).expect("short");
    let [high, low] = len.to_be_bytes();
    let header = [0x9c, 0x40, 0, 53, high, low, 0, 0];
    ip4(17, fragment, &[&header[..], message].concat())
}

fn tcp4((flags, offset, octets): (u8, u32, &[u8])) -> Vec<u8> {
    let [a, b, c, d] = u32::wrapping_add(0xffff_fff0, offset).to_be_bytes();
    let header = [
        0x9c, 0x40, 0, 53, a, b, c, d, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0,
    ];
    ip4(6, 0, &[&header[..], octets].concat())
}

/// An IPv4 packet; `fragment` is the word of flags and fragment offset.
fn ip4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(20 + payload.len())
        .expect("short")
        .to_be_bytes();
    let [flags, offset] = fragment.to_be_bytes();
    let header = [
        0x45, 0, high, low, 0, 7, flags, offset, 64, protocol, 0, 0, 198, 18, 7, 9, 192, 0, 2, 53,
    ];
    [&header[..], payload].concat()
}
