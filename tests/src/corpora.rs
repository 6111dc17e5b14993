//! The first inputs of the fuzzers, from the builders: what a fuzzer would need
//! hours to find, so that it starts at the interesting places.

use std::io::Write as _;

use dns_wire::{
    Slice,
    counters::{Hook, Role},
    locate::{Family, Flow, Payload, Transport},
    message,
    observe::{Context, Finding},
    record::{HEAD_WORDS, LINE, Stamp, complete_raw_head, message_head, raw_head},
};
use flate2::{Compression, write::GzEncoder};

use crate::{
    mutation::{corpus, messages},
    packet::{Dns, RootRecord, labels_of, name, prefixed},
    traffic::{DATASETS, Profile, Traffic},
};

/// An input: the name of its file in the target's folder, and its octets.
pub type Input = (String, Vec<u8>);

/// The targets of the fuzzers, and the inputs of each.
///
/// # Errors
/// None that happens: it writes to memory.
pub fn all() -> std::io::Result<Vec<(&'static str, Vec<Input>)>> {
    Ok(vec![
        ("packet", packets()),
        ("message", named("message", messages())),
        ("options", named("options", options())),
        ("name", named("name", names())),
        ("record", named("record", records())),
        ("capture", captures()?),
        ("statistics", named("statistics", statistics())),
        ("dsc_conf", named("dsc_conf", dsc_confs())),
    ])
}

fn named(name: &str, inputs: Vec<Vec<u8>>) -> Vec<Input> {
    let numbered = inputs.into_iter().enumerate();
    numbered
        .map(|(number, input)| (format!("{name}-{number:02}"), input))
        .collect()
}

/// Some of the frames, some of them cut, and some without link layer.
fn packets() -> Vec<Input> {
    const ETHERNET: u8 = 0;
    const RAW: u8 = 1;
    let frames: Vec<_> = corpus()
        .into_iter()
        .filter(|frame| frame.len() < 600)
        .step_by(7)
        .collect();
    let whole = frames
        .iter()
        .map(|frame| [&[ETHERNET, 0], &**frame].concat());
    let cut = frames.iter().step_by(9).map(|frame| {
        let kept = frame.len() * 3 / 4;
        let missing = (frame.len() - kept) as u8;
        [&[ETHERNET, missing], &frame[..kept]].concat()
    });
    let raw = frames
        .iter()
        .step_by(9)
        .map(|frame| [&[RAW, 0], &frame[14..]].concat());
    named("packet", whole.chain(cut).chain(raw).collect())
}

/// Messages with OPT records and options of every kind, whole and broken.
fn options() -> Vec<Vec<u8>> {
    const NSID: &[u8] = &[0, 3, 0, 3, b'n', b's', b'1'];
    const ECS: &[u8] = &[0, 8, 0, 7, 0, 1, 24, 0, 203, 0, 113];
    const COOKIE: &[u8] = &[0, 10, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    const EDE: &[u8] = &[0, 15, 0, 6, 0, 22, b't', b'e', b'x', b't'];
    const CUT: &[u8] = &[0, 12, 0, 9, 0];
    let www = name("www.example.com");
    let record = |parts: &[&[u8]]| RootRecord {
        options: parts.concat(),
        ..RootRecord::dnssec_ok()
    };
    let other = RootRecord {
        kind: 250,
        ..RootRecord::default()
    };
    let overrun = RootRecord {
        options_len: Some(99),
        ..record(&[EDE])
    };
    let all = record(&[NSID, ECS, COOKIE, EDE]);
    let messages = [
        Dns::query(&www, 1).additional(&all),
        Dns::query(&www, 1).additional(&record(&[ECS, CUT])),
        Dns::query(&www, 1).additional(&record(&[&COOKIE[..19]])),
        Dns::query(&www, 1).additional(&overrun),
        Dns::query(&www, 1).additional(&other).additional(&all),
        Dns::query(&www, 1).question(&www, 28).additional(&all),
        Dns::response(&www, 1).answer().answer().additional(&all),
        Dns::response(&www, 1).answer().additional(&overrun),
        Dns::header(Dns::RESPONSE).answer().additional(&all),
    ];
    messages.iter().map(Dns::bytes).collect()
}

/// Names on the wire, names as text, and lists of names.
fn names() -> Vec<Vec<u8>> {
    const SUFFIXES: &str = "// list\ncom\nco.uk\n*.ck\n!www.ck\n\u{516c}\u{53f8}.cn\nwww.www.ck\n";
    let longest = "x".repeat(63);
    let texts = [
        SUFFIXES,
        "# Version 1\nCOM\nXN--P1AI\n",
        r"a\.b\\\010.com.",
        "!com",
        "*",
    ];
    let wires = [
        name("."),
        name("Www.Example.COM"),
        name("xn--bcher-kva.example"),
        labels_of(&["3w.w", "a\\b", "\n\r \0x", "\u{fc}"]),
        labels_of(&[&*longest; 4]),
        name(&"a.".repeat(127)),
        name("example.com")[..9].to_vec(),
        [&name("www.example")[..12], &[0xc0, 0x0c]].concat(),
    ];
    let texts = texts.iter().map(|text| text.as_bytes().to_vec());
    wires.into_iter().chain(texts).collect()
}

fn records() -> Vec<Vec<u8>> {
    let stamp = Stamp {
        time_ns: 1_000_000_000,
        position: 0,
        level: 1,
        share_bits: 3,
        paired: true,
        hash: 8,
    };
    let context = Context {
        hook: Hook::Ingress,
        role: Role::Server,
        flow: Flow {
            family: Family::Ipv6,
            transport: Transport::Tcp,
            hop_limit: 61,
            source: [1, 2],
            destination: [3, 4],
            source_port: 40_000,
            destination_port: 53,
        },
        sequence: 7,
    };
    let mut records: Vec<_> = messages()
        .iter()
        .filter_map(|octets| {
            let message = message::parse(&Slice::new(octets), 0, octets.len()).ok()?;
            let question = &message.question;
            let name = octets.get(question.name_at..question.name_at + question.name_len)?;
            Some(laid_out(&message_head(&context, &message, &stamp), name))
        })
        .collect();
    records.push(raw(&context, &stamp, &[0x35; 100], Finding::SEGMENT));
    records.extend(whole(&context, &stamp));
    records
}

/// A message with a cookie, as it is handed on raw.
fn whole(context: &Context, stamp: &Stamp) -> Option<Vec<u8>> {
    let octets = messages().into_iter().nth(2)?;
    let message = message::parse(&Slice::new(&octets), 0, octets.len()).ok()?;
    let finding = Finding::whole(&message.header);
    Some(raw(context, stamp, &prefixed(&octets), finding))
}

fn raw(context: &Context, stamp: &Stamp, data: &[u8], finding: Finding) -> Vec<u8> {
    let payload = Payload {
        family: context.flow.family,
        transport: Transport::Tcp,
        hop_limit: context.flow.hop_limit,
        addresses_at: 22,
        source_port: 40_000,
        destination_port: 53,
        at: 74,
        len: data.len(),
        sequence: 7,
        tcp_flags: 0x18,
        first_fragment: false,
    };
    let mut head = raw_head(context, &payload, finding, stamp);
    complete_raw_head(&mut head, 0, data.len(), stamp.position);
    laid_out(&head, data)
}

fn laid_out(head: &[u64; HEAD_WORDS], payload: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = head.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(LINE), 0);
    bytes
}

/// Some of the frames, and exchanges with names of every kind.
fn statistics() -> Vec<Vec<u8>> {
    const ETHERNET: u8 = 0;
    let made: Vec<_> = Traffic::new(Profile::Everyday, 5, 1)
        .take(40)
        .flat_map(|exchange| [exchange.query_frame(), exchange.response_frame()])
        .collect();
    let frames: Vec<_> = corpus()
        .into_iter()
        .filter(|frame| frame.len() < 600)
        .step_by(23)
        .collect();
    let inputs = made.chunks(16).chain(frames.chunks(8)).map(|frames| {
        let frames = frames.iter().enumerate().flat_map(|(number, frame)| {
            let [high, low] = (frame.len() as u16).to_be_bytes();
            let half_seconds = (number % 3) as u8;
            [&[half_seconds, high, low], &**frame].concat()
        });
        std::iter::once(ETHERNET).chain(frames).collect()
    });
    inputs.collect()
}

/// Configurations of DSC, sound and broken.
fn dsc_confs() -> Vec<Vec<u8>> {
    const STATEMENTS: &str = "\
# local_address 192.0.2.99;
local_address 192.0.2.0 24; # behind
local_address 2001:db8:: ffff:ffff::;
run_dir \"/var/lib/dsc data;#1\" ;
statistics_interval 300;
no_wait_interval;
output_format JSON;
output_mod 0640;
match_vlan 100 200;
tld_list tlds;
client_v4_mask 255.255.0.0;
response_time_mode bucket;
interface eth0;
";
    const FILTERED: &str = "\
qname_filter WWW-Only ^www\\.;
qname_filter Class \"[[:alpha:]]{2,3}(\\.|$)\";
dataset www dns All:null Qname:qname queries-only,WWW-Only max-cells=20 min-count=2;
dataset ip ip Direction:ip_direction IPProto:ip_proto any;
dataset times dns All:null ResponseTime:response_time any;
";
    let lines = (0..70)
        .map(|n| format!("qname_filter f{n} ^a;\ndataset d{n} dns All:null Q:qname f{n};\n"));
    let too_many_filters: String = lines.collect();
    let texts = [
        DATASETS,
        STATEMENTS,
        FILTERED,
        "dataset qtype dns All:null Qtype:nosuch any;\ndataset",
        "qname_filter x (;\nlocal_address 1.2.3;\noutput_format YAML;",
        "run_dir \"open;\n",
        &too_many_filters,
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

fn captures() -> std::io::Result<Vec<Input>> {
    let frames: Vec<_> = corpus().into_iter().step_by(111).take(5).collect();
    let pcap = pcap(&frames);
    let pcapng = pcapng(&frames);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&pcap)?;
    Ok(vec![
        ("pcap.gz".to_owned(), gzip.finish()?),
        ("cut.pcap".to_owned(), pcap[..pcap.len() - 7].to_vec()),
        ("whole.pcap".to_owned(), pcap),
        ("cut.pcapng".to_owned(), pcapng[..pcapng.len() - 7].to_vec()),
        ("whole.pcapng".to_owned(), pcapng),
    ])
}

/// A pcap file of microseconds, little endian.
fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
    file.extend([2, 0, 4, 0]);
    file.extend(words(&[0, 0, 262_144, 1]));
    for frame in frames {
        let len = frame.len() as u32;
        file.extend(words(&[1_700_000_000, 123_456, len, len]));
        file.extend(frame);
    }
    file
}

/// A pcapng file of one section with one interface, little endian.
fn pcapng(frames: &[Vec<u8>]) -> Vec<u8> {
    const SECTION: u32 = 0x0a0d_0d0a;
    const INTERFACE: u32 = 1;
    const PACKET: u32 = 6;
    let mut file = block(SECTION, &words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]));
    file.extend(block(INTERFACE, &words(&[1, 262_144])));
    for frame in frames {
        let len = frame.len() as u32;
        let mut body = words(&[0, 395_812, 1_000_000, len, len]);
        body.extend(frame);
        file.extend(block(PACKET, &body));
    }
    file
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let len = 12 + padded as u32;
    let mut block = words(&[kind, len]);
    block.extend(body);
    block.resize(8 + padded, 0);
    block.extend(len.to_le_bytes());
    block
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
